//! Facts of a Prometheus: what it said last, as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::alerting::Evaluated;
use crate::model::foreign::Foreign;
use crate::model::kind::Moment;
use crate::model::prometheus::{Alert, Counted, Fleet, HostHistory, Instance, PrometheusState, Targets};
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
    /// Objectives that are left out, with the reason.
    pub left_out: Arc<Vec<Foreign>>,
    /// Rules of files, as evaluated last.
    pub rules: Vec<Arc<Evaluated>>,
    /// Alerts.
    pub alerts: Seen<Arc<Vec<Alert>>>,
    /// Targets.
    pub targets: Seen<Arc<Targets>>,
    /// Answers that are not whole.
    pub warnings: Arc<BTreeMap<String, Foreign>>,
    /// The hosts that it watches.
    pub fleet: Seen<Arc<Fleet>>,
    /// The host that was looked at closely.
    pub host: Seen<Arc<HostHistory>>,
}

/// Of the newest moment.
pub fn derive(window: &[Moment<'_, PrometheusState>]) -> Vec<PrometheusFacts> {
    let servers = window.last().into_iter().flat_map(|m| m.servers);
    let facts = servers.map(|(id, s)| PrometheusFacts {
        id: id.clone(),
        instance: s.instance.clone(),
        counted: s.counted.values().cloned().collect(),
        left_out: s.left_out.clone(),
        rules: s.rules.values().cloned().collect(),
        alerts: s.alerts.clone(),
        targets: s.targets.clone(),
        warnings: s.warnings.clone(),
        fleet: s.fleet.clone(),
        host: s.host.clone(),
    });
    facts.collect()
}
