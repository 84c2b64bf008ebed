//! What is asked of a Prometheus at the start: do clients suffer, by an objective that burns or an alert that fires. It is no resource.

use super::question::{Branch, Question, ask, note};

/// It is no resource.
pub(super) const BRANCH: Option<Branch> = None;

/// What is asked at the start.
pub(super) const START: &[Question] = &[
    ask("slo.burn", "Is an objective burning its budget too fast?", "curl -s localhost:9090/api/v1/alerts"),
    ask("prometheus.alert", "Is an alert firing?", "curl -s localhost:9090/api/v1/alerts"),
    ask("fleet.host", "Does one host of the fleet differ from the others?", "perftop, screen 7"),
    ask("slo.blind", "Is an objective blind: no data, no traffic?", "curl -s localhost:9090/api/v1/targets"),
    note("prometheus.rule_defect", "Can a rule never fire?", "promtool check rules FILE"),
    note("prometheus.partial", "Was an answer of Prometheus partial?", "curl -s localhost:9090/api/v1/status/tsdb"),
];
