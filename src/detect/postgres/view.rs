//! What a rule of PostgreSQL is given: one server, what its queries cost, and all that a rule of the host is given.

use std::ops::Deref;

use crate::detect::postgres::queries::Queries;
use crate::detect::series::Series;
use crate::detect::verdict::Facts;
use crate::model::facts::PgFacts;

/// One server, to be judged.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The host and what was learned.
    pub facts: Facts<'a>,
    /// The server.
    pub pg: &'a PgFacts,
    /// What its queries cost.
    pub queries: &'a Queries<'a>,
}

impl<'a> View<'a> {
    /// A figure of the server over time, by its name.
    #[must_use]
    pub fn trend(&self, what: &str) -> Option<&'a Series> {
        self.facts.learned.servers.postgres.trend(&self.pg.id, what)
    }
}

impl<'a> Deref for View<'a> {
    type Target = Facts<'a>;

    fn deref(&self) -> &Facts<'a> {
        &self.facts
    }
}
