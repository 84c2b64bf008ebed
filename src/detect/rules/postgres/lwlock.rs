//! postgres.lwlock.contention: sessions wait for locks of the server's own.

use crate::detect::command::{Command, sh};
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::ledger::State;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::postgres::internal::{self, Structure, waits};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::facts::{PgFacts, SessionFacts};
use crate::model::foreign::Foreign;
use crate::model::postgres::{Wait, WaitClass, WaitKind};
use crate::model::unit::{Unit, short};

use super::support::{self, confidence, in_application, instance, interval, sql};

const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.2,
    min: 0.001,
    max: 1000.0,
    what: "sessions waiting for locks of the server's own",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.lwlock.contention",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "sessions wait for an internal lock; which, and what usually causes it",
    params: &[LOST],
    origins: &["postgres.activity", "ledger"],
    page: "\
The server guards its own structures by short locks (`LWLock`), and the growth of a table by a heavyweight one that is no row's
(`Lock:extend`). Nobody holds one for long, so there is no blocker to end: it is what many sessions do at once that makes them
wait. WAL locks are `postgres.wal.commit_bound`.

What usually causes it: **lock manager**: statements that lock more than sixteen tables and indexes, partitions mostly.
**Buffer mapping**: pages go in and out of shared buffers all the time. **Page contents**: many sessions change the same few pages.
**Subtransactions**: savepoints or EXCEPTION blocks in loops beside a long transaction. **Multixacts**: rows locked by several at
once, by foreign keys. **Transaction status and snapshots**: very many short transactions and connections.
**pg_stat_statements**: its table of queries is full of queries that never come again. **Extension**: many sessions fill one table.

**Relief**: see who waits for what. **Cure**: what is said of the structure that most wait for.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let activity = match support::activity(pg) {
        Ok(activity) => activity,
        Err(answer) => return answer,
    };
    let all = waits(pg, activity);
    let waiting: f64 = all.iter().map(|(_, s, _)| s).sum();
    let subject = instance(pg);
    let Some((what, most, event)) = all.first().filter(|_| waiting >= params.limit(LOST, is_held(prev, &subject))) else {
        return Judged::clear(subject, format!("{} sessions wait for internal locks", short(waiting)));
    };
    let of = if *most < 0.95 * waiting { format!(", of {} that wait for internal locks", short(waiting)) } else { String::new() };
    let title = format!("{} sessions wait for {} ({event}){of}: {}", short(*most), structure(*what), usually(*what));
    let mut found = Found::new(Class::Live, title);
    let notifies = internal::notifies(pg, activity);
    let of_locks = |wait: &Wait| match wait.kind {
        WaitKind::Lock if internal::structure(wait).is_some() => 1.0,
        WaitKind::Lock if wait.event == "object" => notifies,
        _ => 0.0,
    };
    let heavy: f64 = activity.by_event.iter().map(|(wait, s)| s * of_locks(wait)).sum();
    found.losses = vec![(State::PostgresLwlock, waiting - heavy), (State::PostgresLock, heavy)];
    found.losses.retain(|(_, s)| *s > 0.0);
    // What is advised is about the one that most wait for.
    found.recoverable = most / waiting;
    let waits_so = |s: &&SessionFacts| s.class(WaitClass::LwLock) > 0.0 || heavy > 0.0 && s.class(WaitClass::Lock) > 0.0;
    let victims = activity.sessions.iter().filter(waits_so);
    found.victims_time = victims.map(|s| s.active() * s.weight).sum();
    found.ci = Some(interval(pg, waiting));
    found.confidence = confidence(pg, waiting);
    found.evidence = vec![params.row("sessions waiting for internal locks", waiting, LOST, "postgres.activity")];
    let each = all
        .iter()
        .take(4)
        .map(|(_, s, event)| evidence(format!("waiting for {event}"), *s, Unit::Count, None, "postgres.activity"));
    found.evidence.extend(each);
    found.fixes = fixes(pg, *what);
    Judged::found(subject, found)
}

/// The structure, in words.
const fn structure(what: Structure) -> &'static str {
    match what {
        Structure::LockManager => "the lock manager",
        Structure::BufferMapping => "the map of shared buffers",
        Structure::BufferContent => "the same few pages",
        Structure::Invalidations => "messages about changed tables",
        Structure::Notifications => "the queue of NOTIFY",
        Structure::NotifyingCommits => "their turn to commit with a NOTIFY",
        Structure::Counters => "the counters of activity",
        Structure::Subtransactions => "the log of subtransactions",
        Structure::Multixacts => "the log of multixacts",
        Structure::Transactions => "the log of transactions",
        Structure::Snapshots => "the list of running transactions",
        Structure::Serializable => "the locks of serializable transactions",
        Structure::Statements => "the table of pg_stat_statements",
        Structure::Extension => "a table to be extended",
        Structure::Other => "an internal lock",
    }
}

/// What usually causes it.
const fn usually(what: Structure) -> &'static str {
    match what {
        Structure::LockManager => "statements that lock many tables, indexes and partitions",
        Structure::BufferMapping => "pages go in and out of shared buffers all the time",
        Structure::BufferContent => "many sessions change or read the same pages at once",
        Structure::Invalidations => "tables are created, altered or dropped all the time, temporary ones too",
        Structure::Notifications => "many sessions listen or notify at once",
        Structure::NotifyingCommits => "transactions that notify commit one after the other, each with its own flush",
        Structure::Counters => "very many short transactions over many tables",
        Structure::Subtransactions => "savepoints or EXCEPTION blocks in loops beside a long transaction",
        Structure::Multixacts => "rows locked by several transactions at once, by foreign keys mostly",
        Structure::Transactions => "very many short transactions",
        Structure::Snapshots => "very many connections or short transactions",
        Structure::Serializable => "many serializable transactions at once",
        Structure::Statements => "ever new statements push others out of it",
        Structure::Extension => "many sessions add rows to one table at once",
        Structure::Other => "many sessions do the same at once",
    }
}

