//! What is asked about the echo server.

use crate::model::source::SourceKind;

use super::question::{Branch, Question, ask};

/// Nothing of it is asked at the start.
pub(super) const START: &[Question] = &[];

/// The branch.
pub(super) const BRANCH: Option<Branch> =
    Some(Branch { name: "Echo", kind: SourceKind::Echo, states: &["echo."], questions: QUESTIONS });

const QUESTIONS: &[Question] = &[ask("echo.slow", "Does an echo server take long?", "time (echo hello | nc -N HOST PORT)")];
