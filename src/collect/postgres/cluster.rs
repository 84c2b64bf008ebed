//! The cluster's own statistics, every few seconds: databases, connections, checkpoints, WAL, replication, horizons, settings. Nothing
//! here waits for a lock on a user's table.

use std::collections::BTreeMap;

use sqlx::postgres::PgRow;

use crate::model::postgres::{
    Archiver, Checkpoints, Cluster, ConnectionRow, DatabaseRow, HorizonKind, HorizonRow, PreparedRow, ProgressRow, ReplicaRow,
    RoleSetting, SettingRow, SlotRow, WalRow,
};

use super::columns::Columns;
use super::session::Cells;

/// Settings that the judgement, the fixes and the screen use.
const SETTINGS: &[&str] = &[
    "archive_mode",
    "autovacuum",
    "autovacuum_analyze_scale_factor",
    "autovacuum_freeze_max_age",
    "autovacuum_max_workers",
    "autovacuum_multixact_freeze_max_age",
    "autovacuum_vacuum_cost_delay",
    "autovacuum_vacuum_cost_limit",
    "autovacuum_vacuum_scale_factor",
    "checkpoint_timeout",
    "data_directory",
    "deadlock_timeout",
    "effective_cache_size",
    "fsync",
    "full_page_writes",
    "hot_standby_feedback",
    "idle_in_transaction_session_timeout",
    "jit",
    "jit_above_cost",
    "lock_timeout",
    "maintenance_work_mem",
    "max_connections",
    "pg_stat_statements.max",
    "max_locks_per_transaction",
    "max_slot_wal_keep_size",
    "max_wal_size",
    "random_page_cost",
    "reserved_connections",
    "shared_buffers",
    "statement_timeout",
    "superuser_reserved_connections",
    "synchronous_commit",
    "synchronous_standby_names",
    "track_activities",
    "track_counts",
    "track_io_timing",
    "wal_segment_size",
    "work_mem",
    "zero_damaged_pages",
];

/// The position of WAL, on a primary and on a standby.
const POSITION: &str =
    "CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END";

/// Refused where there are none to be had.
pub const PROBE: &str = "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() \
     ELSE pg_catalog.pg_current_wal_lsn() END, CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn() END";

/// Those, and whatever the configuration sets to something else than the default: numbers, words of a list and switches. The text of any
/// other setting may hold a secret, and is not read.
/// As they are for others: what is set in this session is perftop's own.
fn settings() -> String {
    let names: Vec<String> = SETTINGS.iter().map(|s| format!("'{s}'")).collect();
    format!(
        "SELECT name, CASE WHEN vartype = 'string' AND NOT known THEN '' WHEN source = 'session' THEN reset_val ELSE setting END, unit, \
             CASE WHEN source <> 'session' THEN source WHEN reset_val = boot_val THEN 'default' ELSE 'configuration' END, \
             context, CASE WHEN vartype = 'string' AND NOT known THEN '' ELSE boot_val END, pending_restart \
             FROM (SELECT *, name IN ({}) AS known FROM pg_catalog.pg_settings) s \
             WHERE known OR pending_restart OR (vartype <> 'string' AND reset_val IS DISTINCT FROM boot_val \
               AND source NOT IN ('override', 'client', 'user', 'database', 'database user')) LIMIT 200",
        names.join(", ")
    )
}

const CONNECTIONS: &str = "SELECT application_name, pg_catalog.pg_get_userbyid(nullif(usesysid, 0)), host(client_addr), count(*), count(*) FILTER (WHERE state = 'idle'), \
         count(*) FILTER (WHERE state LIKE 'idle in transaction%'), \
         count(*) FILTER (WHERE backend_start > pg_catalog.clock_timestamp() - '10 s'::interval), \
         pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - min(state_change) FILTER (WHERE state = 'idle')), (sum(count(*)) OVER ())::int8 \
         FROM pg_catalog.pg_stat_get_activity(NULL) WHERE backend_type = 'client backend' OR (backend_type IS NULL AND datid IS NOT NULL) \
         GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT 100";

/// In the place of what is not due, or was refused.
pub const NOTHING: &str = "SELECT NULL WHERE false";

/// What roles have of their own of the settings that fixes change, and of no others: applications keep secrets there.
const ROLES: &str = "SELECT pg_catalog.pg_get_userbyid(s.setrole), (SELECT d.datname FROM pg_catalog.pg_database d WHERE d.oid = s.setdatabase), \
         pg_catalog.split_part(c, '=', 1), substr(c, pg_catalog.strpos(c, '=') + 1) \
         FROM pg_catalog.pg_db_role_setting s CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) c WHERE s.setrole <> 0 \
           AND pg_catalog.split_part(c, '=', 1) IN ('jit', 'work_mem', 'statement_timeout', 'synchronous_commit', 'lock_timeout', 'idle_in_transaction_session_timeout') \
         ORDER BY 1, 2, 3 LIMIT 500";

