//! SLOWLOG: the newest commands that took long, with the shape of their arguments.

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;

/// One entry. Arguments are data of others: a key stays, every other one is masked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SlowEntry {
    /// Its number, which counts up.
    pub id: i64,
    /// When it ran, seconds since 1970.
    pub at_s: i64,
    /// Microseconds that it took.
    pub usec: u64,
    /// The command with the shape of its arguments.
    pub shape: Foreign,
    /// Its first argument, at most [`SlowEntry::KEY`] bytes of it: the key, where the command has one.
    #[serde(default)]
    pub key: Foreign,
    /// Who sent it, `ip:port`.
    pub client: Foreign,
    /// The client's own name.
    pub name: Foreign,
}

impl SlowEntry {
    /// Bytes of a key that are kept; the server itself cuts them at 128.
    pub const KEY: usize = 128;
}

/// The newest entries, newest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Slowlog {
    /// At most 32.
    pub entries: Vec<SlowEntry>,
}
