//! Key figures of a service against targets: what they are, as data, and as they were measured. Pure.
//! What never lives here: how they are asked (`collect`), how they stand (`detect`).

mod built_in;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cost::Cost;
use super::foreign::Foreign;
use super::unit::Unit;

pub use built_in::{PROFILES, known, plain, profile};

/// Readings of the last hour: between two of them, seconds.
pub const STEP_S: u64 = 60;

/// A key figure and its targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kpi {
    /// Its name: `api_p99`.
    pub name: String,
    /// What it is, for people.
    pub says: String,
    /// Its unit.
    pub unit: Unit,
    /// The less the worse.
    pub lower: bool,
    /// What it should keep.
    pub target: Option<f64>,
    /// From here on it is a warning, after so many seconds.
    pub warning: Option<(f64, u64)>,
    /// From here on it is critical, likewise.
    pub critical: Option<(f64, u64)>,
    /// How it is asked.
    pub ask: KpiAsk,
}

/// How a key figure is asked; `$w` stands where the window of a rate is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KpiAsk {
    /// A query.
    Query(String),
    /// A query that looks back far: it is asked for the newest value only.
    Once(String),
    /// A quantile of a histogram of seconds, in milliseconds: buckets of `selector` by their job.
    Quantile {
        /// Which, 0 to 1.
        of: f64,
        /// The selector of its buckets.
        buckets: String,
    },
    /// No exporter tells it: a query of one's own is needed.
    Nothing,
}

/// What is usual: how it is held against the past.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Habits {
    /// How many times wider than usual it may be; smaller is stricter.
    pub sensitivity: f64,
    /// Hours of business, minutes of the day: stricter.
    pub business: (u32, u32),
    /// Quiet hours: more lenient.
    pub quiet: (u32, u32),
    /// Minutes east of Greenwich.
    pub zone: i32,
}

impl Default for Habits {
    fn default() -> Self {
        Self { sensitivity: 1.0, business: (9 * 60, 18 * 60), quiet: (23 * 60, 6 * 60), zone: 0 }
    }
}

/// All that is asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KpiPlan {
    /// Key figures.
    pub kpis: Vec<Kpi>,
    /// What is usual.
    pub habits: Habits,
}

/// All of them at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Kpis {
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// Each as it was measured.
    pub all: Vec<Measured>,
    /// What is usual.
    pub habits: Habits,
    /// What is not known, and why.
    pub lacks: BTreeMap<String, Foreign>,
    /// What it took.
    pub cost: Cost,
}

/// A key figure as it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Which.
    pub kpi: Kpi,
    /// The last hour, oldest first, one each minute: between which two figures it lies. `None` is a gap.
    pub points: Vec<Option<(f64, f64)>>,
    /// The same hour of the day before: the means of one, two, three and four weeks ago.
    pub weeks: Vec<f64>,
    /// The same, of one, two and three days ago.
    pub days: Vec<f64>,
}

impl Measured {
    /// The newest, unless it is minutes old.
    #[must_use]
    pub fn now(&self) -> Option<(f64, f64)> {
        self.points.iter().rev().take(3).find_map(|p| *p)
    }
}
