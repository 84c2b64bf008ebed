//! What is learned of servers of PostgreSQL: figures over time, and how long and how often each query ran before. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::model::facts::{Facts, PgFacts};
use crate::model::postgres::{StatementRow, WaitClass, qualified};

use crate::detect::series::Series;

/// Readings kept of a query.
const READINGS: usize = 30;
/// Readings before anything is usual.
const ENOUGH: usize = 3;
/// Queries followed.
const QUERIES: usize = 300;
/// Figures followed.
const TRENDS: usize = 400;

/// A figure without a point for so long is of something that is gone: databases are visited each ten minutes at least.
const STALE_S: f64 = 1800.0;
/// Figures that go up and down.
const GAUGES: [&str; 3] = ["behind ", "retained ", WAL_WAITS];
/// Sessions that wait for WAL.
pub const WAL_WAITS: &str = "waits for wal";

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Learning {
    /// By `source name`.
    pub trends: BTreeMap<String, Series>,
    /// Milliseconds a call and calls a second, by source and entry, oldest first.
    pub queries: BTreeMap<String, VecDeque<(f32, f32)>>,
    /// The newest reading of statements that was learned from (CLOCK_MONOTONIC ns), and how many there were, by source.
    read: BTreeMap<String, (u64, u32)>,
    /// Queries that came up in numbers or weight while the server was known already: in how many readings so far.
    newcomers: BTreeMap<String, u32>,
}

/// Calls a second from which a query that was not there before is a newcomer in numbers …
const IN_NUMBERS: f64 = 300.0;
/// … or sessions that it keeps busy …
const BUSY: f64 = 0.1;
/// … and readings after which it is usual all the same: five minutes.
const SETTLED: u32 = 30;
/// Readings of one that does little.
const FIRST: u32 = 3;

impl Learning {
    /// A figure of a server over time, by its name.
    #[must_use]
    pub fn trend(&self, source: &str, what: &str) -> Option<&Series> {
        self.trends.get(&format!("{source} {what}"))
    }

    /// Learns from the facts of one evaluation.
    pub fn learn(&mut self, facts: &Facts) {
        for pg in &facts.servers.postgres {
            self.follow(pg);
            self.learn_queries(pg, facts.at.mono_ns);
        }
        let known = |key: &String| facts.servers.postgres.iter().any(|pg| key.split(' ').next() == Some(&pg.id));
        self.trends.retain(|key, _| known(key));
        self.queries.retain(|key, _| known(key));
        self.newcomers.retain(|key, _| known(key));
    }

    fn push(&mut self, pg: &PgFacts, what: &str, at_s: f64, value: f64) {
        let key = format!("{} {what}", pg.id);
        if self.trends.len() >= TRENDS && !self.trends.contains_key(&key) {
            // Room for it is made by the one of that server that stands still longest: what it was of is gone.
            let own = self.trends.iter().filter(|(k, _)| k.split(' ').next() == Some(&pg.id));
            let last = |s: &Series| s.0.back().map_or(0.0, |(at, _)| *at);
            let stale = own.min_by(|a, b| last(a.1).total_cmp(&last(b.1))).filter(|(_, s)| at_s - last(s) >= STALE_S);
            let Some(stale) = stale.map(|(k, _)| k.clone()) else { return };
            self.trends.remove(&stale);
        }
        let series = self.trends.entry(key).or_default();
        // A counter that was reset starts again.
        let counter = !GAUGES.iter().any(|gauge| what.starts_with(gauge));
        if counter && series.0.back().is_some_and(|(_, last)| value < *last) {
            series.0.clear();
        }
        series.push(at_s, value);
    }

    /// One point a reading, at the server's own time of it: what is merely kept from evaluation to evaluation is no step that stands still.
    fn follow(&mut self, pg: &PgFacts) {
        if let Ok(activity) = &pg.activity {
            self.push(pg, WAL_WAITS, activity.newest.server_us as f64 / 1e6, activity.class(WaitClass::Wal));
        }
        let Ok(cluster) = &pg.cluster else { return };
        let mut figures: Vec<(String, i64, f64)> = Vec::new();
        let mut add = |at_us: i64, what: &str, value: Option<u64>| {
            figures.extend(value.map(|v| (what.to_owned(), at_us, v as f64)));
        };
        let now_us = cluster.server_us;
        add(now_us, "checkpoints requested", cluster.checkpoints.requested);
        add(now_us, "checkpoints timed", cluster.checkpoints.timed);
        add(now_us, "wal", cluster.wal.position);
        for d in &cluster.databases {
            add(now_us, &format!("ids {}", d.oid), Some(d.xid_age));
            add(now_us, &format!("multixacts {}", d.oid), Some(d.mxid_age));
        }
        for r in &cluster.replicas {
            let name = if r.name.is_empty() { r.client.shown() } else { r.name.shown() };
            add(now_us, &format!("behind {name}"), r.behind_bytes);
        }
        for slot in &cluster.slots {
            add(now_us, &format!("retained {}", slot.name), slot.retained_bytes);
        }
        for catalog in pg.catalogs.values() {
            let hot = catalog
                .duplicates
                .iter()
                .filter_map(|d| catalog.tables.iter().find(|t| t.name == d.table && t.schema == d.schema));
            for t in hot {
                add(catalog.server_us, &format!("writes {} {}", catalog.oid, t.oid), Some(t.writes));
            }
            for s in &catalog.sequences {
                if let Some(name) = qualified(&s.schema, &s.name) {
                    add(catalog.server_us, &format!("sequence {} {name}", catalog.oid), u64::try_from(s.last).ok());
                }
            }
        }
        for (what, at_us, value) in figures {
            self.push(pg, &what, at_us as f64 / 1e6, value);
        }
    }

