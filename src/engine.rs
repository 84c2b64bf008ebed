//! Samples in, pictures out: fold, judge, remember, publish. Live and replayed samples take the same way.
//! [`Engine`] is pure; the drivers below it run it on a thread of its own.

mod keeping;
mod live;
mod recorder;
mod replay;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use crate::detect::diagnosis::Diagnosis;
use crate::detect::finding::Severity;
use crate::detect::judge::{self, Evaluation};
use crate::detect::kinds::KINDS;
use crate::detect::memory::{Memory, Mute};
use crate::detect::params::ParamOverrides;
use crate::diagnose::{Mode, Own, Picture, Recording};
use crate::model::counter::Stamp;
use crate::model::demand::{Demand, Detail};
use crate::model::history::History;
use crate::model::sample::{Sample, Snapshot};
use crate::model::seen::Seen;
use crate::record::tame;

pub use live::{LiveOptions, live};
pub use replay::{Playback, ReplayOptions, begin, replay};

/// Seconds that an evaluation looks back on.
pub const WINDOW_S: f64 = 5.0;
/// Half a tick of jitter.
const SLACK_S: f64 = 0.25;
/// So many answers to demands are kept.
const ANSWERS: usize = 64;

/// What the screen asks of the engine.
#[derive(Debug, Clone)]
pub enum Ask {
    /// More about something.
    Demand(Demand),
    /// A process name weighs this much from now on; `None` takes it back.
    Weigh {
        /// Name of the process.
        name: String,
        /// Its weight.
        weight: Option<f64>,
    },
    /// Mute a finding for so many seconds; 0 takes it back.
    Mute {
        /// Its key.
        key: String,
        /// Why.
        reason: String,
        /// For how long.
        seconds: u32,
    },
    /// A fix of a finding was taken: say so when it is still there after that time.
    Taken {
        /// Its key.
        key: String,
        /// Seconds until it should have worked.
        seconds: u32,
    },
    /// Record from now on, into the first of these files that can be written.
    Record(Vec<PathBuf>),
    /// End that recording.
    StopRecording,
    /// Replay: stand still or go on.
    Pause,
    /// Replay: one tick on.
    Step,
    /// Replay: times real time, in percent.
    Speed(u32),
    /// Replay: go to this moment (wall clock, ms).
    Seek(i64),
    /// Replay: to the beginning of the next incident or of the one before.
    Incident {
        /// The next one.
        later: bool,
        /// Who is told when there is none.
        nothing: mpsc::Sender<String>,
    },
}

/// A running engine.
#[derive(Debug)]
pub struct Handle {
    /// The newest picture; older ones are overwritten.
    pub pictures: watch::Receiver<Option<Arc<Picture>>>,
    /// Where to ask.
    pub asks: mpsc::Sender<Ask>,
    /// What the recorder says, also after the last picture.
    pub recorder: Option<recorder::Status>,
    /// The same of the session that is kept.
    pub keeping: Option<recorder::Status>,
}

/// The state that folds samples.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    state: State,
    params: ParamOverrides,
    /// The rules that are asked about; empty: all.
    only: Vec<String>,
    answers: Arc<BTreeMap<Demand, Seen<Detail>>>,
    /// In the order in which they came.
    answered: VecDeque<Demand>,
}

/// What a segment of a recording begins with.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct State {
    window: VecDeque<Arc<Snapshot>>,
    memory: Memory,
    history: History,
}

/// One evaluation with the moment it belongs to.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The tick.
    pub at: Stamp,
    /// What was found.
    pub evaluation: Evaluation,
}

impl Engine {
    /// An engine that has seen nothing.
    #[must_use]
    pub fn new(params: ParamOverrides) -> Self {
        Self { params, ..Self::default() }
    }

    /// The state before the next sample, for a recording.
    #[must_use]
    pub fn state(&self) -> Vec<u8> {
        rmp_serde::to_vec_named(&self.state).unwrap_or_default()
    }

    /// Takes a state over; an unreadable one (of another version) starts fresh.
    pub fn restore(&mut self, state: &[u8]) {
        let tame = tame::strings(state);
        self.state = tame.and_then(|state| rmp_serde::from_slice(&state).ok()).unwrap_or_default();
    }

    /// Judges as if only those rules existed: ids, or families that end in a star.
    #[must_use]
    pub fn asked_about(self, only: Vec<String>) -> Self {
        Self { only, ..self }
    }

    /// Judges by these thresholds from now on.
    pub fn judge_by(&mut self, params: ParamOverrides) {
        self.params = params;
    }

    /// Folds one sample in and judges. Pure but for `self`.
    pub fn fold(&mut self, sample: &Sample) -> Judged {
        let state = &mut self.state;
        let snapshot = match state.window.back() {
            Some(before) => before.fold(sample),
            None => Snapshot::default().fold(sample),
        };
        state.window.push_back(Arc::new(snapshot));
        // Two ticks always stay, however long they are apart.
        let old = |s: &Snapshot| sample.at.mono_ns.saturating_sub(s.at.mono_ns) as f64 / 1e9 > WINDOW_S + SLACK_S;
        while state.window.len() > 2 && state.window.front().is_some_and(|s| old(s)) {
            state.window.pop_front();
        }
        let evaluation = judge::evaluate(state.window.make_contiguous(), &mut state.memory, &self.params, &self.only);
        remember(&mut state.history, &evaluation);
        for answer in &sample.answers {
            self.answered.retain(|demand| *demand != answer.demand);
            self.answered.push_back(answer.demand.clone());
            let answers = Arc::make_mut(&mut self.answers);
            answers.insert(answer.demand.clone(), answer.detail.clone());
            if self.answered.len() > ANSWERS
                && let Some(oldest) = self.answered.pop_front()
            {
                answers.remove(&oldest);
            }
        }
        Judged { at: sample.at, evaluation }
    }

