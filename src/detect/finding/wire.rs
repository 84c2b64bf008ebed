//! A fix as it stands in the JSON: commands as texts, their languages beside them.

use serde::{Deserialize, Serialize};

use super::{Command, Horizon, Phase, Preflight, round6_option};
use crate::detect::command::Language;

/// The document's form of [`super::Fix`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fix {
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

impl From<super::Fix> for Fix {
    fn from(fix: super::Fix) -> Self {
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

impl From<Fix> for super::Fix {
    fn from(fix: Fix) -> Self {
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
