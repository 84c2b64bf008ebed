//! What a Redis server (or one of its kin) said: INFO, histograms of latency, the slow log, clients, settings. Serialisable and pure.
//! What never lives here: rates (`model::facts::redis`), commands and connections (`collect::redis`).

mod asked;
mod clients;
mod info;
mod instance;
mod keys;
mod kind;
mod latency;
mod slowlog;

pub use clients::{Client, Clients};
pub use info::{CommandRow, Info, Keyspace, NUMBERS, ReplicaRow, WORDS};
pub use instance::{Flavour, Instance, Mode, Reached};
pub use keys::{BigKey, BigKeys};
pub use kind::{Redis, RedisAsk, RedisDetail};
pub use latency::Histogram;
pub use slowlog::{SlowEntry, Slowlog};

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::seen::{Lack, Seen, Why};

/// Keys of a server in the configuration.
pub const SETTINGS: &[&str] = &["url", "password_file"];

/// What one server said at one tick. `None`: that was not due, the value before still stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RedisSample {
    /// Who it is; when it changes and at the start of a recording.
    pub instance: Option<Instance>,
    /// Its counters and levels.
    pub info: Option<Seen<Info>>,
    /// Milliseconds from a PING to its answer, each of this tick's.
    pub round_trips_ms: Vec<f32>,
    /// Latency by command since the counters began.
    pub latency: Option<Seen<Vec<Histogram>>>,
    /// The newest slow commands.
    pub slowlog: Option<Seen<Slowlog>>,
    /// Its clients.
    pub clients: Option<Seen<Clients>>,
    /// Settings by name.
    pub settings: Option<Seen<BTreeMap<String, String>>>,
    /// Its largest keys, while they are looked for.
    pub keys: Option<Seen<BigKeys>>,
    /// How long a request has been standing without an answer, milliseconds; `None`: none stands for long.
    pub silent_ms: Option<u64>,
    /// What perftop itself asked since it connected, by command: it is left out of every figure.
    pub own: Option<BTreeMap<String, u64>>,
}

/// The newest of everything that one server said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RedisState {
    /// Who it is.
    pub instance: Option<Arc<Instance>>,
    /// INFO of this tick.
    pub info: Seen<Arc<Info>>,
    /// When it came (CLOCK_MONOTONIC ns).
    #[serde(default)]
    pub info_ns: u64,
    /// The newest INFO that came at all.
    pub known: Option<Arc<Info>>,
    /// How long a request has been standing without an answer, milliseconds.
    pub silent_ms: Option<u64>,
    /// Round trips of this tick, milliseconds.
    pub round_trips_ms: Vec<f32>,
    /// Latency of this tick.
    pub latency: Seen<Arc<Vec<Histogram>>>,
    /// The slow log as read last.
    pub slowlog: Seen<Arc<Slowlog>>,
    /// Clients as read last, and when that was (CLOCK_MONOTONIC ns).
    pub clients: Seen<Arc<Clients>>,
    /// When clients were read.
    pub clients_ns: u64,
    /// Settings as read last.
    pub settings: Seen<Arc<BTreeMap<String, String>>>,
    /// Its largest keys, as far as they were looked for.
    #[serde(default = "not_looked_for")]
    pub keys: Seen<Arc<BigKeys>>,
    /// When they were looked at last (CLOCK_MONOTONIC ns).
    #[serde(default)]
    pub keys_ns: u64,
    /// What perftop asked.
    pub own: Arc<BTreeMap<String, u64>>,
}

fn not_looked_for() -> Seen<Arc<BigKeys>> {
    Err(Lack::new(Why::NotYet, "big keys are looked for when asked"))
}

impl Default for RedisState {
    fn default() -> Self {
        let not_yet = |what: &str| Lack::new(Why::NotYet, what);
        Self {
            instance: None,
            info: Err(not_yet("INFO")),
            info_ns: 0,
            known: None,
            silent_ms: None,
            round_trips_ms: Vec::new(),
            latency: Err(not_yet("LATENCY HISTOGRAM")),
            slowlog: Err(not_yet("SLOWLOG")),
            clients: Err(not_yet("CLIENT LIST")),
            clients_ns: 0,
            settings: Err(not_yet("CONFIG GET")),
            keys: not_looked_for(),
            keys_ns: 0,
            own: Arc::default(),
        }
    }
}

impl RedisState {
    /// Folds one tick over what was known.
    #[must_use]
    pub fn fold(&self, sample: &RedisSample, now_ns: u64) -> Self {
        let kept = |fresh: &Option<BTreeMap<String, u64>>| fresh.clone().map_or_else(|| self.own.clone(), Arc::new);
        // A tick that falls between two readings keeps the one before, which knows its own time.
        const KEPT_NS: u64 = 2_500_000_000;
        let (info, info_ns) = match &sample.info {
            Some(fresh) => (fresh.clone().map(Arc::new), now_ns),
            None if now_ns.saturating_sub(self.info_ns) < KEPT_NS => (self.info.clone(), self.info_ns),
            None => (Err(Lack::new(Why::NotYet, "INFO")), self.info_ns),
        };
        Self {
            instance: sample.instance.clone().map(Arc::new).or_else(|| self.instance.clone()),
            known: info.as_ref().ok().cloned().or_else(|| self.known.clone()),
            info,
            info_ns,
            silent_ms: sample.silent_ms,
            round_trips_ms: sample.round_trips_ms.clone(),
            latency: slow(&sample.latency, &self.latency),
            slowlog: slow(&sample.slowlog, &self.slowlog),
            clients: slow(&sample.clients, &self.clients),
            clients_ns: if sample.clients.is_some() { now_ns } else { self.clients_ns },
            settings: slow(&sample.settings, &self.settings),
            keys: slow(&sample.keys, &self.keys),
            keys_ns: if sample.keys.is_some() { now_ns } else { self.keys_ns },
            own: kept(&sample.own),
        }
    }
}

fn slow<T: Clone>(fresh: &Option<Seen<T>>, kept: &Seen<Arc<T>>) -> Seen<Arc<T>> {
    fresh.clone().map_or_else(|| kept.clone(), |value| value.map(Arc::new))
}
