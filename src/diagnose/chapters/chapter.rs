//! What a chapter and a question are.

use crate::detect::ledger::State;
use crate::model::source::SourceKind;

/// What answers a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Is there a finding of that rule at warning or above, or (if `any`) at all?
    Finding {
        /// Rule id.
        id: &'static str,
        /// Info counts too.
        any: bool,
    },
    /// Does the foreground lose time at all (T above idle and a root or an unexplained wait of a tenth of it)?
    Losing,
    /// Is that state the largest wait of the ledger?
    LargestWait(State),
}

/// Where an answer leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    /// On to another question of this chapter, by its id.
    To(&'static str),
    /// On to the next chapter: the servers in their order, then back to the host.
    On,
    /// A finding is the answer.
    Finding(&'static str),
    /// An honest end.
    End(&'static str),
}

/// One question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Its id: the finding that it asks for, or what else it is about.
    pub id: &'static str,
    /// What it asks.
    pub text: &'static str,
    /// What answers it.
    pub ask: Ask,
    /// On yes.
    pub yes: Go,
    /// On no.
    pub no: Go,
    /// How to find out by hand when it is unknown.
    pub by_hand: &'static str,
}

pub(super) const fn finding(id: &'static str) -> Ask {
    Ask::Finding { id, any: false }
}

pub(super) const fn question(id: &'static str, text: &'static str, ask: Ask, yes: Go, no: Go, by_hand: &'static str) -> Question {
    Question { id, text, ask, yes, no, by_hand }
}

/// The questions about one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chapter {
    /// Which.
    pub kind: SourceKind,
    /// Where it is entered: for the host again, once the servers were asked about.
    pub first: &'static str,
    /// Its questions.
    pub questions: &'static [Question],
}
