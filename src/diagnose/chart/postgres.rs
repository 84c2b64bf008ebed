//! What is asked about PostgreSQL: who may not come in, who blocks whom, which query costs most, and what will fail.

use crate::model::source::SourceKind;

use super::question::{Branch, Question, ask, note};

/// Nothing of it is asked at the start.
pub(super) const START: &[Question] = &[];

/// The branch.
pub(super) const BRANCH: Option<Branch> =
    Some(Branch { name: "Database", kind: SourceKind::Postgres, states: &["postgres.", "pool."], questions: QUESTIONS });

const BLOCKED: &str = "psql -c \"SELECT pid, pg_blocking_pids(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'\"";
const WAITS: &str = "psql -c 'SELECT wait_event_type, wait_event, count(*) FROM pg_stat_activity GROUP BY 1, 2'";
const PLAN: &str = "EXPLAIN (ANALYZE, BUFFERS) of the query that takes most time, on a copy";
const INDEXES: &str = "psql -c 'SELECT * FROM pg_stat_user_indexes ORDER BY idx_scan LIMIT 20'";

const QUESTIONS: &[Question] = &[
    ask("postgres.checksum_failures", "Is data corrupted?", "psql -c 'SELECT datname, checksum_failures FROM pg_stat_database'"),
    ask(
        "postgres.connections.exhausted",
        "Are all connection slots taken?",
        "psql -c 'SELECT application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2'",
    ),
    ask("postgres.locks.deadlocks", "Are there deadlocks?", "psql -c 'SELECT datname, deadlocks FROM pg_stat_database'"),
    ask("postgres.locks.idle_in_transaction", "Does a transaction that does nothing block others?", BLOCKED),
    ask(
        "postgres.locks.ddl_queue",
        "Is everyone queueing behind a DDL that waits itself?",
        "psql -c \"SELECT pid, mode, granted FROM pg_locks WHERE mode = 'AccessExclusiveLock'\"",
    ),
    ask(
        "postgres.locks.prepared_transaction",
        "Does a prepared transaction block others?",
        "psql -c 'SELECT * FROM pg_prepared_xacts'",
    ),
    ask(
        "postgres.locks.advisory",
        "Do sessions queue for an advisory lock?",
        "psql -c \"SELECT * FROM pg_locks WHERE locktype = 'advisory'\"",
    ),
    ask(
        "postgres.locks.hot_row",
        "Do sessions queue for the same rows?",
        "psql -c \"SELECT * FROM pg_locks WHERE locktype IN ('tuple', 'transactionid') AND NOT granted\"",
    ),
    ask("postgres.locks.blocked", "Does one active transaction block others?", BLOCKED),
    ask("postgres.lwlock.contention", "Do sessions wait for the server's internal locks?", WAITS),
    ask("postgres.query.missing_index", "Does a query scan a table because an index is missing?", PLAN),
    ask("postgres.query.stale_statistics", "Is a query planned with outdated statistics?", PLAN),
    ask(
        "postgres.vacuum.bloat",
        "Does a query read dead space?",
        "psql -c 'SELECT relname, n_dead_tup, n_live_tup FROM pg_stat_user_tables ORDER BY 2 DESC LIMIT 5'",
    ),
    ask(
        "postgres.query.temp_spill",
        "Do sorts and hashes spill to disk?",
        "psql -c 'SELECT datname, temp_bytes FROM pg_stat_database'",
    ),
    ask("postgres.query.jit", "Does compiling a query take longer than running it?", PLAN),
    ask("postgres.query.planning", "Does planning a query take longer than running it?", PLAN),
    ask("postgres.query.regressed", "Did a query become much slower than it was?", PLAN),
    ask(
        "postgres.query.large_fetch",
        "Does a query return far too many rows?",
        "psql -c 'SELECT queryid, rows / calls FROM pg_stat_statements ORDER BY rows DESC LIMIT 5'",
    ),
    ask(
        "postgres.query.high_frequency",
        "Is a cheap query called far too often?",
        "psql -c 'SELECT queryid, calls FROM pg_stat_statements ORDER BY calls DESC LIMIT 5'",
    ),
    ask(
        "postgres.query.expensive",
        "Does one query take most of the time?",
        "psql -c 'SELECT queryid, total_exec_time FROM pg_stat_statements ORDER BY 2 DESC LIMIT 5'",
    ),
    note(
        "postgres.query.long_running",
        "Has a statement been running for long?",
        "psql -c \"SELECT pid, now() - query_start FROM pg_stat_activity WHERE state = 'active' ORDER BY 2 DESC\"",
    ),
    ask("postgres.io.read_bound", "Do many queries wait for reads?", WAITS),
    ask("postgres.wal.commit_bound", "Do commits wait for the WAL?", WAITS),
    ask("postgres.wal.sync_replica", "Do commits wait for a synchronous standby?", "psql -c 'SELECT * FROM pg_stat_replication'"),
    ask(
        "postgres.checkpoints.forced",
        "Are checkpoints forced by too little max_wal_size?",
        "psql -c 'SELECT * FROM pg_stat_bgwriter'",
    ),
    ask("postgres.index.redundant_on_hot_table", "Does a redundant index slow down writes?", INDEXES),
    ask(
        "postgres.vacuum.interference",
        "Does maintenance compete with the clients?",
        "psql -c 'SELECT * FROM pg_stat_progress_vacuum'",
    ),
    ask(
        "postgres.connections.churn",
        "Are connections opened and closed all the time?",
        "psql -c 'SELECT datname, sessions FROM pg_stat_database'",
    ),
    ask("app.pool.queueing", "Do clients queue in a pooler?", "psql -p 6432 pgbouncer -c 'SHOW POOLS'"),
    ask(
        "postgres.vacuum.xmin_horizon",
        "Does an old snapshot keep vacuum from cleaning up?",
        "psql -c 'SELECT pid, age(backend_xmin) FROM pg_stat_activity ORDER BY 2 DESC NULLS LAST LIMIT 5'",
    ),
    ask(
        "postgres.vacuum.overdue",
        "Is autovacuum off or behind?",
        "psql -c 'SELECT relname, n_dead_tup, last_autovacuum FROM pg_stat_user_tables ORDER BY 2 DESC LIMIT 5'",
    ),
    ask(
        "postgres.wraparound",
        "Are transaction ids running out?",
        "psql -c 'SELECT datname, age(datfrozenxid) FROM pg_database'",
    ),
    ask(
        "postgres.sequence.exhaustion",
        "Is a sequence running out?",
        "psql -c 'SELECT sequencename, last_value, max_value FROM pg_sequences'",
    ),
    ask("postgres.replication.lag", "Is a standby behind?", "psql -c 'SELECT * FROM pg_stat_replication'"),
    ask(
        "postgres.replication.slot_retention",
        "Does a replication slot keep WAL?",
        "psql -c 'SELECT slot_name, active, wal_status FROM pg_replication_slots'",
    ),
    ask("postgres.archiver.failing", "Does archiving the WAL fail?", "psql -c 'SELECT * FROM pg_stat_archiver'"),
    note("postgres.settings.dangerous", "Is a setting dangerous?", "psql -c 'SHOW fsync; SHOW full_page_writes'"),
    note(
        "postgres.index.invalid",
        "Is an index invalid?",
        "psql -c 'SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid'",
    ),
    note("postgres.index.duplicate", "Is an index a duplicate of another?", INDEXES),
    note("postgres.index.unused", "Is an index never used?", INDEXES),
    note(
        "postgres.statements.evicting",
        "Does pg_stat_statements evict what it should keep?",
        "psql -c 'SELECT dealloc FROM pg_stat_statements_info'",
    ),
];
