//! host.locks.file: threads of a service wait for a file lock; who holds it.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::{FileWaits, State};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::support::process_subject;
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::{FileLockFacts, ProcFacts};
use crate::model::shell::Word;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, short};

const WAITING: Param = Param {
    name: "waiting",
    unit: Unit::SecondsPerSecond,
    default: 0.1,
    min: 0.01,
    max: 1e6,
    what: "time that threads of services wait for one file lock",
};

/// Share of the looks in which one process held it, from which on it is the one to blame.
const HOLDS: f64 = 0.6;

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.locks.file",
    class: Class::Live,
    culprit: Culprit::One,
    says: "threads of a service wait for a file lock; who holds it",
    params: &[WAITING],
    origins: &["host.file_locks", "host.listeners"],
    page: "\
Processes that share a file coordinate through a lock on it (flock, fcntl): SQLite, PHP session files, package managers, cron jobs, mailboxes. A
thread that waits for one sleeps and uses neither CPU nor disk: only `/proc/locks` shows it.

Found when threads of services lose `waiting` to one file lock. The loss is the threads that wait, as far as requests are in flight at
their service: threads x min(1, requests in flight / threads of its family that wait for file locks). A stand-by that waits for its turn, or a job
that another one keeps out, holds nobody up and is no finding. The holder is named where it is the same in six of ten samples; otherwise the
waiters take turns, and the lock itself limits them.

**Relief**: see what the holder is doing. **Cure**, by hand: hold the lock for less time (no remote call and no flush to disk
while it is held), one lock per key instead of one for all, shared locks for readers, a database that locks rows.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    if let Err(lack) = &facts.world.host.processes {
        return Judged::unknown(Subject::host(), lack);
    }
    let locks = match &facts.world.host.file_locks {
        Ok(locks) => locks,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    let waits = FileWaits::of(facts.world);
    let process = |id| facts.world.processes().iter().find(|p| p.id == id);
    let mut judged = Judged::default();
    for lock in locks {
        let victims: Vec<(&ProcFacts, f64)> = lock
            .waiters
            .iter()
            .filter_map(|(id, _)| process(*id))
            .map(|p| (p, waits.lost(lock, p)))
            .filter(|(_, lost)| *lost > 0.0)
            .collect();
        let lost: f64 = victims.iter().map(|(_, lost)| lost).sum();
        let Some((first, _)) = victims.first() else { continue };
        let holder = lock.holders.first().filter(|(_, share)| *share >= HOLDS).and_then(|(id, _)| process(*id));
        // Who takes turns is known by whom they come from.
        let blamed = holder.or_else(|| process(first.family)).unwrap_or(first);
        let mut subject = process_subject(blamed);
        subject.also = lock.path.iter().map(|path| format!("file:{}", path.shown())).collect();
        if lost < params.limit(WAITING, is_held(prev, &subject)) || judged.verdicts.iter().any(|(s, _)| s.key == subject.key) {
            continue;
        }
        judged.verdicts.push((subject, Verdict::Found(Box::new(found(params, lock, holder, &victims, lost)))));
    }
    if judged.verdicts.is_empty() {
        let standing = locks.len();
        return Judged::clear(
            Subject::host(),
            match standing {
                0 => "nobody waits for a file lock".to_owned(),
                n => format!("{n} file locks are waited for, none by a service with requests in flight"),
            },
        );
    }
    judged
}

