//! postgres.wal.commit_bound: sessions wait for WAL writes and flushes, mostly at commit.

use std::collections::BTreeMap;

use super::role_setting::role_setting;
use super::support::{self, confidence, in_application, instance, interval};
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::ledger::State;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::postgres::baseline::WAL_WAITS;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::facts::{Activities, PgFacts};
use crate::model::foreign::Foreign;
use crate::model::postgres::{WaitClass, WaitKind};
use crate::model::unit::{Unit, short};

const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.3,
    min: 0.001,
    max: 1000.0,
    what: "sessions waiting for WAL, beyond the disk's baseline",
};
const LASTING: Param = Param {
    name: "lasting",
    unit: Unit::Seconds,
    default: 15.0,
    min: 0.0,
    max: 85.0,
    what: "seconds it lasts before it can be critical",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.wal.commit_bound",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "sessions wait for WAL writes and flushes, mostly at commit",
    params: &[LOST, LASTING],
    origins: &["postgres.activity", "postgres.cluster", "postgres.databases", "ledger"],
    page: "\
Sessions wait for WAL to be written, flushed or inserted (`WALWrite`, `WALSync`, `WALInsert`), mostly at commit: which
pg_stat_statements does not show. The disk's baseline counts as productive: the threshold applies to the wait beyond
it, the evidence row shows the whole wait. The time per commit is that of all commits of the server. When another
cause slows the disk, or checkpoints are forced, that is the cause and this is listed under it. A warning at most until
the wait was at 0.7 of the threshold or more for `lasting` seconds: a short disk stall is not an incident.

**Relief**: `synchronous_commit = off` for the role that waits most: its last half second of commits may be lost in a
crash. Offered only while 0.3 sessions are inside the write or flush itself, and the foreground waits less for a CPU
than for WAL.
**Cure**: several changes per transaction; by hand: a faster or a separate disk for WAL.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let activity = match support::activity(pg) {
        Ok(activity) => activity,
        Err(answer) => return answer,
    };
    let (waiting, lost) = support::beyond_baseline(facts, activity, WaitClass::Wal);
    let subject = instance(pg);
    if lost < params.limit(LOST, is_held(prev, &subject)) {
        return Judged::clear(subject, format!("{} sessions wait for WAL", short(waiting)));
    }
    let commits = pg.databases_rate(|d| Some(d.commits));
    let each = commits.filter(|n| *n > 0.0).map(|n| format!(", {} ms per commit", short(waiting / n * 1000.0)));
    let mut found = Found::new(
        Class::Live,
        format!("{} sessions wait for WAL writes and flushes, mostly at commit{}", short(waiting), each.unwrap_or_default()),
    );
    found.losses = vec![(State::PostgresWal, lost)];
    // Disks pause for some seconds now and then, and are well again before anyone could do anything.
    let since = facts.trend(WAL_WAITS);
    found.never_critical = !since.is_some_and(|s| s.stays_above(params.get(LOST) * 0.7, params.get(LASTING)));
    let victims = activity.sessions.iter().filter(|s| s.class(WaitClass::Wal) > 0.0);
    found.victims_time = victims.map(|s| s.active() * s.weight).sum();
    found.ci = Some(interval(pg, lost));
    found.confidence = confidence(pg, lost);
    found.evidence =
        vec![evidence("sessions waiting for WAL", waiting, Unit::Count, Some(params.get(LOST)), "postgres.activity")];
    found.evidence.extend(commits.map(|n| evidence("commits", n, Unit::PerSecond, None, "postgres.databases")));
    if let Some(rate) = pg.rate(|c| c.wal.position) {
        found.evidence.push(evidence("WAL written", rate, Unit::BytesPerSecond, None, "postgres.cluster"));
    }
    // What trades durability helps only where the wait is the flush: sessions that wait for a CPU as long are late at everything.
    let flush = facts.ledger.state(State::CpuRunnable) < lost && flushing(activity) >= FLUSHING;
    found.fixes = fixes(pg, activity, flush);
    Judged::found(subject, found)
}

/// Sessions that must be inside the write or flush itself, on average: those behind them in the same group commit wait for a lock.
const FLUSHING: f64 = 0.3;

/// Sessions inside the write or the flush of WAL.
fn flushing(activity: &Activities) -> f64 {
    let io = activity.by_event.iter().filter(|(wait, _)| wait.kind == WaitKind::Io && wait.class() == WaitClass::Wal);
    io.map(|(_, sessions)| sessions).sum()
}

fn fixes(pg: &PgFacts, activity: &Activities, flush: bool) -> Vec<Fix> {
    // The role of those who wait most together; maintenance and the server's own processes have none to be set.
    let mut roles: BTreeMap<&Foreign, f64> = BTreeMap::new();
    for facts in &activity.sessions {
        if let Some(s) = activity.seen(facts).filter(|s| s.client_backend() && !s.maintenance() && !s.role.is_empty()) {
            *roles.entry(&s.role).or_default() += facts.class(WaitClass::Wal);
        }
    }
    let most = roles.into_iter().filter(|(_, waits)| *waits > 0.0).max_by(|a, b| a.1.total_cmp(&b.1));
    let Some((role, _)) = most else { return Vec::new() };
    let title = "Set synchronous_commit = off for this role";
    let offered = || {
        role_setting(pg, Phase::Relief, Horizon::Immediate, title, role, ("synchronous_commit", "off")).map(|mut fix| {
            fix.risk =
                "a crash may lose the last half second of commits; data stays consistent. Applies to new sessions only".into();
            fix
        })
    };
    let relief = if flush { offered() } else { None };
    let batch = in_application(
        pg,
        Horizon::ShortTerm,
        "Batch several changes in one transaction",
        "BEGIN; many changes; COMMIT",
        format!("the application of role {role}"),
        "locks are held a little longer",
    );
    relief.into_iter().chain([batch]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::{seen, waits};
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::PgState;

    fn flushes(looks: u32) -> Bench {
        seen(vec![(waits(10, WaitKind::Io, "WALSync"), looks)])
    }

    #[test]
    fn sessions_that_wait_for_wal_are_found_and_held() {
        Table {
            clear: flushes(200),
            unknown: Some(Bench::postgres(PgState::default())),
            found: flushes(310),
            held: Some(flushes(290)),
        }
        .check(&RULE);
        flushes(310).must_say(&RULE, "found 0.3 sessions wait for WAL writes and flushes");
        seen(vec![(waits(10, WaitKind::Io, "DataFileRead"), 310)]).must_say(&RULE, "clear");
    }
}
