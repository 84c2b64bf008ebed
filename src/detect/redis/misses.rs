//! Look-ups that missed over time, and the query of a database that was called as often.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::detect::series::Series;
use crate::model::facts::{Facts, PgFacts};
use crate::model::postgres::{StatementRow, lexer};

/// From so many misses a second on a rate tells one query from others.
const LEAST_PER_S: f64 = 5.0;
/// Calls over misses within which both are the same thing.
const ALIKE: std::ops::RangeInclusive<f64> = 0.8..=1.25;
/// Readings of statements in which that held, one after the other, before it is believed …
const READINGS: u32 = 2;
/// … and by how much the rate of misses changed between them: two rates that stay the same may be alike by chance.
const FOLLOWS: f64 = 1.3;

/// A query that was called as often as look-ups missed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The server of the query.
    source: String,
    /// Its id.
    query: i64,
    /// Readings of statements in a row.
    readings: u32,
    /// The lowest and the highest rate of misses in them.
    rates: (f64, f64),
}

/// What is learned of one cache.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Misses {
    /// Look-ups that missed since the counters began, over time (CLOCK_MONOTONIC, seconds).
    counted: Series,
    /// When statements were read that were compared already, by server: seconds.
    read_s: BTreeMap<String, f64>,
    pair: Option<Pair>,
}

impl Misses {
    /// Notes the counter of misses.
    pub fn count(&mut self, now_s: f64, misses: f64) {
        if self.counted.0.back().is_some_and(|(_, last)| misses < *last) {
            self.counted.0.clear();
        }
        self.counted.push(now_s, misses);
    }

    /// Compares with the statements of each server that were read since the last time.
    pub fn compare(&mut self, facts: &Facts) {
        let now_s = facts.at.mono_ns as f64 / 1e9;
        self.read_s.retain(|id, _| facts.servers.postgres.iter().any(|pg| pg.id == *id));
        // One whose statements are not read any more is nobody's.
        let read = |id: &str| facts.servers.postgres.iter().any(|pg| pg.id == id && pg.interval_s().is_some());
        self.pair.take_if(|pair| !read(&pair.source));
        for pg in &facts.servers.postgres {
            let Some(interval_s) = pg.interval_s() else { continue };
            let read_s = now_s - pg.statements_age_s;
            if self.read_s.get(&pg.id).is_some_and(|last| read_s - last < 0.5) {
                continue;
            }
            self.read_s.insert(pg.id.clone(), read_s);
            let missed = self.between(read_s - interval_s, read_s).map(|n| n / interval_s).filter(|n| *n >= LEAST_PER_S);
            let found = missed.and_then(|rate| Some((as_often(pg, rate, interval_s)?, rate)));
            let own = self.pair.as_ref().is_none_or(|pair| pair.source == pg.id);
            self.pair = match (found, self.pair.take()) {
                (Some((query, rate)), Some(pair)) if own && pair.query == query => {
                    let rates = (pair.rates.0.min(rate), pair.rates.1.max(rate));
                    Some(Pair { readings: pair.readings + 1, rates, ..pair })
                }
                (Some((query, rate)), _) if own => Some(Pair { source: pg.id.clone(), query, readings: 1, rates: (rate, rate) }),
                (None, _) if own => None,
                (_, other) => other,
            };
        }
    }

    /// The query, by its server and id, once it was seen to be so again.
    #[must_use]
    pub fn refilled_by(&self) -> Option<(String, i64)> {
        let follows = |pair: &&Pair| pair.readings >= READINGS && pair.rates.1 >= pair.rates.0 * FOLLOWS;
        self.pair.as_ref().filter(follows).map(|pair| (pair.source.clone(), pair.query))
    }

    /// What was missed between two moments.
    fn between(&self, from_s: f64, to_s: f64) -> Option<f64> {
        let at = |s: f64| {
            let points = &self.counted.0;
            let after = points.iter().position(|(at, _)| *at >= s)?;
            let ((x0, y0), (x1, y1)) = (points[after.saturating_sub(1)], points[after]);
            // Before the first point nothing is known; a second is no gap.
            (after > 0 || x1 - s < 1.0).then(|| if x1 > x0 { y0 + (y1 - y0) * (s - x0) / (x1 - x0) } else { y1 })
        };
        Some(at(to_s).or_else(|| self.counted.0.back().filter(|(last, _)| to_s - last < 2.0).map(|(_, n)| *n))? - at(from_s)?)
    }
}

/// The query that reads and is called as often as that; where several are, nobody knows which.
fn as_often(pg: &PgFacts, per_s: f64, interval_s: f64) -> Option<i64> {
    let alike = |row: &&StatementRow| ALIKE.contains(&(row.grown.calls as f64 / interval_s / per_s));
    let reads = |row: &&StatementRow| ["SELECT", "WITH"].contains(&lexer::verb(pg.text(row.key.query)).as_str());
    let mut fits = pg.rows().filter(alike).filter(reads).map(|row| row.key.query);
    let first = fits.next()?;
    fits.all(|other| other == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::Statement;

    #[test]
    fn misses_are_counted_between_two_moments() {
        let mut misses = Misses::default();
        (0..20).for_each(|s| misses.count(f64::from(s), f64::from(s) * 100.0));
        assert_eq!(misses.between(5.5, 15.5), Some(1000.0));
        assert_eq!(misses.between(-9.0, 1.0), None, "nobody counted then");
        misses.count(20.0, 5.0);
        assert_eq!(misses.between(10.0, 20.0), None, "the counter was reset");
    }

    /// So many misses a second in each of these readings, beside a query that is called so often.
    fn after(readings: &[(f64, f64)]) -> Option<(String, i64)> {
        let mut misses = Misses::default();
        for (at, (misses_per_s, calls_per_s)) in readings.iter().enumerate() {
            let query = Statement { busy: (calls_per_s * 6.0) as u32, ms: 6.0, ..Statement::default() };
            let bench = query.bench().with(|world| world.at.mono_ns += at as u64 * 20_000_000_000);
            let now_s = bench.measured().0.at.mono_ns as f64 / 1e9;
            let before = misses.counted.0.back().map_or(0.0, |(_, n)| *n);
            (0..=19).map(f64::from).for_each(|s| misses.count(now_s - 19.0 + s, before + s * misses_per_s));
            misses.compare(bench.measured().0);
        }
        misses.refilled_by()
    }

    #[test]
    fn a_query_that_follows_the_misses_is_believed() {
        let known = Some(("postgres:5432".to_owned(), 7));
        assert_eq!(after(&[(100.0, 100.0)]), None);
        assert_eq!(after(&[(50.0, 50.0), (100.0, 100.0)]), known);
        assert_eq!(after(&[(50.0, 50.0), (100.0, 100.0), (100.0, 40.0)]), None, "not any more");
        // Two rates that stay what they are may be alike by chance.
        assert_eq!(after(&[(100.0, 100.0), (100.0, 100.0), (101.0, 100.0)]), None);
        assert_eq!(after(&[(50.0, 100.0), (100.0, 100.0)]), None, "others call it too");
        assert_eq!(after(&[(300.0, 100.0), (900.0, 300.0)]), None, "most misses ask nobody");
        assert_eq!(after(&[(0.0, 50.0), (0.0, 100.0)]), None);
    }
}
