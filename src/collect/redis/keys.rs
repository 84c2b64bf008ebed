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
/// Of what SCAN returns so many are looked at: a server may return more than it was asked for.
const AT_MOST: usize = 2_500;
/// Sizes that are asked for in one go: a server answers them without a pause.
const BATCH: usize = 16;
/// A step ends here: where sizes take long to tell (some modules), fewer are asked for.
const SHORT: Duration = Duration::from_millis(20);
/// It ends after this time; asked again it goes on where it was.
const LONG: Duration = Duration::from_secs(60);
/// Bytes of a name that are kept.
const NAME: usize = 512;

/// A walk over the keys of all databases.
pub struct Walk {
    databases: Vec<u32>,
    cursor: u64,
    /// Keys that SCAN returned and that are not looked at yet.
    left: Vec<Vec<u8>>,
    until: Instant,
    /// The run of the server whose keys they are.
    pub run_id: Foreign,
    /// What it found.
    pub found: BigKeys,
}

impl Walk {
    /// From the beginning.
    #[must_use]
    pub fn new(info: &Info, run_id: &Foreign) -> Self {
        let found = BigKeys { all: info.keys(), walking: true, ..BigKeys::default() };
        // From the last.
        let databases = info.keyspace.iter().map(|k| k.db).rev().collect();
        Self { databases, cursor: 0, left: Vec::new(), until: clock::instant() + LONG, run_id: run_id.clone(), found }
    }

    /// For another while: where it was, or from the beginning once all was seen.
    #[must_use]
    pub fn again(self, info: &Info) -> Self {
        match self.found.complete {
            true => Self::new(info, &self.run_id),
            false => Self { until: clock::instant() + LONG, found: BigKeys { walking: true, ..self.found }, ..self },
        }
    }

    /// Looks at some more keys.
    ///
    /// # Errors
    /// What the server said.
    pub async fn step(&mut self, session: &mut Session) -> Result<(), Trouble> {
        let begin = clock::instant();
        if begin >= self.until {
            self.found.walking = false;
            return Ok(());
        }
        let Some(database) = self.databases.last().copied() else {
            (self.found.walking, self.found.complete) = (false, true);
            return Ok(());
        };
        // The database of a connection is forgotten with it.
        let number = database.to_string();
        single(session, vec![b"SELECT", number.as_bytes()]).await?;
        if self.left.is_empty() {
            self.scan(session).await?;
        }
        while !self.left.is_empty() && begin.elapsed() < SHORT {
            let batch = self.left.split_off(self.left.len().saturating_sub(BATCH));
            self.measure(session, database, &batch).await?;
        }
        if self.left.is_empty() && self.cursor == 0 {
            self.databases.pop();
            self.found.complete = self.databases.is_empty();
            self.found.walking = !self.found.complete;
        }
        Ok(())
    }

    async fn scan(&mut self, session: &mut Session) -> Result<(), Trouble> {
        let cursor = self.cursor.to_string();
        let answer = single(session, vec![b"SCAN", cursor.as_bytes(), b"COUNT", COUNT.as_bytes()]).await?;
        let list = || Trouble::Lost("SCAN gave no list".into());
        let Value::Array(parts) = answer else { return Err(list()) };
        let [cursor, Value::Array(keys)] = &parts[..] else { return Err(list()) };
        let cursor = bytes(cursor).and_then(|b| std::str::from_utf8(b).ok()?.parse().ok());
        self.cursor = cursor.ok_or_else(list)?;
        // Some come twice.
        let keys: BTreeSet<&[u8]> = keys.iter().filter_map(bytes).collect();
        self.left = keys.into_iter().take(AT_MOST).map(<[u8]>::to_vec).collect();
        Ok(())
    }

    /// The sizes of some keys, and the types of those that come into the list.
    async fn measure(&mut self, session: &mut Session, database: u32, keys: &[Vec<u8>]) -> Result<(), Trouble> {
        let asks: Vec<Vec<&[u8]>> = keys.iter().map(|key| vec![&b"MEMORY"[..], b"USAGE", key]).collect();
        let sizes = session.many(&asks).await?;
        self.found.looked += keys.len() as u64;
        let least = self.found.rows.get(BigKeys::MOST - 1).map_or(0, |row| row.bytes);
        let mut large = Vec::new();
        for (key, size) in keys.iter().zip(sizes) {
            match size {
                Ok(Value::Int(size)) => {
                    large.extend(u64::try_from(size).ok().filter(|size| *size > least).map(|size| (key, size)))
                }
                // One that is gone meanwhile has none; one that moved is another server's.
                Ok(_) => {}
                Err(trouble) if ["MOVED", "ASK"].contains(&trouble.word()) => {}
                Err(trouble) => return Err(trouble),
            }
        }
        let asks: Vec<Vec<&[u8]>> = large.iter().map(|(key, _)| vec![&b"TYPE"[..], key.as_slice()]).collect();
        let kinds = session.many(&asks).await?;
        for ((key, size), kind) in large.into_iter().zip(kinds) {
            self.found.note(BigKey {
                key: Foreign::new(&key[..key.len().min(NAME)]),
                whole: key.len() <= NAME,
                database,
                kind: Foreign::new(kind.ok().as_ref().and_then(bytes).unwrap_or_default()),
                bytes: size,
            });
        }
        Ok(())
    }
}

async fn single(session: &mut Session, words: Vec<&[u8]>) -> Result<Value, Trouble> {
    session.many(&[words]).await?.pop().unwrap_or_else(|| Err(Trouble::Lost("no answer".into())))
}
