//! Which rule a costly query belongs to: one each, the narrowest that holds. And the finding that they share.

use crate::detect::advice::{self, Advice};
use crate::detect::finding::Class;
use crate::detect::ledger::State;
use crate::detect::tables;
use crate::detect::verdict::{Facts, Found, evidence};
use crate::model::demand::Demand;
use crate::model::facts::PgFacts;
use crate::model::postgres::plan::Plan;
use crate::model::postgres::{StatementRow, lexer};
use crate::model::unit::Unit;

use super::support::{confidence, interval, query_losses, query_time};

/// The rules that share the queries.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// An index would serve it.
    MissingIndex(Advice),
    /// The planner's estimate is far off, or its table is another one by now: the table's place in the plan, estimated and real rows.
    StaleStatistics(usize, Option<(f64, f64)>),
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
    /// Dear, for no narrower reason.
    Expensive,
}

/// A query that costs, with its time by state.
#[derive(Debug, Clone)]
pub struct Costly<'a> {
    /// Its growth.
    pub row: &'a StatementRow,
    /// What it loses, by state.
    pub losses: Vec<(State, f64)>,
    /// The sum.
    pub lost: f64,
    /// Where it belongs.
    pub kind: Option<Kind>,
}

/// Sessions that a query must keep busy before anyone asks why.
pub const LEAST: f64 = 0.1;
/// Queries looked at closely.
const MOST: usize = 6;
/// Temporary bytes per second and per call from which a spill is one.
const SPILL_PER_S: f64 = 1_048_576.0;
/// Rows per call that nobody reads.
const FETCH_ROWS: f64 = 10_000.0;
/// A cheap query: milliseconds a call.
const CHEAP_MS: f64 = 2.0;
/// Called so often.
const OFTEN_PER_S: f64 = 300.0;
/// Rows that one of a loop returns or changes.
const FEW_ROWS: f64 = 10.0;
/// Over what was usual.
const FLOOD: f64 = 3.0;
/// A dear query: milliseconds a call.
const DEAR_MS: f64 = 20.0;
/// Slower than usual, times.
const SLOWER: f64 = 2.0;

/// The queries that cost most, each with its kind; and the plans that would tell more.
#[must_use]
pub fn costly<'a>(facts: &Facts<'a>, pg: &'a PgFacts) -> (Vec<Costly<'a>>, Vec<Demand>) {
    let mut all: Vec<Costly<'_>> = pg
        .rows()
        .map(|row| {
            let losses = query_losses(facts, pg, row.key.query);
            let lost = if losses.is_empty() { query_time(pg, row) } else { losses.iter().map(|(_, s)| s).sum() };
            let losses = if losses.is_empty() && lost > 0.0 { vec![(State::PostgresCpu, lost)] } else { losses };
            Costly { row, losses, lost, kind: None }
        })
        .filter(|c| c.lost >= LEAST * 0.5)
        .collect();
    // One entry for each query, the busiest: the same text of two roles shares its sessions.
    all.sort_by(|a, b| {
        let busier = b.row.grown.exec_ms.total_cmp(&a.row.grown.exec_ms);
        b.lost.total_cmp(&a.lost).then(busier).then(a.row.key.cmp(&b.row.key))
    });
    let mut seen = Vec::new();
    all.retain(|c| {
        !seen.contains(&c.row.key.query) && {
            seen.push(c.row.key.query);
            true
        }
    });
    all.truncate(MOST);
    let mut demands = Vec::new();
    for costly in &mut all {
        let plan = pg.plans.get(&costly.row.key.query);
        let explains = explainable(&lexer::verb(pg.text(costly.row.key.query)));
        if costly.lost >= LEAST
            && explains
            && plan.is_none_or(|(at_ns, _)| facts.world.at.mono_ns.saturating_sub(*at_ns) > advice::FRESH_NS)
        {
            demands.push(demand(pg, costly.row));
        }
        costly.kind = kind(facts, pg, costly.row, costly.lost, plan.and_then(|(_, p)| p.as_ref().ok()));
    }
    demands.truncate(2);
    (all, demands)
}

fn explainable(verb: &str) -> bool {
    ["SELECT", "WITH", "UPDATE", "DELETE", "INSERT", "MERGE"].contains(&verb)
}

