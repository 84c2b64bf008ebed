//! What statements used, by `pg_stat_statements(false)`: growth between two readings.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;

/// One reading against the one before. Only what was called in between is kept, the most expensive first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Statements {
    /// Seconds between the two readings, by the server's clock; 0 for the first.
    pub interval_s: f64,
    /// Statements that grew, most execution time first.
    pub rows: Vec<StatementRow>,
    /// The sum over all that grew, those left out too.
    pub all: Grown,
    /// Entries in the view.
    pub entries: u32,
    /// Entries that the view may hold.
    pub capacity: u32,
    /// Times that entries were evicted for lack of room, since the reading before; `None` before 14, where nobody counts.
    pub evictions: Option<u64>,
    /// Entries whose query id this role may not see.
    pub hidden: u32,
    /// Milliseconds of the server that this reading took, round trip left out.
    pub cost_ms: f32,
}

impl Statements {
    /// Two readings that follow each other as one.
    #[must_use]
    pub fn join(earlier: Self, mut later: Self) -> Self {
        later.interval_s += earlier.interval_s;
        later.all.add(&earlier.all);
        later.cost_ms += earlier.cost_ms;
        later.evictions = later.evictions.map(|n| n.saturating_add(earlier.evictions.unwrap_or(0)));
        let mut known: HashMap<StatementKey, usize> = later.rows.iter().enumerate().map(|(at, row)| (row.key, at)).collect();
        for row in earlier.rows {
            match known.get(&row.key) {
                Some(at) => {
                    let newer = &mut later.rows[*at];
                    newer.grown.add(&row.grown);
                    newer.came |= row.came;
                    newer.alike = newer.alike.max(row.alike);
                }
                None => {
                    known.insert(row.key, later.rows.len());
                    later.rows.push(row);
                }
            }
        }
        later.rows.sort_by(|a, b| b.grown.exec_ms.total_cmp(&a.grown.exec_ms));
        later
    }
}

/// What one entry is known by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StatementKey {
    /// OID of the role.
    pub role: u32,
    /// OID of the database.
    pub database: u32,
    /// Query id.
    pub query: i64,
    /// Not called from within a function; always true before 14.
    pub top: bool,
}

/// One statement's growth.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatementRow {
    /// Its entry.
    pub key: StatementKey,
    /// Name of the role.
    pub role: Foreign,
    /// Name of the database.
    pub database: Foreign,
    /// Since the reading before.
    pub grown: Grown,
    /// The entry came while the server was watched: nobody had sent this statement before, as far as the view remembers.
    pub came: bool,
    /// Calls since the entry is there.
    pub calls_all: u64,
    /// Milliseconds since the entry is there.
    pub ms_all: f64,
    /// Other entries known that differ only in the length of their lists; all sums are theirs too.
    #[serde(skip_serializing_if = "none")]
    pub alike: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn none(alike: &u32) -> bool {
    *alike == 0
}

impl StatementRow {
    /// Adds one that differs from it only in the length of its lists.
    pub fn add(&mut self, other: &Self) {
        self.grown.add(&other.grown);
        self.came &= other.came;
        self.alike = self.alike.max(other.alike);
    }
}

/// Counters of an entry, cumulative or grown. Times in milliseconds, blocks of 8 KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the view's columns; units in the names")]
pub struct Grown {
    pub calls: u64,
    pub exec_ms: f64,
    pub plan_ms: f64,
    pub rows: u64,
    pub hit_blocks: u64,
    pub read_blocks: u64,
    pub dirtied_blocks: u64,
    pub written_blocks: u64,
    pub temp_read_blocks: u64,
    pub temp_written_blocks: u64,
    pub read_ms: f64,
    pub write_ms: f64,
    pub temp_ms: f64,
    pub wal_bytes: u64,
    /// Just-in-time compilation; 0 before 15, where nobody tells.
    pub jit_ms: f64,
    /// Of it what is made before the clock of `exec_ms` begins.
    pub jit_before_ms: f64,
}