    /// One reading each: what a query that is slow or flooding now took before must not be forgotten while it is, so that only
    /// readings near what is usual are taken in once enough is known.
    fn learn_queries(&mut self, pg: &PgFacts, now_ns: u64) {
        let Some(interval_s) = pg.interval_s() else { return };
        let read_ns = now_ns.saturating_sub((pg.statements_age_s * 1e9) as u64);
        // Within a second it is the same reading.
        let (last_ns, readings) = self.read.get(&pg.id).copied().unwrap_or_default();
        if readings > 0 && read_ns.abs_diff(last_ns) < 1_000_000_000 {
            return;
        }
        self.read.insert(pg.id.clone(), (read_ns, readings + 1));
        for row in pg.rows() {
            let key = key(&pg.id, row);
            let known = self.queries.contains_key(&key);
            if !known && self.queries.len() >= QUERIES && !self.forget_one(pg) {
                continue;
            }
            let now = (row.grown.mean_ms().unwrap_or(0.0), row.grown.calls as f64 / interval_s);
            let heavy = now.1 >= IN_NUMBERS || row.grown.exec_ms / 1000.0 / interval_s >= BUSY;
            let few = self.newcomers.len() < QUERIES || self.newcomers.contains_key(&key);
            if !known && readings as usize >= ENOUGH && few {
                let seen = self.newcomers.entry(key.clone()).or_default();
                *seen += 1;
                // The reading in which it comes up may hold its first call alone, and say nothing of what it will be.
                let enough = if heavy { SETTLED } else { u32::from(row.came) * FIRST };
                if *seen < enough {
                    continue;
                }
            }
            let usual = self.usual(&pg.id, row);
            let ring = self.queries.entry(key).or_default();
            let far = usual.is_some_and(|(ms, per_s)| now.0 > 2.0 * ms.max(0.01) || now.1 > 2.0 * per_s.max(1.0));
            if far {
                continue;
            }
            if ring.len() == READINGS {
                ring.pop_front();
            }
            ring.push_back((now.0 as f32, now.1 as f32));
        }
    }

    /// Makes room: a query of that server that does not grow any more.
    fn forget_one(&mut self, pg: &PgFacts) -> bool {
        let now: BTreeSet<String> = pg.rows().map(|row| key(&pg.id, row)).collect();
        let old = self.queries.keys().find(|k| k.split(' ').next() == Some(&pg.id) && !now.contains(*k)).cloned();
        old.is_some_and(|k| self.queries.remove(&k).is_some())
    }

    /// True for a query that came up while the server was known already.
    #[must_use]
    pub fn is_new(&self, source: &str, row: &StatementRow) -> bool {
        let readings = self.read.get(source).map_or(0, |(_, n)| *n);
        readings as usize >= ENOUGH && self.queries.get(&key(source, row)).is_none_or(VecDeque::is_empty)
    }

    /// The medians of a query.
    #[must_use]
    pub fn usual(&self, source: &str, row: &StatementRow) -> Option<(f64, f64)> {
        let ring = self.queries.get(&key(source, row)).filter(|r| r.len() >= ENOUGH)?;
        let median = |of: fn(&(f32, f32)) -> f32| {
            let mut all: Vec<f32> = ring.iter().map(of).collect();
            all.sort_by(f32::total_cmp);
            f64::from(all[all.len() / 2])
        };
        Some((median(|r| r.0), median(|r| r.1)))
    }
}

fn key(source: &str, row: &StatementRow) -> String {
    let k = &row.key;
    format!("{source} {}/{}/{}/{}", k.database, k.role, k.query, u8::from(k.top))
}

/// Writes into each server's facts what a call of each of its statements usually takes.
pub fn recall(world: &mut Facts, learned: &Learning) {
    for pg in &mut world.servers.postgres {
        let usual = pg.rows().filter_map(|row| Some((row.key, learned.usual(&pg.id, row)?.0)));
        pg.usual = usual.collect();
    }
}

/// Transactions per second.
#[must_use]
pub fn throughput(facts: &Facts, source: &str) -> Option<f64> {
    let server = facts.servers.postgres.iter().find(|pg| pg.id == source)?;
    server.databases_rate(|d| Some(d.commits + d.rollbacks))
}
