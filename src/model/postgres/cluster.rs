//! What belongs to the whole cluster: databases, connections, WAL, checkpoints, replication, horizons, settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;
use crate::model::seen::Lack;

/// One reading. Counters are cumulative; `None` where this version has no such column or this role may not see it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cluster {
    /// The server's clock, microseconds since 1970.
    pub server_us: i64,
    /// When it read its configuration last, likewise.
    pub loaded_us: Option<i64>,
    /// Databases.
    pub databases: Vec<DatabaseRow>,
    /// Connections of clients, by who opened them.
    pub connections: Vec<ConnectionRow>,
    /// Connections of clients, those of groups that are not listed too.
    pub connected: u32,
    /// Checkpoints.
    pub checkpoints: Checkpoints,
    /// WAL.
    pub wal: WalRow,
    /// Archiver.
    pub archiver: Archiver,
    /// Standbys that are fed from here.
    pub replicas: Vec<ReplicaRow>,
    /// Slots.
    pub slots: Vec<SlotRow>,
    /// Who holds back what vacuum may clean, oldest first.
    pub horizon: Vec<HorizonRow>,
    /// Prepared transactions.
    pub prepared: Vec<PreparedRow>,
    /// Settings that the judgement needs, by name.
    pub settings: BTreeMap<String, SettingRow>,
    /// Settings that roles have of their own, those that fixes change.
    pub role_settings: Vec<RoleSetting>,
    /// Maintenance under way.
    pub progress: Vec<ProgressRow>,
    /// On a standby: seconds since the last transaction that was replayed, and bytes received but not replayed.
    pub replay_lag: Option<(f64, Option<u64>)>,
    /// What the server refused of this reading, by origin: its figures here are not none, they are unknown.
    pub refused: BTreeMap<String, Lack>,
}

/// A row of `pg_stat_database` with that of `pg_database`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the view's columns; units in the names")]
pub struct DatabaseRow {
    pub oid: u32,
    pub name: Foreign,
    pub commits: u64,
    pub rollbacks: u64,
    pub blocks_read: u64,
    pub blocks_hit: u64,
    pub temp_files: u64,
    pub temp_bytes: u64,
    pub deadlocks: u64,
    pub checksum_failures: Option<u64>,
    pub sessions: Option<u64>,
    /// age(datfrozenxid), transactions.
    pub xid_age: u64,
    /// mxid_age(datminmxid).
    pub mxid_age: u64,
    pub connectable: bool,
    /// Rows inserted, updated and deleted, those of catalogues too: while it stands still nothing there was made or changed.
    pub rows_written: u64,
    /// Microseconds since 1970.
    pub reset_us: Option<i64>,
}

/// Connections of one application, role and client host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "columns of the sum")]
pub struct ConnectionRow {
    pub application: Foreign,
    pub role: Foreign,
    pub client: Foreign,
    pub all: u32,
    pub idle: u32,
    pub idle_in_transaction: u32,
    /// Sessions younger than ten seconds.
    pub young: u32,
    /// Longest idle, seconds.
    pub longest_idle_s: f64,
}

/// `pg_stat_checkpointer` (17 and later) or `pg_stat_bgwriter`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the view's columns")]
pub struct Checkpoints {
    pub timed: Option<u64>,
    pub requested: Option<u64>,
    pub write_ms: Option<f64>,
    pub sync_ms: Option<f64>,
    pub buffers: Option<u64>,
}

/// `pg_stat_wal`, and where WAL is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the view's columns")]
pub struct WalRow {
    /// Bytes of WAL ever: the position.
    pub position: Option<u64>,
    pub full_page_images: Option<u64>,
    pub buffers_full: Option<u64>,
}

/// `pg_stat_archiver`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the view's columns")]
pub struct Archiver {
    pub archived: u64,
    pub failed: u64,
    pub last_failed_wal: Foreign,
    /// Seconds ago.
    pub last_failed_s: Option<f64>,
    pub last_archived_s: Option<f64>,
}

