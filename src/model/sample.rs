//! One tick of what the world said, and the snapshot it is folded into. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::counter::Stamp;
use super::demand::{Answer, Demand, Detail};
use super::host::{FsRaw, HostSample, HostSweep, Identity, KernelMessage, Peers, Serving, StateSampling};
use super::named::Names;
use super::postgres::{Answered, PgSample, PgState};
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
    /// What PostgreSQL servers said, by source id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub postgres: BTreeMap<String, PgSample>,
    /// Sources and their states: a recorded sample like any other.
    #[serde(default)]
    pub sources: Option<Vec<SourceStatus>>,
    /// Answers to demands.
    #[serde(default)]
    pub answers: Vec<Answer>,
}

/// What a server of one kind said.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerSample {
    /// PostgreSQL.
    Postgres(Box<PgSample>),
}

impl Sample {
    /// Adds what a server said, by its source id.
    pub fn put(&mut self, id: String, said: ServerSample) {
        match said {
            ServerSample::Postgres(sample) => _ = self.postgres.insert(id, *sample),
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
    /// PostgreSQL servers, by source id.
    #[serde(default)]
    pub postgres: BTreeMap<String, Arc<PgState>>,
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
            postgres: BTreeMap::new(),
            sources: Arc::default(),
        }
    }
}

impl Snapshot {
    /// The servers after this sample; one that is no source any more is forgotten.
    fn servers(&self, sample: &Sample) -> BTreeMap<String, Arc<PgState>> {
        let gone = |id: &String| sample.sources.as_ref().is_some_and(|s| !s.iter().any(|s| s.id == *id));
        let ids = self.postgres.keys().chain(sample.postgres.keys()).filter(|id| !gone(id));
        let mut servers = BTreeMap::new();
        let nothing = PgSample::default();
        for id in ids {
            let before = self.postgres.get(id).cloned().unwrap_or_default();
            let fresh = sample.postgres.get(id).unwrap_or(&nothing);
            servers.entry(id.clone()).or_insert_with(|| Arc::new(before.fold(fresh, answers_for(sample, id), sample.at.mono_ns)));
        }
        servers
    }

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
            postgres: self.servers(sample),
            sources: sample.sources.clone().map_or_else(|| self.sources.clone(), Arc::new),
        }
    }
}

/// Answers that this sample brought for a server.
fn answers_for(sample: &Sample, id: &str) -> Answered {
    let mut answered = Answered::default();
    for answer in &sample.answers {
        let (Demand::Plan { source, query, database, .. } | Demand::Trial { source, query, database, .. }) = &answer.demand
        else {
            continue;
        };
        if source != id {
            continue;
        }
        let of = (database.clone(), *query);
        match (&answer.demand, &answer.detail) {
            (_, Ok(Detail::Plan(plan))) => answered.plans.push((of, Ok(plan.clone()))),
            (_, Ok(Detail::Trial(trial))) => answered.trials.push((of, Ok(trial.clone()))),
            (Demand::Trial { .. }, Err(lack)) => answered.trials.push((of, Err(lack.clone()))),
            (_, Err(lack)) => answered.plans.push((of, Err(lack.clone()))),
            (_, Ok(Detail::Process(_))) => {}
        }
    }
    answered
}

fn slow<T: Clone>(fresh: Option<&Seen<T>>, kept: &Seen<Arc<T>>) -> Seen<Arc<T>> {
    match fresh {
        Some(value) => value.clone().map(Arc::new),
        None => kept.clone(),
    }
}
