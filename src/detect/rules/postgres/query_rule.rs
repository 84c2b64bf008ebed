//! How each rule of a query judges: the costly queries of its kind, each with a subject, a title and fixes.

use crate::detect::ledger::State;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::postgres::case::Kind;
use crate::detect::postgres::queries::{Costly, LEAST};
use crate::detect::rules::without::spared;
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::PgFacts;
use crate::model::seen::{Lack, Why};
use crate::model::subject::Subject;
use crate::model::unit::{Unit, short};

use super::deploy;
use super::support::{activity, instance, unknown};

/// The threshold that all of them have.
pub const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: LEAST,
    // Queries that cost less are not checked.
    min: LEAST * 0.5,
    max: 1000.0,
    what: "sessions the query keeps busy; the six busiest queries are judged",
};

/// Judges the queries that `mine` picks, each as `made` says; `asks` when the rule wants plans.
pub fn judge(
    facts: &View<'_>,
    params: &Params<'_>,
    prev: Option<&Prev>,
    asks: bool,
    mine: impl Fn(&Kind) -> bool,
    made: impl Fn(&PgFacts, &Params<'_>, &Costly<'_>, &Kind) -> Option<(Subject, Found)>,
) -> Judged {
    let pg = facts.pg;
    if pg.interval_s().is_none() {
        return unknown(pg, &pg.no_statements());
    }
    // Statements of a minute ago say nothing about now.
    if pg.statements_age_s > 45.0 {
        return unknown(pg, &Lack::new(Why::TimedOut, "pg_stat_statements is no longer read"));
    }
    if let Err(answer) = activity(pg) {
        return answer;
    }
    let queries = facts.queries;
    let mut judged = Judged { verdicts: Vec::new(), demands: if asks { queries.demands.clone() } else { Vec::new() } };
    for query in &queries.costly {
        let Some(kind) = query.kind.as_ref().filter(|k| mine(k)) else { continue };
        let Some((subject, mut found)) = made(pg, params, query, kind) else { continue };
        spare_run_queue(facts, pg, query, &mut found);
        found.fixes.extend(deploy::rollback(facts, pg, query));
        let busy =
            evidence("sessions kept busy, on average", query.lost, Unit::Count, Some(params.get(LOST)), "postgres.activity");
        found.evidence.insert(0, busy);
        if query.lost < params.limit(LOST, is_held(prev, &subject)) {
            judged.verdicts.push((subject, Verdict::Clear(format!("{} sessions kept busy", short(query.lost)))));
        } else if !judged.verdicts.iter().any(|(s, _)| s.typed_key() == subject.typed_key()) {
            judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
        }
    }
    if judged.verdicts.is_empty() {
        let top = queries.costly.first().map_or_else(
            || "no query keeps 0.05 sessions busy".to_owned(),
            |c| format!("the most expensive query keeps {} sessions busy, covered by another rule, or by none", short(c.lost)),
        );
        judged.verdicts.push((instance(pg), Verdict::Clear(top)));
    }
    judged
}

/// Where the CPUs are full, a query that did less would spare its sessions, and those beside it, more of the run queue than its share of the
/// CPU: all that would not stand there at the same number of calls.
fn spare_run_queue(facts: &View<'_>, pg: &PgFacts, query: &Costly<'_>, found: &mut Found) {
    let of = |losses: &[(State, f64)], state| losses.iter().filter(|(s, _)| *s == state).map(|(_, s)| s).sum::<f64>();
    let (works, waits) = (of(&query.losses, State::Working) * query.thick, of(&query.losses, State::CpuRunnable));
    let (Ok(cpu), Some(postmaster)) = (&facts.world.host.cpu, pg.server.as_ref().and_then(|s| s.postmaster)) else { return };
    if !pg.local() || works <= 0.0 {
        return;
    }
    let world = facts.world;
    let server = world.processes().iter().filter(|p| p.id == postmaster || p.ppid == postmaster.pid);
    // What was counted to the query is its share of what all sessions wait.
    let sessions = waits / (works / (cpu.busy * world.cpus()).max(works));
    let spared = spared(
        world,
        &server.collect::<Vec<_>>(),
        of(&found.losses, State::Working) * query.thick,
        facts.ledger.state(State::CpuRunnable),
    );
    // What several would spare is spared once: by their work.
    let all: f64 = facts.queries.costly.iter().map(|q| of(&q.losses, State::Working) * q.thick).sum();
    let spared = sessions * spared * (works / all.max(works));
    let claimed = found.losses.iter_mut().find(|(s, _)| *s == State::CpuRunnable);
    if let Some((_, claimed)) = claimed.filter(|(_, claimed)| spared > *claimed) {
        found.victims_time += (sessions - waits).max(0.0);
        *claimed = spared;
    }
}
