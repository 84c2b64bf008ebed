//! Who a server is: flavour, version, role, and what of it cannot be read.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;
use crate::model::host::ProcId;
use crate::model::seen::Lack;
use crate::model::source::Place;

/// Which program it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flavour {
    /// Redis.
    Redis,
    /// Valkey: it calls itself Redis 7.2.4 as well.
    Valkey,
    /// Another program that speaks the protocol.
    #[default]
    Unknown,
}

/// How it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words of redis_mode")]
pub enum Mode {
    #[default]
    Standalone,
    Cluster,
    Sentinel,
}

/// The way to a server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    /// Host; empty through a socket.
    pub host: Foreign,
    /// Port; 0 through a socket.
    pub port: u16,
    /// Path of the socket.
    pub socket: Foreign,
    /// The ACL user; empty: the default one.
    pub user: Foreign,
    /// By TLS.
    pub tls: bool,
}

/// A server, as it introduced itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Which program.
    pub flavour: Flavour,
    /// Its version, as it says.
    pub version: Foreign,
    /// How it runs.
    pub mode: Mode,
    /// It replicates another one.
    pub replica: bool,
    /// Changes with each start.
    pub run_id: Foreign,
    /// Where it runs: local only when its process was found here.
    pub place: Place,
    /// That process.
    pub process: Option<ProcId>,
    /// The port that it listens on, by its own word.
    pub port: Option<u16>,
    /// Addresses at which it was reached.
    #[serde(with = "crate::model::address::all")]
    pub dialled: Vec<SocketAddr>,
    /// How it was reached, for commands.
    pub reached: Reached,
    /// Our own connection's id there.
    pub own_id: Option<i64>,
    /// What is refused or unknown there, by the command, with the way in.
    pub missing: BTreeMap<String, Lack>,
}

impl Instance {
    /// Major and minor version; 0 where it says none.
    #[must_use]
    pub fn release(&self) -> (u32, u32) {
        let mut numbers = self.version.shown().split('.').map(|n| n.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }

    /// As people call it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.flavour {
            Flavour::Redis => "Redis",
            Flavour::Valkey => "Valkey",
            Flavour::Unknown => "a server that speaks Redis' protocol",
        }
    }

    /// The program that operators type at.
    #[must_use]
    pub const fn client(&self) -> &'static str {
        match self.flavour {
            Flavour::Valkey => "valkey-cli",
            Flavour::Redis | Flavour::Unknown => "redis-cli",
        }
    }
}
