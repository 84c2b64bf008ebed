//! One tick of what the world said, and the snapshot it is folded into. Pure.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::counter::Stamp;
use super::demand::Answer;
use super::host::{FsRaw, HostSample, HostSweep, Identity, Serving, StateSampling};
use super::seen::{Lack, Seen, Why};
use super::source::SourceStatus;

/// All that arrived in one tick; what the recorder writes and what the engine folds, live or replayed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The tick's stamp.
    pub at: Stamp,
    /// The host's part.
    #[serde(default)]
    pub host: HostSample,
    /// Sources and their states: a recorded sample like any other.
    #[serde(default)]
    pub sources: Option<Vec<SourceStatus>>,
    /// Answers to demands.
    #[serde(default)]
    pub answers: Vec<Answer>,
}

/// The newest known value of every probe at one tick.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// The tick's stamp.
    pub at: Stamp,
    /// Who the host is.
    pub identity: Option<Arc<Identity>>,
    /// The sweep of this tick, or why there is none.
    pub sweep: Seen<Arc<HostSweep>>,
    /// File systems as last read.
    pub filesystems: Seen<Arc<Vec<FsRaw>>>,
    /// Task states seen since the snapshot before.
    pub states: Option<Arc<StateSampling>>,
    /// Who serves, as last read.
    pub serving: Seen<Arc<Serving>>,
    /// Sources as last told.
    pub sources: Arc<Vec<SourceStatus>>,
}

impl Default for Snapshot {
    fn default() -> Self {
        let not_yet = |what: &str| Lack::new(Why::NotYet, what);
        Self {
            at: Stamp::default(),
            identity: None,
            sweep: Err(not_yet("host sweep")),
            filesystems: Err(not_yet("file systems")),
            states: None,
            serving: Err(not_yet("sockets of processes")),
            sources: Arc::default(),
        }
    }
}

impl Snapshot {
    /// Folds one sample over what was known before. A sweep is never carried over: its counters belong to its
    /// tick; slow probes keep their last value.
    #[must_use]
    pub fn fold(&self, sample: &Sample) -> Self {
        let host = &sample.host;
        let hung = || host.hung.clone().unwrap_or_else(|| Lack::new(Why::NotYet, "host sweep"));
        Self {
            at: sample.at,
            identity: host.identity.clone().map(Arc::new).or_else(|| self.identity.clone()),
            sweep: host.sweep.clone().map(Arc::new).ok_or_else(hung),
            filesystems: slow(host.filesystems.as_ref(), &self.filesystems),
            states: host.states.clone().map(Arc::new),
            serving: slow(host.serving.as_ref(), &self.serving),
            sources: sample.sources.clone().map_or_else(|| self.sources.clone(), Arc::new),
        }
    }
}

fn slow<T: Clone>(fresh: Option<&Seen<T>>, kept: &Seen<Arc<T>>) -> Seen<Arc<T>> {
    match fresh {
        Some(value) => value.clone().map(Arc::new),
        None => kept.clone(),
    }
}
