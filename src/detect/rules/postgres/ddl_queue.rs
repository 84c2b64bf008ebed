//! postgres.locks.ddl_queue: a waiting DDL queues everyone behind it.

use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Judged, Prev};
use crate::model::facts::{Chains, PgFacts, Root};
use crate::model::foreign::Foreign;
use crate::model::subject::Subject;

use super::roots::{self, Kind, LOST};
use super::support::{brief, cancel, session_subject, sql, terminate, who};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.locks.ddl_queue",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "a waiting DDL queues everyone behind it; the root is what it waits for",
    params: &[LOST],
    origins: &["postgres.activity", "postgres.locks", "ledger"],
    page: "\
A statement wants an ACCESS EXCLUSIVE lock and waits for a transaction that uses the table. The queue is fair:
everyone who comes later waits behind it, plain reads too, though the first transaction alone would not block them.
The root is that transaction; the statement in the queue is named with it. The title counts those who wait only
because of the statement, of the 32 waiters that are checked at most; the time counts everyone behind the root.

**Relief**: cancel the waiting statement: those behind it continue at once, and the transaction around it is rolled
back. Or end the transaction that it waits for. **Cure**: run DDL with a short `lock_timeout`; by hand: retry until it
succeeds.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    roots::judge(facts, params, prev, Kind::DdlQueue, made)
}

fn queues(n: usize) -> String {
    if n == 1 { "1 session queues".to_owned() } else { format!("{n} sessions queue") }
}

fn made(pg: &PgFacts, _: &Chains, root: &Root) -> Option<(Subject, String, Vec<Fix>)> {
    let s = root.session()?;
    let ddl = root.queue.and_then(|queue| pg.activity.as_ref().ok()?.session(queue.ddl));
    let queued = root.queue.map_or(0, |queue| queue.behind);
    let what = ddl.map_or_else(|| "an exclusive lock".to_owned(), |d| brief(d.query.shown(), 50));
    let title = format!("{} behind `{what}`, which waits for {}{}", queues(queued), who(s), roots::on_relation(pg, root));
    let mut subject = session_subject(pg, s);
    subject.also.extend(ddl.map(|d| format!("backend:{}", d.key())));
    let mut fixes: Vec<Fix> = Vec::new();
    if let Some(ddl) = ddl {
        let title = format!("Cancel the waiting statement: {queued} others continue");
        fixes.extend(cancel(pg, ddl, &title));
    }
    fixes.extend(terminate(pg, s, root.waiters.len()));
    let mut cure = sql(
        pg,
        Phase::Cure,
        Horizon::LongTerm,
        "Let DDL give up early, and retry",
        "SET lock_timeout = '2s';".into(),
        &Foreign::default(),
    );
    cure.risk = "the statement fails after two seconds of waiting and must be run again".into();
    cure.needs = "the session that runs the DDL".into();
    fixes.push(cure);
    Some((subject, title, fixes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::{chain, client, waiter};
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{PgState, Waiter};

    /// 20 wants to alter what 10 reads, and 21 waits for these.
    fn queue(by: &[i32], looks: u32) -> Bench {
        let ddl = Waiter { mode: "AccessExclusiveLock".into(), ..waiter(20, &[10], "relation") };
        Bench::postgres(chain(vec![client(10)], vec![ddl, waiter(21, by, "relation")], looks))
    }

    #[test]
    fn a_queue_behind_a_ddl_is_found_and_held() {
        Table {
            clear: queue(&[20], 30),
            unknown: Some(Bench::postgres(PgState::default())),
            found: queue(&[20], 55),
            held: Some(queue(&[20], 40)),
        }
        .check(&RULE);
        queue(&[20], 55).must_say(&RULE, "found 1 session queues behind `SELECT 1`, which waits for a client as app");
        // It would wait for the holder all the same.
        queue(&[10, 20], 55).must_say(&RULE, "clear");
    }
}
