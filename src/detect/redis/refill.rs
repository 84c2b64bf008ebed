//! What a query of a database takes that fetches what a cache did not have.

use crate::detect::ledger::{Ledger, State};
use crate::detect::postgres::queries;
use crate::model::facts::{Facts, PgFacts, RedisFacts};
use crate::model::postgres::StatementRow;

/// Below this part of a query's calls it is its own matter.
const LEAST: f64 = 0.2;

/// A query that fetches what a cache did not have.
#[derive(Debug, Clone, Copy)]
pub struct Refill<'a> {
    /// Its server.
    pub pg: &'a PgFacts,
    /// It.
    pub row: &'a StatementRow,
    /// The part of its calls that evictions make: of the misses as many as keys are evicted.
    pub share: f64,
}

impl<'a> Refill<'a> {
    /// Of one cache.
    #[must_use]
    pub fn of(world: &'a Facts, r: &RedisFacts) -> Option<Self> {
        let (source, query) = r.refilled_by.as_ref()?;
        let pg = world.servers.postgres.iter().find(|pg| pg.id == *source)?;
        let row = pg.rows().filter(|row| row.key.query == *query).max_by_key(|row| row.grown.calls)?;
        let (evicted, missed) = (r.rate("evicted_keys")?, r.rate("keyspace_misses").filter(|n| *n > 0.0)?);
        pg.activity.as_ref().ok()?;
        Some(Self { pg, row, share: (evicted / missed).min(1.0) }).filter(|refill| refill.share >= LEAST)
    }

    /// Milliseconds of a call.
    #[must_use]
    pub fn mean_ms(&self) -> f64 {
        self.row.grown.mean_ms().unwrap_or(0.0)
    }

    /// Calls per second.
    #[must_use]
    pub fn per_s(&self) -> f64 {
        self.row.grown.calls as f64 / self.pg.interval_s().unwrap_or(1.0)
    }

    /// What that part of them takes, by state: work that need not be done.
    #[must_use]
    pub fn losses(&self, world: &Facts, ledger: &Ledger) -> Vec<(State, f64)> {
        let all = queries::time_of(world, ledger, self.pg, self.row);
        all.into_iter().map(|(state, s)| (state, s * self.share)).collect()
    }
}

/// Writes into the facts which query refills which cache; of two caches one at most has a query, and only while it is seen.
pub fn recall(world: &mut Facts, learned: impl Fn(&str) -> Option<(String, i64)>) {
    let mut taken: Vec<(String, i64)> = Vec::new();
    for at in 0..world.servers.redis.len() {
        let pair = learned(&world.servers.redis[at].id).filter(|pair| !taken.contains(pair));
        world.servers.redis[at].refilled_by = pair;
        if Refill::of(world, &world.servers.redis[at]).is_none() {
            world.servers.redis[at].refilled_by = None;
        }
        taken.extend(world.servers.redis[at].refilled_by.clone());
    }
}
