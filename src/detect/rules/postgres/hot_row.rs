//! postgres.locks.hot_row: sessions queue on the same rows.

use std::collections::BTreeSet;

use crate::detect::finding::{Class, Fix, Horizon};
use crate::detect::memory::is_held;
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Judged, Prev, Verdict, evidence};
use crate::model::facts::{PgFacts, Root};
use crate::model::postgres::WaitClass;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, short};

use super::roots::{self, Kind, LOST};
use super::support::{brief, in_application, instance, unknown};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.locks.hot_row",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "sessions queue on the same rows",
    params: &[LOST],
    origins: &["postgres.activity", "postgres.locks", "ledger"],
    page: "\
Many transactions change the same rows, or insert the same new key: a counter, a balance, the head of a queue. Those
whom others wait for are younger than two seconds, so there is no session to end; they queue, one commit after
another, and the queue is as slow as a commit. The server does not say which row: all such waits are one finding, with
the table of the most waited-for holder that has one.

**Relief**, by hand: less load on that row. **Cure**, in the application: spread it (several rows, summed when read),
collect the changes and write them once, `SKIP LOCKED` for queues; by hand: commit sooner after the update.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let chains = match &pg.chains {
        Ok(chains) => chains,
        Err(lack) => return unknown(pg, lack),
    };
    let mine: Vec<&Root> = chains.roots.iter().filter(|r| roots::kind(r) == Kind::HotRow).collect();
    // One that has just become idle may be the next turn of a queue, or a session that somebody left: a second tells, or another one
    // before it.
    let turns = mine.iter().filter_map(|r| r.session()).map(|s| (s.pid, s.started_us)).collect::<BTreeSet<_>>().len() > 1;
    if prev.is_none() && !turns && !mine.is_empty() && mine.iter().all(|r| roots::just_idle(r)) {
        return Judged::clear(instance(pg), "the lock holder went idle less than a second ago: too early to tell");
    }
    let queued: f64 = mine.iter().map(|r| r.waiting).sum();
    // The queue turns round: who waited a moment ago and does not now waited in it as well, where there is no other. A look between two turns
    // sees nobody.
    let locks = pg.activity.as_ref().map_or(0.0, |a| a.class(WaitClass::Lock));
    let alone = mine.len() == chains.roots.len();
    let waiting = if alone { queued.max(locks) } else { queued };
    let before = prev.and_then(|p| p.held.first()).map(|h| &h.subject);
    if mine.is_empty() && (!alone || before.is_none()) {
        let nobody = if alone { "no session waits for a lock" } else { "no sessions queue for the same rows" };
        return Judged::clear(instance(pg), nobody);
    }
    // Which rows they are a look may miss as well.
    let (subject, name) = match (subject(pg, &mine), before) {
        ((unnamed, _), Some(before)) if unnamed.key == UNNAMED => (before.clone(), before.label.clone()),
        (named, _) => named,
    };
    let held = is_held(prev, &subject) || before.is_some();
    // With one waiter there is no queue.
    if waiting < params.limit(LOST, held) {
        return Judged::clear(subject, format!("{} sessions queue for its rows", short(waiting)));
    }
    let now = || mine.iter().filter(|root| !root.gone);
    let waiter = now().next().and_then(|root| root.waiters.first());
    let sample = waiter.and_then(|pid| pg.activity.as_ref().ok()?.session(*pid));
    let what = sample.map_or_else(String::new, |s| format!(" (`{}`)", brief(s.query.shown(), 50)));
    let title = format!("{} sessions queue on the same rows of {name}{what}", short(waiting));
    let mut found = roots::found(pg, &mine, waiting, title, params.get(LOST));
    // Nobody is to blame: those who wait are those who hold a moment later.
    found.own_time = 0.0;
    found.victims_time = found.victims_time.max(waiting);
    found.age_s = None;
    found.evidence.push(evidence("distinct lock holders now", now().count() as f64, Unit::Count, None, "postgres.locks"));
    found.fixes = fixes(pg, sample.map_or("", |s| s.query.shown()));
    Judged { verdicts: vec![(subject, Verdict::Found(Box::new(found)))], demands: Vec::new() }
}

/// Where no look told whose rows they are.
const UNNAMED: &str = "?";

