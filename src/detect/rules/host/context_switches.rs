//! host.cpu.context_switches: a switch storm.

use super::cpu_blame;
use crate::detect::command::sh;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Judged, Prev, evidence};
use crate::model::seen::Lack;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, count, short};

const SWITCHES: Param = Param {
    name: "switches",
    unit: Unit::PerSecond,
    default: 20_000.0,
    min: 100.0,
    max: 1e8,
    what: "context switches per second and CPU, on average over the host",
};
const SHARE: Param = Param {
    name: "share",
    unit: Unit::Percent,
    default: 50.0,
    min: 1.0,
    max: 100.0,
    what: "share of them caused by one program",
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
    id: "host.cpu.context_switches",
    class: Class::Live,
    culprit: Culprit::One,
    says: "a switch storm: the CPUs switch all the time, mostly to the threads of one program",
    params: &[SWITCHES, SHARE, LOST],
    origins: &["host.cpu", "host.schedstat"],
    page: "\
Threads that wake each other in turn (a contended lock, a ping-pong over pipes, far too many threads) spend the CPU on
switching. Found when the host switches often on each CPU and most of the switches are one program's: the times that
its threads came onto a CPU (`schedstat`, field 3). The reason is not visible.

The loss is the run delay of everyone else times the program's share of the CPU use that competes, weighted by nice
values. Below 5 % PSI cpu nothing is blamed.

**Relief**: pause it or lower its priority; one that others depend on is only inspected. **Cure**: see what its
threads wait for; by hand: fewer threads, batches instead of single items, no lock that is passed back and forth.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = Subject::host();
    let cpu = match (&facts.world.host.cpu, &facts.world.host.processes) {
        (Ok(cpu), Ok(_)) => cpu,
        (Err(lack), _) | (_, Err(lack)) => return Judged::unknown(host, lack),
    };
    let held = prev.is_some_and(|p| !p.held.is_empty());
    let Some(all) = cpu.switches_per_s else { return Judged::unknown(host, &Lack::first_sample("ctxt of /proc/stat")) };
    let per_cpu = all / facts.world.cpus();
    if per_cpu < params.limit(SWITCHES, held) {
        return Judged::clear(host, format!("{} switches/s per CPU", count(per_cpu)));
    }
    let own = |p: &crate::model::facts::ProcFacts| p.slices_per_s.unwrap_or(0.0);
    let by_slices = crate::detect::rules::support::programs(facts.world, own).into_iter().next();
    let Some(storm) = by_slices.filter(|s| s.amount / all.max(1.0) * 100.0 >= params.limit(SHARE, held)) else {
        return Judged::clear(host, format!("{} switches/s per CPU, by no single program", count(per_cpu)));
    };
    let slices = storm.amount;
    let family = storm.root;
    let blamed = cpu_blame::most(facts, prev, |p| if p.family == family { p.cpu.unwrap_or(0.0) } else { 0.0 });
    let Some(blamed) = blamed.filter(|b| b.lost >= params.limit(LOST, held)) else {
        return Judged::clear(
            host,
            format!("{} switches {} times a second with little effect on others", storm.label(), count(slices)),
        );
    };
    let title = format!("{} switches {} times a second on {} CPUs", blamed.program.label(), count(slices), short(blamed.cores));
    let mut found = blamed.found(facts, title);
    found.evidence = vec![
        params.row("switches per CPU", per_cpu, SWITCHES, "host.cpu"),
        evidence("its threads scheduled onto a CPU", slices, Unit::PerSecond, None, "host.schedstat"),
        params.row("run-queue wait it causes others", blamed.lost, LOST, "host.schedstat"),
    ];
    found.fixes = blamed.reliefs(facts);
    let mut cure = fix::shell_fix(
        Phase::Cure,
        Horizon::ShortTerm,
        "See what its threads wait for in turn",
        sh!("timeout 3 strace -f -c -p {}   # futex: a lock; read, write: a pipe", family.pid),
    );
    cure.risk = "strace slows it down for three seconds".into();
    found.fixes.push(cure);
    Judged::found(blamed.program.subject(), found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{pressure, process, service, unread};
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::ProcFacts;

    /// Two CPUs switch that often each, most of it to one program, while a service waits for a CPU.
    fn storm(per_cpu: f64, waits: f64) -> Bench {
        let pipes = ProcFacts { cpu: Some(0.8), slices_per_s: Some(per_cpu * 2.0 * 0.6), ..process(200, "pingpong") };
        let server = ProcFacts { cpu: Some(0.4), runnable: Some(waits), ..service(100, "api", 8080) };
        Bench::quiet().running(vec![pipes, server]).on(|host| host.psi.cpu = pressure(0.3)).with_cpu(|cpu| {
            cpu.switches_per_s = Some(per_cpu * 2.0);
            cpu.busy = 0.6;
        })
    }

    #[test]
    fn a_switch_storm_is_found_while_others_wait() {
        let found = storm(21_000.0, 0.5);
        found.must_say(&RULE, "found pingpong (pid 200) switches 25k times a second on 0.8 CPUs");
        Table {
            clear: storm(80_000.0, 0.04),
            unknown: Some(storm(21_000.0, 0.5).on(|host| host.cpu = Err(unread()))),
            found,
            held: Some(storm(15_000.0, 0.5)),
        }
        .check(&RULE);
    }
}
