//! host.cpu.hot_core: a process may run on full CPUs only, while others have room.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::{Actor, State};
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::support::{confidence, demand, programs};
use crate::detect::verdict::{Facts, Found, Judged, Prev, evidence};
use crate::model::facts::ProcFacts;
use crate::model::shell::Word;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, short};

const FULL: Param = Param {
    name: "full",
    unit: Unit::Percent,
    default: 90.0,
    min: 50.0,
    max: 100.0,
    what: "busy share of each core the victim is allowed on",
};
const IDLE: Param =
    Param { name: "idle", unit: Unit::Percent, default: 40.0, min: 1.0, max: 100.0, what: "idle share of another core" };
const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.05,
    min: 0.001,
    max: 100.0,
    what: "run delay of all processes pinned to full cores, except those of the program to blame",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.cpu.hot_core",
    class: Class::Live,
    culprit: Culprit::One,
    says: "a process is pinned to full CPUs while others have room",
    params: &[FULL, IDLE, LOST],
    origins: &["host.cpu", "host.schedstat", "host.affinity"],
    page: "\
A process may run on some CPUs only (taskset, a cpuset, an affinity that its author set), all of these are full, and
others have room. The average over all CPUs looks fine. What fills a core may also be an interrupt that it serves
alone.

**Who is to blame**: of the programs that are pinned to these cores, or ran there last, the one that uses most CPU,
from 0.2 CPUs on; without one, the pinned process itself. The loss is the run delay of all processes pinned to full
cores, except those of the program to blame.

**Relief**: let the pinned process run anywhere; out of a cpuset it cannot. **Cure**: see where the affinity is set,
and change it there by hand; spread interrupts by hand.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = Subject::host();
    let cpu = match &facts.world.host.cpu {
        Ok(cpu) => cpu,
        Err(lack) => return Judged::unknown(host, lack),
    };
    let held = prev.is_some_and(|p| !p.held.is_empty());
    let busy = |n: u32| cpu.cores.iter().find(|c| c.number == n).and_then(|c| c.busy).unwrap_or(0.0) * 100.0;
    let full = params.limit(FULL, held);
    let idle = cpu.cores.iter().filter(|c| c.busy.is_some_and(|b| (1.0 - b) * 100.0 >= params.limit(IDLE, held))).count();
    let hottest = cpu.cores.iter().filter_map(|c| c.busy).fold(0.0, f64::max) * 100.0;
    if hottest < full || idle == 0 {
        return Judged::clear(host, format!("the busiest core is {hottest:.0} % busy, {idle} have room"));
    }
    let stuck = |p: &&ProcFacts| p.pinned.as_ref().is_some_and(|cpus| !cpus.is_empty() && cpus.iter().all(|n| busy(*n) >= full));
    let pinned: Vec<&ProcFacts> = facts.world.processes().iter().filter(stuck).collect();
    let delay = |p: &ProcFacts| facts.ledger.sum(|a| a.id == p.id, |a| a.in_state(State::CpuRunnable));
    let Some(victim) = pinned.iter().copied().max_by(|a, b| delay(a).total_cmp(&delay(b))) else {
        return Judged::clear(host, format!("a core is {hottest:.0} % busy, and no process is pinned to full ones only"));
    };
    let cores = victim.pinned.clone().unwrap_or_default();
    // Those that compete for the same cores: pinned there, or seen there.
    let there = |p: &ProcFacts| match &p.pinned {
        Some(own) => own.iter().any(|n| cores.contains(n)),
        None => cores.contains(&p.processor),
    };
    let rivals = programs(facts.world, |p| if there(p) && p.family != victim.family { demand(p) } else { 0.0 });
    let rival = rivals.into_iter().next().filter(|r| r.amount >= 0.2);
    let root = rival.as_ref().map(|r| r.root);
    let lost =
        facts.ledger.sum(|a| Some(a.family) != root && pinned.iter().any(|p| p.id == a.id), |a| a.in_state(State::CpuRunnable));
    if lost < params.limit(LOST, held) {
        return Judged::clear(host, format!("{} is pinned to a full core and waits {} s/s", victim.label(), short(lost)));
    }
    let room = if idle == 1 { "1 CPU has room".to_owned() } else { format!("{idle} CPUs have room") };
    let list = cores.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let (subject, title) = match &rival {
        Some(r) => (r.subject(), format!("{} fills CPU {list}, to which {} is pinned, while {room}", r.label(), victim.label())),
        None => (
            crate::detect::rules::support::process_subject(victim),
            format!("{} is pinned to CPU {list}, which is full, while {room}", victim.label()),
        ),
    };
    let mut found = Found::new(Class::Live, title);
    found.losses = vec![(State::CpuRunnable, lost)];
    found.victims_time = facts.ledger.sum(|a| pinned.iter().any(|p| p.id == a.id), Actor::time);
    found.own_time = facts.ledger.sum(|a| Some(a.family) == root, Actor::time);
    found.evidence = vec![
        params.row("run delay of the pinned process", lost, LOST, "host.schedstat"),
        evidence(
            "busy share of its allowed cores",
            cores.iter().map(|n| busy(*n)).fold(100.0, f64::min),
            Unit::Percent,
            Some(full),
            "host.cpu",
        ),
        evidence("cores with idle time", idle as f64, Unit::Count, None, "host.cpu"),
        evidence("cores it is allowed on", cores.len() as f64, Unit::Count, None, "host.affinity"),
    ];
    found.confidence = confidence(facts.ledger, lost, 0);
    let last = cpu.cores.iter().map(|c| c.number).max().unwrap_or(0);
    found.fixes = fixes(victim, &list, last);
    Judged::found(subject, found)
}

