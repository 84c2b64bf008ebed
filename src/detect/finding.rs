//! A finding as it stands in the JSON: severity, impact, evidence, fixes. DESIGN.md section 3, CONTRACT.md.

use serde::{Deserialize, Serialize};

use crate::model::subject::Subject;
use crate::model::unit::Unit;

pub use self::fix::{Fix, Horizon, ONLY_LOOKS, Phase, Preflight};
pub use self::round::{round6, round6_option, rounded};

mod beside;
mod fix;
mod round;

/// What sort of statement a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Hard, happening.
    Error,
    /// Costs time now.
    Live,
    /// Will fail at a time that can be estimated.
    Risk,
    /// Worth tidying up; never above info.
    Hygiene,
    /// A consequence, not a cause.
    Outcome,
}

/// How bad; the order of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "CONTRACT.md, Severity")]
pub enum Severity {
    Critical,
    Warning,
    Info,
}

impl Severity {
    /// The word of the contract.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// In what the impact is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the contract's words")]
pub enum ImpactKind {
    Time,
    Failures,
    Risk,
    None,
}

/// What it costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Impact {
    /// In what it is counted.
    pub kind: ImpactKind,
    /// Foreground seconds lost per second.
    #[serde(serialize_with = "round6_option")]
    pub lost_s_per_s: Option<f64>,
    /// benefit / (T - the culprit's own time).
    #[serde(serialize_with = "round6_option")]
    pub share: Option<f64>,
    /// What the fix gives back, seconds per second.
    #[serde(serialize_with = "round6_option")]
    pub benefit_s_per_s: Option<f64>,
    /// Half width of the 95 % interval of the loss.
    #[serde(serialize_with = "round6_option")]
    pub ci_s_per_s: Option<f64>,
    /// Failures per second.
    #[serde(serialize_with = "round6_option")]
    pub failed_per_s: Option<f64>,
    /// Seconds until it fails.
    #[serde(serialize_with = "round6_option")]
    pub eta_s: Option<f64>,
}

/// One figure for or against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// What the figure says.
    pub claim: String,
    /// The figure.
    #[serde(serialize_with = "round6")]
    pub value: f64,
    /// Its unit.
    pub unit: Unit,
    /// The limit it is held against, in the same unit.
    #[serde(serialize_with = "round6_option")]
    pub limit: Option<f64>,
    /// Where it comes from: a row of `model::origin`.
    pub origin: String,
    /// Whether it meets the threshold that it is held against, where the limit is one; the confidence counts those.
    #[serde(skip)]
    pub met: Option<bool>,
    /// The limit is what there is of it, not a threshold.
    #[serde(skip)]
    pub capacity: bool,
}

impl Evidence {
    /// The same, where the limit is what there is of it.
    #[must_use]
    pub fn of_capacity(self) -> Self {
        Self { capacity: true, ..self }
    }

    /// What it is held against: `threshold 0.1 s/s`, `of 97`; nothing without a limit.
    #[must_use]
    pub fn held_against(&self) -> String {
        let word = if self.capacity { "of" } else { "threshold" };
        self.limit.map_or_else(String::new, |limit| format!("{word} {}", self.unit.show(limit)))
    }
}

/// How long it is known to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the contract's words")]
pub enum Known {
    Observed,
    AtLeast,
}

/// Since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// RFC 3339, UTC.
    pub at: String,
    /// `at_least`: it was there when we came.
    pub known: Known,
}

/// A symptom that a finding explains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explains {
    /// Key of the symptom's finding.
    pub key: String,
    /// Seconds per second moved from it.
    #[serde(serialize_with = "round6")]
    pub s_per_s: f64,
    /// The fraction moved.
    #[serde(serialize_with = "round6")]
    pub share: f64,
}

/// Muted by the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Muted {
    /// Why.
    pub reason: String,
    /// RFC 3339, UTC.
    pub until: String,
}

/// A finding with its rank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// `id|source|type:key`.
    pub key: String,
    /// 1 = first; null for outcomes.
    pub rank: Option<u32>,
    /// Stable name.
    pub id: String,
    /// Source id.
    pub source: String,
    /// Its class.
    pub class: Class,
    /// Its severity.
    pub severity: Severity,
    /// 100 x benefit / (T - the culprit's own time); null unless the impact is time.
    #[serde(serialize_with = "round6_option")]
    pub score: Option<f64>,
    /// coverage x sampling x evidence, 0..1.
    #[serde(serialize_with = "round6")]
    pub confidence: f64,
    /// One line.
    pub title: String,
    /// Who or what is to blame.
    pub subject: Subject,
    /// What it costs.
    pub impact: Impact,
    /// Since when.
    pub since: Since,
    /// A hard error in its 60 s tail.
    pub ended: bool,
    /// Muted, or null.
    pub muted: Option<Muted>,
    /// Figures for it.
    pub evidence: Vec<Evidence>,
    /// Figures against it.
    pub against: Vec<Evidence>,
    /// Symptoms it explains.
    pub explains: Vec<Explains>,
    /// Key of the finding that explains it.
    pub explained_by: Option<String>,
    /// What to do.
    pub fixes: Vec<Fix>,
}

impl Finding {
    /// It counts: at warning or above, explained by nothing, and not muted.
    #[must_use]
    pub fn raised(&self) -> bool {
        self.severity != Severity::Info && self.explained_by.is_none() && self.muted.is_none()
    }

    /// Foreground time goes into it, whether a fix gives it back to anybody or not: a tenth of `total` s/s, and of a request.
    #[must_use]
    pub fn costs(&self, total: f64) -> bool {
        let lost = self.impact.lost_s_per_s.unwrap_or(0.0);
        self.explained_by.is_none() && self.muted.is_none() && lost >= 0.1 && lost >= 0.1 * total
    }
}
