//! What is learned of this machine: what is usual for its devices, peers, listeners and servers. Serialisable, because each segment of
//! a recording starts with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::model::facts::{Facts, PeerFacts};
use crate::model::host::FsRaw;
use crate::model::kinds::kinds;

use super::queues::Queues;
use super::series::Series;
use super::stands::Stands;

/// What was learned of this machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// Per device the latencies (ms) in windows with a short queue, newest last.
    #[serde(rename = "clean")]
    pub baseline: BTreeMap<String, VecDeque<f32>>,
    /// MemAvailable over time: (seconds of CLOCK_MONOTONIC, bytes).
    pub memory: Series,
    /// Per peer the milliseconds from request to response, newest last.
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
    /// Per listener the requests that it missed and has not had since.
    #[serde(default)]
    pub missed: BTreeMap<String, f32>,
    /// When that was noted last, wall clock ms.
    #[serde(default)]
    pub missed_ms: i64,
    /// What stood at each port.
    #[serde(default)]
    pub stands: Stands,
    /// What waited in the queues of unix sockets.
    #[serde(default)]
    pub queues: Queues,
    /// Free bytes of each mount over time.
    pub space: BTreeMap<String, Series>,
    /// Free inodes of each mount over time.
    #[serde(default)]
    pub inodes: BTreeMap<String, Series>,
    /// What is learned of servers.
    #[serde(flatten)]
    pub servers: LearnedServers,
}

macro_rules! learned {
    ($($Kind:ident $folder:ident $name:literal,)*) => {
        /// What is learned of servers, by their kind.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "a kind each")]
        pub struct LearnedServers {
            $(
                #[serde(default)]
                pub $folder: super::$folder::Learning,
            )*
        }

        impl LearnedServers {
            fn learn(&mut self, facts: &Facts) {
                $(self.$folder.learn(facts);)*
            }
        }
    };
}

kinds!(learned);

/// A mount by its place and what is mounted there.
#[must_use]
pub fn mount_key(fs: &FsRaw) -> String {
    format!("{} {} {}", fs.mount.shown(), fs.device, fs.source.shown())
}

/// Windows kept per device.
const BASELINE_WINDOWS: usize = 120;

impl Learned {
    /// Learns from the facts of one evaluation.
    pub fn learn(&mut self, facts: &Facts) {
        const SHORT_QUEUE: f64 = 1.0;
        const FEW_OPERATIONS: f64 = 5.0;
        for disk in facts.host.disks.iter().flatten().filter(|d| d.leaf && d.queue < SHORT_QUEUE) {
            let enough = disk.reads_per_s + disk.writes_per_s >= FEW_OPERATIONS;
            if let Some(ms) = disk.await_ms.filter(|_| enough) {
                let ring = self.baseline.entry(disk.name.shown().to_owned()).or_default();
                if ring.len() == BASELINE_WINDOWS {
                    ring.pop_front();
                }
                ring.push_back(ms as f32);
            }
        }
        self.learn_replies(facts);
        self.learn_growth(facts);
        self.servers.learn(facts);
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
        self.inodes.retain(|mount, _| mounted(mount));
        for fs in facts.host.filesystems.iter().flat_map(|f| f.iter()) {
            if let Ok(space) = &fs.space {
                let series = self.space.entry(fs.mount.shown().to_owned()).or_default();
                series.push(read_s, space.available_bytes as f64);
                if space.inodes > 0 {
                    let series = self.inodes.entry(fs.mount.shown().to_owned()).or_default();
                    series.push(read_s, space.inodes_free as f64);
                }
            }
        }
    }

    /// Follows the memory of their own of processes that grow; one that stops growing for a while loses its place to another.
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
                self.resident.entry(key).or_default().push(now_s, p.private_bytes as f64);
            }
        }
    }

    fn learn_replies(&mut self, facts: &Facts) {
        const PEERS: usize = 64;
        const REQUESTS_PER_S: f64 = 5.0;
        for link in facts.host.sockets.iter().flat_map(|s| &s.peers).filter(|l| l.segments_per_s >= REQUESTS_PER_S) {
            let key = link.peer.to_string();
            if let Some(ms) = link.reply_ms().filter(|_| self.replies.len() < PEERS || self.replies.contains_key(&key)) {
                let ring = self.replies.entry(key).or_default();
                if ring.len() == BASELINE_WINDOWS {
                    ring.pop_front();
                }
                ring.push_back(ms as f32);
            }
        }
    }

    /// Milliseconds from request to response of a peer when it is not loaded, its network's round trip included: the 10th
    /// percentile of what was seen, between 5 and 50 ms; 10 ms until it was seen often enough. Above 50 ms nobody
    /// calls a reply fast, however used to it one is. A program of this host that does nothing may be asked for what is to come (a long poll):
    /// without bounds where its answers take seconds and nothing faster is known of it.
    #[must_use]
    pub fn baseline_reply_ms(&self, link: &PeerFacts) -> f64 {
        const ENOUGH: usize = 5;
        const LONG_POLL_MS: f64 = 2000.0;
        let ring = self.replies.get(&link.peer.to_string()).filter(|r| r.len() >= ENOUGH);
        let learned = ring.map(|ring| {
            let mut sorted: Vec<f32> = ring.iter().copied().collect();
            sorted.sort_by(f32::total_cmp);
            f64::from(sorted[sorted.len() / 10])
        });
        let slow = |ms: Option<f64>| ms.is_none_or(|ms| ms >= LONG_POLL_MS);
        if link.local && slow(learned) && slow(link.reply_ms()) {
            return f64::INFINITY;
        }
        let learned = learned.unwrap_or(10.0);
        learned.clamp(5.0, 50.0) + link.rtt_ms.min(1000.0)
    }

    /// Milliseconds per operation of a device when it is not loaded: the 10th percentile of what was seen with a
    /// short queue, and never above the default of its kind (0.2 ms, rotating 8 ms) unless it was learned.
    #[must_use]
    pub fn baseline_ms(&self, device: &str, rotational: bool) -> f64 {
        const ENOUGH: usize = 5;
        let default = if rotational { 8.0 } else { 0.2 };
        let Some(ring) = self.baseline.get(device).filter(|r| r.len() >= ENOUGH) else { return default };
        let mut sorted: Vec<f32> = ring.iter().copied().collect();
        sorted.sort_by(f32::total_cmp);
        f64::from(sorted[sorted.len() / 10]).max(0.02)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::service;
    use crate::detect::bench::sockets::peer;

    #[test]
    fn what_takes_seconds_here_and_was_never_faster_is_a_long_poll() {
        let mut learned = Learned::default();
        let link =
            |per_s, local| PeerFacts { local, segments_per_s: per_s, rtt_ms: 0.0, ..peer(service(100, "api", 8080).id, 15.0) };
        // Fifteen that wait: 2.3 s each, and none that was answered.
        assert!(
            learned.baseline_reply_ms(&link(6.5, true)).is_infinite()
                && learned.baseline_reply_ms(&link(0.5, true)).is_infinite()
        );
        assert_eq!((learned.baseline_reply_ms(&link(9.0, true)), learned.baseline_reply_ms(&link(0.5, false))), (10.0, 10.0));
        // It was fast before: it hangs.
        learned.replies.insert(link(1.0, true).peer.to_string(), [3.0; 5].into());
        assert_eq!(learned.baseline_reply_ms(&link(0.5, true)), 5.0);
    }
}
