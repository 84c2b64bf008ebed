//! Prometheus as a kind of server.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::facts::{PrometheusFacts, prometheus as facts};
use crate::model::kind::{Answered, Here, HostOf, Moment, ServerKind};

use super::{Fleet, HostHistory, PrometheusSample, PrometheusState};

/// The kind.
#[derive(Debug, Clone, Copy)]
pub struct Prometheus;

impl ServerKind for Prometheus {
    type Sample = PrometheusSample;
    type State = PrometheusState;
    type Facts = PrometheusFacts;
    type Ask = PrometheusAsk;
    type Detail = PrometheusDetail;

    fn fold(before: &PrometheusState, fresh: &PrometheusSample, answers: &[Answered<'_, Self>], _: u64) -> PrometheusState {
        let mut after = before.fold(fresh);
        for (ask, answer) in answers {
            match (ask, answer) {
                (_, Ok(PrometheusDetail::Fleet(fleet))) => after.fleet = Ok(Arc::new(fleet.clone())),
                (_, Ok(PrometheusDetail::Host(host))) => after.host = Ok(Arc::new(host.clone())),
                (PrometheusAsk::Fleet, Err(lack)) => after.fleet = Err((*lack).clone()),
                (PrometheusAsk::Host(_), Err(lack)) => after.host = Err((*lack).clone()),
            }
        }
        after
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
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrometheusDetail {
    /// All hosts.
    Fleet(Fleet),
    /// One of them.
    Host(HostHistory),
}
