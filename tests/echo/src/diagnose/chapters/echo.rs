//! What is asked about echo servers.

use crate::model::source::SourceKind;

use super::chapter::{Chapter, Go, Question, finding, question};

/// One question.
pub(super) const CHAPTER: Chapter = Chapter { kind: SourceKind::Echo, first: "echo.slow", questions: QUESTIONS };

const QUESTIONS: &[Question] = &[question(
    "echo.slow",
    "Does an echo server take long?",
    finding("echo.slow"),
    Go::Finding("echo.slow"),
    Go::On,
    "time (echo hello | nc -N HOST PORT)",
)];
