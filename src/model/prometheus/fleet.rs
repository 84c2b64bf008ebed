//! The hosts that a Prometheus watches, by a constant number of questions: each signal of each host, now and at the same time before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::cost::Cost;
use crate::model::foreign::Foreign;

/// All hosts at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// By name.
    pub hosts: BTreeMap<String, FleetHost>,
    /// How long before the readings of the past are, as PromQL writes it; empty: there are none.
    pub before: String,
    /// The window of rates.
    pub window: String,
    /// What of it is not known: a group of signals, and why.
    pub lacks: BTreeMap<String, Foreign>,
    /// What it took.
    pub cost: Cost,
}

impl Fleet {
    /// What is not known of some hosts, because their exporters do not tell it: what, and of how many.
    #[must_use]
    pub fn unread(&self) -> Vec<(&'static str, String)> {
        let all = self.hosts.len();
        let without = |k: &str| all - self.hosts.values().filter(|h| h.now.contains_key(k)).count();
        let rows = [("pressure of hosts", "psi_cpu"), ("node exporter", "cpu_util")].map(|(what, k)| (what, without(k)));
        let told = rows.into_iter().filter(|(_, n)| *n > 0);
        told.map(|(what, n)| (what, format!("no metrics from {n} of {all} hosts; what those lose is not known"))).collect()
    }

    /// Too little is known for "nothing is wrong": of more than half of the hosts not even how busy they are.
    #[must_use]
    pub fn blind(&self) -> bool {
        let known = self.hosts.values().filter(|h| h.now.contains_key("cpu_util")).count();
        known * 2 < self.hosts.len() || self.hosts.is_empty()
    }
}

/// A host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FleetHost {
    /// Targets on it that did not answer the last scrape, by job.
    #[serde(default)]
    pub down: Vec<Foreign>,
    /// All its targets.
    #[serde(default)]
    pub targets: u32,
    /// Readings by signal.
    pub now: BTreeMap<String, f64>,
    /// The same, before.
    #[serde(default)]
    pub past: BTreeMap<String, f64>,
    /// What a reading is about, by signal: a mount point, a device.
    #[serde(default)]
    pub about: BTreeMap<String, Foreign>,
}

/// A host over the last hour.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HostHistory {
    /// Which.
    pub host: String,
    /// Between two points, seconds.
    pub step_s: u64,
    /// Points by signal, oldest first; `None` is a gap.
    pub signals: BTreeMap<String, Vec<Option<f32>>>,
}