fn subject(pg: &PgFacts, roots: &[&Root]) -> (Subject, String) {
    let known = roots.iter().find(|r| !r.relations.is_empty());
    let Some((root, (database, ..))) = known.and_then(|r| Some((r, r.relations.first()?))) else {
        return (Subject::new(SubjectType::Table, UNNAMED, "an unknown table"), "an unknown table".into());
    };
    let name = roots::relation(pg, root).unwrap_or_default();
    let of = pg.cluster.as_ref().ok().and_then(|c| c.databases.iter().find(|d| d.oid == *database));
    let database = of.and_then(|d| crate::model::postgres::identifier(&d.name)).unwrap_or_else(|| "?".into());
    (Subject::new(SubjectType::Table, format!("{database}.{name}"), name.clone()), name)
}

fn fixes(pg: &PgFacts, waiting: &str) -> Vec<Fix> {
    let words: Vec<&str> = waiting.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let says =
        |wanted: &[&str]| words.windows(wanted.len()).any(|w| w.iter().zip(wanted).all(|(a, b)| a.eq_ignore_ascii_case(b)));
    // The next of a queue: any free one does.
    if says(&["LIMIT"]) && (says(&["FOR", "UPDATE"]) || says(&["FOR", "NO", "KEY", "UPDATE"])) {
        return vec![in_application(
            pg,
            Horizon::ShortTerm,
            "Let each worker take the next row that is free: SKIP LOCKED",
            "the same statement with FOR UPDATE SKIP LOCKED: without it all of them wait for the first row",
            "the application".into(),
            "rows that are locked are left to whoever holds them",
        )];
    }
    vec![in_application(
        pg,
        Horizon::LongTerm,
        "Spread the row over several, and sum them when reading; or collect changes and write them once",
        "instead of one counter row, N rows chosen at random; for a queue SELECT … FOR UPDATE SKIP LOCKED",
        "the application".into(),
        "reads must sum the rows",
    )]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::bench::postgres::{blocked, chain, client, waiter};
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{PgState, Session};

    fn queue(xact_s: f64, looks: u32) -> Bench {
        blocked(Session { xact_s: Some(xact_s), ..client(10) }, "tuple", looks)
    }

    #[test]
    fn a_hot_row_is_found_and_held() {
        Table {
            clear: queue(0.1, 60),
            unknown: Some(Bench::postgres(PgState::default())),
            found: queue(0.1, 110),
            held: Some(queue(0.1, 80)),
        }
        .check(&RULE);
        queue(0.1, 110).must_say(&RULE, "found 0.1 sessions queue on the same rows of an unknown table (`SELECT 1`)");
        // A look between two turns sees no chain: the queue goes on for as long as they wait for locks, and was not there before.
        let between = || queue(0.1, 110).served(|pg| pg.chains = Ok(crate::model::facts::Chains::default()));
        between().must_say_after(&RULE, Some(&queue(0.1, 110)), "found 0.1 sessions queue");
        between().must_say(&RULE, "clear");
        // In the first second of an idle holder nobody knows whether it goes on; in a queue that was seen to turn it does.
        let idle = |waits: u32| {
            let session = Session { xact_s: Some(0.4), state: "idle in transaction".into(), state_s: Some(0.3), ..client(10) };
            blocked(session, "tuple", waits)
        };
        idle(110).must_say(&RULE, "clear");
        idle(110).must_say_after(&RULE, Some(&queue(0.1, 110)), "found 0.1 sessions queue");
        // A queue of tasks: any free one does.
        let holder = || vec![Session { xact_s: Some(0.1), ..client(10) }];
        let tasks = Bench::postgres(chain(holder(), vec![waiter(20, &[10], "tuple")], 110));
        let asking = tasks.served(|pg| {
            let activity = pg.activity.as_mut().unwrap();
            for session in &mut Arc::make_mut(&mut activity.newest).sessions {
                session.query = "SELECT id FROM queue WHERE NOT done ORDER BY id LIMIT $1 FOR UPDATE".into();
            }
        });
        assert!(asking.pastes(&RULE)[0].contains("SKIP LOCKED: without it"), "{:?}", asking.pastes(&RULE));
        // One that lasts is to blame itself.
        queue(3.0, 110).must_say(&RULE, "clear");
    }
}
