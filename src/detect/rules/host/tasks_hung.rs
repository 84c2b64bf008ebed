//! host.tasks.hung: tasks hang in uninterruptible sleep for seconds; where in the kernel.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::State;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::ProcFacts;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, seconds};

const BLOCKED: Param = Param {
    name: "blocked",
    unit: Unit::Seconds,
    default: 4.0,
    min: 1.0,
    max: 5.0,
    what: "seconds in state D in every sample, and never on a CPU in between",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.tasks.hung",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "tasks hang in uninterruptible sleep for seconds; where in the kernel",
    params: &[BLOCKED],
    origins: &["host.iodelay", "host.wchan"],
    page: "\
A task that is in state D in every sample for seconds, and never on a CPU in between, waits in the kernel for
something that does not come: a dead network file system, a frozen one, a device that does not answer, a lock whose
holder hangs. It can seldom be killed. On a disk that is only slow each wait is short, and tasks come and go.

The kernel function it waits in (`wchan`) is named; tasks that wait in the same one are one finding. The loss is the
foreground time of those that hang for 4 s in one function outside the block layer, the journals and the dirty limit,
while their process moves less than a page per second; while PSI io stands still it is all their time in state D.

**Relief**: see where it is blocked and what it has open. **Cure**: by hand: thaw the file system (`fsfreeze -u`),
bring the server back; nothing sent to the task itself helps.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    if let Err(lack) = &facts.world.host.processes {
        return Judged::unknown(Subject::host(), lack);
    }
    let all: Vec<&ProcFacts> = facts.world.processes().iter().filter(|p| p.blocked_s > 0.0).collect();
    let mut judged = Judged::default();
    // Those that wait in the same place are one finding, named after the first.
    let mut told: Vec<&str> = Vec::new();
    for p in &all {
        let subject = Subject::new(SubjectType::Process, p.id.to_string(), p.label());
        let place = p.wchan.as_ref().map_or("", |w| w.shown());
        if p.blocked_s < params.limit(BLOCKED, is_held(prev, &subject)) || told.contains(&place) {
            continue;
        }
        told.push(place);
        let alike: Vec<&&ProcFacts> = all
            .iter()
            .filter(|o| o.wchan.as_ref().map_or("", |w| w.shown()) == place && o.blocked_s >= params.limit(BLOCKED, true))
            .collect();
        let mut subject = subject;
        subject.also = alike.iter().filter(|o| o.id != p.id).take(16).map(|o| format!("process:{}", o.id)).collect();
        let others = if alike.len() > 1 { format!(" and {} more", alike.len() - 1) } else { String::new() };
        let inside = if place.is_empty() { String::new() } else { format!(" in {place}") };
        let mut found = Found::new(
            Class::Live,
            format!("{}{others} hangs in the kernel{inside} for {} at least", p.label(), seconds(p.blocked_s)),
        );
        let lost = facts.ledger.sum(|a| alike.iter().any(|p| p.id == a.id), |a| a.in_state(State::TaskBlocked));
        // Without either it may be a disk that is slow.
        if lost <= 0.0 && alike.iter().all(|p| p.hung <= 0.0) {
            continue;
        }
        found.losses = vec![(State::TaskBlocked, lost)];
        found.victims_time = lost;
        found.evidence = vec![
            params.row("in state D without interruption", p.blocked_s, BLOCKED, "host.iodelay"),
            evidence("processes blocked in the same function", alike.len() as f64, Unit::Count, None, "host.wchan"),
        ];
        let pressure = facts.world.host.psi.io.as_ref().ok().map(|p| p.best() * 100.0);
        found.against = pressure.map(|p| evidence("PSI io", p, Unit::Percent, None, "host.psi.io")).into_iter().collect();
        let mut look = fix::shell_fix(
            Phase::Relief,
            Horizon::Immediate,
            "See where it is blocked in the kernel, and what it has open",
            sh!(
                "cat /proc/{}/wchan; cat /proc/{}/stack; ls -l /proc/{}/cwd; findmnt -no TARGET,FSTYPE,OPTIONS | grep -E 'nfs|cifs|fuse'",
                p.id.pid,
                p.id.pid,
                p.id.pid
            ),
        );
        look.needs = "root".into();
        look.risk = "accessing a file on a dead mount can hang the shell: add `timeout 2` where in doubt".into();
        let mut cure = look.clone();
        cure.phase = Phase::Cure;
        cure.title = "Unblock what it waits for: thaw the file system, bring the server back".into();
        cure.command =
            sh!("dmesg -T | grep -A1 'blocked for more than' | tail -n 20   # and: fsfreeze -u MOUNT, if someone froze it");
        found.fixes = vec![look, cure];
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(Subject::host(), "no task stays in uninterruptible sleep");
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{pressure, service, unread};
    use crate::detect::bench::{Bench, Table};

    /// A service in state D for so long, in that function; IO pressure says whether a disk is at work.
    fn blocked(seconds: f64, place: &str, stalled: f64) -> Bench {
        let server = ProcFacts {
            state: 'D',
            io_wait: Some(1.0),
            blocked_s: seconds,
            wchan: Some(place.into()),
            ..service(100, "api", 8080)
        };
        Bench::quiet().running(vec![server]).on(|host| host.psi.io = pressure(stalled))
    }

    #[test]
    fn a_task_that_hangs_is_found_one_that_waits_for_a_disk_is_not() {
        let found = blocked(4.1, "rpc_wait_bit_killable", 0.0);
        found.must_say(&RULE, "found api (pid 100) hangs in the kernel in rpc_wait_bit_killable for 4.1 s at least");
        Table {
            clear: blocked(5.0, "folio_wait_bit", 0.9),
            unknown: Some(blocked(4.1, "", 0.0).on(|host| host.processes = Err(unread()))),
            found,
            held: Some(blocked(3.0, "rpc_wait_bit_killable", 0.0)),
        }
        .check(&RULE);
        let brief = ProcFacts { state: 'D', blocked_s: 0.5, wchan: Some("rpc".into()), ..service(101, "cron", 25) };
        let beside = blocked(4.5, "rpc", 0.0).on(|host| {
            host.processes = host.processes.clone().map(|all| [all, vec![brief]].concat());
        });
        beside.must_say(&RULE, "found api (pid 100) hangs in the kernel in rpc for 4.5 s");
    }
}
