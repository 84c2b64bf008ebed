//! postgres.query.missing_index: a query reads far more rows than it returns, and an index would serve it.

use crate::detect::command::Command;
use crate::detect::finding::{Class, Fix, Horizon, Phase, Preflight};
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::postgres::advice::Advice;
use crate::detect::postgres::case::{Case, Kind};
use crate::detect::postgres::queries::Costly;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::facts::PgFacts;
use crate::model::postgres::plan::{Plan, PlannedTable};
use crate::model::postgres::{identifier, qualified};
use crate::model::subject::Subject;
use crate::model::unit::{Unit, bytes, count, seconds};

use super::query_found;
use super::query_rule::{self, LOST};
use super::support::{called, sql, who};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.query.missing_index",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "a query reads far more rows than it returns, and an index would help",
    params: &[LOST],
    origins: &["postgres.activity", "postgres.statements", "postgres.plan", "ledger"],
    page: "\
The plan that the server makes of the query, for any parameters, scans a table and throws most of it away, filters
most of what an index finds, or joins a whole table with few rows. The columns of an index come from the plan's own
conditions, so views, aliases and search paths are resolved already: those compared for equality, the most selective
first, then a range or the requested order. No index is suggested where a valid one with the same first columns
exists, where more than a tenth of the table is needed and no LIMIT applies, where the table has fewer than 30 pages,
where the cost would not be halved, or without a plan. For a table that was never vacuumed or analysed only the rows
counted by the server are known: an index is suggested there only where the statement returns (or changes) just what
the scan finds, by the rows that it returns.

**What it gives**: perftop's own estimate of the plan with the scan replaced by an index scan, at the planner's costs;
`H` asks the planner itself where HypoPG is installed. A range, from four times that cost to a twentieth, because
caches and other queries are not in a plan; charged is its low end, 30 % at least. Size from the columns' widths.
**What it costs**: every write to the table updates the index.

**Relief**, when the query is new: roll back its deployment. **Cure**: CREATE INDEX CONCURRENTLY, outside a
transaction, without IF NOT EXISTS (an invalid remnant of an earlier attempt would look like success). It waits for
every older transaction; the oldest in that database is named from ten seconds on. Undo: DROP INDEX CONCURRENTLY.",
    judge: Judge::Postgres(judge),
};

/// An index would halve the cost of its plan.
pub fn fits(case: &Case<'_>) -> Option<Kind> {
    case.advice.cloned().map(Kind::MissingIndex)
}

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    query_rule::judge(facts, params, prev, true, |k| matches!(k, Kind::MissingIndex(_)), made)
}

fn made(pg: &PgFacts, _: &Params<'_>, costly: &Costly<'_>, kind: &Kind) -> Option<(Subject, Found)> {
    let Kind::MissingIndex(advice) = kind else { return None };
    let plan = pg.plan(costly.row)?.1.as_ref().ok()?;
    let (table, object, mut subject) = query_found::planned(pg, costly, advice.table)?;
    let (name, columns) = (&object.label, advice.columns.join(", "));
    subject.label = format!("{name}({columns})");
    let rows = costly.row.grown.rows as f64 / costly.row.grown.calls.max(1) as f64;
    let title = format!(
        "Missing index on {name}({columns}): {} scans {} rows to return {}",
        called(pg, costly.row),
        count(advice.rows_read),
        count(rows.max(0.0))
    );
    let mut found = query_found::found(pg, costly, title, advice.gain_low);
    found.confidence = found.confidence.min(0.9);
    found.evidence.insert(
        0,
        evidence("rows scanned per row returned", advice.rows_read / rows.max(1.0), Unit::Ratio, None, "postgres.plan"),
    );
    found.evidence.push(evidence("plan cost now", plan.cost(), Unit::Count, None, "postgres.plan"));
    found.evidence.push(evidence("plan cost with the index", advice.cost_after, Unit::Count, None, "postgres.plan"));
    found.against = vec![evidence(
        "rows written to the table since statistics began",
        table.writes as f64,
        Unit::Count,
        None,
        "postgres.plan",
    )];
    found.fixes = fixes(pg, costly, plan, table, advice);
    Some((subject, found))
}

fn fixes(pg: &PgFacts, costly: &Costly<'_>, plan: &Plan, table: &PlannedTable, advice: &Advice) -> Vec<Fix> {
    let mut out = Vec::new();
    for target in advice.targets(plan) {
        out.extend(build(pg, costly, target, advice));
    }
    if out.is_empty() {
        out.extend(build(pg, costly, table, advice));
    }
    out
}

