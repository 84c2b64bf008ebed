//! host.cpu.system_time: most CPU time is spent in the kernel; names the program that spends most there.

use super::cpu_blame;
use crate::detect::command::sh;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Judged, Prev};
use crate::model::subject::Subject;
use crate::model::unit::{Unit, short};

const SHARE: Param = Param {
    name: "share",
    unit: Unit::Percent,
    default: 60.0,
    min: 10.0,
    max: 100.0,
    what: "share of the busy time spent in the kernel",
};
const CORES: Param = Param {
    name: "cores",
    unit: Unit::Cores,
    default: 0.5,
    min: 0.01,
    max: 1024.0,
    what: "CPUs one program spends in the kernel; only processes that are there for half of their time or more count",
};
const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.05,
    min: 0.001,
    max: 100.0,
    what: "run delay it causes others: theirs times its share of competing CPU use",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.cpu.system_time",
    class: Class::Live,
    culprit: Culprit::One,
    says: "most CPU time is spent in the kernel; names the program that spends most there",
    params: &[SHARE, CORES, LOST],
    origins: &["host.cpu", "host.processes", "host.schedstat"],
    page: "\
The CPUs work in the kernel and not in programs: system calls, page faults, interrupts. Of the processes that spend
more than half of their time there, perftop names the program that spends most; interrupts are attributed to none.
Reading a device fast costs kernel time too, and is fine while nobody waits for a CPU.

The loss is the run delay of everyone else times the share of that kernel time in the CPU use that competes, weighted
by nice values. Below 5 % PSI cpu nothing is blamed.

**Relief**: pause it or lower its priority; one that others depend on is only inspected. **Cure**: see which calls it
makes; by hand: larger reads and writes, fewer calls, huge pages, no busy polling.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = Subject::host();
    let cpu = match (&facts.world.host.cpu, &facts.world.host.processes) {
        (Ok(cpu), Ok(_)) => cpu,
        (Err(lack), _) | (_, Err(lack)) => return Judged::unknown(host, lack),
    };
    let held = prev.is_some_and(|p| !p.held.is_empty());
    let share = cpu.system / cpu.busy.max(1e-9) * 100.0;
    if cpu.busy < 0.05 || share < params.limit(SHARE, held) {
        return Judged::clear(host, format!("{} % of the busy time is kernel time", short(share.min(100.0))));
    }
    let in_kernel = |p: &crate::model::facts::ProcFacts| {
        let system = p.system.unwrap_or(0.0);
        if system * 2.0 > p.cpu.unwrap_or(0.0) { system } else { 0.0 }
    };
    let caller = cpu_blame::most(facts, prev, in_kernel);
    let Some(caller) = caller.filter(|c| c.cores >= params.limit(CORES, held) && c.lost >= params.limit(LOST, held)) else {
        return Judged::clear(
            host,
            format!("{} % of the busy time is kernel time, and no program's share delays others much", short(share)),
        );
    };
    let title = format!("{} spends {} CPUs in the kernel", caller.program.label(), short(caller.cores));
    let mut found = caller.found(facts, title);
    found.evidence = vec![
        params.row("kernel share of busy time", share, SHARE, "host.cpu"),
        params.row("CPUs it spends in the kernel", caller.cores, CORES, "host.processes"),
        params.row("run-queue wait it causes others", caller.lost, LOST, "host.schedstat"),
    ];
    found.fixes = caller.reliefs(facts);
    let mut cure = fix::shell_fix(
        Phase::Cure,
        Horizon::ShortTerm,
        "See which calls it makes",
        sh!("timeout 3 strace -f -c -p {}", caller.program.root.pid),
    );
    cure.risk = "strace slows it down for three seconds".into();
    found.fixes.push(cure);
    Judged::found(caller.program.subject(), found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{pressure, process, service, unread};
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::ProcFacts;

    /// A program works in the kernel, as the CPUs do for that share of their busy time, while a service waits for a CPU.
    fn in_kernel(share: f64, waits: f64) -> Bench {
        let caller = ProcFacts { cpu: Some(1.0), system: Some(0.9), ..process(200, "dd") };
        let server = ProcFacts { cpu: Some(0.6), runnable: Some(waits), ..service(100, "api", 8080) };
        Bench::quiet().running(vec![caller, server]).on(|host| host.psi.cpu = pressure(0.3)).with_cpu(|cpu| {
            cpu.busy = 0.8;
            cpu.system = 0.8 * share;
        })
    }

    #[test]
    fn kernel_time_is_found_while_others_wait_for_a_cpu() {
        let found = in_kernel(0.61, 0.4);
        found.must_say(&RULE, "found dd (pid 200) spends 0.9 CPUs in the kernel");
        Table {
            clear: in_kernel(0.95, 0.05),
            unknown: Some(in_kernel(0.61, 0.4).on(|host| host.cpu = Err(unread()))),
            found,
            held: Some(in_kernel(0.5, 0.4)),
        }
        .check(&RULE);
    }
}