impl Grown {
    /// What was added since `old`; `None` when anything went back: an entry that was reset, or evicted and created again.
    #[must_use]
    pub fn since(&self, old: &Self) -> Option<Self> {
        let n = |new: u64, old: u64| new.checked_sub(old);
        // Sums of floating point may differ in their last digits.
        let f = |new: f64, old: f64| (new >= old - 1e-6).then(|| (new - old).max(0.0));
        Some(Self {
            calls: n(self.calls, old.calls)?,
            exec_ms: f(self.exec_ms, old.exec_ms)?,
            plan_ms: f(self.plan_ms, old.plan_ms)?,
            rows: n(self.rows, old.rows)?,
            hit_blocks: n(self.hit_blocks, old.hit_blocks)?,
            read_blocks: n(self.read_blocks, old.read_blocks)?,
            dirtied_blocks: n(self.dirtied_blocks, old.dirtied_blocks)?,
            written_blocks: n(self.written_blocks, old.written_blocks)?,
            temp_read_blocks: n(self.temp_read_blocks, old.temp_read_blocks)?,
            temp_written_blocks: n(self.temp_written_blocks, old.temp_written_blocks)?,
            read_ms: f(self.read_ms, old.read_ms)?,
            write_ms: f(self.write_ms, old.write_ms)?,
            temp_ms: f(self.temp_ms, old.temp_ms)?,
            wal_bytes: n(self.wal_bytes, old.wal_bytes)?,
            jit_ms: f(self.jit_ms, old.jit_ms)?,
            jit_before_ms: f(self.jit_before_ms, old.jit_before_ms)?,
        })
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.exec_ms += other.exec_ms;
        self.plan_ms += other.plan_ms;
        self.rows += other.rows;
        self.hit_blocks += other.hit_blocks;
        self.read_blocks += other.read_blocks;
        self.dirtied_blocks += other.dirtied_blocks;
        self.written_blocks += other.written_blocks;
        self.temp_read_blocks += other.temp_read_blocks;
        self.temp_written_blocks += other.temp_written_blocks;
        self.read_ms += other.read_ms;
        self.write_ms += other.write_ms;
        self.temp_ms += other.temp_ms;
        self.wal_bytes += other.wal_bytes;
        self.jit_ms += other.jit_ms;
        self.jit_before_ms += other.jit_before_ms;
    }

    /// Milliseconds a call; `None` without calls.
    #[must_use]
    pub fn mean_ms(&self) -> Option<f64> {
        (self.calls > 0).then(|| self.exec_ms / self.calls as f64)
    }
}

/// The text of a statement, as the server normalised it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryText {
    /// Its id.
    pub query_id: i64,
    /// The text with `$1` for constants, what is left of literals masked; cut.
    pub text: Foreign,
    /// It was longer.
    pub cut: bool,
    /// One of perftop's own.
    #[serde(default)]
    pub own: bool,
}

/// Growth of every entry from one reading to the next. An entry that is new within a reset view (`since_reset`) or that was
/// not there before counts from zero only when `fresh` says that it cannot have been there; else it is a new base line.
#[must_use]
pub fn growth(
    old: &HashMap<StatementKey, Grown>,
    new: &HashMap<StatementKey, Grown>,
    evicted: bool,
) -> Vec<(StatementKey, Grown)> {
    let mut rows: Vec<(StatementKey, Grown)> = new
        .iter()
        .filter_map(|(key, now)| {
            let grown = match old.get(key) {
                Some(before) => now.since(before)?,
                // Entries that were evicted come back with their first call: what they hold may be old otherwise.
                None if !evicted || now.calls <= 1 => *now,
                None => return None,
            };
            (grown.calls > 0 || grown.exec_ms > 0.0).then_some((*key, grown))
        })
        .collect();
    rows.sort_by(|a, b| b.1.exec_ms.total_cmp(&a.1.exec_ms).then(a.0.cmp(&b.0)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(query: i64, calls: u64, exec_ms: f64) -> (StatementKey, Grown) {
        (StatementKey { query, top: true, ..StatementKey::default() }, Grown { calls, exec_ms, ..Grown::default() })
    }

    #[test]
    fn a_reset_or_evicted_entry_is_a_new_base_line_and_never_a_spike() {
        let old: HashMap<_, _> = [entry(1, 100, 1000.0), entry(2, 50, 10.0), entry(3, 9, 9.0)].into();
        let new: HashMap<_, _> = [entry(1, 110, 1500.0), entry(2, 3, 1.0), entry(4, 2, 30.0), entry(3, 9, 9.0)].into();
        let rows = growth(&old, &new, false);
        let ids: Vec<(i64, u64)> = rows.iter().map(|(k, g)| (k.query, g.calls)).collect();
        assert_eq!(ids, [(1, 10), (4, 2)], "2 went back, 3 did not move, 4 is new");
        assert_eq!(rows[0].1.exec_ms, 500.0);
        assert_eq!(growth(&old, &new, true).len(), 1, "under eviction an unknown entry may be an old one");
    }
}
