//! Who a Prometheus is: flavour, version, what it watches.

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;
use crate::model::host::ProcId;
use crate::model::source::Place;

/// Which program it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named by their programs")]
pub enum Flavour {
    Prometheus,
    Thanos,
    Mimir,
    VictoriaMetrics,
    #[default]
    Unknown,
}

impl Flavour {
    /// As people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus",
            Self::Thanos => "Thanos",
            Self::Mimir => "Mimir",
            Self::VictoriaMetrics => "VictoriaMetrics",
            Self::Unknown => "unknown flavour",
        }
    }
}

/// A server, as it introduced itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Which program.
    pub flavour: Flavour,
    /// Its version, as it says.
    pub version: Foreign,
    /// Its URL without a user.
    pub url: Foreign,
    /// Where it runs.
    pub place: Option<Place>,
    /// Its process, where it runs here.
    pub process: Option<ProcId>,
    /// Its port.
    pub port: u16,
}

/// What it scrapes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Targets {
    /// Targets that answer and all, by job.
    pub jobs: Vec<Job>,
}

/// The targets of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its name.
    pub name: Foreign,
    /// Those that answer.
    pub up: u32,
    /// All of them.
    pub all: u32,
}

/// An alert that fires, or is about to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its name.
    pub name: Foreign,
    /// Its labels but for the name.
    pub labels: Vec<(Foreign, Foreign)>,
    /// It fires; else it is pending.
    pub firing: bool,
    /// Since when, milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// What it says.
    pub says: Foreign,
    /// The value, where it is a number.
    pub value: Option<f64>,
}

impl Alert {
    /// A label of it.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(n, _)| n.shown() == name).map(|(_, value)| value.shown())
    }

    /// All of its labels: no two alerts of a name have the same.
    #[must_use]
    pub fn all_labels(&self) -> String {
        let rows = self.labels.iter().map(|(name, value)| format!("{}={}", name.shown(), value.shown()));
        rows.collect::<Vec<_>>().join(",")
    }

    /// What tells it from others of its name.
    #[must_use]
    pub fn who(&self) -> String {
        let plain = |name: &str| !["severity", "prometheus", "job"].contains(&name);
        let rows = self.labels.iter().filter(|(name, _)| plain(name.shown()));
        rows.map(|(name, value)| format!("{}={}", name.shown(), value.shown())).collect::<Vec<_>>().join(" ")
    }
}