fn fixes(victim: &ProcFacts, list: &str, last: u32) -> Vec<Fix> {
    // A list of CPUs as `taskset` takes it: digits, commas, dashes.
    let Some(list) = Word::operand(list.as_bytes()) else { return Vec::new() };
    let mut free = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "Let the pinned process run on any CPU",
        fix::guarded(victim, &sh!("taskset -a -cp 0-{} {}", last, victim.id.pid)),
    );
    free.undo = Some(fix::guarded(victim, &sh!("taskset -a -cp {} {}", list, victim.id.pid)));
    free.risk = "the pinning may have a reason: caches, isolation, a licence".into();
    free.verify = sh!("taskset -cp {}; perftop check --for 5s", victim.id.pid);
    let mut cure = free.clone();
    cure.phase = Phase::Cure;
    cure.horizon = Horizon::ShortTerm;
    cure.title = "Change the affinity where it is set".into();
    cure.command = sh!(
        "cat /proc/{}/cgroup; systemctl show -p CPUAffinity,AllowedCPUs \"$(ps -o unit= -p {} | tr -d ' ')\"",
        victim.id.pid,
        victim.id.pid
    );
    cure.undo = None;
    vec![free, cure]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{process, service, unread};
    use crate::detect::bench::{Bench, Table};

    /// A service waits for CPU 0, which is that busy while the other one has room.
    fn hot(busy: f64, pinned: Option<Vec<u32>>) -> Bench {
        let server = ProcFacts { cpu: Some(0.4), runnable: Some(0.3), pinned, ..service(100, "api", 8080) };
        Bench::quiet().running(vec![server]).with_cpu(|cpu| {
            cpu.busy = busy / 2.0;
            cpu.cores[0].busy = Some(busy);
        })
    }

    #[test]
    fn a_full_core_is_found_when_a_process_is_pinned_to_it() {
        let found = hot(0.91, Some(vec![0]));
        found.must_say(&RULE, "found api (pid 100) is pinned to CPU 0, which is full, while 1 CPU has room");
        hot(0.91, Some(vec![0, 1])).must_say(&RULE, "clear");
        Table {
            clear: hot(1.0, None),
            unknown: Some(hot(0.91, Some(vec![0])).on(|host| host.cpu = Err(unread()))),
            found,
            held: Some(hot(0.7, Some(vec![0]))),
        }
        .check(&RULE);
    }

    #[test]
    fn who_fills_the_core_is_named() {
        let fills = ProcFacts { cpu: Some(0.6), ..process(200, "miner") };
        let both = hot(1.0, Some(vec![0])).on(|host| host.processes.as_mut().unwrap().push(fills));
        both.must_say(&RULE, "found miner (pid 200) fills CPU 0, to which api (pid 100) is pinned");
    }
}
