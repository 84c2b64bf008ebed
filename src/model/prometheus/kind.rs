//! Prometheus as a kind of server.

use serde::{Deserialize, Serialize};

use crate::model::facts::{PrometheusFacts, prometheus as facts};
use crate::model::kind::{Answered, Here, HostOf, Moment, ServerKind};

use super::{PrometheusSample, PrometheusState};

/// The kind.
#[derive(Debug, Clone, Copy)]
pub struct Prometheus;

impl ServerKind for Prometheus {
    type Sample = PrometheusSample;
    type State = PrometheusState;
    type Facts = PrometheusFacts;
    type Ask = PrometheusAsk;
    type Detail = PrometheusDetail;

    fn fold(before: &PrometheusState, fresh: &PrometheusSample, _: &[Answered<'_, Self>], _: u64) -> PrometheusState {
        before.fold(fresh)
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrometheusAsk {
    /// The hosts that it watches, against each other.
    Fleet,
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrometheusDetail {
    /// It began; what is found comes with the samples.
    Begun,
}
