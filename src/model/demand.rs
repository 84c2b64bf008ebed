//! Asking for more, as a value: rules and the screen say what they want, the scheduler answers with a sample.

use serde::{Deserialize, Serialize};

use super::foreign::Foreign;
use super::host::ProcId;
use super::postgres::plan::{Plan, Trial, TrialIndex};
use super::seen::Seen;

/// What may be asked for. Further kinds come with their sources.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    /// One process closely: threads, limits, open files, what it waits in.
    ProcessDetail {
        /// Who.
        id: ProcId,
    },
    /// The generic plan of a statement, with what the catalogue knows of its tables.
    Plan {
        /// Source id of the server.
        source: String,
        /// Query id.
        query: i64,
        /// Its database.
        database: Foreign,
        /// The role that runs it.
        role: Foreign,
    },
    /// What the planner would make of a statement with an index that is not there; by HypoPG, where it is installed.
    Trial {
        /// Source id of the server.
        source: String,
        /// Query id.
        query: i64,
        /// Its database.
        database: Foreign,
        /// The role that runs it.
        role: Foreign,
        /// The index.
        index: TrialIndex,
    },
    /// A database is to be visited before its turn: something was found there, and its end must not be seen late.
    Visit {
        /// Source id of the server.
        source: String,
        /// The database.
        database: Foreign,
    },
}

impl Demand {
    /// The server that is asked, by its source id; `None`: the host.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        match self {
            Self::ProcessDetail { .. } => None,
            Self::Plan { source, .. } | Self::Trial { source, .. } | Self::Visit { source, .. } => Some(source),
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
#[serde(untagged)]
pub enum Detail {
    /// Of a process.
    Process(ProcessDetail),
    /// Of a statement with an index that is not there.
    Trial(Trial),
    /// Of a statement. Every field of it may be left out, so that it comes last.
    Plan(Plan),
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
