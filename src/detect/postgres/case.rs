//! A costly query as the rules of queries see it. Each of them says by `fits` whether it is its own; the first in their list
//! (`detect::rules::postgres::queries`) has it. Pure.

use crate::detect::learned::Learned;
use crate::model::facts::PgFacts;
use crate::model::postgres::plan::Plan;
use crate::model::postgres::{StatementRow, lexer};

use super::advice::Advice;
use super::limits::{Limit, Limits};

/// The rules that share the queries.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// An index would serve it.
    MissingIndex(Advice),
    /// The planner's estimate is far off, or its table is another one by now: the table's place in the plan, estimated and real
    /// rows.
    StaleStatistics(usize, Option<(f64, f64)>),
    /// Compilation takes that share of it; what is known only by the plan, where the server does not count it.
    Jit(f64),
    /// Planned for so many milliseconds a call, longer than it works.
    Planning(f64),
    /// A table that is mostly dead space: its place in the plan, and the share.
    Bloat(usize, f64),
    /// Sorts and hashes spill.
    TempSpill,
    /// More rows than anyone can use.
    LargeFetch,
    /// A cheap one too often.
    HighFrequency,
    /// Slower than it was: times.
    Regressed(f64),
    /// Expensive, for no more specific reason.
    Expensive,
}

/// A query and its figures.
#[derive(Debug, Clone)]
pub struct Case<'a> {
    /// Its server.
    pub pg: &'a PgFacts,
    /// Its growth between the two newest readings.
    pub row: &'a StatementRow,
    /// Sessions that it keeps busy.
    pub lost: f64,
    /// Its plan, once there is one.
    pub plan: Option<&'a Plan>,
    /// The index that would help.
    pub advice: Option<&'a Advice>,
    /// Milliseconds per call.
    pub mean_ms: f64,
    /// Calls per second.
    pub per_s: f64,
    /// Rows returned or changed per call.
    pub rows: f64,
    /// Seconds between those readings.
    pub interval_s: f64,
    /// The first word of its text, in capitals.
    pub verb: String,
    /// Milliseconds per call and calls per second as they were before.
    pub usual: Option<(f64, f64)>,
    /// Milliseconds of a call that are planning; `None` where that is not known.
    pub planning_ms: Option<f64>,
    /// It came up while the server was known already.
    pub new: bool,
    limits: &'a Limits<'a>,
    key: String,
}

impl<'a> Case<'a> {
    /// `None` before the second reading.
    #[must_use]
    pub fn of(
        learned: &Learned,
        pg: &'a PgFacts,
        (row, lost, planning_ms): (&'a StatementRow, f64, Option<f64>),
        advice: Option<&'a Advice>,
        limits: &'a Limits<'a>,
    ) -> Option<Self> {
        let interval_s = pg.interval_s()?;
        let (calls, usual) = (row.grown.calls.max(1) as f64, &learned.servers.postgres);
        Some(Self {
            pg,
            row,
            lost,
            plan: pg.plan(row).and_then(|(_, plan)| plan.as_ref().ok()),
            advice,
            mean_ms: row.grown.exec_ms / calls,
            per_s: row.grown.calls as f64 / interval_s,
            rows: row.grown.rows as f64 / calls,
            interval_s,
            verb: lexer::verb(pg.text(row.key.query)),
            usual: usual.usual(&pg.id, row),
            planning_ms,
            new: usual.is_new(&pg.id, row),
            limits,
            key: format!("query:{}/{}", row.database.shown(), row.key.query),
        })
    }

    /// What it has to reach.
    #[must_use]
    pub fn least(&self, limit: Limit) -> f64 {
        self.limits.least(limit, &self.key)
    }

    /// What it must not exceed.
    #[must_use]
    pub fn most(&self, limit: Limit) -> f64 {
        self.limits.most(limit, &self.key)
    }
}
