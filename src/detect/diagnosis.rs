//! The diagnosis: the JSON contract of `check`, of recordings and of the tests. DESIGN.md section 3.

use serde::{Deserialize, Serialize};

use crate::model::source::SourceStatus;

use super::finding::{Finding, round6, round6_option};
use super::memory::Resolved;

/// T below this is idle: nothing live is above info.
pub const IDLE: f64 = 0.05;
/// Version of the contract.
pub const SCHEMA: u32 = 1;

/// Everything that is said at one evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diagnosis {
    /// [`SCHEMA`].
    pub schema: u32,
    /// RFC 3339, UTC.
    pub at: String,
    /// Seconds judged.
    #[serde(serialize_with = "round6")]
    pub window_s: f64,
    /// One of the first three evaluations.
    pub provisional: bool,
    /// The host.
    pub host: Host,
    /// The verdict in one word.
    pub health: Health,
    /// The verdict in one line.
    pub verdict: Headline,
    /// Who was asked.
    pub sources: Vec<SourceStatus>,
    /// The ledger.
    pub time: Time,
    /// Ranked.
    pub findings: Vec<Finding>,
    /// Checked, and fine.
    pub cleared: Vec<Cleared>,
    /// Could not be checked.
    pub unknown: Vec<UnknownRow>,
    /// Gone within the last minute.
    pub resolved: Vec<Resolved>,
}

impl Diagnosis {
    /// The checks that found nothing; that a server is seen at all is none.
    pub fn checks(&self) -> impl Iterator<Item = &Cleared> {
        self.cleared.iter().filter(|c| !c.id.starts_with("source."))
    }
}

/// The host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// CPUs online.
    pub cpus: u32,
    /// MemTotal.
    pub memory_bytes: u64,
    /// null, container or pod.
    pub inside: Option<String>,
}

/// The closed list of states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "CONTRACT.md")]
pub enum Status {
    Healthy,
    Warning,
    Critical,
    #[default]
    Unknown,
}

impl Status {
    /// The word of the contract.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }

    /// Exit code of `check`.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }
}

/// Health.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// In one word.
    pub status: Status,
    /// Share of the foreground time that is not lost to roots at warning or above, 0..100; null when unknown.
    #[serde(serialize_with = "round6_option")]
    pub score: Option<f64>,
}

/// The ledger: foreground = productive + the roots' lost + unexplained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// T.
    #[serde(serialize_with = "round6")]
    pub foreground_s_per_s: f64,
    /// On a CPU, and baseline latencies.
    #[serde(serialize_with = "round6")]
    pub productive_s_per_s: f64,
    /// Waits that no root explains.
    #[serde(serialize_with = "round6")]
    pub unexplained_s_per_s: f64,
    /// T by state.
    pub states: Vec<StateRow>,
}

/// One state of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateRow {
    /// Name of the contract.
    pub state: super::ledger::State,
    /// Seconds per second.
    #[serde(serialize_with = "round6")]
    pub s_per_s: f64,
    /// Computed, not seen.
    pub modelled: bool,
}

/// Checked, and fine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cleared {
    /// Finding id.
    pub id: String,
    /// Source id.
    pub source: String,
    /// The figure that clears it.
    pub because: String,
}

/// Could not be checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnknownRow {
    /// Finding id, or a family with a star.
    pub id: String,
    /// Source id.
    pub source: String,
    /// Why.
    pub because: String,
    /// The way in.
    pub lift: Option<String>,
}

/// RFC 3339 in UTC with whole seconds.
#[must_use]
pub fn rfc3339(wall_ms: i64) -> String {
    let stamp = jiff::Timestamp::from_second(wall_ms.div_euclid(1000)).unwrap_or_default();
    stamp.to_string()
}

/// The verdict shown in the first line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Headline {
    /// What its sign says: that of the finding, else whether all is well or nobody can tell.
    pub status: Status,
    /// What it costs, where that can be said: `4.2 waiting (75 % of all request time)`, `in 3 h`.
    pub cost: Option<String>,
    /// What is wrong, with the server's name where there are two of its kind; or why nothing is said to be.
    pub says: String,
    /// The finding's key.
    pub key: Option<String>,
}

impl Headline {
    /// Cost and words in one line.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.cost {
            Some(cost) => format!("{cost}  {}", self.says),
            None => self.says.clone(),
        }
    }
}