    /// The picture of an evaluation.
    #[must_use]
    pub fn picture(&self, judged: Judged, mode: Mode, own: Own, recording: Option<Recording>) -> Picture {
        let Evaluation { facts, ledger, diagnosis, shown, .. } = judged.evaluation;
        Picture {
            at: judged.at,
            mode,
            diagnosis: Arc::new(diagnosis),
            facts,
            shown,
            ledger,
            history: Arc::new(self.state.history.clone()),
            details: self.answers.clone(),
            own,
            recording,
        }
    }

    /// Mutes a finding from the newest tick on; it counts in no health and no exit code meanwhile.
    pub fn mute(&mut self, key: String, reason: String, seconds: u32) {
        let now_ms = self.state.window.back().map_or(0, |s| s.at.wall_ms);
        let muted = &mut self.state.memory.muted;
        match seconds {
            0 => _ = muted.remove(&key),
            _ => _ = muted.insert(key, Mute { reason, until_ms: now_ms + i64::from(seconds) * 1000 }),
        }
    }

    /// A fix of a finding was taken; after so many seconds it should have worked.
    pub fn taken(&mut self, key: &str, seconds: u32) {
        let now_ms = self.state.window.back().map_or(0, |s| s.at.wall_ms);
        if let Some(kept) = self.state.memory.findings.get_mut(key) {
            (kept.due_ms, kept.taken) = (Some(now_ms + i64::from(seconds) * 1000), true);
        }
    }

    /// Re-weighs a process by its name.
    pub fn weigh(&mut self, name: &str, weight: Option<f64>) {
        let weights = &mut self.state.memory.weights.0;
        match weight {
            Some(weight) => _ = weights.insert(name.to_owned(), weight),
            None => _ = weights.remove(name),
        }
    }
}

/// The diagnosis as it is recorded and printed: one line of JSON.
#[must_use]
pub fn to_json(diagnosis: &Diagnosis) -> Vec<u8> {
    serde_json::to_vec(diagnosis).unwrap_or_default()
}

fn remember(history: &mut History, evaluation: &Evaluation) {
    let host = &evaluation.facts.host;
    let psi = |p: &Seen<crate::model::facts::Psi>| p.as_ref().ok().and_then(|p| p.some).map(|s| s * 100.0);
    let leaf = || host.disks.iter().flatten().filter(|d| d.leaf);
    let disks = host.disks.is_ok();
    let net = host.interfaces.as_ref().ok().map(|rows| {
        let counted = rows.iter().filter(|i| i.physical);
        counted.map(|i| i.rx_bytes_per_s + i.tx_bytes_per_s).sum::<f64>()
    });
    history.cpu_busy_percent.push(host.cpu.as_ref().ok().map(|c| c.seen_busy() * 100.0));
    history.memory_used_percent.push(host.memory.as_ref().ok().map(|m| m.used * 100.0));
    history.disk_util_percent.push(disks.then(|| leaf().map(|d| d.util * 100.0).fold(0.0, f64::max)));
    history.disk_bytes_per_s.push(disks.then(|| leaf().map(|d| d.read_bytes_per_s + d.write_bytes_per_s).sum()));
    history.net_bytes_per_s.push(net);
    history.retransmits_per_s.push(host.tcp.as_ref().ok().and_then(|t| t.retransmits_per_s));
    history.psi_cpu_percent.push(psi(&host.psi.cpu));
    history.psi_memory_percent.push(psi(&host.psi.memory));
    history.psi_io_percent.push(psi(&host.psi.io));
    history.load_one.push(host.load.as_ref().ok().map(|l| l.one));
    for (group, seconds) in evaluation.ledger.waiting() {
        history.waiting.entry(group).or_default().push(Some(seconds));
    }
    remember_servers(history, evaluation);
    let roots = evaluation.diagnosis.findings.iter().filter(|f| f.explained_by.is_none() && f.muted.is_none());
    let wrong = roots.filter(|f| f.severity != Severity::Info);
    history
        .mark(evaluation.facts.at.wall_ms, wrong.map(|f| (f.key.as_str(), f.title.as_str(), f.severity == Severity::Critical)));
}

/// What each server's kind counts; a server that is gone is forgotten.
fn remember_servers(history: &mut History, evaluation: &Evaluation) {
    let facts = &evaluation.facts;
    let servers: Vec<&str> = KINDS.iter().flat_map(|kind| (kind.servers)(facts)).collect();
    history.servers.retain(|id, _| servers.contains(&id.as_str()));
    for kind in KINDS {
        for id in (kind.servers)(facts) {
            let rings = history.servers.entry(id.to_owned()).or_default();
            for (what, value) in (kind.counts)(facts, id) {
                rings.entry(what.to_owned()).or_default().push(value);
            }
        }
    }
}
