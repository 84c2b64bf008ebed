//! Sessions and what they wait for, by `pg_stat_activity`.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;

/// What was seen of the sessions in one tick: several samples summed, and the rows of the newest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// Samples within the tick.
    pub rounds: u32,
    /// The server's clock in the newest sample, microseconds since 1970.
    pub server_us: i64,
    /// Sessions that are not idle, in the newest sample.
    pub sessions: Vec<Session>,
    /// Who was active in how many of the samples, waiting for what.
    pub hits: Vec<Hit>,
    /// Sessions of others whose state this role may not see.
    pub hidden: u32,
    /// Sessions left out, because there were too many.
    pub more: u32,
    /// Milliseconds of the server that the samples took, round trips left out.
    #[serde(default)]
    pub cost_ms: f32,
}

impl Activity {
    /// Two ticks' samples as those of one.
    #[must_use]
    pub fn join(earlier: Self, mut later: Self) -> Self {
        later.rounds = later.rounds.saturating_add(earlier.rounds);
        later.cost_ms += earlier.cost_ms;
        let key = |hit: &Hit| (hit.pid, hit.started_us, hit.query_id, hit.wait.clone());
        let places: HashMap<_, usize> = later.hits.iter().enumerate().map(|(at, hit)| (key(hit), at)).collect();
        for hit in earlier.hits {
            match places.get(&key(&hit)) {
                Some(at) => later.hits[*at].count = later.hits[*at].count.saturating_add(hit.count),
                None => later.hits.push(hit),
            }
        }
        later
    }
}

/// One session in one sample. Ages are seconds by the server's own clock.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    /// Its process id on the server.
    pub pid: i32,
    /// When it began, microseconds since 1970: pid and this name it for ever.
    pub started_us: i64,
    /// The leader of a parallel worker.
    pub leader: Option<i32>,
    /// Database, role, application, address of the client.
    pub database: Foreign,
    /// Its role.
    pub role: Foreign,
    /// What the client calls itself.
    pub application: Foreign,
    /// Address and port of the client; empty for a socket.
    pub client: Foreign,
    /// `backend_type`.
    pub kind: Foreign,
    /// `state`: active, idle in transaction …
    pub state: Foreign,
    /// What it waits for.
    pub wait: Wait,
    /// Its query id, PostgreSQL 14 and later.
    pub query_id: Option<i64>,
    /// Since its transaction began.
    pub xact_s: Option<f64>,
    /// Since its statement began.
    pub query_s: Option<f64>,
    /// Since its state changed.
    pub state_s: Option<f64>,
    /// It has written: a transaction id is assigned.
    pub has_xid: bool,
    /// Its statement, literals masked; cut.
    pub query: Foreign,
}

impl Session {
    /// Works on a statement.
    #[must_use]
    pub fn active(&self) -> bool {
        self.state.raw() == b"active" || (self.state.is_empty() && self.kind.raw() != b"client backend")
    }

    /// A transaction is open and nothing happens in it.
    #[must_use]
    pub fn idle_in_transaction(&self) -> bool {
        self.state.raw().starts_with(b"idle in transaction")
    }

    /// A session of a client.
    #[must_use]
    pub fn client_backend(&self) -> bool {
        self.kind.raw() == b"client backend"
    }

    /// Maintenance: vacuum, backup, replication, dumps.
    #[must_use]
    pub fn maintenance(&self) -> bool {
        let kind = self.kind.raw();
        matches!(kind, b"autovacuum worker" | b"walsender" | b"logical replication worker" | b"autovacuum launcher")
            || [&b"pg_dump"[..], b"pg_basebackup", b"vacuumdb", b"pg_repack", b"pg_receivewal"]
                .iter()
                .any(|name| self.application.raw().starts_with(name))
    }

    /// `pid@backend_start_us`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}@{}", self.pid, self.started_us)
    }
}

/// A wait event; both empty when it does not wait.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wait {
    /// `wait_event_type`.
    pub kind: WaitKind,
    /// `wait_event`.
    pub event: String,
}

/// `wait_event_type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the server's words")]
pub enum WaitKind {
    #[default]
    None,
    Lock,
    LwLock,
    BufferPin,
    Io,
    Client,
    Ipc,
    Timeout,
    Activity,
    Extension,
    Other,
}

/// What a wait means for time lost; the classes of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named by the ledger's states")]
pub enum WaitClass {
    Cpu,
    IoRead,
    IoWrite,
    IoTemp,
    Wal,
    SyncReplica,
    Lock,
    LwLock,
    Client,
    Other,
    /// Nobody waits for it: an idle loop, a client that thinks.
    Idle,
}

impl WaitClass {
    /// Waits for files: what the server calls a wait even while the kernel works for it.
    #[must_use]
    pub const fn of_files(self) -> bool {
        matches!(self, Self::IoRead | Self::IoWrite | Self::IoTemp | Self::Wal)
    }
}

impl WaitKind {
    /// By the server's word.
    #[must_use]
    pub fn parse(word: &[u8]) -> Self {
        match word {
            b"" => Self::None,
            b"Lock" => Self::Lock,
            b"LWLock" | b"LWLockNamed" | b"LWLockTranche" => Self::LwLock,
            b"BufferPin" | b"Buffer" => Self::BufferPin,
            b"IO" => Self::Io,
            b"Client" => Self::Client,
            b"IPC" => Self::Ipc,
            b"Timeout" => Self::Timeout,
            b"Activity" => Self::Activity,
            b"Extension" | b"InjectionPoint" => Self::Extension,
            _ => Self::Other,
        }
    }
}

