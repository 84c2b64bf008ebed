//! postgres.query.planning: a query is planned for longer than it is executed.

use crate::detect::finding::{Class, Fix, Horizon};
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::postgres::case::{Case, Kind};
use crate::detect::postgres::limits::{PLANS, PLANS_MS};
use crate::detect::postgres::queries::Costly;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::facts::PgFacts;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, short};

use super::query_found;
use super::query_rule::{self, LOST};
use super::support::{called, in_application, query_subject};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.query.planning",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "a query is planned for longer than it is executed",
    params: &[LOST, PLANS.param, PLANS_MS.param],
    origins: &["postgres.activity", "postgres.statements", "postgres.plan", "host.schedstat", "ledger"],
    page: "\
The statement is planned on every call. With hundreds of partitions, many indexes or many joins that takes milliseconds, while running
the plan takes next to nothing. The clock of pg_stat_statements leaves planning out unless `track_planning` is on; then `total_plan_time` is it.
Where it is off and the server runs here, planning is what its sessions are on a CPU beyond the clocks of all statements, per call,
provided that seven tenths of their CPU time are in this statement, and no more than what the planner took when perftop asked it for a
plan (writes spend such time on their commit); the start of the execution is in it then. On another host, and while connections come
and go, it is not known then.

Found when planning is `part` of the time and `planned` ms per call. The loss is the planning.

**Cure**, in the application: prepare the statement once and execute it often; by hand: fewer partitions, a condition on the
partition key.",
    judge: Judge::Postgres(judge),
};

/// Planned for most of its time.
pub fn fits(case: &Case<'_>) -> Option<Kind> {
    let planned = case.planning_ms.filter(|ms| *ms >= case.least(PLANS_MS))?;
    let part = planned / (planned + case.mean_ms);
    (part >= case.least(PLANS) / 100.0).then_some(Kind::Planning(planned))
}

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    query_rule::judge(facts, params, prev, true, |k| matches!(k, Kind::Planning(_)), made)
}

fn made(pg: &PgFacts, params: &Params<'_>, costly: &Costly<'_>, kind: &Kind) -> Option<(Subject, Found)> {
    let Kind::Planning(planned) = kind else { return None };
    let g = &costly.row.grown;
    let each = g.exec_ms / g.calls.max(1) as f64;
    let part = planned / (planned + each);
    let counted = pg.statements.as_ref().is_ok_and(|s| s.all.plan_ms > 0.0);
    let title = format!(
        "{} is {} for {} ms and executed in {} ms per call: {} sessions busy",
        called(pg, costly.row),
        if counted { "planned" } else { "planned and started" },
        short(*planned),
        short(each),
        short(costly.lost)
    );
    let mut found = query_found::on_cpu(pg, costly, title, part);
    let origin = if counted { "postgres.statements" } else { "host.schedstat" };
    if !counted {
        found.confidence = found.confidence.min(0.5);
    }
    found.evidence.insert(0, params.row("planning time per call", *planned, PLANS_MS.param, origin));
    found.evidence.insert(1, params.row("planning, share of its time", part * 100.0, PLANS.param, origin));
    found.evidence.insert(2, evidence("execution time per call", each, Unit::Milliseconds, None, "postgres.statements"));
    let subject = query_subject(pg, costly.row);
    found.fixes = prepare(pg, costly);
    Some((subject, found))
}

fn prepare(pg: &PgFacts, costly: &Costly<'_>) -> Vec<Fix> {
    let whose = || format!("the application of role {}", costly.row.role);
    vec![
        in_application(
            pg,
            Horizon::ShortTerm,
            "Prepare it once and execute it often, in the application",
            "a prepared statement per session: after five calls its plan may be kept (else plan_cache_mode = force_generic_plan for that role, tested); a pooler must pass prepared statements on",
            whose(),
            "a kept plan may be worse for rare values",
        ),
        in_application(
            pg,
            Horizon::LongTerm,
            "Fewer partitions, or a condition on the partition key",
            "each partition and each index of it is planned for; with the key in the WHERE clause only those that can match are",
            whose(),
            "the tables change",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Table;
    use crate::detect::bench::postgres::Statement;

    #[test]
    fn a_query_that_is_planned_for_longer_than_it_runs_is_found() {
        let planned = |ms: f64| Statement { ms: 2.0, busy: 300, plan_ms: ms, ..Statement::default() };
        Table {
            clear: planned(1.0).bench(),
            unknown: Statement::unread(),
            found: planned(6.0).bench(),
            held: Some(planned(1.5).bench()),
        }
        .check(&RULE);
        planned(6.0).bench().must_say(
            &RULE,
            "found `SELECT id FROM orders WHERE customer_id = $1` is planned for 6.0 ms and executed in 2.0 ms per call",
        );
        Statement { ms: 0.2, busy: 300, plan_ms: 0.9, ..Statement::default() }.bench().must_say(&RULE, "clear");
    }
}
