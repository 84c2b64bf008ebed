//! A suggestion, and how it stands in the JSON: commands as texts, their languages beside them.

use serde::{Deserialize, Serialize};

use crate::detect::command::{Command, Language};

use super::round::round6_option;

/// When a fix helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the contract's words")]
pub enum Phase {
    Relief,
    Cure,
}

/// Its horizon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the contract's words")]
pub enum Horizon {
    Immediate,
    ShortTerm,
    LongTerm,
}

/// A check of a fix against the live state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preflight {
    /// Passed.
    pub ok: bool,
    /// What was checked.
    pub what: String,
}

/// A suggestion. perftop copies it and never runs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Fix {
    /// Relief or cure.
    pub phase: Phase,
    /// Its horizon.
    pub horizon: Horizon,
    /// What it does.
    pub title: String,
    /// Where to run it.
    pub target: String,
    /// The text to paste.
    pub command: Command,
    /// How to take it back, in the language of the command.
    pub undo: Option<Command>,
    /// What can go wrong.
    pub risk: String,
    /// Rights that it needs.
    pub needs: String,
    /// Seconds it takes.
    pub takes_s: Option<f64>,
    /// Space that it needs.
    pub needs_bytes: Option<u64>,
    /// Checks against the live state.
    pub preflight: Vec<Preflight>,
    /// It works after a restart, or in new sessions only: how long that takes nobody knows. Not in the JSON: a check says so in words.
    pub waits: bool,
    /// How to see that it worked; its language may be another one: it says which.
    pub verify: Command,
}

/// The risk of what only looks.
pub const ONLY_LOOKS: &str = "none: read-only";

impl Fix {
    /// It only reads: it cures nothing, and is no reason for a gain.
    #[must_use]
    pub fn only_looks(&self) -> bool {
        self.risk.starts_with(ONLY_LOOKS)
    }

    /// The language of the verification, where it is another one than the command's: a statement is verified in psql, unless that says.
    #[must_use]
    pub fn verify_in(&self) -> Option<&'static str> {
        (self.verify.language() != self.command.language()).then(|| self.verify.language().word())
    }
}

/// The document's form of [`Fix`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    phase: Phase,
    horizon: Horizon,
    title: String,
    language: Language,
    target: String,
    command: String,
    undo: Option<String>,
    risk: String,
    needs: String,
    #[serde(serialize_with = "round6_option")]
    takes_s: Option<f64>,
    needs_bytes: Option<u64>,
    preflight: Vec<Preflight>,
    verify: String,
    verify_language: Language,
}

impl From<Fix> for Written {
    fn from(fix: Fix) -> Self {
        Self {
            phase: fix.phase,
            horizon: fix.horizon,
            title: fix.title,
            language: fix.command.language(),
            target: fix.target,
            command: fix.command.to_string(),
            undo: fix.undo.map(|undo| undo.to_string()),
            risk: fix.risk,
            needs: fix.needs,
            takes_s: fix.takes_s,
            needs_bytes: fix.needs_bytes,
            preflight: fix.preflight,
            verify_language: fix.verify.language(),
            verify: fix.verify.to_string(),
        }
    }
}

impl From<Written> for Fix {
    fn from(fix: Written) -> Self {
        Self {
            phase: fix.phase,
            horizon: fix.horizon,
            title: fix.title,
            target: fix.target,
            command: Command::new(fix.language, fix.command),
            undo: fix.undo.map(|undo| Command::new(fix.language, undo)),
            risk: fix.risk,
            needs: fix.needs,
            takes_s: fix.takes_s,
            needs_bytes: fix.needs_bytes,
            preflight: fix.preflight,
            waits: false,
            verify: Command::new(fix.verify_language, fix.verify),
        }
    }
}
