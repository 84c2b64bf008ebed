//! What the judgement remembers between evaluations: what is held, since when, what was learned. Serialisable,
//! because each segment of a recording starts with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::model::facts::{Facts, PeerFacts, WeightOverrides};
use crate::model::host::FsRaw;
use crate::model::subject::Subject;

/// All that the judgement remembers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Evaluations so far; the first three are provisional.
    pub evaluations: u64,
    /// Per rule (`id|source`).
    pub rules: BTreeMap<String, RuleMemory>,
    /// Per finding key.
    pub findings: BTreeMap<String, FindingMemory>,
    /// What was at warning or above and is gone, for a minute.
    pub resolved: Vec<Resolved>,
    /// What was learned of this machine.
    pub learned: Learned,
    /// Weights given by the operator.
    pub weights: WeightOverrides,
    /// Findings that the operator muted, by key.
    #[serde(default)]
    pub muted: BTreeMap<String, Mute>,
}

/// A finding is muted: why, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    /// The operator's words.
    pub reason: String,
    /// Wall clock, ms.
    pub until_ms: i64,
}

/// What one rule found at the evaluation before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleMemory {
    /// Subjects that are held.
    pub held: Vec<Held>,
}

/// A subject that is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// Who.
    pub subject: Subject,
    /// The share it entered with.
    pub entered_share: f64,
    /// When it was last active (wall clock, ms), for the tail of errors.
    pub active_ms: i64,
    /// Its rate when it was last active, for the tail of errors.
    pub failed_per_s: Option<f64>,
}

impl RuleMemory {
    /// The held subject of that type and key.
    #[must_use]
    pub fn held(&self, typed_key: &str) -> Option<&Held> {
        self.held.iter().find(|h| h.subject.typed_key() == typed_key)
    }
}

/// True when `prev` holds that subject.
#[must_use]
pub fn is_held(prev: Option<&RuleMemory>, subject: &Subject) -> bool {
    prev.is_some_and(|p| p.held(&subject.typed_key()).is_some())
}

/// What is remembered of one finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FindingMemory {
    /// First seen, wall clock ms.
    pub since_ms: i64,
    /// It was there when we came.
    pub at_least: bool,
    /// Whether the conditions of critical held, newest last, at most four.
    pub critical: VecDeque<bool>,
    /// It was at warning or above.
    pub raised: bool,
    /// Largest loss so far and what was predicted to come back, s/s.
    pub lost: f64,
    /// Benefit at that time.
    pub predicted: f64,
    /// On-CPU time of the foreground when it was found: a stand-in for the victims' throughput, s/s.
    pub working: f64,
}

/// What became of a finding that was raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Below 0.3 of it, and the victims work on.
    Resolved,
    /// Below 0.3 of it because the victims stopped working.
    LoadWentAway,
    /// A fix was taken and it is still there.
    NotResolved,
}

/// A finding that is gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolved {
    /// Its key.
    pub key: String,
    /// When, RFC 3339.
    pub at: String,
    /// Lost before, s/s.
    #[serde(serialize_with = "super::finding::round6")]
    pub before: f64,
    /// Lost now, s/s.
    #[serde(serialize_with = "super::finding::round6")]
    pub after: f64,
    /// Predicted gain, s/s.
    #[serde(serialize_with = "super::finding::round6")]
    pub predicted: f64,
    /// What became of it.
    pub outcome: Outcome,
}

/// What was learned of this machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// Per device the latencies (ms) in windows with a short queue, newest last.
    pub clean: BTreeMap<String, VecDeque<f32>>,
    /// MemAvailable over time: (seconds of CLOCK_MONOTONIC, bytes).
    pub memory: Series,
    /// Per peer the milliseconds from question to reply, newest last.
    #[serde(default)]
    pub replies: BTreeMap<String, VecDeque<f32>>,
    /// Mounts that were writable when they were seen first, or became read-only by an error.
    #[serde(default)]
    pub writable: BTreeSet<String>,
    /// Resident bytes of the processes that grow, by `pid@start`.
    #[serde(default)]
    pub resident: BTreeMap<String, Series>,
    /// Per listener the requests a second and the CPU seconds for each, newest last.
    #[serde(default)]
    pub requests: BTreeMap<String, VecDeque<(f32, f32)>>,
    /// Free bytes of each mount over time.
    pub space: BTreeMap<String, Series>,
    /// What is learned of servers of PostgreSQL.
    #[serde(default)]
    pub postgres: super::servers::Servers,
}

/// Points over time for a trend, at most [`Series::POINTS`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Series(pub VecDeque<(f64, f64)>);

impl Series {
    /// Points kept.
    pub const POINTS: usize = 90;

    /// Adds a point; a time that goes back starts anew.
    pub fn push(&mut self, at_s: f64, value: f64) {
        match self.0.back() {
            Some((last, _)) if at_s < *last => self.0.clear(),
            Some((last, _)) if at_s - last < 0.9 => return,
            _ => {}
        }
        if self.0.len() == Self::POINTS {
            self.0.pop_front();
        }
        self.0.push_back((at_s, value));
    }

