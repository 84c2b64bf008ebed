//! What recordings held while PostgreSQL was the only kind of server.

use serde::Deserialize;

use crate::model::foreign::Foreign;

use super::kind::{PgAsk, PgDetail};
use super::plan::{Plan, Trial, TrialIndex};

/// Demands as recordings held them while PostgreSQL was the only kind.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "as above")]
pub enum AskBefore {
    Plan { source: String, query: i64, database: Foreign, role: Foreign },
    Trial { source: String, query: i64, database: Foreign, role: Foreign, index: TrialIndex },
    Visit { source: String, database: Foreign },
}

impl AskBefore {
    /// The source, and what it was asked.
    #[must_use]
    pub fn now(self) -> (String, PgAsk) {
        match self {
            Self::Plan { source, query, database, role } => (source, PgAsk::Plan { query, database, role }),
            Self::Trial { source, query, database, role, index } => (source, PgAsk::Trial { query, database, role, index }),
            Self::Visit { source, database } => (source, PgAsk::Visit { database }),
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

impl DetailBefore {
    /// The answer.
    #[must_use]
    pub fn now(self) -> PgDetail {
        match self {
            Self::Trial(trial) => PgDetail::Trial(trial),
            Self::Plan(plan) => PgDetail::Plan(plan),
        }
    }
}
