//! What is asked of a Prometheus: do clients suffer, by an objective that burns.

use crate::model::source::SourceKind;

use super::chapter::{Chapter, Go, Question, finding, question};

/// Left towards the next source.
pub(super) const CHAPTER: Chapter = Chapter { kind: SourceKind::Prometheus, first: "slo.burn", questions: QUESTIONS };

const QUESTIONS: &[Question] = &[question(
    "slo.burn",
    "Does an objective burn its budget too fast?",
    finding("slo.burn"),
    Go::Finding("slo.burn"),
    Go::On,
    "curl -s localhost:9090/api/v1/alerts",
)];
