//! Which database is visited next, and when. A visit to another database is a new connection, which costs the server more than the
//! requests: where no row was written since the visit before, little is to be seen (a sequence that only moves, an index that a
//! standby was sent: a standby and a server that does not count are visited as if all was written).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Of the server's time that visits may take, ms per s.
const COST: f64 = 0.6;
/// Between two visits.
const LEAST: Duration = Duration::from_secs(15);
const MOST: Duration = Duration::from_secs(60);
/// Between the first visits, and how many of them come one after the other.
const FIRST: Duration = Duration::from_millis(700);
const FIRST_ONES: usize = 32;
/// After this a database is visited though nobody wrote there.
const IDLE: Duration = Duration::from_secs(600);

/// Rows written, of a database that could not be visited.
const NEVER: u64 = u64::MAX;
/// Visits that are asked for, because something was found: what they may cost, ms per s, and their least distance.
const ASKED_COST: f64 = 1.0;
const AGAIN: Duration = Duration::from_secs(5);

/// What was visited.
#[derive(Debug, Default)]
pub struct Turns {
    visited: BTreeMap<String, (Instant, u64)>,
}

impl Turns {
    /// The database whose turn it is, of all with the rows ever written there: one that was never visited, the busiest first; then of
    /// those that were written to the one that waits longest; then one that was left alone for ten minutes.
    #[must_use]
    pub fn next<'a>(&self, all: &'a [(String, u64)], now: Instant) -> Option<&'a str> {
        let before = |name: &str| self.visited.get(name).copied();
        let mut known = Vec::new();
        for (name, written) in all {
            let Some((at, then)) = before(name) else { return Some(name) };
            if *written != then || now.saturating_duration_since(at) >= IDLE {
                known.push((at, name.as_str()));
            }
        }
        known.into_iter().min().map(|(_, name)| name)
    }

    /// A database was visited; or that failed (`seen` is false), so that it is tried again in its turn.
    pub fn visited(&mut self, name: &str, all: &[(String, u64)], now: Instant, seen: bool) {
        let written = all.iter().find(|(n, _)| n == name).map_or(0, |(_, w)| *w);
        let written = if seen { written } else { NEVER };
        self.visited.insert(name.to_owned(), (now, written));
        self.visited.retain(|n, _| all.iter().any(|(other, _)| other == n));
    }

    /// How long to wait after a visit that was asked for.
    #[must_use]
    pub fn again(took: Duration, seen: bool) -> Duration {
        if !seen {
            return MOST;
        }
        Duration::from_secs_f64(took.as_secs_f64() * 1000.0 / ASKED_COST).clamp(AGAIN, MOST * 2)
    }

    /// How long to wait after a visit that took so long.
    #[must_use]
    pub fn pause(&self, all: &[(String, u64)], took: Duration) -> Duration {
        let unseen = all.is_empty() || all.iter().any(|(name, _)| !self.visited.contains_key(name));
        if unseen && self.visited.len() < FIRST_ONES {
            return FIRST;
        }
        Duration::from_secs_f64(took.as_secs_f64() * 1000.0 / COST).clamp(LEAST, MOST)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test makes its own moments")]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_to_comes_first_and_an_idle_one_seldom() {
        let start = Instant::now();
        let s = |n: u64| start + Duration::from_secs(n);
        let of = |a: u64, b: u64| vec![("busy".to_owned(), a), ("idle".to_owned(), b)];
        let mut turns = Turns::default();
        assert_eq!(turns.next(&[], s(0)), None);
        assert_eq!(turns.pause(&[], Duration::ZERO), FIRST);
        for (second, expected) in [(0, "busy"), (1, "idle")] {
            assert_eq!(turns.next(&of(5, 1), s(second)), Some(expected));
            turns.visited(expected, &of(5, 1), s(second), true);
        }
        assert_eq!(turns.next(&of(5, 1), s(30)), None, "nothing was written");
        assert_eq!(turns.next(&of(6, 1), s(30)), Some("busy"));
        turns.visited("busy", &of(6, 1), s(30), true);
        // Both were written to: the one that waits longer.
        assert_eq!(turns.next(&of(7, 2), s(50)), Some("idle"));
        assert_eq!(turns.next(&of(6, 1), s(610)), Some("idle"), "after ten minutes all the same");
        // One that is new, and one that is gone.
        let fresh = vec![("busy".to_owned(), 6), ("new".to_owned(), 0)];
        assert_eq!(turns.next(&fresh, s(51)), Some("new"));
        turns.visited("new", &fresh, s(51), true);
        assert!(!turns.visited.contains_key("idle"));
        // One that failed is tried again though nothing was written.
        assert_eq!(turns.next(&fresh, s(55)), None);
        turns.visited("new", &fresh, s(55), false);
        assert_eq!(turns.next(&fresh, s(75)), Some("new"));
    }

    #[test]
    fn dear_visits_are_seldom() {
        let mut turns = Turns::default();
        let all = vec![("one".to_owned(), 1)];
        turns.visited("one", &all, Instant::now(), true);
        assert_eq!(turns.pause(&all, Duration::from_millis(3)), LEAST);
        assert_eq!(turns.pause(&all, Duration::from_millis(24)), Duration::from_secs(40));
        assert_eq!(turns.pause(&all, Duration::from_secs(2)), MOST);
    }
}
