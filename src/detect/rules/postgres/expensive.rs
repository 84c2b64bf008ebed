//! postgres.query.expensive: an expensive query keeps sessions busy and no more specific cause is found.

use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::postgres::case::{Case, Kind};
use crate::detect::postgres::limits::{DEAR, DOMINATES, WEIGHTY};
use crate::detect::postgres::queries::Costly;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::facts::PgFacts;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, short};

use super::cheaper;
use super::inside;
use super::query_found;
use super::query_rule::{self, LOST};
use super::role_setting::role_setting;
use super::support::{called, cancel, in_application, query_subject};
use super::writes;

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.query.expensive",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "an expensive query keeps sessions busy and no more specific cause is found",
    params: &[LOST, DEAR.param, DOMINATES.param, WEIGHTY.param],
    origins: &["postgres.activity", "postgres.statements", "ledger"],
    page: "\
A statement takes at least `dear` ms per call on average; or `weighty`, if its share of the total statement time is at least
`dominates`. No more specific cause is found: no missing index, stale statistics, bloat, spill, large fetch, flood
of calls or slowdown. So it is for statements that write when they keep a session busy, have `dominates` of that time and come
more often than before, however short each is: what their sessions spend their time on is in the evidence. Without a plan
missing indexes, stale statistics and bloat are not ruled out. The plan (`x`) shows where the time goes. How much could be saved
is unknown; 45 % is assumed, so that it is critical only through others who wait for it.

**Relief**: where a run of it has lasted for 30 s: cancel the longest, and limit its role by `statement_timeout`; when
it is new: roll back its deployment. **Cure**: replace the expensive construct in its text
(OFFSET, a substring search, ORDER BY random(), NOT IN, count(*) of a whole table); otherwise let it read less, in the application;
compute it less often; cache its result. Of one that writes: many changes per transaction or statement, fewer indexes.",
    judge: Judge::Postgres(judge),
};

/// Below half, so that it does not double its own time: it is critical only through others.
const SPARED: f64 = 0.45;

/// Slow, or it has much of the time of all statements.
pub fn fits(case: &Case<'_>) -> Option<Kind> {
    let all_ms = case.pg.statements.as_ref().map_or(0.0, |s| s.all.exec_ms);
    let share = case.row.grown.exec_ms >= case.least(DOMINATES) / 100.0 * all_ms;
    let dear = share && case.mean_ms >= case.least(WEIGHTY) || case.mean_ms >= case.least(DEAR);
    (dear || writes::in_masses(case)).then_some(Kind::Expensive)
}

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    query_rule::judge(facts, params, prev, false, |k| matches!(k, Kind::Expensive), made)
}

fn made(pg: &PgFacts, params: &Params<'_>, costly: &Costly<'_>, _: &Kind) -> Option<(Subject, Found)> {
    let g = &costly.row.grown;
    let calls = g.calls.max(1) as f64;
    let writes = writes::is_one(pg, costly);
    let upkeep = writes::indexed(pg, costly).filter(|_| writes);
    let upkeep = upkeep.map(|t| format!(": each row is kept in {} indexes of {}", t.indexes.len(), t.name));
    let inside = inside::reads(pg, costly);
    let upkeep = inside.map(inside::title).or(upkeep);
    let title = format!(
        "{} keeps {} sessions busy, {} ms per call{}",
        called(pg, costly.row),
        short(costly.lost),
        short(g.exec_ms / calls),
        upkeep.unwrap_or_default()
    );
    let mut found = query_found::found(pg, costly, title, SPARED);
    found.confidence = found.confidence.min(0.6);
    let least = Some(params.get(DEAR.param));
    found.evidence.push(evidence("time per call", g.exec_ms / calls, Unit::Milliseconds, least, "postgres.statements"));
    found.fixes = limit(pg, costly);
    if inside.is_some() {
        found.fixes = inside::fixes(pg, costly);
    } else if writes {
        found.evidence.extend(writes::spent(pg, costly));
        // A time-out is no cure for what takes a moment and comes in masses.
        found.fixes.retain(|f| f.phase == Phase::Relief);
        found.fixes.extend(writes::fixes(pg, costly));
    }
    Some((query_subject(pg, costly.row), found))
}

