//! host.cpu.realtime_hog: a real-time task starves normal ones.

use super::cpu_blame;
use crate::detect::command::sh;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::support::real_time;
use crate::detect::verdict::{Facts, Judged, Prev, evidence};
use crate::model::subject::Subject;
use crate::model::unit::{Unit, short};

const CORES: Param = Param {
    name: "cores",
    unit: Unit::Cores,
    default: 0.3,
    min: 0.01,
    max: 1024.0,
    what: "CPUs used by real-time tasks of one program",
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
    id: "host.cpu.realtime_hog",
    class: Class::Live,
    culprit: Culprit::One,
    says: "a real-time task starves normal ones",
    params: &[CORES, LOST],
    origins: &["host.processes", "host.schedstat"],
    page: "\
A task under SCHED_FIFO, SCHED_RR or SCHED_DEADLINE runs before every normal one; by default the kernel leaves the
others 5 % of the time (`sched_rt_runtime_us`). No nice value helps against it. Only the policy of each process' main
thread is seen.

The loss is the run delay of everyone else times its share of the CPU use that competes. Below 5 % PSI cpu nothing is
blamed.

**Relief**: make it a normal task (`chrt -a -o -p 0`), or pause it where nobody depends on it. **Cure**: find out who
made it real-time; by hand: let it sleep.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = Subject::host();
    if let Err(lack) = &facts.world.host.processes {
        return Judged::unknown(host, lack);
    }
    let held = prev.is_some_and(|p| !p.held.is_empty());
    let hog = cpu_blame::most(facts, prev, |p| if real_time(p) && !p.kernel { p.cpu.unwrap_or(0.0) } else { 0.0 });
    let Some(hog) = hog.filter(|h| h.cores >= params.limit(CORES, held)) else {
        return Judged::clear(host, "no real-time task uses much CPU while others wait");
    };
    if hog.lost < params.limit(LOST, held) {
        return Judged::clear(host, format!("{} is real-time and delays others by {} s/s", hog.program.label(), short(hog.lost)));
    }
    let title = format!("{} runs as a real-time task on {} CPUs and starves normal tasks", hog.program.label(), short(hog.cores));
    let mut found = hog.found(facts, title);
    found.evidence = vec![
        params.row("CPU used by real-time tasks", hog.cores, CORES, "host.processes"),
        params.row("run-queue wait it causes others", hog.lost, LOST, "host.schedstat"),
        evidence("share of competing CPU use", hog.share * 100.0, Unit::Percent, None, "host.processes"),
    ];
    found.fixes = vec![fix::normal_scheduling(&hog.program.members)];
    found.fixes.extend(fix::pause(facts.world, &hog.program.members));
    let mut cure = fix::shell_fix(
        Phase::Cure,
        Horizon::ShortTerm,
        "Find out who made it real-time, and why it does not sleep",
        sh!(
            "chrt -a -p {}; systemctl cat \"$(ps -o unit= -p {} | tr -d ' ')\" | grep -i sched",
            hog.program.root.pid,
            hog.program.root.pid
        ),
    );
    cure.risk = "none: read-only".into();
    found.fixes.push(cure);
    Judged::found(hog.program.subject(), found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{pressure, process, service, unread};
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::ProcFacts;

    /// A program of that policy uses that many CPUs while a service waits for one.
    fn beside(policy: u32, cores: f64) -> Bench {
        let hog = ProcFacts { cpu: Some(cores), policy, ..process(200, "dsp") };
        let server = ProcFacts { cpu: Some(0.1), runnable: Some(0.3), ..service(100, "api", 8080) };
        let busy = Bench::quiet().running(vec![hog, server]).on(|host| host.psi.cpu = pressure(0.3));
        busy.with_cpu(|cpu| cpu.busy = (cores + 0.1) / 2.0)
    }

    #[test]
    fn a_real_time_task_is_found_a_normal_one_is_none() {
        const NORMAL: u32 = 0;
        const FIFO: u32 = 1;
        let found = beside(FIFO, 0.31);
        found.must_say(&RULE, "found dsp (pid 200) runs as a real-time task on 0.3 CPUs and starves normal tasks");
        Table {
            clear: beside(NORMAL, 1.9),
            unknown: Some(beside(FIFO, 0.31).on(|host| host.processes = Err(unread()))),
            found,
            held: Some(beside(FIFO, 0.25)),
        }
        .check(&RULE);
    }
}
