//! What may run out, what is needed by and by, and what calls for more: as data, and as it was answered. Pure.
//! What never lives here: how it is asked (`collect`), how it is shown (`app`, `report`).

mod built_in;
pub mod need;
pub mod plan;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cost::Cost;
use super::foreign::Foreign;
use super::trend::{Outlook, Trend};
use super::unit::Unit;

pub use need::{Needed, Projected};

/// All of it at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// How far back the readings reach, seconds.
    pub span_s: u64,
    /// Between two readings, seconds.
    pub step_s: u64,
    /// How far ahead needs are, seconds.
    pub ahead_s: u64,
    /// Within so many seconds it is a warning that something runs out, and critical.
    #[serde(default)]
    pub limits_s: (u64, u64),
    /// What is left of resources: what runs out first stands first.
    pub left: Vec<Left>,
    /// What is needed.
    pub needed: Vec<Needed>,
    /// What calls for more.
    pub triggered: Vec<Triggered>,
    /// What of it is not known, and why.
    pub lacks: BTreeMap<String, Foreign>,
    /// What it took.
    pub cost: Cost,
}

/// What is left of one resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Left {
    /// The name of the resource: `memory`, `file system`.
    pub what: String,
    /// Whose: a host, a server.
    pub host: Foreign,
    /// Which of its kind there: a mount point; empty where there is one only.
    pub about: Foreign,
    /// In which unit.
    pub unit: Unit,
    /// So much.
    pub left: f64,
    /// Of so much.
    pub all: Option<f64>,
    /// The least of each step, oldest first; `None` is a gap.
    pub points: Vec<Option<f64>>,
    /// How it goes.
    pub trend: Option<Trend>,
    /// What becomes of it.
    pub outlook: Outlook,
}

impl Left {
    /// Which part is left, 0 to 1.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        self.all.filter(|all| *all > 0.0).map(|all| self.left / all)
    }

    /// What it is, and whose.
    #[must_use]
    pub fn title(&self) -> String {
        let parts = [self.what.as_str(), self.host.shown(), self.about.shown()];
        parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// What it is known by.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {} {}", self.what, self.host.shown(), self.about.shown())
    }

    /// What runs out first stands first; what does not by what is left of it.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        let class = |o: &Outlook| match o {
            Outlook::Out => (0, 0.0),
            Outlook::RunsOut(eta) => (1, eta.at_s),
            _ => (2, 0.0),
        };
        let ((a, eta_a), (b, eta_b)) = (class(&self.outlook), class(&other.outlook));
        let share = |l: &Self| l.share().unwrap_or(1.0);
        let rest = || share(self).total_cmp(&share(other)).then_with(|| self.key().cmp(&other.key()));
        a.cmp(&b).then(eta_a.total_cmp(&eta_b)).then_with(rest)
    }
}

/// A trigger, against what was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Triggered {
    /// The trigger.
    pub trigger: plan::Trigger,
    /// Over so many seconds.
    pub over_s: u64,
    /// The highest, and of a quantile between which two figures it lies; `None`: there are no series.
    pub value: Option<(f64, f64)>,
    /// Whose that is; empty where it is of all.
    pub whose: Foreign,
    /// How many are above it, of how many.
    pub above: (usize, usize),
}

impl Triggered {
    /// It calls for more.
    #[must_use]
    pub fn calls(&self) -> bool {
        self.above.0 > 0
    }
}
