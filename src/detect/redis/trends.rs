//! What is learned of servers of Redis: how their memory grows.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::misses::Misses;
use crate::detect::series::Series;
use crate::model::facts::Facts;

/// Figures over time, by `source name`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Learning {
    /// Bytes that are left below `maxmemory`.
    pub room: BTreeMap<String, Series>,
    /// The shortest round trip of each evaluation of the last minutes, milliseconds.
    pub trips: BTreeMap<String, VecDeque<f32>>,
    /// Requests per second when it last answered.
    pub requests: BTreeMap<String, f64>,
    /// Whole copies for replicas since the counters began.
    pub copies: BTreeMap<String, Series>,
    /// Since when the link of a replica to its primary was seen to be down, and until when: seconds.
    pub unlinked: BTreeMap<String, (f64, f64)>,
    /// Bytes written for replicas.
    pub offsets: BTreeMap<String, Series>,
    /// Look-ups that missed, and the query that was called as often.
    pub misses: BTreeMap<String, Misses>,
}

/// Evaluations whose shortest round trip is kept: five minutes, one a second.
const TRIPS: usize = 300;

impl Learning {
    /// The round trip to a server that rests, as far as it was seen to, milliseconds.
    #[must_use]
    pub fn rest(&self, id: &str) -> Option<f64> {
        let least = self.trips.get(id)?.iter().copied().fold(f32::INFINITY, f32::min);
        least.is_finite().then_some(f64::from(least))
    }

    /// Learns from the facts of one evaluation.
    pub fn learn(&mut self, facts: &Facts) {
        let now_s = facts.at.mono_ns as f64 / 1e9;
        let there = |id: &String| facts.servers.redis.iter().any(|r| r.id == *id);
        self.room.retain(|id, _| there(id));
        self.copies.retain(|id, _| there(id));
        self.trips.retain(|id, _| there(id));
        self.requests.retain(|id, _| there(id));
        self.misses.retain(|id, _| there(id));
        self.offsets.retain(|id, _| there(id));
        self.unlinked.retain(|id, _| there(id));
        for r in &facts.servers.redis {
            if let Some(trips) = r.trips {
                let ring = self.trips.entry(r.id.clone()).or_default();
                if ring.len() == TRIPS {
                    ring.pop_front();
                }
                ring.push_back(trips.least_ms as f32);
            }
            if let Some(per_s) = r.requests_per_s().filter(|_| r.silent_s <= 0.0) {
                self.requests.insert(r.id.clone(), per_s);
            }
            let Ok(info) = &r.info else { continue };
            let number = |name: &str| info.number(name);
            if let (Some(used), Some(most)) = (number("used_memory"), number("maxmemory").filter(|m| *m > 0.0)) {
                let counted = used - number("mem_not_counted_for_evict").unwrap_or(0.0);
                self.room.entry(r.id.clone()).or_default().push(now_s, (most - counted).max(0.0));
            }
            match info.word("master_link_status") {
                "down" => self.unlinked.entry(r.id.clone()).or_insert((now_s, now_s)).1 = now_s,
                _ => _ = self.unlinked.remove(&r.id),
            }
            if let Some(offset) = number("master_repl_offset").filter(|_| !info.replicas.is_empty()) {
                let series = self.offsets.entry(r.id.clone()).or_default();
                // After a failover the count may go on elsewhere.
                if series.0.back().is_some_and(|(_, last)| offset < *last) {
                    series.0.clear();
                }
                series.push(now_s, offset);
            }
            if let Some(missed) = number("keyspace_misses") {
                let misses = self.misses.entry(r.id.clone()).or_default();
                misses.count(now_s, missed);
                misses.compare(facts);
            }
            if let Some(copies) = number("sync_full") {
                let series = self.copies.entry(r.id.clone()).or_default();
                // A counter that was reset starts again.
                if series.0.back().is_some_and(|(_, last)| copies < *last) {
                    series.0.clear();
                }
                series.push(now_s, copies);
            }
        }
    }
}
