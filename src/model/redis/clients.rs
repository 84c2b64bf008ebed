//! CLIENT LIST.

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;

/// A client.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Client {
    /// Its id, never used again while the server runs.
    pub id: i64,
    /// `ip:port`, or the path of a socket.
    pub address: Foreign,
    /// The name that it gave itself.
    pub name: Foreign,
    /// Its ACL user (6.0 and later).
    pub user: Foreign,
    /// Seconds since it connected.
    pub age_s: u64,
    /// Seconds since its newest command.
    pub idle_s: u64,
    /// `N` normal, `O` monitor, `S` replica, `P` subscriber, `b` blocked …
    pub flags: Foreign,
    /// Its newest command.
    pub command: Foreign,
    /// Bytes that wait to be read by it.
    pub output_bytes: u64,
    /// All memory that it takes (7.0; before that what is known of its buffers).
    pub total_bytes: u64,
}

impl Client {
    /// It has that flag.
    #[must_use]
    pub fn is(&self, flag: char) -> bool {
        self.flags.shown().contains(flag)
    }

    /// How people know it: by its name, else by its address.
    #[must_use]
    pub fn label(&self) -> String {
        match self.name.is_empty() {
            true => self.address.shown().to_owned(),
            false => format!("{} ({})", self.name, self.address),
        }
    }
}

/// Its clients, those with the largest buffers first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Clients {
    /// At most 64 of them, and every monitor.
    pub rows: Vec<Client>,
    /// How many there are.
    pub all: u64,
}
