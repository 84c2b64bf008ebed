//! postgres.query.regressed: a query became much slower than it was.

use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::postgres::case::{Case, Kind};
use crate::detect::postgres::limits::SLOWER;
use crate::detect::postgres::queries::Costly;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev};
use crate::model::facts::PgFacts;
use crate::model::postgres::lexer;
use crate::model::subject::Subject;
use crate::model::unit::short;

use super::horizon;
use super::inside;
use super::query_found;
use super::query_rule::{self, LOST};
use super::support::{called, query_subject, sql};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.query.regressed",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "a query became much slower than it was",
    params: &[LOST, SLOWER.param],
    origins: &["postgres.activity", "postgres.statements", "ledger"],
    page: "\
The mean time per call of a statement is `slower` times its baseline, and at least 1 ms more. The baseline is the
median of 3 to 30 readings, without those over twice the median. No more specific cause is found: no missing index,
stale statistics, bloat, spill, large fetch or flood of calls; without a plan the first three are not ruled out. A
plan that changed, data that grew, or a cache that was lost. The loss is the time beyond the baseline.

**Relief**: ANALYZE, on all tables of its database. **Cure**, by hand: compare the plan (`x`) with the earlier one.",
    judge: Judge::Postgres(judge),
};

/// Slower than it was, and by a millisecond at least.
pub fn fits(case: &Case<'_>) -> Option<Kind> {
    let (usual_ms, _) = case.usual?;
    // A longer list takes longer: of a statement of many lengths nothing tells what one should take.
    let slower = case.row.alike == 0 && case.mean_ms >= case.least(SLOWER) * usual_ms && case.mean_ms - usual_ms >= 1.0;
    slower.then(|| Kind::Regressed(case.mean_ms / usual_ms.max(1e-3)))
}

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    query_rule::judge(facts, params, prev, false, |k| matches!(k, Kind::Regressed(_)), made)
}

fn made(pg: &PgFacts, params: &Params<'_>, costly: &Costly<'_>, kind: &Kind) -> Option<(Subject, Found)> {
    let g = &costly.row.grown;
    let calls = g.calls.max(1) as f64;
    let Kind::Regressed(times) = kind else { return None };
    let inside = inside::reads(pg, costly);
    let title = format!(
        "{} takes {} ms per call, {} times its baseline{}",
        called(pg, costly.row),
        short(g.exec_ms / calls),
        short(*times),
        inside.map_or_else(String::new, inside::title)
    );
    let mut found = query_found::found(pg, costly, title, 1.0 - 1.0 / times.max(1.0));
    found.confidence = found.confidence.min(0.6);
    found.evidence.insert(0, params.row("mean time per call over baseline", *times, SLOWER.param, "postgres.statements"));
    // What its plan does not hold no statistics change.
    found.fixes = if inside.is_some() { inside::fixes(pg, costly) } else { analyze(pg, costly) };
    let mut subject = query_subject(pg, costly.row);
    // Rows that died since an old snapshot are read again and again, and no vacuum removes them.
    let text = pg.text(costly.row.key.query);
    let named: Vec<&str> = lexer::tokens(text).into_iter().map(|t| t.text.trim_matches('"')).collect();
    let tables = pg.catalogs.values().filter(|c| c.database == costly.row.database).flat_map(|c| &c.tables);
    let dead: u64 = tables.filter(|t| named.contains(&t.name.shown())).map(|t| t.dead).sum();
    if inside.is_none() && dead >= DEAD {
        horizon::release_first(pg, (&costly.row.database, Some(costly.row.key.query)), &mut subject, &mut found);
    }
    Some((subject, found))
}

/// Dead rows in the tables that it names from which who keeps them is told.
const DEAD: u64 = 10_000;

fn analyze(pg: &PgFacts, costly: &Costly<'_>) -> Vec<Fix> {
    let mut fix = sql(
        pg,
        Phase::Relief,
        Horizon::Immediate,
        "Run ANALYZE on all tables of its database",
        "ANALYZE;".into(),
        &costly.row.database,
    );
    fix.risk = "reads a sample of every table; does not block; plans of other queries may change too".into();
    fix.needs = "owner of the tables, or MAINTAIN on them".into();
    fix.takes_s = Some(60.0);
    vec![fix]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Table;
    use crate::detect::bench::postgres::Statement;

    fn slower(usual_ms: f32, ms: f64) -> Statement {
        Statement { ms, usual: Some((usual_ms, 10.0)), ..Statement::default() }
    }

    #[test]
    fn a_query_that_became_slower_is_found_and_held() {
        let twice = slower(2.5, 5.0);
        Table { clear: twice.busy(60), unknown: Statement::unread(), found: twice.bench(), held: Some(twice.busy(80)) }
            .check(&RULE);
        twice
            .bench()
            .must_say(&RULE, "found `SELECT id FROM orders WHERE customer_id = $1` takes 5.0 ms per call, 2.0 times its");
        slower(2.6, 5.0).bench().must_say(&RULE, "clear");
        slower(3.5, 5.0).bench().must_say_after(&RULE, Some(&twice.bench()), "found");
        slower(3.7, 5.0).bench().must_say_after(&RULE, Some(&twice.bench()), "clear");
        // A trigger that looks something up without an index: no statistics mend what is not in the plan.
        let text = "INSERT INTO payments (card, amount) VALUES ($1, $2)";
        let insert = |reads| Statement { text, reads, ..slower(0.1, 38.0) };
        insert(2_341).bench().must_say(&RULE, "found `INSERT INTO payments (card, amount) VALUES ($1, …` takes 38 ms per call, 380 times its baseline: 2.3k buffers per row");
        assert!(insert(2_341).bench().pastes(&RULE)[0].contains("pg_trigger"));
        assert_eq!(insert(20).bench().pastes(&RULE), ["ANALYZE;"]);
        // A query may read as much as it likes.
        let copies = Statement { text: "INSERT INTO payments SELECT * FROM inbox", ..insert(2_341) };
        assert_eq!(copies.bench().pastes(&RULE), ["ANALYZE;"]);
        // Less than a millisecond is noise.
        slower(0.5, 1.4).bench().must_say(&RULE, "clear");
    }
}
