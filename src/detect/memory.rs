//! What the judgement remembers between evaluations: what is held, since when, what was learned. Serialisable,
//! because each segment of a recording starts with it.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::model::counter::Stamp;
use crate::model::facts::WeightOverrides;
use crate::model::subject::Subject;

use super::changes::Changes;
use super::learned::Learned;
use super::onset::Onsets;
use super::places::Places;
use super::trails::Trails;

/// All that the judgement remembers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Evaluations so far; the first three are provisional.
    pub evaluations: u64,
    /// When the last one was, on all clocks.
    #[serde(default)]
    pub at: Stamp,
    /// Per rule (`id|source`).
    pub rules: BTreeMap<String, RuleMemory>,
    /// Per finding key.
    pub findings: BTreeMap<String, FindingMemory>,
    /// What was at warning or above and is gone, for a minute.
    pub resolved: Vec<Resolved>,
    /// What was learned of this machine.
    pub learned: Learned,
    /// Weights given by the operator.
    pub weights: WeightOverrides,
    /// Who came up when, and what was lost before.
    #[serde(default)]
    pub onsets: Onsets,
    /// What changed lately.
    #[serde(default)]
    pub changes: Changes,
    /// Who stood where in the list.
    #[serde(default)]
    pub places: Places,
    /// What stood under which cause lately.
    #[serde(default)]
    pub trails: Trails,
    /// Findings that the operator muted, by key.
    #[serde(default)]
    pub muted: BTreeMap<String, Mute>,
}

/// A finding is muted: why, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    /// The operator's words.
    pub reason: String,
    /// Wall clock, ms.
    pub until_ms: i64,
}

/// What one rule found at the evaluation before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleMemory {
    /// Subjects that are held.
    pub held: Vec<Held>,
}

/// A subject that is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// Who.
    pub subject: Subject,
    /// The share it entered with.
    pub entered_share: f64,
    /// When it was last active (wall clock, ms), for the tail of errors.
    pub active_ms: i64,
    /// Its rate when it was last active, for the tail of errors.
    pub failed_per_s: Option<f64>,
}

impl RuleMemory {
    /// The held subject of that type and key.
    #[must_use]
    pub fn held(&self, typed_key: &str) -> Option<&Held> {
        self.held.iter().find(|h| h.subject.typed_key() == typed_key)
    }
}

/// True when `prev` holds that subject.
#[must_use]
pub fn is_held(prev: Option<&RuleMemory>, subject: &Subject) -> bool {
    prev.is_some_and(|p| p.held(&subject.typed_key()).is_some())
}

/// What is remembered of one finding.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FindingMemory {
    /// First seen, wall clock ms.
    pub since_ms: i64,
    /// It was there when we came.
    pub at_least: bool,
    /// Whether the conditions of critical held, newest last, at most four.
    pub critical: VecDeque<bool>,
    /// It was at warning or above.
    pub raised: bool,
    /// Largest loss so far and what was predicted to come back, s/s.
    pub lost: f64,
    /// Benefit at that time.
    pub predicted: f64,
    /// On-CPU time of the foreground when it was found: a stand-in for the victims' throughput, s/s.
    pub working: f64,
    /// It is not found any more, since (wall clock, ms): what became of it is said once the victims' throughput is of the time after it.
    #[serde(default)]
    pub gone_ms: Option<i64>,
    /// A fix of it was taken: when it should have worked, wall clock ms.
    #[serde(default)]
    pub due_ms: Option<i64>,
    /// A fix of it was taken.
    #[serde(default)]
    pub taken: bool,
}

/// What became of a finding that was raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Below 0.3 of it after a fix was taken, and the victims work on.
    Resolved,
    /// Below 0.3 of it, the victims work on, and no fix was taken here: it ended by itself, or someone else acted.
    WentAway,
    /// Below 0.3 of it because the victims stopped working.
    LoadWentAway,
    /// A fix was taken and it is still there.
    NotResolved,
}

impl Outcome {
    /// In words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::WentAway => "gone without a fix from here",
            Self::LoadWentAway => "the load went away",
            Self::NotResolved => "not resolved",
        }
    }
}

/// A finding that is gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolved {
    /// Its key.
    pub key: String,
    /// When, RFC 3339.
    pub at: String,
    /// Lost before, s/s.
    #[serde(serialize_with = "super::finding::round6")]
    pub before: f64,
    /// Lost now, s/s.
    #[serde(serialize_with = "super::finding::round6")]
    pub after: f64,
    /// Predicted gain, s/s.
    #[serde(serialize_with = "super::finding::round6")]
    pub predicted: f64,
    /// What became of it.
    pub outcome: Outcome,
}
