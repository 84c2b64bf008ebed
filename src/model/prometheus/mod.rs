//! What a Prometheus (or one of its kin) said: objectives as counted, alerts, targets. Serialisable and pure.
//! What never lives here: queries and connections (`collect::prometheus`), whether an objective burns (`detect`).

mod asked;
mod burn;
pub mod counter;
mod instance;
mod kind;

pub use burn::{Counted, Point, Quantile, Share};
pub use instance::{Alert, Flavour, Instance, Job, Targets};
pub use kind::{Prometheus, PrometheusAsk, PrometheusDetail};

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::foreign::Foreign;
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
    /// Alerts.
    pub alerts: Seen<Arc<Vec<Alert>>>,
    /// Targets.
    pub targets: Seen<Arc<Targets>>,
    /// Answers that are not whole.
    pub warnings: Arc<BTreeMap<String, Foreign>>,
}

impl Default for PrometheusState {
    fn default() -> Self {
        let not_yet = |what: &str| Lack::new(Why::NotYet, what);
        Self {
            instance: None,
            counted: BTreeMap::new(),
            alerts: Err(not_yet("/api/v1/alerts")),
            targets: Err(not_yet("up")),
            warnings: Arc::default(),
        }
    }
}

impl PrometheusState {
    /// Folds one tick over what was known.
    #[must_use]
    pub fn fold(&self, sample: &PrometheusSample) -> Self {
        let mut counted = self.counted.clone();
        counted.extend(sample.counted.iter().map(|c| (c.objective.name.clone(), Arc::new(c.clone()))));
        Self {
            instance: sample.instance.clone().map(Arc::new).or_else(|| self.instance.clone()),
            counted,
            alerts: slow(&sample.alerts, &self.alerts),
            targets: slow(&sample.targets, &self.targets),
            warnings: sample.warnings.clone().map_or_else(|| self.warnings.clone(), Arc::new),
        }
    }
}

fn slow<T: Clone>(fresh: &Option<Seen<T>>, kept: &Seen<Arc<T>>) -> Seen<Arc<T>> {
    fresh.clone().map_or_else(|| kept.clone(), |value| value.map(Arc::new))
}