const HORIZON: &str = "SELECT * FROM (\
         SELECT 'session', a.pid::text, greatest(pg_catalog.age(a.backend_xmin), pg_catalog.age(a.backend_xid))::int8, \
           extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::float8, false, false \
           FROM pg_catalog.pg_stat_get_activity(NULL) a WHERE (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL) AND a.pid <> pg_catalog.pg_backend_pid() \
             AND a.backend_type IS DISTINCT FROM 'walsender' \
             AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_progress_vacuum v WHERE v.pid = a.pid) \
         UNION ALL SELECT 'prepared', gid, pg_catalog.age(transaction)::int8, extract(epoch FROM pg_catalog.clock_timestamp() - prepared)::float8, \
           false, false FROM pg_catalog.pg_prepared_xacts \
         UNION ALL SELECT 'slot', slot_name::text, coalesce(pg_catalog.age(xmin), pg_catalog.age(catalog_xmin))::int8, NULL, active AND slot_type = 'physical', xmin IS NULL FROM pg_catalog.pg_replication_slots \
           WHERE xmin IS NOT NULL OR catalog_xmin IS NOT NULL \
         UNION ALL SELECT 'standby', application_name, pg_catalog.age(backend_xmin)::int8, NULL, true, false FROM pg_catalog.pg_stat_replication WHERE backend_xmin IS NOT NULL\
         ) h ORDER BY 3 DESC NULLS LAST LIMIT 10";

/// One statement: where its figures come from, and the origins of which nothing is known without it.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// The view or catalog.
    pub label: &'static str,
    /// As rules name them.
    pub origins: &'static [&'static str],
}