    /// True when the newest sixteen points do not rise any more.
    #[must_use]
    pub fn rests(&self) -> bool {
        const LAST: usize = 16;
        self.0.len() >= LAST && self.0.iter().rev().nth(LAST - 1).zip(self.0.back()).is_some_and(|(old, new)| new.1 <= old.1)
    }

    /// Seconds covered.
    #[must_use]
    pub fn span_s(&self) -> f64 {
        match (self.0.front(), self.0.back()) {
            (Some((a, _)), Some((b, _))) => b - a,
            _ => 0.0,
        }
    }

    /// Growth per second: the median of all pairs, and the slow end of the interval. Credible only with 60 s of history
    /// and a rise in three quarters of the steps; `None` when it does not grow so.
    #[must_use]
    pub fn growth(&self) -> Option<(f64, f64)> {
        let falling = Self(self.0.iter().map(|(at, value)| (*at, -value)).collect());
        let slopes = falling.falls()?;
        let at = |share: f64| -slopes[((slopes.len() - 1) as f64 * share) as usize];
        let (median, slow) = (at(0.5), at(0.9));
        (slow > 0.0).then_some((median, slow))
    }

    /// Seconds until the value reaches zero, with the late end of its interval: Theil-Sen over the pairs, credible
    /// only with 60 s of history and a fall in three quarters of the steps. `None` when it is not falling so.
    #[must_use]
    pub fn time_to_zero(&self) -> Option<(f64, f64)> {
        let slopes = self.falls()?;
        let at = |share: f64| slopes[((slopes.len() - 1) as f64 * share) as usize];
        let (median, late) = (at(0.5), at(0.9));
        let now = self.0.back()?.1;
        (late < 0.0).then(|| (now / -median, now / -late))
    }

    /// The slopes of all pairs, steepest fall first, when it falls steadily.
    fn falls(&self) -> Option<Vec<f64>> {
        const MINIMUM_S: f64 = 60.0;
        if self.span_s() < MINIMUM_S || self.0.len() < 8 {
            return None;
        }
        let steps = self.0.len() - 1;
        let falls = self.0.iter().zip(self.0.iter().skip(1)).filter(|(a, b)| b.1 < a.1).count();
        if falls * 4 < steps * 3 {
            return None;
        }
        let mut slopes = Vec::new();
        for (i, a) in self.0.iter().enumerate() {
            slopes.extend(self.0.iter().skip(i + 1).map(|b| (b.1 - a.1) / (b.0 - a.0)));
        }
        slopes.sort_by(f64::total_cmp);
        Some(slopes)
    }
}

/// A mount by its place and what is mounted there.
#[must_use]
pub fn mount_key(fs: &FsRaw) -> String {
    format!("{} {} {}", fs.mount.shown(), fs.device, fs.source.shown())
}

/// Windows kept per device.
const CLEAN_WINDOWS: usize = 120;

impl Learned {
    /// Learns from the facts of one evaluation.
    pub fn learn(&mut self, facts: &Facts) {
        const SHORT_QUEUE: f64 = 1.0;
        const FEW_OPERATIONS: f64 = 5.0;
        for disk in facts.host.disks.iter().flatten().filter(|d| d.leaf && d.queue < SHORT_QUEUE) {
            let enough = disk.reads_per_s + disk.writes_per_s >= FEW_OPERATIONS;
            if let Some(ms) = disk.await_ms.filter(|_| enough) {
                let ring = self.clean.entry(disk.name.shown().to_owned()).or_default();
                if ring.len() == CLEAN_WINDOWS {
                    ring.pop_front();
                }
                ring.push_back(ms as f32);
            }
        }
        self.learn_replies(facts);
        self.learn_growth(facts);
        self.postgres.learn(facts);
        if let Ok(mounts) = &facts.host.filesystems {
            self.writable.retain(|key| mounts.iter().any(|fs| mount_key(fs) == *key));
            let written = mounts.iter().filter(|fs| !fs.read_only || fs.stopped_by_error);
            self.writable.extend(written.map(mount_key));
        }
        let now_s = facts.at.mono_ns as f64 / 1e9;
        if let Ok(memory) = &facts.host.memory {
            self.memory.push(now_s, memory.available_bytes as f64);
        }
        let read_s = facts.host.filesystems_ns as f64 / 1e9;
        let mounted = |mount: &String| facts.host.filesystems.iter().flat_map(|f| f.iter()).any(|fs| fs.mount.shown() == mount);
        self.space.retain(|mount, _| mounted(mount));
        for fs in facts.host.filesystems.iter().flat_map(|f| f.iter()) {
            if let Ok(space) = &fs.space {
                let series = self.space.entry(fs.mount.shown().to_owned()).or_default();
                series.push(read_s, space.available_bytes as f64);
            }
        }
    }

