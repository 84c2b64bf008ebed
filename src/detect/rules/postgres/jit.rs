//! postgres.query.jit: just-in-time compilation costs a query more than it gives.

use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::postgres::case::{Case, Kind};
use crate::detect::postgres::limits::COMPILES;
use crate::detect::postgres::queries::Costly;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::facts::PgFacts;
use crate::model::postgres::WaitClass;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, short};

use super::query_found;
use super::query_rule::{self, LOST};
use super::role_setting::role_setting;
use super::support::{called, query_subject, setting};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.query.jit",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "just-in-time compilation costs a query more than it gives",
    params: &[LOST, COMPILES.param],
    origins: &["postgres.activity", "postgres.statements", "ledger"],
    page: "\
PostgreSQL compiles the expressions of a query whose estimated cost exceeds `jit_above_cost`, and does so on every call. Where the
estimate is far too high, compiling takes longer than the query itself: a call of a second that reads one block and returns one row is
not about data. From PostgreSQL 15 on pg_stat_statements counts it: `part` of the execution time and more is found. Before 15
nobody counts it; there a call of 50 ms and more on the CPU that touches few blocks and rows, while `jit` is on and its scans alone
are priced above `jit_above_cost`, is taken for it, with half the confidence. The loss is the compiling.

A statement time-out is no cure. The plan that perftop asks for does not show it, because perftop plans with `jit = off`.

**Relief**: `jit = off` for the role that runs it. **Cure**: `jit_above_cost` above the estimated cost of such queries, or an
estimate that is right.",
    judge: Judge::Postgres(judge),
};

/// A call that touches no more than so many blocks and rows is not about data.
const FEW: f64 = 200.0;
/// Milliseconds of a call from which such a one spends them elsewhere.
const LONG_MS: f64 = 50.0;
/// Of such a call, what compilation is taken to be where nobody counts it; and no more than so many milliseconds.
const MOST: f64 = 0.8;
const MOST_MS: f64 = 1000.0;

/// Compiled for most of its time.
pub fn fits(case: &Case<'_>) -> Option<Kind> {
    let g = &case.row.grown;
    if g.jit_ms > 0.0 {
        // What is made before the clock begins is beside it.
        let part = g.jit_ms / (g.exec_ms + g.jit_before_ms).max(1e-9);
        return (part >= case.least(COMPILES) / 100.0).then_some(Kind::Jit(part.min(1.0)));
    }
    let uncounted = case.pg.server.as_ref().is_some_and(|s| s.major() < 15);
    (uncounted && compiled_by_its_cost(case)).then(|| Kind::Jit((MOST_MS / case.mean_ms).min(MOST)))
}

/// Where nobody counts it: long without data, on the CPU, and its scans alone are priced above the limit, though they touch next to nothing.
fn compiled_by_its_cost(case: &Case<'_>) -> bool {
    let g = &case.row.grown;
    let blocks = (g.hit_blocks + g.read_blocks) as f64 / g.calls.max(1) as f64;
    let nothing = case.mean_ms >= LONG_MS && blocks <= FEW && case.rows <= FEW;
    let cluster = case.pg.cluster.as_ref().ok();
    let role_off = cluster
        .is_some_and(|c| c.role_settings.iter().any(|r| r.role == case.row.role && r.name == "jit" && r.value.raw() == b"off"));
    let above = cluster.and_then(|c| c.number("jit_above_cost")).filter(|above| *above >= 0.0);
    let (Some(above), Some(plan)) = (above, case.plan) else { return false };
    let elsewhere = plan.nodes.iter().any(|n| n.kind.starts_with("Foreign") || n.kind.starts_with("Function"));
    let leaf = |at: usize| plan.nodes.get(at + 1).is_none_or(|next| next.depth <= plan.nodes[at].depth);
    let scans: f64 = (0..plan.nodes.len()).filter(|at| leaf(*at)).map(|at| plan.nodes[at].total_cost).sum();
    let classes = case.pg.activity.as_ref().ok().and_then(|a| a.by_query.get(&case.row.key.query));
    let all: f64 = classes.map_or(0.0, |c| c.values().sum());
    let cpu = classes.and_then(|c| c.get(&WaitClass::Cpu)).copied().unwrap_or(0.0);
    let on = cluster.and_then(|c| c.on("jit")) == Some(true) && !role_off;
    on && nothing && !elsewhere && scans >= above && cpu >= 0.7 * all.max(1e-9)
}

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    query_rule::judge(facts, params, prev, true, |k| matches!(k, Kind::Jit(_)), made)
}

