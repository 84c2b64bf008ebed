//! Facts of a Prometheus: what it said last, as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::foreign::Foreign;
use crate::model::kind::Moment;
use crate::model::prometheus::{Alert, Counted, Instance, PrometheusState, Targets};
use crate::model::seen::Seen;

/// A Prometheus.
#[derive(Debug, Clone)]
pub struct PrometheusFacts {
    /// Its source id.
    pub id: String,
    /// Who it is.
    pub instance: Option<Arc<Instance>>,
    /// Objectives, by name.
    pub counted: Vec<Arc<Counted>>,
    /// Alerts.
    pub alerts: Seen<Arc<Vec<Alert>>>,
    /// Targets.
    pub targets: Seen<Arc<Targets>>,
    /// Answers that are not whole.
    pub warnings: Arc<BTreeMap<String, Foreign>>,
}

/// Of the newest moment.
pub fn derive(window: &[Moment<'_, PrometheusState>]) -> Vec<PrometheusFacts> {
    let servers = window.last().into_iter().flat_map(|m| m.servers);
    let facts = servers.map(|(id, s)| PrometheusFacts {
        id: id.clone(),
        instance: s.instance.clone(),
        counted: s.counted.values().cloned().collect(),
        alerts: s.alerts.clone(),
        targets: s.targets.clone(),
        warnings: s.warnings.clone(),
    });
    facts.collect()
}
