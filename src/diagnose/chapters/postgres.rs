//! What is asked about PostgreSQL, once someone loses time: the connections, the locks, the queries.

use crate::model::source::SourceKind;

use super::chapter::{Chapter, Go, Question, finding, question};

/// Left towards the host's links and CPUs.
pub(super) const CHAPTER: Chapter =
    Chapter { kind: SourceKind::Postgres, first: "postgres.connections.exhausted", questions: QUESTIONS };

const QUESTIONS: &[Question] = &[
    question(
        "postgres.connections.exhausted",
        "Are PostgreSQL's connection slots used up?",
        finding("postgres.connections.exhausted"),
        Go::Finding("postgres.connections.exhausted"),
        Go::To("postgres.locks.idle_in_transaction"),
        "psql -c 'SELECT application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2'",
    ),
    question(
        "postgres.locks.idle_in_transaction",
        "Does an idle transaction block others?",
        finding("postgres.locks.idle_in_transaction"),
        Go::Finding("postgres.locks.idle_in_transaction"),
        Go::To("postgres.locks.ddl_queue"),
        "psql -c \"SELECT pid, pg_blocking_pids(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'\"",
    ),
    question(
        "postgres.locks.ddl_queue",
        "Does everyone queue behind a waiting DDL?",
        finding("postgres.locks.ddl_queue"),
        Go::Finding("postgres.locks.ddl_queue"),
        Go::To("postgres.locks.prepared_transaction"),
        "psql -c \"SELECT pid, mode, granted FROM pg_locks WHERE mode = 'AccessExclusiveLock'\"",
    ),
    question(
        "postgres.locks.prepared_transaction",
        "Does a prepared transaction block?",
        finding("postgres.locks.prepared_transaction"),
        Go::Finding("postgres.locks.prepared_transaction"),
        Go::To("postgres.locks.advisory"),
        "psql -c 'SELECT * FROM pg_prepared_xacts'",
    ),
    question(
        "postgres.locks.advisory",
        "Do sessions queue on an advisory lock?",
        finding("postgres.locks.advisory"),
        Go::Finding("postgres.locks.advisory"),
        Go::To("postgres.locks.hot_row"),
        "psql -c \"SELECT * FROM pg_locks WHERE locktype = 'advisory'\"",
    ),
    question(
        "postgres.locks.hot_row",
        "Do sessions queue on the same rows?",
        finding("postgres.locks.hot_row"),
        Go::Finding("postgres.locks.hot_row"),
        Go::To("postgres.locks.blocked"),
        "psql -c \"SELECT * FROM pg_locks WHERE locktype IN ('tuple', 'transactionid') AND NOT granted\"",
    ),
    question(
        "postgres.locks.blocked",
        "Does one active transaction block others?",
        finding("postgres.locks.blocked"),
        Go::Finding("postgres.locks.blocked"),
        Go::To("postgres.lwlock.contention"),
        "psql -c \"SELECT pid, pg_blocking_pids(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'\"",
    ),
    question(
        "postgres.lwlock.contention",
        "Do sessions wait for locks of the server's own?",
        finding("postgres.lwlock.contention"),
        Go::Finding("postgres.lwlock.contention"),
        Go::To("postgres.query.missing_index"),
        "psql -c 'SELECT wait_event_type, wait_event, count(*) FROM pg_stat_activity GROUP BY 1, 2'",
    ),
    question(
        "postgres.query.missing_index",
        "Does a query scan because an index is missing?",
        finding("postgres.query.missing_index"),
        Go::Finding("postgres.query.missing_index"),
        Go::To("postgres.query.stale_statistics"),
        "EXPLAIN of the query that takes most time: Seq Scan with a Filter",
    ),
    question(
        "postgres.query.stale_statistics",
        "Is a query planned with stale statistics?",
        finding("postgres.query.stale_statistics"),
        Go::Finding("postgres.query.stale_statistics"),
        Go::To("postgres.query.temp_spill"),
        "EXPLAIN ANALYZE: estimated against actual rows",
    ),
    question(
        "postgres.query.temp_spill",
        "Do sorts and hashes spill to disk?",
        finding("postgres.query.temp_spill"),
        Go::Finding("postgres.query.temp_spill"),
        Go::To("postgres.query.jit"),
        "psql -c 'SELECT datname, temp_bytes FROM pg_stat_database'",
    ),
    question(
        "postgres.query.jit",
        "Is a query compiled for longer than it works?",
        finding("postgres.query.jit"),
        Go::Finding("postgres.query.jit"),
        Go::To("postgres.query.planning"),
        "EXPLAIN ANALYZE: JIT, Timing; psql -c 'SHOW jit_above_cost'",
    ),
    question(
        "postgres.query.planning",
        "Is a query planned for longer than it runs?",
        finding("postgres.query.planning"),
        Go::Finding("postgres.query.planning"),
        Go::To("postgres.query.high_frequency"),
        "EXPLAIN ANALYZE: Planning Time against Execution Time",
    ),
    question(
        "postgres.query.high_frequency",
        "Is a cheap query called too often?",
        finding("postgres.query.high_frequency"),
        Go::Finding("postgres.query.high_frequency"),
        Go::To("postgres.query.expensive"),
        "psql -c 'SELECT queryid, calls FROM pg_stat_statements ORDER BY calls DESC LIMIT 5'",
    ),
    question(
        "postgres.query.expensive",
        "Does one expensive query dominate?",
        finding("postgres.query.expensive"),
        Go::Finding("postgres.query.expensive"),
        Go::To("app.pool.queueing"),
        "psql -c 'SELECT queryid, total_exec_time FROM pg_stat_statements ORDER BY 2 DESC LIMIT 5'",
    ),
    question(
        "app.pool.queueing",
        "Do clients queue in a pooler?",
        finding("app.pool.queueing"),
        Go::Finding("app.pool.queueing"),
        Go::On,
        "psql -p 6432 pgbouncer -c 'SHOW POOLS'",
    ),
];
