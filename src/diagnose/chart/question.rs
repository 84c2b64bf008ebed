//! What a question of the chart and a branch of it are.

use crate::model::source::SourceKind;

/// One question. The rule of its id answers it, so that no threshold stands twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// The finding that it asks for.
    pub id: &'static str,
    /// What it asks; yes is bad.
    pub text: &'static str,
    /// How to find out by hand.
    pub by_hand: &'static str,
    /// A finding of severity info is a yes as well.
    pub any: bool,
}

/// One whose finding is a yes from warning on.
pub(super) const fn ask(id: &'static str, text: &'static str, by_hand: &'static str) -> Question {
    Question { id, text, by_hand, any: false }
}

/// One whose finding never is above info.
pub(super) const fn note(id: &'static str, text: &'static str, by_hand: &'static str) -> Question {
    Question { id, text, by_hand, any: true }
}

/// What is asked about one resource, in the order in which it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Branch {
    /// What it is about, in a word or two.
    pub name: &'static str,
    /// What tells of it.
    pub kind: SourceKind,
    /// What the states of the ledger that are waits for it begin with.
    pub states: &'static [&'static str],
    /// Its questions.
    pub questions: &'static [Question],
}
