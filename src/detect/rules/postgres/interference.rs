//! postgres.vacuum.interference: maintenance competes with the foreground.

use super::support::{self, confidence, instance, interval};
use crate::detect::finding::{Class, Fix};
use crate::detect::kinds::Judge;
use crate::detect::ledger::State;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::verdict::{Found, Judged, Prev, Rule, evidence};
use crate::model::facts::PgFacts;
use crate::model::postgres::{Session, WaitClass, lexer};
use crate::model::source::SourceKind;
use crate::model::unit::{Unit, short};

const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.1,
    min: 0.001,
    max: 1000.0,
    what: "sessions of others that wait for data files, times the share of the maintenance",
};
const SHARE: Param = Param {
    name: "share",
    unit: Unit::Percent,
    default: 40.0,
    min: 5.0,
    max: 100.0,
    what: "share of the maintenance in all waits for data files",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.vacuum.interference",
    class: Class::Live,
    source: SourceKind::Postgres,
    says: "maintenance competes with the foreground",
    params: &[LOST, SHARE],
    origins: &["postgres.activity", "ledger"],
    page: "\
A vacuum, an index build or a backup reads and writes while the foreground waits for the same disk. Maintenance is
autovacuum, replication, dumps, and statements that begin with VACUUM, REINDEX, CLUSTER or CREATE. Its share of all
waits for data files, times those of the others, is charged and held against the threshold; the evidence row shows
all that the others wait. That they wait because of it is likely, not measured: that halves the confidence. Named is
the busiest one. Autovacuum pauses between its pages and seldom hurts; a vacuum by hand does not pause (its
`vacuum_cost_delay` is 0).

**Relief**: cancel it, and by hand: run it at a quiet hour. What a plain vacuum has cleaned stays clean, anything
else begins again. Let backups finish: none is offered to be ended. **Cure**, by hand: a `vacuum_cost_delay` for
vacuums by hand.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let activity = match support::activity(pg) {
        Ok(activity) => activity,
        Err(answer) => return answer,
    };
    let io = |s: &crate::model::facts::SessionFacts| s.class(WaitClass::IoRead) + s.class(WaitClass::IoWrite);
    let works = |pid: i32| {
        let s = activity.session(pid)?;
        let verb = lexer::verb(s.query.shown());
        (s.maintenance() || matches!(verb.as_str(), "VACUUM" | "REINDEX" | "CLUSTER" | "CREATE")).then_some(s)
    };
    let (mut theirs, mut others, mut victims) = (0.0, 0.0, 0.0);
    let mut worst: Option<(&Session, f64)> = None;
    for facts in &activity.sessions {
        match works(facts.pid) {
            Some(s) => {
                theirs += io(facts);
                if worst.is_none_or(|(_, most)| facts.active() > most) {
                    worst = Some((s, facts.active()));
                }
            }
            None => {
                others += io(facts) * facts.weight;
                victims += if io(facts) > 0.0 { facts.active() * facts.weight } else { 0.0 };
            }
        }
    }
    let Some((s, _)) = worst else { return Judged::clear(instance(pg), "no maintenance is under way") };
    let share = theirs / (theirs + others).max(1e-9);
    let subject = support::session_subject(pg, s);
    let lost = others * share;
    if lost < params.limit(LOST, is_held(prev, &subject)) || share * 100.0 < params.get(SHARE) {
        return Judged::clear(instance(pg), format!("maintenance is under way and costs others {} sessions", short(lost)));
    }
    let read: f64 = activity.class(WaitClass::IoRead);
    let part = read / (read + activity.class(WaitClass::IoWrite)).max(1e-9);
    let mut found =
        Found::new(Class::Live, format!("`{}` competes with the foreground for the disk", support::brief(s.query.shown(), 50)));
    found.losses = vec![(State::PostgresIoRead, lost * part), (State::PostgresIoWrite, lost * (1.0 - part))];
    found.victims_time = victims;
    found.ci = Some(interval(pg, lost));
    found.confidence = confidence(pg, lost);
    // That they wait because of it is likely, not measured.
    found.lacks = 1;
    found.evidence = vec![
        params.row("of all waits for data files", share * 100.0, SHARE, "postgres.activity"),
        evidence("others wait for data files", others, Unit::Count, Some(params.get(LOST)), "postgres.activity"),
    ];
    found.fixes = quiet_hour(pg, s).into_iter().collect();
    Judged::found(subject, found)
}

/// Cancelled now and run later, with what is lost by that; a backup is never ended.
fn quiet_hour(pg: &PgFacts, s: &Session) -> Option<Fix> {
    let text = s.query.shown().to_ascii_uppercase();
    let verb = lexer::verb(&text);
    let plain = s.kind.raw() == b"autovacuum worker" || (verb == "VACUUM" && !text.contains("FULL")) || verb == "ANALYZE";
    let risk = match verb.as_str() {
        _ if plain => "what it has cleaned stays clean",
        _ if text.contains("CONCURRENTLY") => "all that it did is lost, and an invalid index stays behind that must be dropped",
        "CREATE" | "REINDEX" | "CLUSTER" | "VACUUM" => "all that it did is lost: it begins again",
        _ => return None,
    };
    let mut fix = support::cancel(pg, s, "Cancel it, and run it at a quiet hour")?;
    fix.risk = risk.into();
    Some(fix)
}