/// `pg_stat_replication`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the view's columns; units in the names")]
pub struct ReplicaRow {
    pub name: Foreign,
    pub client: Foreign,
    pub state: Foreign,
    pub sync: Foreign,
    pub behind_bytes: Option<u64>,
    pub flush_lag_s: Option<f64>,
    pub replay_lag_s: Option<f64>,
}

/// `pg_replication_slots`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the view's columns; units in the names")]
pub struct SlotRow {
    pub name: Foreign,
    pub kind: Foreign,
    pub database: Foreign,
    pub active: bool,
    pub wal_status: Foreign,
    pub safe_bytes: Option<i64>,
    pub retained_bytes: Option<u64>,
}

/// What kind of thing holds the horizon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named by what they are")]
pub enum HorizonKind {
    #[default]
    Session,
    Prepared,
    Slot,
    Standby,
}

/// One who holds back what vacuum may clean.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "named by what they are; units in the names")]
pub struct HorizonRow {
    pub kind: HorizonKind,
    /// pid, gid, slot or name of the standby.
    pub who: Foreign,
    /// Transactions since.
    pub age: u64,
    pub since_s: Option<f64>,
    /// A standby reads from it now: the horizon is that of a query there.
    pub feeds: bool,
    /// It holds back the catalogues only: a slot of logical decoding.
    pub catalogues: bool,
}

/// `pg_prepared_xacts`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the view's columns; units in the names")]
pub struct PreparedRow {
    pub gid: Foreign,
    pub transaction: u32,
    pub owner: Foreign,
    pub database: Foreign,
    pub age_s: f64,
}

/// `pg_settings`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the view's columns")]
pub struct SettingRow {
    pub setting: String,
    pub unit: String,
    pub source: String,
    pub context: String,
    pub boot: String,
    pub pending_restart: bool,
}

/// Databases that belong to a managed service and let nobody in.
const OF_SERVICES: [&[u8]; 5] = [b"rdsadmin", b"cloudsqladmin", b"azure_maintenance", b"azure_sys", b"alloydbadmin"];

impl DatabaseRow {
    /// A client can be in it: none of the templates, none of a managed service's own.
    #[must_use]
    pub fn of_clients(&self) -> bool {
        self.connectable && self.name.raw() != b"template1" && !OF_SERVICES.contains(&self.name.raw())
    }
}

/// `pg_db_role_setting`: one setting of a role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "named by what they are")]
pub struct RoleSetting {
    pub role: Foreign,
    /// In that database only; empty: in all.
    pub database: Foreign,
    pub name: String,
    pub value: Foreign,
}

impl Cluster {
    /// A setting as a number, in its own unit.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.settings.get(name)?.setting.parse().ok()
    }

    /// A setting as bytes, by its unit (`kB`, `8kB`, `MB`).
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<f64> {
        let row = self.settings.get(name)?;
        let unit = match row.unit.as_str() {
            "B" | "" => 1.0,
            "kB" => 1024.0,
            "8kB" => 8192.0,
            "MB" => 1_048_576.0,
            "GB" => 1_073_741_824.0,
            _ => return None,
        };
        Some(row.setting.parse::<f64>().ok()? * unit)
    }

    /// True when a switch is on.
    #[must_use]
    pub fn on(&self, name: &str) -> Option<bool> {
        self.settings.get(name).map(|row| row.setting == "on")
    }
}

/// `pg_stat_progress_*`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "named by what they are")]
pub struct ProgressRow {
    pub pid: i32,
    /// vacuum, create index, analyze, cluster, copy, basebackup.
    pub command: String,
    pub database: Foreign,
    /// OID of the table; of the index for an index build.
    pub relation: Option<u32>,
    pub index: Option<u32>,
    pub phase: String,
    /// 0..1, where the view tells.
    pub done: Option<f64>,
}
