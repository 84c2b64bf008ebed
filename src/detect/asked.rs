//! Who is judged by a rule, and how far it can be told there.

use crate::model::facts::Facts as World;
use crate::model::seen::Lack;

use super::verdict::{Facts, Verdict};

/// Who was judged.
#[derive(Debug, Clone, Default)]
pub struct Asked<'a> {
    /// Its id.
    pub source: &'a str,
    /// Why a rule can clear nothing there: what it needs is hidden or was refused.
    pub lacking: Option<Lack>,
    /// It takes no writes.
    pub standby: bool,
}

impl Asked<'_> {
    /// The host, as a rule can check it that uses these origins.
    #[must_use]
    pub fn host(origins: &[&str], world: &World) -> Self {
        let lacking = origins.iter().find_map(|origin| world.host.missing(origin));
        Self { source: "host", lacking, standby: false }
    }
}

impl Asked<'_> {
    /// The verdict, as far as it can be told: where something is lacking nothing is clear.
    #[must_use]
    pub fn of(&self, verdict: Verdict) -> Verdict {
        match (verdict, &self.lacking) {
            (Verdict::Clear(_) | Verdict::Unknown { .. }, Some(lack)) => {
                Verdict::Unknown { because: lack.to_string(), lift: lack.lift.clone() }
            }
            (verdict, _) => verdict,
        }
    }
}

/// A server for which nothing is worked out before its rules are asked: they are given its facts and those of the host.
pub struct Plain<'a, F> {
    /// The host and what was learned.
    pub facts: Facts<'a>,
    /// Its source id.
    pub id: &'a str,
    /// Its own facts.
    pub server: &'a F,
}

impl<'a, F> Plain<'a, F> {
    /// Its source id.
    #[must_use]
    pub const fn id(&self) -> &'a str {
        self.id
    }

    /// What its rules are given.
    #[must_use]
    pub const fn view(&self, facts: Facts<'a>) -> Self {
        Self { facts, id: self.id, server: self.server }
    }

    /// It, as a rule can check it, whatever it uses.
    #[must_use]
    pub fn asked(&self, _origins: &[&str]) -> Asked<'a> {
        Asked { source: self.id, ..Asked::default() }
    }
}