fn found(
    params: &Params<'_>,
    lock: &FileLockFacts,
    holder: Option<&ProcFacts>,
    victims: &[(&ProcFacts, f64)],
    lost: f64,
) -> Found {
    let file = lock.path.as_ref().map_or_else(|| format!("file {}", lock.file), |path| path.shown().to_owned());
    let names: Vec<&str> = victims.iter().map(|(p, _)| p.name.shown()).collect();
    let name = names.first().copied().unwrap_or_default();
    let (whose, threads) =
        (if names.iter().all(|n| *n == name) { name } else { "services" }, lock.waiters.iter().map(|(_, n)| n).sum::<f64>());
    let title = match holder {
        Some(p) => format!("{} holds the lock on {file}: {} threads of {whose} wait for it", p.label(), short(threads)),
        None => format!("{whose} processes compete for the lock on {file}: {} threads wait", short(threads)),
    };
    let mut found = Found::new(Class::Live, title);
    found.losses = vec![(State::TaskBlocked, lost)];
    found.victims_time = lost;
    found.evidence = vec![
        params.row("time lost to it", lost, WAITING, "host.file_locks"),
        evidence("threads that wait for it", threads, Unit::Count, None, "host.file_locks"),
    ];
    if let Some((p, (_, share))) = holder.zip(lock.holders.first()) {
        found.evidence.push(evidence(
            "samples in which it held the lock",
            share * 100.0,
            Unit::Percent,
            Some(HOLDS * 100.0),
            "host.file_locks",
        ));
        let of =
            |claim: &str, value: Option<f64>| value.map(|v| evidence(claim, v * 100.0, Unit::Percent, None, "host.schedstat"));
        found.evidence.extend(of("CPU that the holder uses", p.cpu));
        found.evidence.extend(of("its wait for a CPU", p.runnable));
    }
    let waiting = evidence("processes that wait", victims.len() as f64, Unit::Count, None, "host.file_locks");
    found.evidence.push(waiting);
    let pid = holder.or_else(|| victims.first().map(|(p, _)| *p)).map_or(0, |p| p.id.pid);
    let title = if holder.is_some() { "See what the holder does, and who waits" } else { "See who holds it, and who waits" };
    let look = |file: Word| {
        fix::look(
            title,
            sh!("grep -e {} /proc/locks; ps -o pid,ppid,etime,stat,wchan:32,args -p {}; cat /proc/{}/stack", file, pid, pid),
        )
    };
    found.fixes = Word::operand(lock.file.as_bytes()).map(look).into_iter().collect();
    let mut cure = fix::shell_fix(
        Phase::Cure,
        Horizon::ShortTerm,
        "Hold the lock for less time, or use one lock per key",
        sh!(
            "# application: nothing slow while it is held (no remote call, no fsync, no sleep); one lock file per key; LOCK_SH for readers"
        ),
    );
    cure.needs = "the application".into();
    cure.risk = "the application changes".into();
    found.fixes.push(cure);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{process, service, unread};
    use crate::detect::bench::{Bench, Table, sockets};
    use crate::model::facts::ListenerFacts;

    /// Three workers of a service and a job that holds the lock in that share of the looks, with so many requests in flight.
    fn waits(threads: f64, in_flight: f64, holds: f64) -> Bench {
        let api = service(100, "api", 8080);
        let worker = |pid| ProcFacts { ppid: 100, family: api.id, ..service(pid, "api", 8080) };
        let job = process(300, "backup");
        let workers = [worker(101), worker(102), worker(103)];
        let lock = FileLockFacts {
            file: "08:01:131".into(),
            path: Some("/srv/app.lock".into()),
            kind: "FLOCK".into(),
            holders: vec![(job.id, holds), (workers[0].id, 1.0 - holds)],
            waiters: workers.iter().map(|p| (p.id, threads / 3.0)).collect(),
        };
        let id = api.id;
        let all = [vec![api, job], workers.to_vec()].concat();
        Bench::quiet().running(all).on(|host| {
            host.file_locks = Ok(vec![lock]);
            host.sockets = Ok(sockets::sockets(vec![ListenerFacts { in_flight, ..sockets::listener(id, 8080) }], Vec::new()));
        })
    }

    #[test]
    fn who_holds_the_lock_is_named_and_held() {
        let found = waits(3.0, 3.0, 1.0);
        found.must_say(&RULE, "found backup (pid 300) holds the lock on /srv/app.lock: 3.0 threads of api wait for it");
        assert!((found.loses(&RULE) - 3.0).abs() < 1e-9);
        // Two threads wait for work of their own.
        assert!((waits(3.0, 1.0, 1.0).loses(&RULE) - 1.0).abs() < 1e-9);
        waits(3.0, 3.0, 0.5).must_say(&RULE, "found api processes compete for the lock on /srv/app.lock: 3.0 threads wait");
        let unseen = waits(3.0, 3.0, 1.0).on(|host| host.file_locks = Err(unread()));
        waits(3.0, 3.0, 1.0).on(|host| host.processes = Err(unread())).must_say(&RULE, "unknown");
        Table { clear: waits(3.0, 0.05, 1.0), unknown: Some(unseen), found, held: Some(waits(3.0, 0.09, 1.0)) }.check(&RULE);
    }

    #[test]
    fn who_serves_nobody_waits_for_nobody() {
        waits(3.0, 0.0, 1.0).must_say(&RULE, "clear");
        let standby = waits(3.0, 3.0, 1.0).on(|host| {
            let standby = process(400, "standby");
            host.file_locks.as_mut().unwrap()[0].waiters = vec![(standby.id, 1.0)];
            host.processes.as_mut().unwrap().push(standby);
        });
        standby.must_say(&RULE, "clear");
    }
}
