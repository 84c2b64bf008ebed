//! Asking for more, as a value: rules and the screen say what they want, the scheduler answers with a sample.

use serde::{Deserialize, Serialize};

use super::host::ProcId;
use super::postgres::{AskBefore, DetailBefore};
use super::seen::Seen;
use super::server::{ServerAsk, ServerDetail};

/// What may be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", from = "RecordedDemand")]
pub enum Demand {
    /// One process closely: threads, limits, open files, what it waits in.
    ProcessDetail {
        /// Who.
        id: ProcId,
    },
    /// Something of a server.
    Server {
        /// Its source id.
        source: String,
        /// What.
        ask: ServerAsk,
    },
}

impl Demand {
    /// The server that is asked, by its source id; `None`: the host.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        match self {
            Self::ProcessDetail { .. } => None,
            Self::Server { source, .. } => Some(source),
        }
    }
}

/// A demand in a recording, also one that was written before servers were of several kinds.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RecordedDemand {
    ProcessDetail {
        id: ProcId,
    },
    Server {
        source: String,
        ask: ServerAsk,
    },
    #[serde(untagged)]
    Before(AskBefore),
}

impl From<RecordedDemand> for Demand {
    fn from(recorded: RecordedDemand) -> Self {
        match recorded {
            RecordedDemand::ProcessDetail { id } => Self::ProcessDetail { id },
            RecordedDemand::Server { source, ask } => Self::Server { source, ask },
            RecordedDemand::Before(before) => {
                let (source, ask) = before.now();
                Self::Server { source, ask: ServerAsk::Postgres(ask) }
            }
        }
    }
}

/// An answer, recorded like any other sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// What was asked.
    pub demand: Demand,
    /// What was found.
    pub detail: Seen<Detail>,
}

/// What was found; its kind is told by its fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, from = "RecordedDetail")]
pub enum Detail {
    /// Of a process.
    Process(ProcessDetail),
    /// Of a server.
    Server(ServerDetail),
}

/// An answer in a recording, also one that was written before servers were of several kinds.
#[derive(Deserialize)]
#[serde(untagged)]
enum RecordedDetail {
    Process(ProcessDetail),
    Server(ServerDetail),
    Before(DetailBefore),
}

impl From<RecordedDetail> for Detail {
    fn from(recorded: RecordedDetail) -> Self {
        match recorded {
            RecordedDetail::Process(detail) => Self::Process(detail),
            RecordedDetail::Server(detail) => Self::Server(detail),
            RecordedDetail::Before(before) => Self::Server(ServerDetail::Postgres(before.now())),
        }
    }
}

/// One process closely.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessDetail {
    /// Its threads: id, name, state, where in the kernel it sleeps.
    pub threads: Vec<ThreadDetail>,
    /// Open descriptors.
    pub open_files: Option<u64>,
    /// Soft limit of open files.
    pub open_files_limit: Option<u64>,
    /// Voluntary and forced context switches.
    pub switches: Option<(u64, u64)>,
    /// Swapped out bytes (VmSwap).
    pub swap_bytes: Option<u64>,
    /// Peak resident bytes (VmHWM).
    pub peak_rss_bytes: Option<u64>,
}

/// Processes that were looked at closely lately, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closely(Vec<(ProcId, u64, ProcessDetail)>);

impl Closely {
    /// So many are kept, for so long.
    const MOST: usize = 8;
    const FRESH_NS: u64 = 5_000_000_000;

    /// These answers over what was known, and nothing that is too old.
    #[must_use]
    pub fn with(&self, answers: &[Answer], now_ns: u64) -> Self {
        let told = answers.iter().filter_map(|answer| match (&answer.demand, &answer.detail) {
            (Demand::ProcessDetail { id }, Ok(Detail::Process(detail))) => Some((*id, now_ns, detail.clone())),
            _ => None,
        });
        let mut all: Vec<(ProcId, u64, ProcessDetail)> = told.collect();
        let before = self
            .0
            .iter()
            .filter(|(id, at, _)| now_ns.saturating_sub(*at) < Self::FRESH_NS && !all.iter().any(|(newer, ..)| newer == id));
        let before: Vec<_> = before.cloned().collect();
        all.extend(before);
        all.truncate(Self::MOST);
        Self(all)
    }

    /// What was seen of that process.
    #[must_use]
    pub fn of(&self, id: ProcId) -> Option<&ProcessDetail> {
        self.0.iter().find(|(known, ..)| *known == id).map(|(.., detail)| detail)
    }
}

/// One thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct ThreadDetail {
    pub tid: i32,
    pub name: super::foreign::Foreign,
    pub state: char,
    pub wchan: Option<super::foreign::Foreign>,
    pub run_ns: u64,
    pub wait_ns: u64,
}