fn made(pg: &PgFacts, params: &Params<'_>, costly: &Costly<'_>, kind: &Kind) -> Option<(Subject, Found)> {
    let Kind::Jit(part) = kind else { return None };
    let g = &costly.row.grown;
    let calls = g.calls.max(1) as f64;
    let counted = g.jit_ms > 0.0;
    let whole = (g.exec_ms + g.jit_before_ms) / calls;
    let each = part * whole;
    let title = if counted {
        format!("{} is compiled for {} of its {} ms per call", called(pg, costly.row), short(each), short(whole))
    } else {
        format!(
            "{} takes {} ms per call and touches hardly any data: it is probably compiled on every call",
            called(pg, costly.row),
            short(g.exec_ms / calls)
        )
    };
    let mut found = query_found::on_cpu(pg, costly, title, *part);
    if !counted {
        found.confidence = found.confidence.min(0.5);
    }
    let share = if counted {
        params.row("just-in-time compilation, share of its time", part * 100.0, COMPILES.param, "postgres.statements")
    } else {
        evidence("just-in-time compilation, assumed share of its time", part * 100.0, Unit::Percent, None, "postgres.statements")
    };
    found.evidence.insert(0, share);
    let subject = query_subject(pg, costly.row);
    found.fixes = fixes(pg, costly);
    Some((subject, found))
}

fn fixes(pg: &PgFacts, costly: &Costly<'_>) -> Vec<Fix> {
    let off =
        role_setting(pg, Phase::Relief, Horizon::Immediate, "Do not compile for this role", &costly.row.role, ("jit", "off"));
    let off = off.map(|mut fix| {
        fix.risk = "long analytic queries of that role may take somewhat longer".into();
        fix
    });
    let cost = pg.plan(costly.row).and_then(|(_, plan)| Some(plan.as_ref().ok()?.nodes.first()?.total_cost));
    let now = pg.cluster.as_ref().ok().and_then(|c| c.number("jit_above_cost")).filter(|now| *now >= 0.0);
    // Only where it is that limit which this query passes.
    let above = cost.zip(now).filter(|(cost, now)| cost.is_finite() && cost > now).map(|(cost, now)| (2.0 * cost).max(2.0 * now));
    let title = "Compile costlier queries only";
    let raise = above.and_then(|v| setting(pg, Phase::Cure, Horizon::ShortTerm, title, "jit_above_cost", &format!("{v:.0}")));
    let cure = raise.map(|mut fix| {
        fix.risk = "queries that cost less are not compiled any more".into();
        fix
    });
    off.into_iter().chain(cure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::Statement;

    #[test]
    fn a_query_that_is_compiled_for_most_of_its_time_is_found() {
        let jit = |part: f64| Statement { ms: 60.0, busy: 600, jit: part, ..Statement::default() };
        jit(0.7)
            .bench()
            .must_say(&RULE, "found `SELECT id FROM orders WHERE customer_id = $1` is compiled for 42 of its 60 ms per call");
        jit(0.3).bench().must_say(&RULE, "clear");
        jit(0.3).bench().must_say_after(&RULE, Some(&jit(0.7).bench()), "found");
        jit(0.2).bench().must_say_after(&RULE, Some(&jit(0.7).bench()), "clear");
        assert_eq!(jit(0.7).bench().pastes(&RULE)[0], "ALTER ROLE app SET jit = 'off';");
    }
}
