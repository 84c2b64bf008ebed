//! When statements are read before their time: a query keeps sessions busy that the reading before knew nothing of. What it costs and
//! why is then known in seconds instead of after the next turn. So seldom that a server with ever new queries pays nothing for it.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::model::postgres::Statements;

/// Sessions that a query must keep busy.
const BUSY: f64 = 0.5;
/// The same by a reading of statements: then it is known.
pub const KNOWN: f64 = 0.05;
/// Samples that are needed, and after which they are forgotten.
const LOOKS: std::ops::Range<u32> = 2..8;
/// Readings before their time, one after the other; and the time in which one more is granted.
const MOST: f64 = 2.0;
const EACH: Duration = Duration::from_secs(30);

/// What the samples saw since the previous reading.
#[derive(Debug)]
pub struct Haste {
    /// Queries that the reading before knew as busy.
    known: HashSet<i64>,
    seen: HashMap<i64, u32>,
    looks: u32,
    granted: f64,
    since: Instant,
}

impl Haste {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { known: HashSet::new(), seen: HashMap::new(), looks: 0, granted: MOST, since: now }
    }

    /// The queries that sessions ran in one sample, one for each session.
    pub fn looked(&mut self, running: &[i64]) {
        if self.looks >= LOOKS.end {
            (self.looks, self.seen) = (0, HashMap::new());
        }
        self.looks += 1;
        running.iter().for_each(|query| *self.seen.entry(*query).or_default() += 1);
    }

    /// True once for a query that is busy and not known; the reading that it asks for is then taken as granted.
    pub fn wants(&mut self, now: Instant) -> bool {
        if self.looks < LOOKS.start {
            return false;
        }
        let looks = f64::from(self.looks);
        let new = |(query, times): (&i64, &u32)| !self.known.contains(query) && f64::from(*times) / looks >= BUSY;
        if !self.seen.iter().any(new) {
            return false;
        }
        let refilled = self.granted + now.saturating_duration_since(self.since).as_secs_f64() / EACH.as_secs_f64();
        (self.granted, self.since) = (refilled.min(MOST), now);
        let granted = self.granted >= 1.0;
        self.granted -= if granted { 1.0 } else { 0.0 };
        granted
    }

    /// A reading of statements.
    pub fn read(&mut self, statements: &Statements) {
        let busy = |ms: f64| ms / 1000.0 / statements.interval_s.max(1e-3) >= KNOWN;
        self.known = statements.rows.iter().filter(|r| busy(r.grown.exec_ms)).map(|r| r.key.query).collect();
        (self.looks, self.seen) = (0, HashMap::new());
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test makes its own moments")]
mod tests {
    use super::*;
    use crate::model::postgres::{Grown, StatementKey, StatementRow};

    fn reading(query: i64, exec_ms: f64) -> Statements {
        let key = StatementKey { query, ..StatementKey::default() };
        let row = StatementRow { key, grown: Grown { exec_ms, ..Grown::default() }, ..StatementRow::default() };
        Statements { interval_s: 10.0, rows: vec![row], ..Statements::default() }
    }

    #[test]
    fn a_new_busy_query_is_read_soon_and_a_known_one_is_not() {
        let now = Instant::now();
        let mut haste = Haste::new(now);
        haste.read(&reading(1, 8_000.0));
        haste.looked(&[1, 2]);
        assert!(!haste.wants(now), "one sample proves nothing");
        haste.looked(&[1, 1, 2]);
        assert!(haste.wants(now));
        haste.read(&reading(2, 900.0));
        (0..4).for_each(|_| haste.looked(&[2, 2]));
        assert!(!haste.wants(now), "known by now");
        haste.looked(&[3]);
        assert!(!haste.wants(now), "a fifth of a session");
    }

    #[test]
    fn ever_new_queries_do_not_make_the_server_pay() {
        let start = Instant::now();
        let mut haste = Haste::new(start);
        let mut granted = 0;
        for second in 0..300 {
            haste.looked(&[i64::from(second), i64::from(second)]);
            haste.looked(&[i64::from(second), i64::from(second)]);
            if haste.wants(start + Duration::from_secs(second as u64)) {
                granted += 1;
                haste.read(&reading(-1, 0.0));
            }
        }
        assert!((10..=12).contains(&granted), "{granted} in five minutes");
    }
}
