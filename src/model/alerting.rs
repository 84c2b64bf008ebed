//! Rules of alerts as their files write them, and what became of them. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::foreign::Foreign;
use super::seen::Seen;

/// A rule of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleText {
    /// Its group.
    pub group: String,
    /// The alert, or what is recorded.
    pub name: String,
    /// It is an alert.
    pub alert: bool,
    /// Its expression.
    pub expr: String,
    /// For how long it must hold, seconds.
    pub for_s: u64,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// A rule, as it was evaluated last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// Its group and its name.
    pub group: Foreign,
    /// Its name.
    pub name: Foreign,
    /// It is an alert.
    pub alert: bool,
    /// Its label `severity`.
    pub severity: Foreign,
    /// Its expression.
    pub expr: Foreign,
    /// For how long it must hold, seconds.
    pub for_s: u64,
    /// Series for which it holds now.
    pub holds: Seen<u32>,
    /// Since when one of them has held without a break, ms since 1970; the hour before is looked at.
    pub since_ms: Option<i64>,
    /// When it was evaluated, ms since 1970.
    #[serde(default)]
    pub at_ms: i64,
    /// What the first of them says: its labels, its value.
    pub first: Option<(Foreign, f64)>,
    /// What is wrong with the rule itself.
    pub defects: Vec<Foreign>,
}

impl Evaluated {
    /// It would fire: it had held for as long as it must when it was evaluated, and that is no longer ago than ten minutes.
    #[must_use]
    pub fn fires(&self, now_ms: i64) -> bool {
        const OLD_MS: i64 = 600_000;
        if now_ms.saturating_sub(self.at_ms) > OLD_MS {
            return false;
        }
        let held_s = self.since_ms.map_or(0, |since| self.at_ms.saturating_sub(since) / 1000);
        self.alert && self.holds.as_ref().is_ok_and(|n| *n > 0) && held_s >= i64::try_from(self.for_s).unwrap_or(i64::MAX)
    }
}
