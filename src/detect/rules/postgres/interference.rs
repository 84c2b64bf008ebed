//! postgres.vacuum.interference: maintenance competes with the foreground.

use super::support::{self, confidence, instance, interval};
use crate::detect::finding::{Class, Fix};
use crate::detect::ledger::State;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::facts::PgFacts;
use crate::model::postgres::{Session, WaitClass, lexer};
use crate::model::unit::{Unit, short};

const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.1,
    min: 0.001,
    max: 1000.0,
    what: "other sessions waiting for data files, times the maintenance's share",
};
const SHARE: Param = Param {
    name: "share",
    unit: Unit::Percent,
    default: 40.0,
    min: 5.0,
    max: 100.0,
    what: "maintenance's share of all waits for data files",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.vacuum.interference",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "maintenance competes with the foreground",
    params: &[LOST, SHARE],
    origins: &["postgres.activity", "ledger"],
    page: "\
A vacuum, an index build or a backup reads and writes while the foreground waits for the same disk. Maintenance is
autovacuum, replication, dumps, and statements that begin with VACUUM, REINDEX, CLUSTER or CREATE. Its share of all
waits for data files, times those of the others, is charged and compared with the threshold; the evidence row shows
the others' whole wait. That they wait because of it is likely but not measured, which halves the confidence. It names
the busiest one. Autovacuum pauses between its pages and seldom hurts; a vacuum by hand does not pause (its
`vacuum_cost_delay` is 0).

**Relief**: cancel it, and by hand: run it at a quiet hour. What a plain vacuum has cleaned stays clean, anything else
starts over. Let backups finish: no fix ends one. **Cure**, by hand: a `vacuum_cost_delay` for vacuums by hand.",
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
    let Some((s, _)) = worst else { return Judged::clear(instance(pg), "no maintenance is running") };
    let share = theirs / (theirs + others).max(1e-9);
    let subject = support::session_subject(pg, s);
    let lost = others * share;
    let held = is_held(prev, &subject);
    if lost < params.limit(LOST, held) || share * 100.0 < params.limit(SHARE, held) {
        return Judged::clear(instance(pg), format!("maintenance is running and delays others by {} sessions", short(lost)));
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
        params.row("share of all waits for data files", share * 100.0, SHARE, "postgres.activity"),
        evidence("data file wait of others", others, Unit::Count, Some(params.get(LOST)), "postgres.activity"),
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
        _ if text.contains("CONCURRENTLY") => "all its work is lost, and an invalid index remains that must be dropped",
        "CREATE" | "REINDEX" | "CLUSTER" | "VACUUM" => "all its work is lost: it starts over",
        _ => return None,
    };
    let mut fix = support::cancel(pg, s, "Cancel it, and rerun it at a quiet hour")?;
    fix.risk = risk.into();
    Some(fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::seen;
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{PgState, Wait, WaitKind};

    fn reads(pid: i32, query: &str) -> Session {
        Session {
            pid,
            started_us: 1,
            kind: "client backend".into(),
            state: "active".into(),
            query: query.into(),
            wait: Wait { kind: WaitKind::Io, event: "DataFileRead".into() },
            query_s: Some(5.0),
            ..Session::default()
        }
    }

    #[test]
    fn maintenance_counts_by_its_share_of_the_reads() {
        let table = [
            (vec![reads(1, "VACUUM orders"), reads(2, "SELECT 1")], "found `VACUUM orders`"),
            (vec![reads(1, "VACUUM orders")], "clear"),
            (vec![reads(2, "SELECT 1"), reads(3, "SELECT 1")], "clear"),
            // A tenth of the reads is not what the others wait for.
            ((1..=10).map(|pid| reads(pid, if pid == 1 { "VACUUM orders" } else { "SELECT 1" })).collect(), "clear"),
        ];
        for (sessions, what) in table {
            Bench::sessions(sessions).must_say(&RULE, what);
        }
        Bench::postgres(PgState::default()).must_say(&RULE, "unknown");
    }

    /// A vacuum that reads, beside a session that does in so many of a thousand looks.
    fn beside(looks: u32) -> Bench {
        seen(vec![(reads(1, "VACUUM orders"), 1000), (reads(2, "SELECT 1"), looks)])
    }

    #[test]
    fn what_the_others_lose_is_found_and_held() {
        Table { clear: beside(70), unknown: None, found: beside(120), held: Some(beside(100)) }.check(&RULE);
        // Three tenths of the reads: enough for what is held.
        let part = |vacuum| seen(vec![(reads(1, "VACUUM orders"), vacuum), (reads(2, "SELECT 1"), 1000)]);
        part(500).must_say(&RULE, "clear");
        part(500).must_say_after(&RULE, Some(&part(900)), "found");
    }
}
