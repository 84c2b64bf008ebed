//! postgres.query.stale_statistics: the planner's statistics of a table are stale; ANALYZE.

use crate::detect::command::Command;
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::postgres::case::{Case, Kind};
use crate::detect::postgres::limits::{CHANGED, DEAR, OFF};
use crate::detect::postgres::queries::Costly;
use crate::detect::postgres::tables;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::facts::PgFacts;
use crate::model::postgres::plan::PlannedTable;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, count};

use super::object::Object;
use super::query_found;
use super::query_rule::{self, LOST};
use super::support::{called, sql};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.query.stale_statistics",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "the planner's statistics of a table are stale; ANALYZE",
    params: &[LOST, OFF.param, CHANGED.param],
    origins: &["postgres.activity", "postgres.statements", "postgres.plan", "ledger"],
    page: "\
A table of more than 1,000 rows in the plan was never analysed; or it was changed by `changed` of its rows since, and
the plan expects `off` times more or fewer rows than a call returns (unless that is an aggregate), or the table has
`off` times the rows that the planner knows. Where row counts do not help, a table that changed so much counts all the
same when the statement is expensive (`dear` of postgres.query.expensive), with less confidence. A wrong estimate
makes nested loops where a hash join belongs, or the reverse. Statistics are blamed only where good ones could choose
another plan: tables are joined, an index that the plan does not use begins with a column that is compared or sorted
by, or one is used by a call that groups or returns a fifth of the table. The loss is 80 % of the query's time.

**Relief**: ANALYZE that table; it reads a sample and blocks nobody; when the query is new: roll back its deployment.
**Cure**: a scale factor of 0.02, so that autoanalyze runs on it earlier; offered once its database was read, unless
it already has one that small.",
    judge: Judge::Postgres(judge),
};

/// The planner's estimate is far off, in a table that changed.
pub fn misleads(case: &Case<'_>) -> Option<Kind> {
    let (table, estimated) = tables::stale(case.plan?, case.rows, case.least(OFF), case.least(CHANGED) / 100.0)?;
    Some(Kind::StaleStatistics(table, Some((estimated, case.rows))))
}

/// Expensive, and its table is another one by now.
pub fn fits(case: &Case<'_>) -> Option<Kind> {
    let plan = case.plan.filter(|_| case.mean_ms >= case.least(DEAR))?;
    tables::changed(plan, case.rows, case.least(CHANGED) / 100.0).map(|table| Kind::StaleStatistics(table, None))
}

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    query_rule::judge(facts, params, prev, false, |k| matches!(k, Kind::StaleStatistics(..)), made)
}

fn made(pg: &PgFacts, params: &Params<'_>, costly: &Costly<'_>, kind: &Kind) -> Option<(Subject, Found)> {
    let Kind::StaleStatistics(table, rows) = kind else { return None };
    let (table, object, subject) = query_found::planned(pg, costly, *table)?;
    let name = &object.label;
    let title = match rows {
        Some((estimated, real)) => format!(
            "Statistics of {name} are stale: {} was planned for {} rows and returns {}",
            called(pg, costly.row),
            count(*estimated),
            count(*real)
        ),
        None => format!(
            "Statistics of {name} are stale: {} of its {} rows changed since the last ANALYZE, and {} is expensive",
            count(table.modified as f64),
            count(table.live as f64),
            called(pg, costly.row)
        ),
    };
    let mut found = query_found::found(pg, costly, title, 0.8);
    found.confidence = found.confidence.min(0.7);
    found.evidence.insert(
        0,
        evidence(
            "rows changed since the last ANALYZE",
            table.modified as f64,
            Unit::Count,
            Some(table.rows * params.get(CHANGED.param) / 100.0),
            "postgres.plan",
        ),
    );
    if let Some((estimated, real)) = rows {
        let off = params.either("estimated vs actual rows, ratio", ratio(*estimated, *real), OFF.param, "postgres.plan");
        found.evidence.insert(1, off);
    } else {
        found.confidence = found.confidence.min(0.5);
    }
    found.fixes = fixes(pg, costly, table, &object);
    Some((subject, found))
}

fn ratio(a: f64, b: f64) -> f64 {
    let (a, b) = (a.max(1.0), b.max(1.0));
    (a / b).max(b / a)
}

fn fixes(pg: &PgFacts, costly: &Costly<'_>, table: &PlannedTable, object: &Object) -> Vec<Fix> {
    // It takes seconds, costs nothing and cures: before any other relief.
    let mut analyze = sql(
        pg,
        Phase::Relief,
        Horizon::Immediate,
        "Run ANALYZE on the table",
        object.statement("ANALYZE ", ""),
        &costly.row.database,
    );
    analyze.risk = "reads a sample of the table; does not block; plans of other queries may change too".into();
    analyze.needs = format!("owner of the table ({}), or MAINTAIN on it", table.owner);
    analyze.takes_s = Some(5.0);
    analyze.verify = Command::sql(format!(
        "SELECT n_mod_since_analyze, last_analyze FROM pg_stat_user_tables WHERE relid = {}::oid;",
        table.oid
    ));
    // What the table has of its own the visits say; one that was not visited yet may have any.
    let database = &costly.row.database;
    let visited = pg.catalogs.get(database.shown()).and_then(|c| c.tables.iter().find(|t| t.oid == table.oid));
    let sooner = visited.and_then(|t| object.sooner(pg, database, &table.owner, ("analyze", t.analyze_factor)));
    std::iter::once(analyze).chain(sooner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Table;
    use crate::detect::bench::postgres::{Statement, index, orders, scan};

    /// The planner expects so many rows of a table of which so many changed; an index could serve the statement.
    fn planned(rows: f64, modified: u64) -> Statement {
        let table = PlannedTable { modified, indexes: vec![index(&[2])], ..orders() };
        Statement { plan: scan(table, "(customer_id = $1)", rows), ..Statement::default() }
    }

    #[test]
    fn statistics_that_are_far_off_are_found_and_held() {
        let stale = planned(10.0, 500_000);
        Table { clear: stale.busy(60), unknown: Statement::unread(), found: stale.bench(), held: Some(stale.busy(80)) }
            .check(&RULE);
        stale
            .bench()
            .must_say(&RULE, "found Statistics of public.orders are stale: `SELECT id FROM orders WHERE customer_id = $1` was");
        planned(9.0, 500_000).bench().must_say(&RULE, "clear");
        planned(10.0, 490_000).bench().must_say(&RULE, "clear");
        planned(7.1, 360_000).bench().must_say_after(&RULE, Some(&stale.bench()), "found");
        planned(6.9, 360_000).bench().must_say_after(&RULE, Some(&stale.bench()), "clear");
    }

    #[test]
    fn a_table_that_changed_is_found_where_its_statement_is_expensive() {
        let expensive = |ms, modified| Statement { ms, ..planned(1.0, modified) }.bench();
        expensive(20.0, 500_000).must_say(&RULE, "found Statistics of public.orders are stale: 500k of its 1.0M rows changed");
        expensive(19.0, 500_000).must_say(&RULE, "clear");
        expensive(20.0, 490_000).must_say(&RULE, "clear");
    }

    #[test]
    fn statistics_are_not_blamed_where_there_is_one_plan_only() {
        let table = PlannedTable { modified: 900_000, ..orders() };
        let plan = scan(table, "(note ~~ $1)", 1_000.0);
        Statement { ms: 50.0, plan, ..Statement::default() }.bench().must_say(&RULE, "clear");
    }
}
