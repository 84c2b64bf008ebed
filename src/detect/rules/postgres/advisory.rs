//! postgres.locks.advisory: sessions queue on an advisory lock.

use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Judged, Prev};
use crate::model::facts::{Chains, PgFacts, Root};
use crate::model::foreign::Foreign;
use crate::model::subject::Subject;

use super::roots::{self, Kind, LOST};
use super::support::{session_subject, sql, terminate, who};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.locks.advisory",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "sessions queue on an advisory lock",
    params: &[LOST],
    origins: &["postgres.activity", "postgres.locks", "ledger"],
    page: "\
The application itself asked for this lock (`pg_advisory_lock`), and gave it a meaning of its own: a leader, a queue,
one job at a time. A root belongs here when most of those who wait behind it wait for such a lock. The holder may be
idle, outside of any transaction: a lock of a session lasts as long as the session. Of more than 32 waiters the title
counts those that were checked; the time counts all.

**Relief**: end the holder, once you know what the lock means: the holder may be the leader that others follow.
**Cure**: `pg_try_advisory_lock` and a retry, in the application; by hand: one key per object rather than one for all.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    roots::judge(facts, params, prev, Kind::Advisory, made)
}

fn made(pg: &PgFacts, _: &Chains, root: &Root) -> Option<(Subject, String, Vec<Fix>)> {
    let s = root.session()?;
    let state = if s.active() { "is active" } else { "is idle" };
    let title = format!("{} for an advisory lock of {}, which {state}", roots::wait(root.waiters.len()), who(s));
    let mut fixes: Vec<Fix> = terminate(pg, s, root.waiters.len()).into_iter().collect();
    for fix in &mut fixes {
        fix.risk.push_str("; the lock may mark it as the leader; another one takes over");
    }
    let mut cure = sql(
        pg,
        Phase::Cure,
        Horizon::LongTerm,
        "Try the lock without waiting, in the application",
        "SELECT pg_try_advisory_lock(KEY);   -- instead of pg_advisory_lock(KEY); KEY: the application's own".into(),
        &Foreign::default(),
    );
    cure.needs = "the application".into();
    cure.risk = "the application must handle a lock that is not granted".into();
    fixes.push(cure);
    Some((session_subject(pg, s), title, fixes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::{blocked, chain, client, waiter};
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{PgState, Session};

    fn queue(kind: &str, looks: u32) -> Bench {
        blocked(Session { state: "idle".into(), ..client(10) }, kind, looks)
    }

    #[test]
    fn a_queue_for_an_advisory_lock_is_found_and_held() {
        Table {
            clear: queue("advisory", 60),
            unknown: Some(Bench::postgres(PgState::default())),
            found: queue("advisory", 110),
            held: Some(queue("advisory", 80)),
        }
        .check(&RULE);
        let two = vec![waiter(20, &[10], "advisory"), waiter(21, &[10], "advisory")];
        let works = Bench::postgres(chain(vec![client(10)], two, 60));
        works.must_say(
            &RULE,
            "found 2 sessions wait for an advisory lock of a client as app from the local socket (pid 10), which is active",
        );
        queue("relation", 110).must_say(&RULE, "clear");
    }
}
