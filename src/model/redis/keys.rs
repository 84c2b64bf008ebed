//! The largest keys, as far as they were looked for.

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;

/// A key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BigKey {
    /// Its name, cut at 512 bytes.
    pub key: Foreign,
    /// All of the name is there.
    pub whole: bool,
    /// Its database.
    pub database: u32,
    /// `string`, `hash`, `list` …
    pub kind: Foreign,
    /// Bytes that it takes, by MEMORY USAGE: estimated from a few of its elements.
    pub bytes: u64,
}

/// What a walk over the keys found so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BigKeys {
    /// The largest ones, the largest first; at most [`BigKeys::MOST`].
    pub rows: Vec<BigKey>,
    /// Keys that were looked at. SCAN returns them in the order of their hashes: those so far are a sample by chance.
    pub looked: u64,
    /// Keys that there were when it began.
    pub all: u64,
    /// It goes on.
    pub walking: bool,
    /// Every key was looked at.
    pub complete: bool,
}

impl BigKeys {
    /// Rows that are kept.
    pub const MOST: usize = 20;

    /// Takes a key into the list, if it is among the largest.
    pub fn note(&mut self, key: BigKey) {
        self.rows.retain(|known| (known.database, &known.key) != (key.database, &key.key));
        let at = self.rows.partition_point(|known| known.bytes >= key.bytes);
        self.rows.insert(at, key);
        self.rows.truncate(Self::MOST);
    }
}
