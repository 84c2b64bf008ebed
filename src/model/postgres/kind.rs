//! PostgreSQL as a kind of server.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::demand::{Demand, Detail};
use crate::model::facts::{PgFacts, ProcFacts, postgres as facts};
use crate::model::foreign::Foreign;
use crate::model::sample::Snapshot;
use crate::model::server::{Answered, ServerAsk, ServerDetail, ServerKind};

use super::plan::{Plan, Trial, TrialIndex};
use super::{PgSample, PgState};

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
        before.fold(fresh, answers, now_ns)
    }

    fn facts(window: &[Arc<Snapshot>], processes: &[ProcFacts]) -> Vec<PgFacts> {
        facts::derive(window, processes)
    }
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

impl PgAsk {
    /// As a demand on that server.
    #[must_use]
    pub fn of(self, source: &str) -> Demand {
        Demand::Server { source: source.to_owned(), ask: ServerAsk::Postgres(self) }
    }
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

impl From<PgDetail> for Detail {
    fn from(detail: PgDetail) -> Self {
        Self::Server(ServerDetail::Postgres(detail))
    }
}

/// Demands as recordings held them while PostgreSQL was the only kind.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "as above")]
pub enum AskBefore {
    Plan { source: String, query: i64, database: Foreign, role: Foreign },
    Trial { source: String, query: i64, database: Foreign, role: Foreign, index: TrialIndex },
    Visit { source: String, database: Foreign },
}

impl From<AskBefore> for Demand {
    fn from(before: AskBefore) -> Self {
        match before {
            AskBefore::Plan { source, query, database, role } => PgAsk::Plan { query, database, role }.of(&source),
            AskBefore::Trial { source, query, database, role, index } => {
                PgAsk::Trial { query, database, role, index }.of(&source)
            }
            AskBefore::Visit { source, database } => PgAsk::Visit { database }.of(&source),
        }
    }
}

/// Answers as they were then. Every field of a plan may be left out, so that it comes last.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "as above")]
pub enum DetailBefore {
    Trial(Trial),
    Plan(Plan),
}

impl From<DetailBefore> for Detail {
    fn from(before: DetailBefore) -> Self {
        match before {
            DetailBefore::Trial(trial) => PgDetail::Trial(trial).into(),
            DetailBefore::Plan(plan) => PgDetail::Plan(plan).into(),
        }
    }
}
