//! One tick of what the world said, and the snapshot it is folded into. Pure.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::counter::Stamp;
use super::demand::{Answer, Closely};
use super::host::{ChangedFile, FsRaw, HostSample, HostSweep, Identity, KernelMessage, Peers, Serving, StateSampling};
use super::named::Names;
use super::seen::{Lack, Seen, Why};
use super::server::Samples;
use super::source::SourceStatus;
use super::states::{Beside, States};

/// All that arrived in one tick; what the recorder writes and what the engine folds, live or replayed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The tick's stamp.
    pub at: Stamp,
    /// The host's part.
    #[serde(default)]
    pub host: HostSample,
    /// What servers said.
    #[serde(flatten)]
    pub servers: Samples,
    /// Sources and their states: a recorded sample like any other.
    #[serde(default)]
    pub sources: Option<Vec<SourceStatus>>,
    /// Answers to demands.
    #[serde(default)]
    pub answers: Vec<Answer>,
}

impl Sample {
    /// This and the next tick as one, for a recording that keeps fewer ticks than were looked at: nothing that was read is lost, and
    /// what counts since the tick before counts since the one before this.
    #[must_use]
    pub fn join(self, later: Self) -> Self {
        Self {
            at: later.at,
            host: self.host.join(later.host),
            servers: self.servers.join(later.servers),
            sources: later.sources.or(self.sources),
            answers: [self.answers, later.answers].concat(),
        }
    }

    /// The sample as it may be used when it came from a file: limits of groups are only what the kernel writes.
    #[must_use]
    pub fn plausible(mut self) -> Self {
        let groups = self.host.sweep.iter_mut().flat_map(|s| Arc::make_mut(s).cgroups.iter_mut().flatten());
        for io in groups.filter_map(|g| g.io.as_mut()) {
            let number = |d: &str| d.split_once(':').is_some_and(|(a, b)| a.parse::<u32>().is_ok() && b.parse::<u32>().is_ok());
            io.limits.retain(|l| number(&l.device) && ["rbps", "wbps", "riops", "wiops"].contains(&l.what.as_str()));
        }
        self
    }
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
    /// The tick at which they were read (CLOCK_MONOTONIC ns): trends must not count one reading twice.
    #[serde(default)]
    pub filesystems_ns: u64,
    /// Task states seen since the snapshot before.
    pub states: Option<Arc<StateSampling>>,
    /// Who serves, as last read.
    pub serving: Seen<Arc<Serving>>,
    /// Whom processes wait for, seen since the snapshot before.
    #[serde(default)]
    pub peers: Option<Seen<Arc<Peers>>>,
    /// What the kernel said lately, oldest first.
    #[serde(default)]
    pub messages: Option<Arc<Vec<KernelMessage>>>,
    /// What containers and pods are called.
    #[serde(default)]
    pub names: Arc<Names>,
    /// Files that were changed lately, as last read.
    #[serde(default)]
    pub changed: Arc<Vec<ChangedFile>>,
    /// Processes that were looked at closely lately.
    #[serde(default)]
    pub closely: Arc<Closely>,
    /// Servers.
    #[serde(flatten)]
    pub servers: States,
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
            filesystems_ns: 0,
            states: None,
            serving: Err(not_yet("sockets of processes")),
            peers: None,
            messages: None,
            names: Arc::default(),
            changed: Arc::default(),
            closely: Arc::default(),
            servers: States::default(),
            sources: Arc::default(),
        }
    }
}

impl Snapshot {
    /// The messages so far and those of this sweep: the newest of the last ten minutes.
    fn said(&self, sweep: Option<&HostSweep>) -> Option<Arc<Vec<KernelMessage>>> {
        const MOST: usize = 64;
        const LONG_US: u64 = 600_000_000;
        let Some(sweep) = sweep else { return self.messages.clone() };
        let new = sweep.messages.as_ref()?;
        let now_us = sweep.at.mono_ns / 1000;
        let fresh = |m: &&KernelMessage| now_us.saturating_sub(m.at_us) < LONG_US;
        if new.is_empty() && self.messages.as_ref().is_some_and(|old| old.iter().all(|m| fresh(&m))) {
            return self.messages.clone();
        }
        let mut all: Vec<KernelMessage> =
            self.messages.iter().flat_map(|old| old.iter()).chain(new).filter(fresh).cloned().collect();
        let cut = all.len().saturating_sub(MOST);
        Some(Arc::new(all.split_off(cut)))
    }

    /// Folds one sample over what was known before. A sweep is never carried over: its counters belong to its
    /// tick; slow probes keep their last value.
    #[must_use]
    pub fn fold(&self, sample: &Sample) -> Self {
        let host = &sample.host;
        let beside = Beside { answers: &sample.answers, sources: sample.sources.as_deref(), now_ns: sample.at.mono_ns };
        let hung = || host.hung.clone().unwrap_or_else(|| Lack::new(Why::NotYet, "host sweep"));
        Self {
            at: sample.at,
            identity: host.identity.clone().map(Arc::new).or_else(|| self.identity.clone()),
            sweep: host.sweep.clone().ok_or_else(hung),
            filesystems_ns: if host.filesystems.is_some() { sample.at.mono_ns } else { self.filesystems_ns },
            filesystems: slow(host.filesystems.as_ref(), &self.filesystems),
            states: host.states.clone().map(Arc::new),
            serving: slow(host.serving.as_ref(), &self.serving),
            messages: self.said(host.sweep.as_deref()),
            peers: host.peers.clone().map(|p| p.map(Arc::new)),
            names: host.names.clone().map_or_else(|| self.names.clone(), Arc::new),
            changed: host.changed.clone().map_or_else(|| self.changed.clone(), Arc::new),
            closely: if sample.answers.is_empty() && *self.closely == Closely::default() {
                self.closely.clone()
            } else {
                Arc::new(self.closely.with(&sample.answers, sample.at.mono_ns))
            },
            servers: self.servers.fold(&sample.servers, &beside),
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
