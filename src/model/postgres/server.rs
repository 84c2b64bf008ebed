//! Who a server is, and as whom we read it.

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;
use crate::model::host::ProcId;
use crate::model::source::Place;

/// A server as it introduced itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// `server_version_num`, such as 160004.
    pub version_num: u32,
    /// `server_version`.
    pub version: Foreign,
    /// In recovery: a standby.
    pub standby: bool,
    /// Here or elsewhere, proven by our own backend.
    pub place: Place,
    /// The postmaster, when it is here.
    pub postmaster: Option<ProcId>,
    /// When it started, microseconds since 1970 by its own clock.
    pub started_us: i64,
    /// Host, port and database that we talk to, for fixes and for people.
    pub address: Foreign,
    /// The database of the sampling connection.
    pub database: Foreign,
    /// As whom.
    pub login: Login,
    /// pg_stat_statements.
    pub statements: StatementsView,
    /// A managed service, by the settings that only it has.
    pub managed: Option<String>,
    /// Address and port that the server says it is reached at by us; `None` through a socket.
    #[serde(default, with = "crate::model::address::one")]
    pub listens: Option<std::net::SocketAddr>,
    /// Where we reach it: the addresses of the host and the port that we were told, those of a proxy in front of it among them.
    #[serde(default, with = "crate::model::address::all")]
    pub dialled: Vec<std::net::SocketAddr>,
    /// Between us stands a pooler: our backend changes.
    pub pooled: bool,
    /// Least round trip, milliseconds.
    pub round_trip_ms: f32,
}

/// As whom we read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The role.
    pub role: Foreign,
    /// It is a superuser (and drops to pg_monitor for sampling).
    pub superuser: bool,
    /// It may see other users' sessions and statements.
    pub monitor: bool,
    /// It may end other users' sessions.
    pub signal: bool,
}

/// The state of pg_stat_statements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementsView {
    /// It can be read.
    Ready {
        /// Its schema, quoted.
        schema: String,
        /// Version of the extension.
        version: String,
    },
    /// It cannot, because; and what lifts that.
    Missing {
        /// The reason.
        why: String,
        /// The way in.
        lift: String,
        /// What it takes.
        #[serde(default)]
        takes: Takes,
    },
}

/// What it takes to read pg_stat_statements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Takes {
    /// A statement in this database.
    Extension,
    /// A setting, and a restart of the server.
    Restart,
    /// Something else: to be read.
    #[default]
    Reading,
}

impl Server {
    /// Major version: 16.
    #[must_use]
    pub const fn major(&self) -> u32 {
        self.version_num / 10_000
    }
}
