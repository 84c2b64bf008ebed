//! The kinds of servers that are known: one row each.

use crate::model::source::SourceKind;

use super::postgres;
use super::watched::Reads;

/// A kind of server.
pub struct Kind {
    /// Which.
    pub kind: SourceKind,
    /// Its programs, by name: never a guess from a port.
    pub programs: &'static [&'static str],
    /// The port that it has unless it is said.
    pub port: u16,
    /// How to inspect one by hand.
    pub look: &'static str,
    /// How it is read; `None`: it is only seen.
    pub reads: Option<&'static dyn Reads>,
}

/// All of them.
pub const KINDS: &[Kind] = &[
    Kind {
        kind: SourceKind::Postgres,
        programs: &["postgres", "postmaster"],
        port: 5432,
        look: "perftop --postgres postgres://localhost:{port}/",
        reads: Some(&postgres::Postgres),
    },
    Kind {
        kind: SourceKind::Redis,
        programs: &["redis-server", "valkey-server"],
        port: 6379,
        look: "redis-cli -p {port} INFO",
        reads: None,
    },
    Kind {
        kind: SourceKind::Prometheus,
        programs: &["prometheus", "victoria-metric"],
        port: 9090,
        look: "curl -s localhost:{port}/api/v1/targets",
        reads: None,
    },
];