pub(super) fn build(pg: &PgFacts, costly: &Costly<'_>, table: &PlannedTable, advice: &Advice) -> Option<Fix> {
    let name = advice.name(table)?;
    let quoted = identifier(&name)?;
    let schema = identifier(&table.schema)?;
    let target = qualified(&table.schema, &table.name)?;
    let size = advice.bytes(table);
    let command = advice.command(table)?;
    let title = format!(
        "Build the index without blocking writes: saves {:.0} to {:.1} % of the query's time",
        advice.gain_low * 100.0,
        (advice.gain_high * 100.0).min(99.9)
    );
    let mut fix = sql(pg, Phase::Cure, Horizon::Immediate, &title, command, &costly.row.database);
    fix.undo = Some(Command::sql(format!("DROP INDEX CONCURRENTLY {schema}.{quoted};")));
    fix.risk = format!(
        "reads the table twice, waits for older transactions; about {} more to update on writes; a failed build leaves an invalid index",
        bytes(size)
    );
    fix.needs = format!("owner of {target} ({})", table.owner);
    // Two scans of the table at some 100 MB/s, and a sort.
    fix.takes_s = Some((table.pages as f64 * 8192.0 * 2.0 / 100e6 + table.rows * 1e-6).max(1.0).round());
    fix.needs_bytes = Some(size as u64);
    fix.verify = Command::sql(format!(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = {}::regclass;",
        crate::model::postgres::literal(&crate::model::foreign::Foreign::from(format!("{schema}.{quoted}").as_str()))?
    ));
    fix.preflight = preflight(pg, costly);
    Some(fix)
}

/// Transactions that would stall the build, and builds under way.
pub(super) fn preflight(pg: &PgFacts, costly: &Costly<'_>) -> Vec<Preflight> {
    const OLD_S: f64 = 10.0;
    let mut checks = Vec::new();
    if let Ok(activity) = &pg.activity {
        let same =
            |s: &&crate::model::postgres::Session| s.database == costly.row.database && s.xact_s.is_some_and(|age| age >= OLD_S);
        let oldest = activity
            .newest
            .sessions
            .iter()
            .filter(same)
            .max_by(|a, b| a.xact_s.unwrap_or(0.0).total_cmp(&b.xact_s.unwrap_or(0.0)));
        checks.push(match oldest {
            Some(s) => Preflight {
                ok: false,
                what: format!(
                    "the transaction of {} is {} old: the build waits for it",
                    who(s),
                    seconds(s.xact_s.unwrap_or(0.0))
                ),
            },
            None => Preflight { ok: true, what: "no transaction older than 10 s would delay it".into() },
        });
    }
    if let Ok(cluster) = &pg.cluster {
        let building = cluster.progress.iter().any(|p| p.command == "create index");
        let what = if building { "another index build is running" } else { "no other index build is running" };
        checks.push(Preflight { ok: !building, what: what.into() });
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Table;
    use crate::detect::bench::postgres::{Statement, index, orders, scan};

    fn scans(indexed: &[i16]) -> Statement {
        let table = PlannedTable { indexes: vec![index(indexed)], ..orders() };
        Statement { ms: 50.0, plan: scan(table, "(customer_id = $1)", 10.0), ..Statement::default() }
    }

    #[test]
    fn a_missing_index_is_found_and_held() {
        let scans_all = scans(&[1]);
        Table {
            clear: scans_all.busy(60),
            unknown: Statement::unread(),
            found: scans_all.bench(),
            held: Some(scans_all.busy(80)),
        }
        .check(&RULE);
        scans_all.bench().must_say(&RULE, "found Missing index on public.orders(customer_id): `SELECT id FROM orders WHERE");
    }

    #[test]
    fn an_index_that_is_there_is_not_missing() {
        scans(&[2]).bench().must_say(&RULE, "clear");
        // Half of the table is read as well without one.
        let plan = scan(orders(), "(state = $1)", 200_000.0);
        Statement { plan, ..scans(&[1]) }.bench().must_say(&RULE, "clear");
        Statement { plan: None, ..scans(&[1]) }.bench().must_say(&RULE, "clear");
    }

    /// The planner joins what two indexes find, but only where each side has one.
    #[test]
    fn the_side_of_an_or_that_has_no_index_is_named() {
        let either = |filter: &str, indexed: &[i16]| {
            let table = PlannedTable { indexes: vec![index(indexed)], ..orders() };
            Statement { ms: 50.0, plan: scan(table, filter, 10.0), ..Statement::default() }.bench()
        };
        let both = "((id = $1) OR (customer_id = $2))";
        either(both, &[1]).must_say(&RULE, "found Missing index on public.orders(customer_id)");
        either(both, &[2]).must_say(&RULE, "found Missing index on public.orders(id)");
        // Two are missing, or a side that no index serves, or one that leaves a fifth of the table.
        either(both, &[3]).must_say(&RULE, "clear");
        either("((id = $1) OR ((customer_id)::text ~~ $2))", &[1]).must_say(&RULE, "clear");
        either("((id = $1) OR (state = $2))", &[1]).must_say(&RULE, "clear");
    }

    #[test]
    fn statements_of_a_minute_ago_say_nothing() {
        let read = |age_s| scans(&[1]).bench().served(|pg| pg.statements_age_s = age_s);
        read(45.0).must_say(&RULE, "found");
        read(46.0).must_say(&RULE, "unknown");
    }
}
