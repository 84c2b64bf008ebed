//! The picture: all that screens and reports are drawn from, made once per evaluation; and the flowchart.
//! Pure; may use `model` and `detect` only.

pub mod chart;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::detect::diagnosis::Diagnosis;
use crate::detect::kinds::Shown;
use crate::detect::ledger::Ledger;
use crate::model::counter::Stamp;
use crate::model::demand::{Demand, Detail};
use crate::model::facts::Facts;
use crate::model::foreign::Foreign;
use crate::model::history::History;
use crate::model::seen::Seen;

/// Where the picture comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// From this machine, now.
    Live,
    /// From a recording.
    Replay {
        /// Standing still.
        paused: bool,
        /// At the end of the recording.
        ended: bool,
        /// Times real time, in percent.
        speed_percent: u32,
    },
}

/// One evaluation, ready to be drawn.
#[derive(Debug, Clone)]
pub struct Picture {
    /// When.
    pub at: Stamp,
    /// Where from.
    pub mode: Mode,
    /// What is said.
    pub diagnosis: Arc<Diagnosis>,
    /// What it was made of.
    pub facts: Arc<Facts>,
    /// What is shown of servers beside their facts.
    pub shown: Arc<Shown>,
    /// Foreground time.
    pub ledger: Arc<Ledger>,
    /// The last minutes.
    pub history: Arc<History>,
    /// Answers to what the screen asked.
    pub details: Arc<BTreeMap<Demand, Seen<Detail>>>,
    /// What perftop itself costs; not part of any diagnosis.
    pub own: Own,
    /// Whether this is being recorded, or why it stopped.
    pub recording: Option<Recording>,
}

/// Where a recording stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    /// The file; empty until one is open.
    pub path: Foreign,
    /// How it goes.
    pub state: RecordingState,
    /// Samples that the disk was too slow for.
    pub missing: u64,
}

/// How a recording goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RecordingState {
    /// Not open yet.
    #[default]
    Opening,
    /// All that is seen is written.
    Running,
    /// No more comes; the file is being sealed.
    Sealing,
    /// Sealed.
    Ended,
    /// Given up; the file is readable as far as it goes.
    Failed {
        /// What the system said, with the file.
        why: String,
        /// The reader of a pipe went away, which is no failure of ours.
        broken_pipe: bool,
    },
}

/// perftop's own cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Own {
    /// Share of one core.
    pub cpu: f64,
    /// Resident bytes.
    pub rss_bytes: u64,
}
