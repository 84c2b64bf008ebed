//! Looking for big keys, only when asked: SCAN and MEMORY USAGE, a few keys at a time, for a minute at most.
//!
//! MEMORY USAGE neither touches a key nor counts as a look-up; TYPE, which does, is only asked of keys that come into the list.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use redis::Value;

use crate::collect::clock;
use crate::model::foreign::Foreign;
use crate::model::redis::{BigKey, BigKeys, Info};

use super::answers::bytes;
use super::session::Session;
use super::trouble::Trouble;

/// Between two steps.
pub const STEP: Duration = Duration::from_millis(250);
/// Keys of a step, as SCAN takes it: about so many. 1,000 a second take some 5 ms of the main thread.
const COUNT: &str = "250";
/// It ends after this time; asked again it goes on where it was.
const LONG: Duration = Duration::from_secs(60);
/// Bytes of a name that are kept.
const NAME: usize = 512;

/// A walk over the keys of all databases.
pub struct Walk {
    databases: Vec<u32>,
    cursor: Vec<u8>,
    until: Instant,
    /// What it found.
    pub found: BigKeys,
}

impl Walk {
    /// From the beginning.
    #[must_use]
    pub fn new(info: &Info) -> Self {
        let found = BigKeys { all: info.keys(), walking: true, ..BigKeys::default() };
        // From the last.
        let databases = info.keyspace.iter().map(|k| k.db).rev().collect();
        Self { databases, cursor: b"0".to_vec(), until: clock::instant() + LONG, found }
    }

    /// For another while: where it was, or from the beginning once all was seen.
    #[must_use]
    pub fn again(self, info: &Info) -> Self {
        match self.found.complete {
            true => Self::new(info),
            false => Self { until: clock::instant() + LONG, found: BigKeys { walking: true, ..self.found }, ..self },
        }
    }

    /// Looks at some more keys.
    ///
    /// # Errors
    /// What the server said.
    pub async fn step(&mut self, session: &mut Session) -> Result<(), Trouble> {
        let Some(database) = self.databases.last().copied() else {
            (self.found.walking, self.found.complete) = (false, true);
            return Ok(());
        };
        let (number, cursor) = (database.to_string(), self.cursor.clone());
        // The database of a connection is forgotten with it.
        let answers =
            session.many(&[vec![b"SELECT", number.as_bytes()], vec![b"SCAN", &cursor, b"COUNT", COUNT.as_bytes()]]).await?;
        let Some(Value::Array(parts)) = answers.get(1) else { return Err(Trouble::Lost("SCAN gave no list".into())) };
        let [cursor, Value::Array(keys)] = &parts[..] else { return Err(Trouble::Lost("SCAN gave no list".into())) };
        let keys: Vec<&[u8]> = keys.iter().filter_map(bytes).collect::<BTreeSet<_>>().into_iter().collect();
        let asks: Vec<Vec<&[u8]>> = keys.iter().map(|key| vec![&b"MEMORY"[..], b"USAGE", key]).collect();
        let sizes = session.many(&asks).await?;
        self.found.looked += keys.len() as u64;
        let least = self.found.rows.get(BigKeys::MOST - 1).map_or(0, |row| row.bytes);
        let mut large: Vec<(&[u8], u64)> = keys
            .iter()
            .zip(&sizes)
            // One that is gone meanwhile has none.
            .filter_map(|(key, size)| match size {
                Value::Int(size) => Some((*key, u64::try_from(*size).ok().filter(|size| *size > least)?)),
                _ => None,
            })
            .collect();
        large.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        large.truncate(BigKeys::MOST);
        let asks: Vec<Vec<&[u8]>> = large.iter().map(|(key, _)| vec![&b"TYPE"[..], key]).collect();
        let kinds = session.many(&asks).await?;
        for ((key, size), kind) in large.into_iter().zip(&kinds) {
            self.found.note(BigKey {
                key: Foreign::new(&key[..key.len().min(NAME)]),
                whole: key.len() <= NAME,
                database,
                kind: Foreign::new(bytes(kind).unwrap_or_default()),
                bytes: size,
            });
        }
        self.cursor = bytes(cursor).unwrap_or(b"0").to_vec();
        if self.cursor == b"0" {
            self.databases.pop();
        }
        self.found.complete = self.databases.is_empty();
        self.found.walking = !self.found.complete && clock::instant() < self.until;
        Ok(())
    }
}
