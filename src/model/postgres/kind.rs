//! PostgreSQL as a kind of server.

use serde::{Deserialize, Serialize};

use crate::model::facts::{PgFacts, postgres as facts};
use crate::model::foreign::Foreign;
use crate::model::kind::{Answered, Here, HostOf, Moment, ServerKind};
use crate::model::seen::{Seen, counted};

use super::plan::{Plan, Planned, Trial, TrialIndex};
use super::{Activity, PgSample, PgState, Statements, WaitClass};

/// The kind.
#[derive(Debug, Clone, Copy)]
pub struct Postgres;

impl ServerKind for Postgres {
    type Sample = PgSample;
    type State = PgState;
    type Facts = PgFacts;
    type Ask = PgAsk;
    type Detail = PgDetail;

    fn fold(before: &PgState, fresh: &PgSample, answers: &[Answered<'_, Self>], now_ns: u64) -> PgState {
        before.fold(fresh, sorted(answers), now_ns)
    }

    fn join(earlier: PgSample, later: PgSample) -> PgSample {
        // A later look at which nobody waits for a lock ends what was seen of locks before.
        let waits = |a: &Activity| a.sessions.iter().any(|s| s.wait.class() == WaitClass::Lock);
        let over = later.activity.as_ref().is_some_and(|seen| !seen.as_ref().is_ok_and(waits));
        let mut unvisited = earlier.unvisited;
        unvisited.retain(|(database, _)| !later.catalogs.iter().any(|c| c.database == *database));
        PgSample {
            server: later.server.or(earlier.server),
            activity: match later.activity {
                // Whoever cannot be asked now is unknown now.
                Some(Err(lack)) => Some(Err(lack)),
                now => counted(earlier.activity, now, Activity::join),
            },
            blocking: later.blocking.or(earlier.blocking.filter(|_| !over)),
            statements: counted(earlier.statements, later.statements, Statements::join),
            texts: [earlier.texts, later.texts].concat(),
            cluster: later.cluster.or(earlier.cluster),
            catalogs: [earlier.catalogs, later.catalogs].concat(),
            unvisited: [unvisited, later.unvisited].concat(),
        }
    }

    fn facts(window: &[Moment<'_, PgState>], host: &HostOf<'_>) -> Vec<PgFacts> {
        facts::derive(window, host)
    }

    fn here(pg: &PgFacts) -> Option<Here<'_>> {
        let root = pg.server.as_ref().and_then(|s| s.postmaster);
        Some(Here { id: &pg.id, root, port: pg.local().then(|| pg.listens()).flatten() })
    }
}

/// What was answered, by what is kept of it.
type Kept<T> = Vec<(Planned, Seen<T>)>;

/// Plans, and indexes that were tried.
fn sorted(answers: &[Answered<'_, Postgres>]) -> (Kept<Plan>, Kept<Trial>) {
    let (mut plans, mut trials) = (Vec::new(), Vec::new());
    for (ask, detail) in answers {
        let (PgAsk::Plan { query, database, .. } | PgAsk::Trial { query, database, .. }) = ask else { continue };
        let of = (database.clone(), *query);
        match (ask, detail) {
            (_, Ok(PgDetail::Plan(plan))) => plans.push((of, Ok(plan.clone()))),
            (_, Ok(PgDetail::Trial(trial))) => trials.push((of, Ok(trial.clone()))),
            (PgAsk::Trial { .. }, Err(lack)) => trials.push((of, Err((*lack).clone()))),
            (_, Err(lack)) => plans.push((of, Err((*lack).clone()))),
        }
    }
    (plans, trials)
}

/// What a server of PostgreSQL can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PgAsk {
    /// The generic plan of a statement, with what the catalogue knows of its tables.
    Plan {
        /// Query id.
        query: i64,
        /// Its database.
        database: Foreign,
        /// The role that runs it.
        role: Foreign,
    },
    /// What the planner would make of a statement with an index that is not there; by HypoPG, where it is installed.
    Trial {
        /// Query id.
        query: i64,
        /// Its database.
        database: Foreign,
        /// The role that runs it.
        role: Foreign,
        /// The index.
        index: TrialIndex,
    },
    /// A database is to be visited before its turn: something was found there, and its end must not be seen late.
    Visit {
        /// The database.
        database: Foreign,
    },
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PgDetail {
    /// A plan.
    Plan(Plan),
    /// A plan with an index that is not there.
    Trial(Trial),
}