/// What runs of it for long is cancelled; its role is limited where that would have cut a run that was seen, and nowhere else: the limit is for
/// its dumps and reports too.
fn limit(pg: &PgFacts, costly: &Costly<'_>) -> Vec<Fix> {
    const LIMIT_S: f64 = 30.0;
    let title = "Limit the statements of its role";
    let cheaper = cheaper::fixes(pg, costly);
    let newest = pg.activity.as_ref().map(|a| a.newest.sessions.as_slice()).unwrap_or_default();
    let ours = newest.iter().filter(|s| s.active() && s.query_id == Some(costly.row.key.query));
    let oldest = ours.max_by(|a, b| a.query_s.unwrap_or(0.0).total_cmp(&b.query_s.unwrap_or(0.0)));
    let longest_s = oldest.and_then(|s| s.query_s).unwrap_or(0.0);
    if longest_s < LIMIT_S {
        if !cheaper.is_empty() {
            return cheaper;
        }
        let how = "let it read less: fewer rows or columns, a stored aggregate, a cache; its plan (x) shows where the time goes";
        let whose = format!("the application of role {}", costly.row.role);
        return vec![in_application(pg, Horizon::ShortTerm, "Make it cheaper", how, whose, "the application changes")];
    }
    let cancel = oldest.and_then(|s| cancel(pg, s, "Cancel the longest run"));
    let fix = role_setting(pg, Phase::Relief, Horizon::ShortTerm, title, &costly.row.role, ("statement_timeout", "30s"));
    let said = fix.map(|mut fix| {
        fix.risk = "longer statements of that role fail, including dumps and reports".into();
        fix
    });
    cancel.into_iter().chain(said).chain(cheaper).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Table;
    use crate::detect::bench::postgres::Statement;

    #[test]
    fn cheap_writes_in_masses_are_expensive_together() {
        let text = "INSERT INTO orders (id, customer_id) VALUES ($1, $2)";
        let writes =
            Statement { text, ms: 1.5, rows: 20, share: 0.8, busy: 1_000, usual: Some((1.5, 100.0)), ..Statement::default() };
        writes.bench().must_say(&RULE, "found `INSERT INTO orders (id, customer_id) VALUES ($1,…` keeps 1.0 sessions busy");
        assert!(writes.bench().pastes(&RULE).iter().all(|c| !c.contains("timeout")));
        writes.busy(900).must_say(&RULE, "clear");
        Statement { share: 0.3, ..writes.clone() }.bench().must_say(&RULE, "clear");
        // It has always been so busy, or nobody knows.
        Statement { usual: None, ..writes.clone() }.bench().must_say(&RULE, "clear");
        Statement { usual: Some((1.5, 650.0)), ..writes.clone() }.bench().must_say(&RULE, "clear");
        Statement { text: "SELECT 1", usual: Some((1.5, 100.0)), ..writes }.bench().must_say(&RULE, "clear");
    }

    fn takes(ms: f64, share: f64) -> Statement {
        Statement { ms, share, ..Statement::default() }
    }

    #[test]
    fn an_expensive_query_is_found_and_held() {
        let slow = takes(20.0, 0.1);
        Table { clear: slow.busy(60), unknown: Statement::unread(), found: slow.bench(), held: Some(slow.busy(80)) }.check(&RULE);
        slow.bench()
            .must_say(&RULE, "found `SELECT id FROM orders WHERE customer_id = $1` keeps 0.1 sessions busy, 20 ms per call");
        takes(19.0, 0.1).bench().must_say(&RULE, "clear");
        takes(14.5, 0.1).bench().must_say_after(&RULE, Some(&slow.bench()), "found");
        takes(13.5, 0.1).bench().must_say_after(&RULE, Some(&slow.bench()), "clear");
        // One that has most of the time is expensive from 2 ms on.
        takes(2.0, 0.41).bench().must_say(&RULE, "found");
        takes(2.0, 0.39).bench().must_say(&RULE, "clear");
        takes(1.9, 0.41).bench().must_say(&RULE, "clear");
    }
}