/// The wish for the plan of a statement.
#[must_use]
pub fn demand(pg: &PgFacts, row: &StatementRow) -> Demand {
    Demand::Plan { source: pg.id.clone(), query: row.key.query, database: row.database.clone(), role: row.role.clone() }
}

fn kind(facts: &Facts<'_>, pg: &PgFacts, row: &StatementRow, lost: f64, plan: Option<&Plan>) -> Option<Kind> {
    let interval_s = pg.interval_s()?;
    let g = &row.grown;
    let calls = g.calls.max(1) as f64;
    let (mean_ms, per_s) = (g.exec_ms / calls, g.calls as f64 / interval_s);
    let rows = g.rows as f64 / calls;
    if let Some(plan) = plan {
        if let Some(advice) = advice::best(plan, mean_ms) {
            return Some(Kind::MissingIndex(advice));
        }
        if let Some((table, estimated)) = tables::stale(plan, rows) {
            return Some(Kind::StaleStatistics(table, Some((estimated, rows))));
        }
        if let Some((table, share)) = tables::bloated(plan) {
            return Some(Kind::Bloat(table, share));
        }
    }
    let temp = (g.temp_written_blocks * 8192) as f64;
    if temp / interval_s >= SPILL_PER_S && temp / calls >= SPILL_PER_S {
        return Some(Kind::TempSpill);
    }
    let verb = lexer::verb(pg.text(row.key.query));
    if rows >= FETCH_ROWS && (verb == "SELECT" || verb == "WITH" || verb == "FETCH") {
        return Some(Kind::LargeFetch);
    }
    let usual = facts.learned.usual_query(&pg.id, row);
    let new = facts.learned.postgres.is_new(&pg.id, row);
    let flood = usual.map_or(new || lost >= 1.0, |(_, usual_per_s)| per_s >= FLOOD * usual_per_s.max(1.0));
    if mean_ms <= CHEAP_MS && per_s >= OFTEN_PER_S && rows <= FEW_ROWS && flood {
        return Some(Kind::HighFrequency);
    }
    // What an index would do the plan says, and it is on its way.
    if !pg.plans.contains_key(&row.key.query) && explainable(&verb) {
        return None;
    }
    if let Some(table) = plan.filter(|_| mean_ms >= DEAR_MS).and_then(tables::changed) {
        return Some(Kind::StaleStatistics(table, None));
    }
    if let Some((usual_ms, _)) = usual
        && mean_ms >= SLOWER * usual_ms
        && mean_ms - usual_ms >= 1.0
    {
        return Some(Kind::Regressed(mean_ms / usual_ms.max(1e-3)));
    }
    (mean_ms >= DEAR_MS).then_some(Kind::Expensive)
}

/// The finding of one query: its time is waste as far as `recoverable` says.
#[must_use]
pub fn found(pg: &PgFacts, costly: &Costly<'_>, title: String, recoverable: f64) -> Found {
    let g = &costly.row.grown;
    let calls = g.calls.max(1) as f64;
    let interval_s = pg.interval_s().unwrap_or(1.0);
    let mut found = Found::new(Class::Live, title);
    found.losses = costly.losses.iter().map(|(state, s)| (*state, s * recoverable)).collect();
    found.waste = true;
    found.victims_time = costly.lost;
    found.ci = Some(interval(pg, costly.lost));
    found.confidence = confidence(pg, costly.lost, 3, 3);
    found.evidence = vec![
        evidence("sessions busy with it, on average", costly.lost, Unit::Count, Some(LEAST), "postgres.activity"),
        evidence("of the time of all statements", share(pg, g.exec_ms), Unit::Percent, None, "postgres.statements"),
        evidence("calls", g.calls as f64 / interval_s, Unit::PerSecond, None, "postgres.statements"),
        evidence("a call takes", g.exec_ms / calls, Unit::Milliseconds, None, "postgres.statements"),
        evidence("rows a call", g.rows as f64 / calls, Unit::Count, None, "postgres.statements"),
        evidence(
            "blocks read and found a call",
            (g.hit_blocks + g.read_blocks) as f64 / calls,
            Unit::Count,
            None,
            "postgres.statements",
        ),
    ];
    found
}

fn share(pg: &PgFacts, exec_ms: f64) -> f64 {
    let all = pg.statements.as_ref().map_or(0.0, |s| s.all.exec_ms);
    if all > 0.0 { exec_ms / all * 100.0 } else { 0.0 }
}
