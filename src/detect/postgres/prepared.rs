//! The servers of one evaluation, each with what all its rules need.

use std::collections::BTreeMap;

use crate::detect::asked::Asked;
use crate::detect::memory::RuleMemory;
use crate::detect::params::ParamOverrides;
use crate::detect::rules::postgres as rules;
use crate::detect::verdict::Facts;
use crate::model::facts::PgFacts;
use crate::model::origin::postgres::OF_OTHERS;

use super::limits::Limits;
use super::queries::{Advised, Queries};
use super::view::View;

/// One server.
pub struct Prepared<'a> {
    /// It.
    pub pg: &'a PgFacts,
    queries: Queries<'a>,
}

/// All servers.
#[must_use]
pub fn prepare<'a>(facts: &Facts<'a>, overrides: &ParamOverrides, held: &BTreeMap<String, RuleMemory>) -> Vec<Prepared<'a>> {
    let one = |pg: &'a PgFacts| {
        let limits = Limits::new(overrides, held, &pg.id);
        Prepared { pg, queries: Queries::of(facts, pg, &limits, rules::queries::sort) }
    };
    facts.world.servers.postgres.iter().map(one).collect()
}

/// The indexes that would help, by source.
pub type Shown = BTreeMap<String, Advised>;

/// What the screen shows beside the facts.
#[must_use]
pub fn shown(servers: &[Prepared<'_>]) -> Shown {
    let advised = servers.iter().filter(|server| !server.queries.advised.is_empty());
    advised.map(|server| (server.pg.id.clone(), server.queries.advised.clone())).collect()
}

impl<'a> Prepared<'a> {
    /// Its source id.
    #[must_use]
    pub fn id(&self) -> &'a str {
        &self.pg.id
    }

    /// What its rules are given.
    #[must_use]
    pub fn view(&'a self, facts: Facts<'a>) -> View<'a> {
        View { facts, pg: self.pg, queries: &self.queries }
    }

    /// It, as a rule can check it that uses these origins.
    #[must_use]
    pub fn asked(&self, origins: &[&str]) -> Asked<'a> {
        // What is hidden from our role is not fine: a rule that needs others' sessions or statements clears nothing then.
        let others = origins.iter().any(|o| OF_OTHERS.contains(o));
        let narrow = self.pg.narrow().filter(|_| others);
        // Nor does one whose figures the server refused.
        let lacking = narrow.or_else(|| self.pg.refused(origins).cloned());
        Asked { source: &self.pg.id, lacking, standby: self.pg.server.as_ref().is_some_and(|s| s.standby) }
    }
}