impl Wait {
    /// The class of an active session's wait. Names are compared without case and underscores, because they were renamed
    /// in 13 and 17 (`WALWriteLock`, `WALWrite`; `WalSync`, `WALSync`).
    #[must_use]
    pub fn class(&self) -> WaitClass {
        let event: String = self.event.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect();
        let has = |part: &str| event.contains(part);
        match self.kind {
            WaitKind::None => WaitClass::Cpu,
            WaitKind::Lock | WaitKind::BufferPin => WaitClass::Lock,
            WaitKind::Io if has("buffile") => WaitClass::IoTemp,
            WaitKind::Io if has("wal") => WaitClass::Wal,
            WaitKind::Io if has("write") || has("extend") || has("sync") || has("flush") || has("truncate") => WaitClass::IoWrite,
            WaitKind::Io => WaitClass::IoRead,
            // Another session reads or writes the page.
            WaitKind::LwLock | WaitKind::Ipc if has("bufferio") || has("aiouring") => WaitClass::IoRead,
            WaitKind::Ipc if has("groupupdate") => WaitClass::LwLock,
            WaitKind::LwLock if has("walwrite") || has("walinsert") || has("walbuf") => WaitClass::Wal,
            WaitKind::LwLock => WaitClass::LwLock,
            WaitKind::Ipc if has("syncrep") => WaitClass::SyncReplica,
            // Workers of the statement run meanwhile: their own waits tell.
            WaitKind::Ipc
                if has("parallel") || has("messagequeue") || has("executegather") || has("bgworker") || has("hashbatch") =>
            {
                WaitClass::Idle
            }
            WaitKind::Ipc => WaitClass::Other,
            WaitKind::Client if has("clientwrite") => WaitClass::Client,
            WaitKind::Client | WaitKind::Activity => WaitClass::Idle,
            // pg_sleep is what the statement asked for; vacuum's own delay as well.
            WaitKind::Timeout if has("spin") => WaitClass::LwLock,
            WaitKind::Timeout => WaitClass::Idle,
            WaitKind::Extension | WaitKind::Other => WaitClass::Other,
        }
    }

    /// `Lock:transactionid`, `CPU`.
    #[must_use]
    pub fn word(&self) -> String {
        let kind = match self.kind {
            WaitKind::None => return "CPU".to_owned(),
            WaitKind::Lock => "Lock",
            WaitKind::LwLock => "LWLock",
            WaitKind::BufferPin => "BufferPin",
            WaitKind::Io => "IO",
            WaitKind::Client => "Client",
            WaitKind::Ipc => "IPC",
            WaitKind::Timeout => "Timeout",
            WaitKind::Activity => "Activity",
            WaitKind::Extension => "Extension",
            WaitKind::Other => "Other",
        };
        format!("{kind}:{}", self.event)
    }
}

/// One session, one query, one wait: in how many samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// Who.
    pub pid: i32,
    /// Since when it is that one.
    pub started_us: i64,
    /// What it ran.
    pub query_id: Option<i64>,
    /// What it waited for.
    pub wait: Wait,
    /// In how many samples.
    pub count: u32,
    /// Whose parallel worker it is: one that lives for a tenth of a second is in no row of a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<i32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(kind: &str, event: &str) -> WaitClass {
        Wait { kind: WaitKind::parse(kind.as_bytes()), event: event.into() }.class()
    }

    #[test]
    fn names_of_all_versions_mean_the_same() {
        // 12, 13 to 16, 17 and later.
        for (kind, event) in
            [("LWLock", "WALWriteLock"), ("LWLock", "WALWrite"), ("IO", "WALSync"), ("IO", "WalSync"), ("IO", "WAL_SYNC")]
        {
            assert_eq!(class(kind, event), WaitClass::Wal, "{event}");
        }
        assert_eq!(class("IO", "DataFileRead"), WaitClass::IoRead);
        assert_eq!(class("IO", "BufFileWrite"), WaitClass::IoTemp);
        assert_eq!(class("IO", "BuffileRead"), WaitClass::IoTemp);
        assert_eq!(class("IO", "DataFileExtend"), WaitClass::IoWrite);
        assert_eq!(class("IPC", "SyncRep"), WaitClass::SyncReplica);
        assert_eq!(class("IPC", "ExecuteGather"), WaitClass::Idle);
        assert_eq!(class("Lock", "transactionid"), WaitClass::Lock);
        assert_eq!(class("LWLock", "lock_manager"), WaitClass::LwLock);
        assert_eq!(class("LWLock", "LockManager"), WaitClass::LwLock);
        assert_eq!(class("Client", "ClientRead"), WaitClass::Idle);
        assert_eq!(class("Client", "ClientWrite"), WaitClass::Client);
        assert_eq!(class("Timeout", "PgSleep"), WaitClass::Idle);
        assert_eq!(class("", ""), WaitClass::Cpu);
        // 12 and 13, 14 and later.
        assert_eq!(class("LWLock", "buffer_io"), WaitClass::IoRead);
        assert_eq!(class("IPC", "BufferIO"), WaitClass::IoRead);
        assert_eq!(class("IPC", "XactGroupUpdate"), WaitClass::LwLock);
    }
}