fn fixes(pg: &PgFacts, what: Structure) -> Vec<Fix> {
    let look = "SELECT wait_event_type, wait_event, count(*), left(min(query), 60) AS one_of_them FROM pg_stat_activity \
                WHERE state = 'active' AND wait_event_type IN ('LWLock', 'Lock') GROUP BY 1, 2 ORDER BY 3 DESC;";
    let mut see = sql(pg, Phase::Relief, Horizon::Immediate, "See who waits for what", look.to_owned(), &Foreign::default());
    see.risk = "none: read-only".into();
    let application = |title: &str, how: &str| {
        in_application(pg, Horizon::ShortTerm, title, how, "the application".into(), "the application changes")
    };
    let server = |title: &str, note: &str| {
        let mut fix = sql(pg, Phase::Cure, Horizon::LongTerm, title, String::new(), &Foreign::default());
        fix.command = Command::note(format!("# {note}"));
        fix.verify = sh!("perftop check --for 5s --only 'postgres.*'");
        fix.needs = "a superuser; a restart".into();
        fix.takes_s = None;
        fix
    };
    let cure = match what {
        Structure::LockManager => application(
            "Lock fewer tables and indexes per statement",
            "a condition on the partition key, fewer indexes, prepared statements; from PostgreSQL 18 on max_locks_per_transaction makes room as well",
        ),
        Structure::BufferMapping => {
            server("Larger shared buffers", "postgresql.conf: shared_buffers, up to a quarter of the memory")
        }
        Structure::BufferContent => application(
            "Spread what is written over more pages",
            "batches instead of single rows; keys that do not all end on the last page of an index; a lower fillfactor for hot tables",
        ),
        Structure::Invalidations => application(
            "Create and drop tables less often",
            "TRUNCATE or reuse temporary tables instead of a new one per transaction",
        ),
        Structure::Notifications => application("Notify less often", "one NOTIFY for a batch; listeners in few sessions"),
        Structure::NotifyingCommits => application(
            "Notify outside of the busy transactions",
            "one session that notifies for a batch, or a table that listeners read; NOTIFY in each transaction lets one commit at a time",
        ),
        Structure::Counters => {
            application("Longer transactions", "several changes per transaction; fewer tables touched by each")
        }
        Structure::Subtransactions => application(
            "No savepoint or EXCEPTION block in a loop, and no long transaction beside it",
            "INSERT … ON CONFLICT instead of catching the error; at most 64 savepoints per transaction",
        ),
        Structure::Multixacts => application(
            "Fewer transactions that lock one row together",
            "do not touch the parent row of many children in each transaction; commit sooner",
        ),
        Structure::Transactions | Structure::Snapshots => application(
            "Fewer connections and longer transactions",
            "a pooler in transaction mode; several changes per transaction",
        ),
        Structure::Serializable => {
            application("A lower isolation level where it is enough", "REPEATABLE READ or explicit locks instead of SERIALIZABLE")
        }
        Structure::Statements => server(
            "Room for more statements, or fewer different ones",
            "postgresql.conf: pg_stat_statements.max; parameters instead of constants in lists",
        ),
        Structure::Extension => application(
            "Fewer, larger inserts",
            "COPY or many rows per INSERT from fewer sessions; partitions that sessions fill apart; from PostgreSQL 16 on it is much cheaper",
        ),
        Structure::Other => application("Do less of the same at once", "fewer sessions that run the same statement"),
    };
    vec![see, cure]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::{seen, waits};
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{PgState, Session, WaitKind};

    fn locks(kind: WaitKind, event: &str, looks: u32) -> Bench {
        seen(vec![(waits(10, kind, event), looks)])
    }

    #[test]
    fn sessions_that_wait_for_internal_locks_are_found_and_held() {
        let mapping = |looks| locks(WaitKind::LwLock, "BufferMapping", looks);
        Table {
            clear: mapping(100),
            unknown: Some(Bench::postgres(PgState::default())),
            found: mapping(210),
            held: Some(mapping(180)),
        }
        .check(&RULE);
        mapping(310).must_say(&RULE, "found 0.3 sessions wait for the map of shared buffers (LWLock:BufferMapping)");
        locks(WaitKind::Lock, "extend", 900).must_say(&RULE, "found 0.9 sessions wait for a table to be extended (Lock:extend)");
    }

    /// A NOTIFY in every transaction: whoever is in front holds the queue up for one flush, and ending it would help nobody.
    #[test]
    fn those_who_commit_with_a_notify_wait_for_their_turn() {
        let commits = |statement: &str| {
            let waits = Session { query: statement.into(), ..waits(10, WaitKind::Lock, "object") };
            seen(vec![(waits, 900)])
        };
        commits("COMMIT;").must_say(&RULE, "found 0.9 sessions wait for their turn to commit with a NOTIFY (Lock:object)");
        commits("DROP SCHEMA s;").must_say(&RULE, "clear");
    }

    #[test]
    fn rows_and_the_wal_are_others() {
        locks(WaitKind::Lock, "transactionid", 900).must_say(&RULE, "clear");
        locks(WaitKind::LwLock, "WALWrite", 900).must_say(&RULE, "clear");
    }
}
