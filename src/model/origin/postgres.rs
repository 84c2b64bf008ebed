//! Figures of PostgreSQL.

use super::row::{Origin, origin};

/// Of PostgreSQL those that tell of the sessions and statements of others: a role needs pg_monitor to see them.
pub const OF_OTHERS: &[&str] = &[
    "postgres.activity",
    "postgres.locks",
    "postgres.statements",
    "postgres.plan",
    "postgres.progress",
    "postgres.horizon",
    "postgres.connections",
    "postgres.replicas",
];

pub(super) const ORIGINS: &[Origin] = &[
    origin(
        "postgres.activity",
        "pg_stat_get_activity (behind pg_stat_activity), every 0.1 to 1 s by its cost: state, wait_event_type, wait_event, query_id",
        "samples in which a session was active in that wait / all samples of the window, weighted; sessions",
        "psql -c 'SELECT pid, state, wait_event_type, wait_event, query FROM pg_stat_activity'",
    ),
    origin(
        "postgres.locks",
        "pg_blocking_pids of those with wait_event_type Lock (the 32 that wait longest), pg_locks; every 0.9 s while someone waits, every \
         1.8 s where that costs more than 4 ms",
        "transitive root of each; those beyond the 32 in the same proportions; waitstart to now, s (before 14 from state_change)",
        "psql -c \"SELECT pid, pg_blocking_pids(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'\"",
    ),
    origin(
        "postgres.prepared",
        "pg_prepared_xacts: gid, transaction, prepared; every 5 s, or 10 s where the reading costs more than 2 ms",
        "now - prepared, s; joined to waiters by their transaction",
        "psql -c 'SELECT * FROM pg_prepared_xacts'",
    ),
    origin(
        "postgres.databases",
        "pg_stat_database, pg_database; every 5 s, or 10 s where the reading costs more than 2 ms",
        "Δcounter / Δt between two readings; checksum failures as counted; age(datfrozenxid), mxid_age(datminmxid)",
        "psql -c 'SELECT * FROM pg_stat_database'",
    ),
    origin(
        "postgres.connections",
        "pg_stat_activity by application, role and client address; every 5 s, or 10 s where the reading costs more than 2 ms",
        "count of client backends; time of logins = Δsessions of pg_stat_database / Δt (14 and later) x 8 ms, from five a second on",
        "psql -c 'SELECT application_name, usename, state, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3'",
    ),
    origin(
        "postgres.cluster",
        "pg_current_wal_lsn (on a standby the replay position), pg_stat_wal; every 5 s, or 10 s where the reading costs more than 2 ms",
        "Δposition / Δt, B/s, or its trend over up to 90 readings; Δwal_fpi x 8192 / Δposition (14 and later)",
        "psql -c 'SELECT pg_current_wal_lsn(), * FROM pg_stat_wal'",
    ),
    origin(
        "postgres.checkpoints",
        "pg_stat_checkpointer (17 and later) or pg_stat_bgwriter; every 5 s, or 10 s where the reading costs more than 2 ms",
        "growth of requested and timed checkpoints over the last 120 s",
        "psql -c 'SELECT * FROM pg_stat_bgwriter'",
    ),
    origin(
        "postgres.replicas",
        "pg_stat_replication; on a standby pg_last_xact_replay_timestamp and the positions received and replayed; \
         every 5 s, or 10 s where the reading costs more than 2 ms",
        "replay_lag, s; position here - replay_lsn, B; on a standby now - the last transaction replayed, s, and received - replayed, B",
        "psql -c 'SELECT * FROM pg_stat_replication'",
    ),
    origin(
        "postgres.slots",
        "pg_replication_slots: active, wal_status, safe_wal_size, restart_lsn; every 5 s, or 10 s where the reading costs more than 2 ms",
        "position - restart_lsn, B; room (safe_wal_size, else free space here) / WAL per second (of an active slot: its growth), s",
        "psql -c 'SELECT * FROM pg_replication_slots'",
    ),
    origin(
        "postgres.horizon",
        "backend_xmin and backend_xid of pg_stat_activity, backend_xmin of pg_stat_replication, pg_prepared_xacts, slots; the ten oldest; \
         every 5 s, or 10 s where the reading costs more than 2 ms",
        "age(): transactions since the older of snapshot and transaction id; the oldest of all",
        "psql -c 'SELECT pid, greatest(age(backend_xmin), age(backend_xid)) FROM pg_stat_activity ORDER BY 2 DESC NULLS LAST'",
    ),
    origin(
        "postgres.archiver",
        "pg_stat_archiver; every 5 s, or 10 s where the reading costs more than 2 ms",
        "now - last_failed_time, now - last_archived_time, s",
        "psql -c 'SELECT * FROM pg_stat_archiver'",
    ),
    origin(
        "postgres.settings",
        "pg_settings, every minute (every two where the cluster is read every 10 s)",
        "as set for the server, in the setting's own unit",
        "psql -c 'SELECT name, setting, unit, source FROM pg_settings'",
    ),
    origin(
        "postgres.progress",
        "pg_stat_progress_vacuum, pg_stat_progress_create_index; every 5 s, or 10 s where the reading costs more than 2 ms",
        "blocks done / total blocks",
        "psql -c 'SELECT * FROM pg_stat_progress_vacuum'",
    ),
    origin(
        "postgres.tables",
        "pg_class, pg_stat_all_tables (300 tables); one database every 15 to 60 s, of those that were written to, others every ten \
         minutes; again after ten seconds where something was found",
        "n_dead_tup / (threshold + scale factor x reltuples, 18 and later its maximum), the table's own settings first; rows written by \
         their trend over the visits",
        "psql -c 'SELECT relname, n_live_tup, n_dead_tup, last_autovacuum FROM pg_stat_user_tables'",
    ),
    origin(
        "postgres.indexes",
        "pg_index, pg_stat_all_indexes of each database in turn, as postgres.tables",
        "relpages x 8192, B; idx_scan",
        "psql -c 'SELECT indexrelid::regclass, indisvalid FROM pg_index'",
    ),
    origin(
        "postgres.sequences",
        "pg_sequences, and the type of the column that owns each; each database in turn, as postgres.tables",
        "last_value / least(max_value, end of the type); ascending ones without CYCLE",
        "psql -c 'SELECT * FROM pg_sequences'",
    ),
    origin(
        "postgres.statements",
        "pg_stat_statements(false): calls, total_exec_time, rows, blocks, temp blocks; at 0, 2, 4, 6 and 8 s, then every \
         10 to 20 s by its cost, at once for a new costly query",
        "Δcounter / Δt between two readings, unknown once the last is 45 s old; an entry whose counters fell starts again from zero",
        "psql -c 'SELECT queryid, calls, total_exec_time FROM pg_stat_statements(false) ORDER BY 3 DESC LIMIT 10'",
    ),
    origin(
        "postgres.plan",
        "EXPLAIN of the prepared statement with plan_cache_mode = force_generic_plan, again once it is a minute old (10 s where the query became slower) while it keeps a \
         tenth of a session busy, or when x is pressed; pg_class, pg_stats, pg_index",
        "the planner's costs and rows; nothing is executed",
        "PREPARE p AS SELECT …; SET plan_cache_mode = force_generic_plan; EXPLAIN EXECUTE p(NULL)",
    ),
];
