//! A rule's finding on its way to the list.

use crate::model::subject::{Subject, SubjectType};

use super::finding::Explains;
use super::ledger::State;
use super::verdict::Found;

/// A rule's finding on its way to the list.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// `id|source|type:key`.
    pub key: String,
    /// The rule.
    pub id: &'static str,
    /// Source id.
    pub source: String,
    /// Who.
    pub subject: Subject,
    /// What the rule said.
    pub found: Found,
    /// Symptoms it explains.
    pub explains: Vec<Explains>,
    /// Key of what explains it.
    pub explained_by: Option<String>,
}

impl Candidate {
    /// Seconds per second it claims.
    #[must_use]
    pub fn lost(&self) -> f64 {
        self.found.lost()
    }

    /// The objects that it blames.
    pub(super) fn blames(&self) -> Vec<String> {
        let all = std::iter::once(self.subject.typed_key()).chain(self.subject.also.iter().cloned());
        // The whole of a host or a server is blamed for many things.
        let whole = matches!(self.subject.kind, SubjectType::Host | SubjectType::Instance);
        let of = if whole { format!("{}|{}", self.source, self.id) } else { self.source.clone() };
        all.map(|key| format!("{of}|{key}")).collect()
    }

    /// The states in which it keeps others waiting.
    pub(super) fn waits(&self) -> impl Iterator<Item = State> + '_ {
        self.found.losses.iter().map(|(state, _)| *state)
    }

    pub(super) fn lost_in(&self, state: State) -> f64 {
        self.found.losses.iter().filter(|(s, _)| *s == state).map(|(_, lost)| lost).sum()
    }
}
