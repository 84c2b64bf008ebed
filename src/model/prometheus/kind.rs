//! Prometheus as a kind of server.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::capacity::Capacity;
use crate::model::facts::{PrometheusFacts, prometheus as facts};
use crate::model::kind::{Answered, Here, HostOf, Moment, ServerKind};
use crate::model::kpi::Kpis;

use super::{Fleet, HostHistory, Lines, PrometheusSample, PrometheusState};

/// The kind.
#[derive(Debug, Clone, Copy)]
pub struct Prometheus;

impl ServerKind for Prometheus {
    type Sample = PrometheusSample;
    type State = PrometheusState;
    type Facts = PrometheusFacts;
    type Ask = PrometheusAsk;
    type Detail = PrometheusDetail;

    fn fold(before: &PrometheusState, fresh: &PrometheusSample, answers: &[Answered<'_, Self>], now_ns: u64) -> PrometheusState {
        let mut after = before.fold(fresh, now_ns);
        for (ask, answer) in answers {
            match (ask, answer) {
                (_, Ok(PrometheusDetail::Fleet(fleet))) => after.fleet = Ok(Arc::new(fleet.clone())),
                (_, Ok(PrometheusDetail::Host(host))) => after.host = Ok(Arc::new(host.clone())),
                (_, Ok(PrometheusDetail::Capacity(found))) => after.capacity = Ok(Arc::new(found.clone())),
                (_, Ok(PrometheusDetail::Kpis(found))) => after.kpis = Ok(Arc::new(found.clone())),
                (PrometheusAsk::Kpis, Err(lack)) => after.kpis = Err((*lack).clone()),
                (PrometheusAsk::Capacity, Err(lack)) => after.capacity = Err((*lack).clone()),
                (PrometheusAsk::Fleet, Err(lack)) => after.fleet = Err((*lack).clone()),
                (PrometheusAsk::Host(_), Err(lack)) => after.host = Err((*lack).clone()),
                // What a panel asks for belongs to the screen.
                (PrometheusAsk::Query { .. } | PrometheusAsk::Values { .. } | PrometheusAsk::Leave, _) | (_, Ok(_)) => {}
            }
        }
        after
    }

    fn join(earlier: PrometheusSample, later: PrometheusSample) -> PrometheusSample {
        PrometheusSample {
            instance: later.instance.or(earlier.instance),
            counted: [earlier.counted, later.counted].concat(),
            left_out: later.left_out.or(earlier.left_out),
            rules: [earlier.rules, later.rules].concat(),
            alerts: later.alerts.or(earlier.alerts),
            targets: later.targets.or(earlier.targets),
            warnings: later.warnings.or(earlier.warnings),
        }
    }

    fn facts(window: &[Moment<'_, PrometheusState>], _: &HostOf<'_>) -> Vec<PrometheusFacts> {
        facts::derive(window)
    }

    fn here(p: &PrometheusFacts) -> Option<Here<'_>> {
        let instance = p.instance.as_ref()?;
        let root = instance.process?;
        Some(Here { id: &p.id, root: Some(root), port: Some(instance.port) })
    }
}

/// What a Prometheus can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrometheusAsk {
    /// The hosts that it watches, against each other.
    Fleet,
    /// One of them, over the last hour.
    Host(String),
    /// What runs out, what is needed, what calls for more.
    Capacity,
    /// Key figures against their targets.
    Kpis,
    /// Nobody looks any more: what was asked for and is not answered is not wanted.
    Leave,
    /// A query of a panel.
    Query {
        /// The expression.
        query: String,
        /// How far back, seconds.
        span_s: u64,
        /// Between two points, seconds; 0: only the newest values.
        step_s: u64,
    },
    /// The values of a label.
    Values {
        /// Of which series; empty: of all.
        selector: String,
        /// The label.
        label: String,
    },
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrometheusDetail {
    /// All hosts.
    Fleet(Fleet),
    /// One of them.
    Host(HostHistory),
    /// What runs out and what is needed.
    Capacity(Capacity),
    /// Key figures.
    Kpis(Kpis),
    /// The series of a query.
    Lines(Lines),
    /// The values of a label, sorted.
    Values(Vec<String>),
}
