//! What a Prometheus (or one of its kin) said: objectives as counted, alerts, targets. Serialisable and pure.
//! What never lives here: queries and connections (`collect::prometheus`), whether an objective burns (`detect`).

mod asked;
mod burn;
pub mod counter;
mod fleet;
mod instance;
mod kind;
mod lines;
pub mod signals;
mod union;

pub use super::cost::Cost;
pub use burn::{Counted, Point, Quantile, Share};
pub use fleet::{Fleet, FleetHost, HostHistory};
pub use instance::{Alert, Flavour, Instance, Job, Targets};
pub use kind::{Prometheus, PrometheusAsk, PrometheusDetail};
pub use lines::{Line, Lines};
pub use union::{alternatives, host_of, union};

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::alerting::Evaluated;
use super::capacity::Capacity;
use super::foreign::Foreign;
use super::kpi::Kpis;
use super::seen::{Lack, Seen, Why};

/// Keys of a server in the configuration.
pub const SETTINGS: &[&str] =
    &["url", "user", "password_file", "token_file", "tenant", "header_file", "tls_ca", "tls_cert", "tls_key", "tls_verify"];

/// What one server said at one tick. `None`: that was not due, the value before still stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PrometheusSample {
    /// Who it is.
    pub instance: Option<Instance>,
    /// Objectives that were counted since the tick before.
    pub counted: Vec<Counted>,
    /// Objectives that are left out, with the reason.
    pub left_out: Option<Vec<Foreign>>,
    /// Rules of files that were evaluated since the tick before.
    pub rules: Vec<Evaluated>,
    /// Alerts that fire or are pending.
    pub alerts: Option<Seen<Vec<Alert>>>,
    /// What it scrapes.
    pub targets: Option<Seen<Targets>>,
    /// Answers that are not whole: what was asked, and what the server said of it. Empty: all are whole again.
    pub warnings: Option<BTreeMap<String, Foreign>>,
}

/// The newest of everything that one server said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrometheusState {
    /// Who it is.
    pub instance: Option<Arc<Instance>>,
    /// Objectives by name.
    pub counted: BTreeMap<String, Arc<Counted>>,
    /// Objectives that are left out.
    #[serde(default)]
    pub left_out: Arc<Vec<Foreign>>,
    /// Rules of files, by their groups and names.
    #[serde(default)]
    pub rules: BTreeMap<String, Arc<Evaluated>>,
    /// Alerts.
    pub alerts: Seen<Arc<Vec<Alert>>>,
    /// Targets.
    pub targets: Seen<Arc<Targets>>,
    /// When alerts and targets came (CLOCK_MONOTONIC ns).
    #[serde(default)]
    pub came_ns: (u64, u64),
    /// Answers that are not whole.
    pub warnings: Arc<BTreeMap<String, Foreign>>,
    /// The hosts that it watches, as they were looked at last.
    #[serde(default = "not_looked_at")]
    pub fleet: Seen<Arc<Fleet>>,
    /// The host that was looked at closely last.
    #[serde(default = "not_looked_at")]
    pub host: Seen<Arc<HostHistory>>,
    /// What runs out and what is needed, as it was looked at last.
    #[serde(default = "not_looked_at")]
    pub capacity: Seen<Arc<Capacity>>,
    /// Key figures, as they were measured last.
    #[serde(default = "not_looked_at")]
    pub kpis: Seen<Arc<Kpis>>,
}

fn not_looked_at<T>() -> Seen<T> {
    Err(Lack::new(Why::NotYet, "looked at when asked"))
}

impl Default for PrometheusState {
    fn default() -> Self {
        let not_yet = |what: &str| Lack::new(Why::NotYet, what);
        Self {
            instance: None,
            counted: BTreeMap::new(),
            left_out: Arc::default(),
            rules: BTreeMap::new(),
            alerts: Err(not_yet("/api/v1/alerts")),
            targets: Err(not_yet("up")),
            came_ns: (0, 0),
            warnings: Arc::default(),
            fleet: not_looked_at(),
            host: not_looked_at(),
            capacity: not_looked_at(),
            kpis: not_looked_at(),
        }
    }
}

impl PrometheusState {
    /// Folds one tick over what was known.
    #[must_use]
    pub fn fold(&self, sample: &PrometheusSample, now_ns: u64) -> Self {
        let mut counted = self.counted.clone();
        counted.extend(sample.counted.iter().map(|c| (c.objective.name.clone(), Arc::new(c.clone()))));
        let mut rules = self.rules.clone();
        let name = |r: &Evaluated| format!("{} {} {}", r.group.shown(), r.name.shown(), r.expr.shown());
        rules.extend(sample.rules.iter().map(|r| (name(r), Arc::new(r.clone()))));
        Self {
            instance: sample.instance.clone().map(Arc::new).or_else(|| self.instance.clone()),
            counted,
            left_out: sample.left_out.clone().map_or_else(|| self.left_out.clone(), Arc::new),
            rules,
            alerts: slow(&sample.alerts, &self.alerts),
            targets: slow(&sample.targets, &self.targets),
            came_ns: (
                if sample.alerts.is_some() { now_ns } else { self.came_ns.0 },
                if sample.targets.is_some() { now_ns } else { self.came_ns.1 },
            ),
            warnings: sample.warnings.clone().map_or_else(|| self.warnings.clone(), Arc::new),
            fleet: self.fleet.clone(),
            host: self.host.clone(),
            capacity: self.capacity.clone(),
            kpis: self.kpis.clone(),
        }
    }
}

fn slow<T: Clone>(fresh: &Option<Seen<T>>, kept: &Seen<Arc<T>>) -> Seen<Arc<T>> {
    fresh.clone().map_or_else(|| kept.clone(), |value| value.map(Arc::new))
}
