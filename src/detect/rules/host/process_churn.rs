//! host.cpu.process_churn: short-lived processes eat the CPU; names the parent that starts them.

use super::cpu_blame::{self, Blamed};
use crate::detect::command::sh;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Judged, Prev};
use crate::model::seen::Lack;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, short};

const FORKS: Param =
    Param { name: "forks", unit: Unit::PerSecond, default: 50.0, min: 1.0, max: 1e6, what: "forks per second of the whole host" };
const CORES: Param = Param {
    name: "cores",
    unit: Unit::Cores,
    default: 0.2,
    min: 0.01,
    max: 1024.0,
    what: "CPUs used by the ended children of one program; only children it waited for are counted",
};
const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.05,
    min: 0.001,
    max: 100.0,
    what: "run delay it causes others: theirs times the children's share of competing CPU use",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.cpu.process_churn",
    class: Class::Live,
    culprit: Culprit::One,
    says: "short-lived processes eat the CPU; names the parent that starts them",
    params: &[FORKS, CORES, LOST],
    origins: &["host.cpu", "host.processes", "host.schedstat"],
    page: "\
Processes live too briefly to be seen in any table: each takes a fork, an exec and some page faults. The kernel adds
what a child used to its parent when the parent waits for it (cutime, cstime), and so names the parent. What children
used that were seen at work before they ended is taken off: they were not short-lived. Forks are counted for the whole
host, new threads among them; children that nobody waits for are attributed to no parent.

The loss is the run delay of everyone else times the share of the ended children in the CPU use that competes,
weighted by nice values. Below 5 % PSI cpu nothing is blamed. Of a server that is watched, whose sessions and workers
are its children, it is info, without a fix: the rules of that server say whose they are.

**Relief**: pause the parent or lower its priority; one that others depend on is only inspected. **Cure**: see what it
starts; by hand: keep workers instead of starting one per request or line, use the shell's own commands in loops.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = Subject::host();
    let cpu = match (&facts.world.host.cpu, &facts.world.host.processes) {
        (Ok(cpu), Ok(_)) => cpu,
        (Err(lack), _) | (_, Err(lack)) => return Judged::unknown(host, lack),
    };
    let held = prev.is_some_and(|p| !p.held.is_empty());
    let Some(forks) = cpu.forks_per_s else { return Judged::unknown(host, &Lack::first_sample("processes of /proc/stat")) };
    if forks < params.limit(FORKS, held) {
        return Judged::clear(host, format!("only {} forks/s", short(forks)));
    }
    // A child that was never seen and is reaped now brings its whole life at once: more than was busy beside the living cannot be.
    let living: f64 = facts.world.processes().iter().filter_map(|p| p.cpu).sum();
    let most = (cpu.busy * facts.world.cpus() - living).max(0.0);
    let parent = cpu_blame::most(facts, prev, |p| p.short_lived_cpu.unwrap_or(0.0).min(most));
    let Some(parent) = parent.filter(|b| b.cores >= params.limit(CORES, held) && b.lost >= params.limit(LOST, held)) else {
        return Judged::clear(host, format!("{} forks/s, and no parent delays others much", short(forks)));
    };
    let title = format!(
        "{} starts short-lived processes: {} forks a second on the host, its ended children used {} CPUs",
        parent.program.label(),
        short(forks),
        short(parent.cores)
    );
    let mut found = parent.found(facts, title);
    found.evidence = vec![
        params.row("forks", forks, FORKS, "host.cpu"),
        params.row("CPU used by its children that ended", parent.cores, CORES, "host.processes"),
        params.row("run-queue wait it causes others", parent.lost, LOST, "host.schedstat"),
    ];
    if read_by_itself(facts, &parent) {
        found.standing = Some(false);
        return Judged::found(parent.program.subject(), found);
    }
    found.fixes = parent.reliefs(facts);
    let mut cure = fix::shell_fix(
        Phase::Cure,
        Horizon::ShortTerm,
        "See what it starts, and keep workers running instead",
        sh!(
            "timeout 3 strace -f -e trace=execve -p {} 2>&1 | grep -o 'execve(\"[^\"]*' | sort | uniq -c | sort -rn | head",
            parent.program.root.pid
        ),
    );
    cure.risk = "strace slows it down for three seconds".into();
    found.fixes.push(cure);
    Judged::found(parent.program.subject(), found)
}

/// Its sessions and their workers are its children, and what they do it says itself: a trace of their parent helps nobody.
fn read_by_itself(facts: &Facts<'_>, parent: &Blamed<'_>) -> bool {
    let mut servers = facts.kinds.iter().flat_map(|kind| (kind.programs)(facts.world));
    servers.any(|id| parent.program.members.iter().any(|p| p.id == id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{pressure, process, service, unread};
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::ProcFacts;

    /// The children of a shell used that many CPUs, on a host of two that are busy to that share.
    fn forking(forks: f64, children: f64, busy: f64) -> Bench {
        let shell = ProcFacts { cpu: Some(0.1), short_lived_cpu: Some(children), ..process(200, "sh") };
        let server = ProcFacts { cpu: Some(0.5), runnable: Some(0.4), ..service(100, "api", 8080) };
        Bench::quiet().running(vec![shell, server]).on(|host| host.psi.cpu = pressure(0.3)).with_cpu(|cpu| {
            cpu.forks_per_s = Some(forks);
            cpu.busy = busy;
        })
    }

    #[test]
    fn short_lived_children_are_found_and_the_end_of_a_long_one_is_not() {
        let found = forking(51.0, 0.5, 0.6);
        found.must_say(
            &RULE,
            "found sh (pid 200) starts short-lived processes: 51 forks a second on the host, its ended children used 0.5 CPUs",
        );
        Table {
            // Its whole life at once: the CPUs were not busy enough for that within the window.
            clear: forking(80.0, 30.0, 0.35),
            unknown: Some(forking(51.0, 0.5, 0.6).on(|host| host.processes = Err(unread()))),
            found,
            held: Some(forking(40.0, 0.5, 0.6)),
        }
        .check(&RULE);
    }

    /// The workers of a query are the server's children: whose they are its own rules say, and nobody is told to trace it.
    #[test]
    fn the_children_of_a_server_that_is_watched_wake_nobody() {
        use crate::detect::bench::postgres::server;
        use crate::model::postgres::{PgState, Server};
        let forking = |watched: bool| {
            let postmaster = ProcFacts { cpu: Some(0.1), short_lived_cpu: Some(0.5), ..process(200, "postgres") };
            let api = ProcFacts { cpu: Some(0.5), runnable: Some(0.4), ..service(100, "api", 8080) };
            let server = Server { postmaster: watched.then_some(postmaster.id), ..server() };
            let read = Bench::postgres(PgState { server: Some(server.into()), ..PgState::default() });
            read.running(vec![postmaster, api]).on(|host| host.psi.cpu = pressure(0.3)).with_cpu(|cpu| {
                cpu.forks_per_s = Some(51.0);
                cpu.busy = 0.6;
            })
        };
        forking(true).must_say(&RULE, "found postgres (pid 200) starts short-lived processes");
        assert!(forking(true).pastes(&RULE).is_empty());
        assert!(!forking(false).pastes(&RULE).is_empty());
    }
}