    /// Follows the processes that grow; one that stops growing for a while loses its place to another.
    fn learn_growth(&mut self, facts: &Facts) {
        const FOLLOWED: usize = 12;
        const GROWS: f64 = 65_536.0;
        let now_s = facts.at.mono_ns as f64 / 1e9;
        let mut growing: Vec<_> = facts.processes().iter().filter(|p| !p.kernel).collect();
        growing.sort_by(|a, b| {
            let of = |p: &crate::model::facts::ProcFacts| p.rss_growth_bytes_per_s.unwrap_or(0.0);
            of(b).total_cmp(&of(a)).then(a.id.cmp(&b.id))
        });
        let alive = |key: &String| growing.iter().any(|p| p.id.to_string() == *key);
        self.resident.retain(|key, series| alive(key) && !series.rests());
        for p in growing {
            let key = p.id.to_string();
            let grows = p.rss_growth_bytes_per_s.is_some_and(|g| g > GROWS);
            if self.resident.contains_key(&key) || grows && self.resident.len() < FOLLOWED {
                self.resident.entry(key).or_default().push(now_s, p.rss_bytes as f64);
            }
        }
    }

    /// A figure of a server over time, by its name.
    #[must_use]
    pub fn trend(&self, source: &str, what: &str) -> Option<&Series> {
        self.postgres.trends.get(&format!("{source} {what}"))
    }

    /// Milliseconds a call and calls a second of a query as they were before; `None` until it was seen often enough.
    #[must_use]
    pub fn usual_query(&self, source: &str, row: &crate::model::postgres::StatementRow) -> Option<(f64, f64)> {
        self.postgres.usual(source, row)
    }

    fn learn_replies(&mut self, facts: &Facts) {
        const PEERS: usize = 64;
        const QUESTIONS_PER_S: f64 = 5.0;
        for link in facts.host.sockets.iter().flat_map(|s| &s.peers).filter(|l| l.segments_per_s >= QUESTIONS_PER_S) {
            let key = link.peer.to_string();
            if let Some(ms) = link.reply_ms().filter(|_| self.replies.len() < PEERS || self.replies.contains_key(&key)) {
                let ring = self.replies.entry(key).or_default();
                if ring.len() == CLEAN_WINDOWS {
                    ring.pop_front();
                }
                ring.push_back(ms as f32);
            }
        }
    }

    /// Milliseconds from question to reply of a peer when it is not loaded, its network's round trip included: the 10th
    /// percentile of what was seen, between 5 and 50 ms; 10 ms until it was seen often enough. Above 50 ms nobody
    /// calls a reply fast, however used to it one is.
    #[must_use]
    pub fn clean_reply_ms(&self, link: &PeerFacts) -> f64 {
        const ENOUGH: usize = 5;
        let ring = self.replies.get(&link.peer.to_string()).filter(|r| r.len() >= ENOUGH);
        let learned = ring.map_or(10.0, |ring| {
            let mut sorted: Vec<f32> = ring.iter().copied().collect();
            sorted.sort_by(f32::total_cmp);
            f64::from(sorted[sorted.len() / 10])
        });
        learned.clamp(5.0, 50.0) + link.rtt_ms.min(1000.0)
    }

    /// Milliseconds per operation of a device when it is not loaded: the 10th percentile of what was seen with a
    /// short queue, and never above the default of its kind (0.2 ms, rotating 8 ms) unless it was learned.
    #[must_use]
    pub fn clean_ms(&self, device: &str, rotational: bool) -> f64 {
        const ENOUGH: usize = 5;
        let default = if rotational { 8.0 } else { 0.2 };
        let Some(ring) = self.clean.get(device).filter(|r| r.len() >= ENOUGH) else { return default };
        let mut sorted: Vec<f32> = ring.iter().copied().collect();
        sorted.sort_by(f32::total_cmp);
        f64::from(sorted[sorted.len() / 10]).max(0.02)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_needs_history_and_a_steady_fall() {
        let mut falling = Series::default();
        let mut noisy = Series::default();
        for i in 0..90 {
            let t = f64::from(i);
            falling.push(t, 1000.0 - 10.0 * t);
            noisy.push(t, 1000.0 + if i % 2 == 0 { 5.0 } else { -5.0 });
        }
        let (eta, late) = falling.time_to_zero().unwrap();
        assert!((eta - 11.0).abs() < 0.5 && late >= eta - 0.1);
        assert_eq!(noisy.time_to_zero(), None);
        let mut young = Series::default();
        (0..30).for_each(|i| young.push(f64::from(i), 1000.0 - 30.0 * f64::from(i)));
        assert_eq!(young.time_to_zero(), None);
    }

    #[test]
    fn growth_is_told_from_a_cache_that_fills_and_rests() {
        let series = |f: &dyn Fn(f64) -> f64, n: i32| {
            let mut s = Series::default();
            (0..n).for_each(|i| s.push(f64::from(i), f(f64::from(i))));
            s
        };
        let (median, slow) = series(&|t| 1e8 + 1e6 * t, 90).growth().unwrap();
        assert!((median - 1e6).abs() < 1.0 && slow <= median);
        assert_eq!(series(&|t| 1e8 + 1e6 * t, 30).growth(), None, "half a minute says nothing");
        assert_eq!(series(&|t| 1e8 + 1e6 * t.min(20.0), 90).growth(), None);
        assert!(series(&|t| 1e8 + 1e6 * t.min(20.0), 90).rests());
        assert_eq!(series(&|t| 1e8 - 1e6 * t, 90).growth(), None);
    }
}