const fn part(label: &'static str, origins: &'static [&'static str]) -> Part {
    Part { label, origins }
}

/// What the statements read, in the order of [`parse`].
pub const PARTS: [Part; 15] = [
    part("clock_timestamp()", &["postgres.cluster"]),
    // Which databases there are to visit is known from them.
    part("pg_stat_database", &["postgres.databases", "postgres.tables", "postgres.indexes", "postgres.sequences"]),
    part("pg_stat_activity, by application", &["postgres.connections"]),
    part("pg_stat_checkpointer or pg_stat_bgwriter", &["postgres.checkpoints"]),
    part("pg_stat_wal", &["postgres.cluster"]),
    part("pg_stat_archiver", &["postgres.archiver"]),
    part("pg_stat_replication", &["postgres.replicas"]),
    part("pg_replication_slots", &["postgres.slots"]),
    part("the xmin horizon", &["postgres.horizon"]),
    part("pg_prepared_xacts", &["postgres.prepared"]),
    part("pg_settings", &["postgres.settings"]),
    part("pg_stat_progress_vacuum", &["postgres.progress"]),
    part("pg_db_role_setting", &[]),
    part("replay positions of this standby", &["postgres.replicas"]),
    part("pg_conf_load_time()", &[]),
];
/// Those of them that are asked for in every so many readings only.
pub const SELDOM: [usize; 2] = [10, 12];

/// The statements, in the order of [`PARTS`].
#[must_use]
pub fn sql(known: &Columns) -> Vec<String> {
    let database = |name: &str, kind: &str| known.or_null("pg_stat_database", "d", name, kind);
    let position = if known.positions { POSITION } else { "NULL::pg_lsn" };
    let behind = if known.positions {
        "CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn()) END"
    } else {
        "NULL"
    };
    let checkpointer = known.has("pg_stat_checkpointer", "num_timed");
    let checkpoints = if checkpointer {
        "SELECT num_timed, num_requested, write_time, sync_time, buffers_written FROM pg_catalog.pg_stat_checkpointer"
    } else {
        "SELECT checkpoints_timed, checkpoints_req, checkpoint_write_time, checkpoint_sync_time, buffers_checkpoint \
         FROM pg_catalog.pg_stat_bgwriter"
    };
    let wal = if known.has("pg_stat_wal", "wal_records") {
        format!(
            "SELECT pg_catalog.pg_wal_lsn_diff({position}, '0/0')::numeric(24,0), w.wal_fpi, w.wal_buffers_full FROM pg_catalog.pg_stat_wal w"
        )
    } else {
        format!("SELECT pg_catalog.pg_wal_lsn_diff({position}, '0/0')::numeric(24,0), NULL, NULL")
    };
    vec![
        "SELECT round(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::int8".to_owned(),
        format!(
            "SELECT coalesce(b.oid, d.datid), b.datname, d.xact_commit, d.xact_rollback, d.blks_read, d.blks_hit, d.temp_files, d.temp_bytes, d.deadlocks, \
             {checksum}, {sessions}, pg_catalog.age(b.datfrozenxid), pg_catalog.mxid_age(b.datminmxid), b.datallowconn, \
             d.tup_inserted + d.tup_updated + d.tup_deleted, round(extract(epoch FROM d.stats_reset) * 1000000)::int8 \
             FROM pg_catalog.pg_database b FULL JOIN pg_catalog.pg_stat_database d ON d.datid = b.oid \
             ORDER BY b.oid IS NULL DESC, pg_catalog.age(b.datfrozenxid) DESC LIMIT 200",
            checksum = database("checksum_failures", "int8"),
            sessions = database("sessions", "int8"),
        ),
        CONNECTIONS.to_owned(),
        checkpoints.to_owned(),
        wal,
        "SELECT archived_count, failed_count, last_failed_wal, extract(epoch FROM pg_catalog.clock_timestamp() - last_failed_time)::float8, \
         extract(epoch FROM pg_catalog.clock_timestamp() - last_archived_time)::float8 FROM pg_catalog.pg_stat_archiver"
            .to_owned(),
        format!(
            "SELECT application_name, host(client_addr), state, sync_state, pg_catalog.pg_wal_lsn_diff({position}, replay_lsn)::numeric(24,0), \
             extract(epoch FROM flush_lag)::float8, extract(epoch FROM replay_lag)::float8 \
             FROM pg_catalog.pg_stat_replication LIMIT 50"
        ),
        format!(
            "SELECT s.slot_name, s.slot_type, s.database, s.active, {status}, {safe}, pg_catalog.pg_wal_lsn_diff({position}, s.restart_lsn)::numeric(24,0) \
             FROM pg_catalog.pg_replication_slots s LIMIT 100",
            status = known.or_null("pg_replication_slots", "s", "wal_status", "text"),
            safe = known.or_null("pg_replication_slots", "s", "safe_wal_size", "int8"),
        ),
        HORIZON.to_owned(),
        "SELECT gid, transaction::text, owner, database, extract(epoch FROM pg_catalog.clock_timestamp() - prepared)::float8 \
         FROM pg_catalog.pg_prepared_xacts ORDER BY prepared LIMIT 50"
            .to_owned(),
        settings(),
        "SELECT pid, 'vacuum', datname, relid, NULL, phase, CASE WHEN heap_blks_total > 0 THEN heap_blks_scanned::float8 / heap_blks_total END \
           FROM pg_catalog.pg_stat_progress_vacuum \
         UNION ALL SELECT pid, 'create index', datname, relid, index_relid, phase, CASE WHEN blocks_total > 0 THEN blocks_done::float8 / blocks_total END \
           FROM pg_catalog.pg_stat_progress_create_index LIMIT 50"
            .to_owned(),
        ROLES.to_owned(),
        format!(
            "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())::float8 END, \
             {behind}"
        ),
        "SELECT round(extract(epoch FROM pg_catalog.pg_conf_load_time()) * 1000000)::int8".to_owned(),
    ]
}

/// One reading.
#[must_use]
pub fn parse(answers: &[Vec<PgRow>]) -> Cluster {
    let part = |at: usize| answers.get(at).map_or(&[] as &[PgRow], Vec::as_slice);
    let replay_lag = |row: &PgRow| {
        let mut c = Cells::of(row);
        c.number::<f64>().map(|age_s| (age_s, c.count()))
    };
    Cluster {
        refused: BTreeMap::new(),
        server_us: part(0).first().and_then(|row| Cells::of(row).number()).unwrap_or(0),
        loaded_us: part(14).first().and_then(|row| Cells::of(row).number()),
        replay_lag: part(13).first().and_then(replay_lag),
        databases: part(1).iter().map(database).collect(),
        connections: part(2).iter().map(connection).collect(),
        connected: part(2).first().and_then(connected).unwrap_or(0),
        checkpoints: part(3).first().map(checkpoints).unwrap_or_default(),
        wal: part(4).first().map(wal).unwrap_or_default(),
        archiver: part(5).first().map(archiver).unwrap_or_default(),
        replicas: part(6).iter().map(replica).collect(),
        slots: part(7).iter().map(slot).collect(),
        horizon: part(8).iter().map(horizon).collect(),
        prepared: part(9).iter().map(prepared).collect(),
        settings: part(10).iter().map(setting).collect(),
        progress: part(11).iter().filter_map(progress).collect(),
        role_settings: part(12).iter().map(role_setting).collect(),
    }
}

fn database(row: &PgRow) -> DatabaseRow {
    let mut c = Cells::of(row);
    DatabaseRow {
        oid: c.number().unwrap_or(0),
        name: c.text(),
        commits: c.count().unwrap_or(0),
        rollbacks: c.count().unwrap_or(0),
        blocks_read: c.count().unwrap_or(0),
        blocks_hit: c.count().unwrap_or(0),
        temp_files: c.count().unwrap_or(0),
        temp_bytes: c.count().unwrap_or(0),
        deadlocks: c.count().unwrap_or(0),
        checksum_failures: c.count(),
        sessions: c.count(),
        xid_age: c.count().unwrap_or(0),
        mxid_age: c.count().unwrap_or(0),
        connectable: c.flag().unwrap_or(false),
        rows_written: c.count().unwrap_or(0),
        reset_us: c.number(),
    }
}

/// Of all groups, shown or not.
fn connected(row: &PgRow) -> Option<u32> {
    let mut c = Cells::of(row);
    for _ in 0..8 {
        _ = c.bytes();
    }
    c.number()
}

fn connection(row: &PgRow) -> ConnectionRow {
    let mut c = Cells::of(row);
    ConnectionRow {
        application: c.text(),
        role: c.text(),
        client: c.text(),
        all: c.number().unwrap_or(0),
        idle: c.number().unwrap_or(0),
        idle_in_transaction: c.number().unwrap_or(0),
        young: c.number().unwrap_or(0),
        longest_idle_s: c.number().unwrap_or(0.0),
    }
}

fn checkpoints(row: &PgRow) -> Checkpoints {
    let mut c = Cells::of(row);
    Checkpoints { timed: c.count(), requested: c.count(), write_ms: c.number(), sync_ms: c.number(), buffers: c.count() }
}

fn wal(row: &PgRow) -> WalRow {
    let mut c = Cells::of(row);
    WalRow { position: c.count(), full_page_images: c.count(), buffers_full: c.count() }
}

fn archiver(row: &PgRow) -> Archiver {
    let mut c = Cells::of(row);
    Archiver {
        archived: c.count().unwrap_or(0),
        failed: c.count().unwrap_or(0),
        last_failed_wal: c.text(),
        last_failed_s: c.number(),
        last_archived_s: c.number(),
    }
}

fn replica(row: &PgRow) -> ReplicaRow {
    let mut c = Cells::of(row);
    ReplicaRow {
        name: c.text(),
        client: c.text(),
        state: c.text(),
        sync: c.text(),
        behind_bytes: c.count(),
        flush_lag_s: c.number(),
        replay_lag_s: c.number(),
    }
}

fn slot(row: &PgRow) -> SlotRow {
    let mut c = Cells::of(row);
    SlotRow {
        name: c.text(),
        kind: c.text(),
        database: c.text(),
        active: c.flag().unwrap_or(false),
        wal_status: c.text(),
        safe_bytes: c.number(),
        retained_bytes: c.count(),
    }
}

fn horizon(row: &PgRow) -> HorizonRow {
    let mut c = Cells::of(row);
    let kind = match c.bytes() {
        Some(b"prepared") => HorizonKind::Prepared,
        Some(b"slot") => HorizonKind::Slot,
        Some(b"standby") => HorizonKind::Standby,
        _ => HorizonKind::Session,
    };
    HorizonRow {
        kind,
        who: c.text(),
        age: c.count().unwrap_or(0),
        since_s: c.number(),
        feeds: c.flag().unwrap_or(false),
        catalogues: c.flag().unwrap_or(false),
    }
}

fn prepared(row: &PgRow) -> PreparedRow {
    let mut c = Cells::of(row);
    PreparedRow {
        gid: c.text(),
        transaction: c.number().unwrap_or(0),
        owner: c.text(),
        database: c.text(),
        age_s: c.number().unwrap_or(0.0),
    }
}

fn setting(row: &PgRow) -> (String, SettingRow) {
    let mut c = Cells::of(row);
    let name = c.word();
    let row = SettingRow {
        setting: c.word(),
        unit: c.word(),
        source: c.word(),
        context: c.word(),
        boot: c.word(),
        pending_restart: c.flag().unwrap_or(false),
    };
    (name, row)
}

fn role_setting(row: &PgRow) -> RoleSetting {
    let mut c = Cells::of(row);
    RoleSetting { role: c.text(), database: c.text(), name: c.word(), value: c.text() }
}

fn progress(row: &PgRow) -> Option<ProgressRow> {
    let mut c = Cells::of(row);
    Some(ProgressRow {
        pid: c.number()?,
        command: c.word(),
        database: c.text(),
        relation: c.number(),
        index: c.number(),
        phase: c.word(),
        done: c.number(),
    })
}
