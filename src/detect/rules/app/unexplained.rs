//! app.unexplained: much of the foreground time waits, and no cause is known: where, who, and what to type next.

use crate::detect::command::sh;
use crate::detect::diagnosis::Cleared;
use crate::detect::finding::{Class, Evidence, Fix};
use crate::detect::fix::look;
use crate::detect::kind::{self, SessionOf};
use crate::detect::ledger::{Actor, State};
use crate::detect::params::{HYSTERESIS, Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule, matches};
use crate::detect::verdict::{Facts, Found, Judged, Left, Prev, evidence};
use crate::model::facts::Facts as World;
use crate::model::host::ProcId;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, short};

/// Its name: it is judged after all others, by what they left.
pub const ID: &str = RULE.id;

const SHARE: Param = Param {
    name: "share",
    unit: Unit::Percent,
    default: 30.0,
    min: 1.0,
    max: 100.0,
    what: "unexplained share of the foreground time, in three of the last four evaluations",
};
const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.3,
    min: 0.01,
    max: 1000.0,
    what: "unexplained seconds per second: less than a third of a waiting request is noise",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "app.unexplained",
    class: Class::Live,
    culprit: Culprit::One,
    says: "much of the foreground time waits and no cause is known: in which states, who, what was ruled out, what to run next",
    params: &[SHARE, LOST],
    origins: &["host.schedstat", "host.iodelay", "host.peers", "postgres.activity"],
    page: "\
After every other finding has claimed its seconds, some of the waiting may be left: per state its seconds, less the
baseline that a healthy machine has too, less what findings without a cause of their own claim. When that is `share`
of the foreground time and `lost` s/s, the finding is raised; after three of four evaluations it is a warning, and the
host is not healthy, even if all else is fine: perftop measured the wait but does not know its cause. It takes no
seconds from any finding and is never critical.

It names up to three states in which the time is spent, the three that wait most in each (each with the state's
unexplained share of its own wait), and findings of the same kind that were checked and are fine. The commands show
what the kernel or the server says of that wait.

**What looks like it**: a cause that has just ended, whose waits are still in the window; a program that waits by
design. **What to do**: run the commands, look for what the waiting processes have in common (a mount, a peer, a lock,
a device).",
    judge: Judge::Rest(judge),
};

/// Actors shown for each state.
const ACTORS: usize = 3;
/// States shown.
const STATES: usize = 3;

fn judge(facts: &Facts<'_>, left: &Left<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let total = facts.ledger.total();
    let lost: f64 = left.by_state.iter().map(|(_, s)| s).sum();
    let share = if total > 0.0 { 100.0 * lost / total } else { 0.0 };
    let over = |scale: f64| share >= scale * params.get(SHARE) && lost >= scale * params.get(LOST);
    let held = prev.is_some_and(|p| !p.held.is_empty());
    if !over(if held { HYSTERESIS } else { 1.0 }) {
        return Judged::clear(Subject::host(), format!("{} of {} s/s wait without a known cause", short(lost), short(total)));
    }
    let waits: Vec<Waiting<'_>> = left.by_state.iter().take(STATES).map(|(state, s)| Waiting::of(facts, *state, *s)).collect();
    let Some(first) = waits.first() else { return Judged::default() };
    let title = match first.actors.first() {
        Some(most) => format!(
            "{} of {} s/s wait without a known cause, mostly for {}: {}{}",
            short(lost),
            short(total),
            first.state.words(),
            most.label,
            first.others()
        ),
        None => format!("{} of {} s/s wait without a known cause, mostly for {}", short(lost), short(total), first.state.words()),
    };
    let mut found = Found::new(Class::Live, title);
    found.standing = Some(over(1.0));
    found.never_critical = true;
    found.confidence = facts.ledger.coverage;
    found.evidence = vec![
        params.row("unexplained share of foreground time", share, SHARE, "host.schedstat"),
        params.row("unexplained time", lost, LOST, "host.schedstat"),
    ];
    found.evidence.extend(waits.iter().flat_map(Waiting::rows));
    found.against = ruled_out(left, first.state);
    found.fixes = waits.iter().flat_map(Waiting::commands).collect();
    Judged::found(subject(facts.world, &waits, lost), found)
}

/// Who waits in a state, and how long.
struct Waiting<'a> {
    state: State,
    unexplained: f64,
    actors: Vec<Who<'a>>,
    /// How many more there are.
    more: usize,
}

struct Who<'a> {
    id: ProcId,
    label: String,
    seconds: f64,
    session: Option<SessionOf<'a>>,
}

impl<'a> Waiting<'a> {
    fn of(facts: &Facts<'a>, state: State, unexplained: f64) -> Self {
        // Whose seconds the causes took nobody knows: each has as much of the rest as of the whole.
        let part = (unexplained / facts.ledger.state(state).max(unexplained)).min(1.0);
        let mut all: Vec<(&Actor, f64)> =
            facts.ledger.actors.iter().map(|a| (a, part * a.in_state(state))).filter(|(_, s)| *s > 0.0).collect();
        all.sort_by(|(a, x), (b, y)| y.total_cmp(x).then(a.id.cmp(&b.id)));
        let more = all.len().saturating_sub(ACTORS);
        let actors = all.into_iter().take(ACTORS).map(|(a, seconds)| name(facts, a, state, seconds)).collect();
        Self { state, unexplained, actors, more }
    }

    fn others(&self) -> String {
        match self.actors.len().saturating_sub(1) + self.more {
            0 => String::new(),
            1 => " and 1 more".to_owned(),
            n => format!(" and {n} more"),
        }
    }

    fn rows(&self) -> Vec<Evidence> {
        let origin = if self.state.of_a_server() { "postgres.activity" } else { "host.schedstat" };
        let head = format!("{} ({})", self.state.id(), self.state.words());
        let all = std::iter::once(evidence(head, self.unexplained, Unit::SecondsPerSecond, None, origin));
        all.chain(self.actors.iter().map(|a| evidence(a.label.clone(), a.seconds, Unit::SecondsPerSecond, None, origin)))
            .collect()
    }

    /// What the kernel, or the server, says of the one that waits most.
    fn commands(&self) -> Vec<Fix> {
        // A session that has ended is not a process of this host (its number here is below 0): there is nothing left to inspect.
        let Some(most) = self.actors.iter().find(|a| a.session.is_some() || a.id.pid > 0) else { return Vec::new() };
        match &most.session {
            Some(session) => vec![session.look.clone()],
            None => host(most.id, self.state),
        }
    }
}

/// By its session where it is one, else by its process.
fn name<'a>(facts: &Facts<'a>, actor: &Actor, state: State, seconds: f64) -> Who<'a> {
    let session = kind::session_of(facts.kinds, facts.world, actor, state);
    let process = || facts.world.processes().iter().find(|p| p.id == actor.id).map(|p| p.label());
    let label = session.as_ref().map(|s| s.label.clone()).or_else(process).unwrap_or_else(|| match actor.id.pid {
        session @ ..0 => format!("pid {} (session ended)", session.abs()),
        pid => format!("pid {pid}"),
    });
    Who { id: actor.id, label, seconds, session }
}

/// The one that has more than half of it, a server that has all of it, else the host.
fn subject(world: &World, waits: &[Waiting<'_>], lost: f64) -> Subject {
    let of = |id: ProcId| -> f64 { waits.iter().flat_map(|w| &w.actors).filter(|a| a.id == id).map(|a| a.seconds).sum() };
    let most = waits.iter().flat_map(|w| &w.actors).max_by(|a, b| of(a.id).total_cmp(&of(b.id)));
    if let Some(most) = most.filter(|a| a.session.is_none() && of(a.id) > lost / 2.0)
        && let Some(process) = world.processes().iter().find(|p| p.id == most.id)
    {
        return Subject::new(SubjectType::Process, process.id.to_string(), process.label());
    }
    let servers: Vec<&str> = waits.iter().flat_map(|w| &w.actors).filter_map(|a| Some(a.session.as_ref()?.source)).collect();
    match servers.first() {
        Some(id) if waits.iter().all(|w| w.state.of_a_server()) && servers.iter().all(|s| s == id) => {
            Subject::new(SubjectType::Instance, *id, *id)
        }
        _ => Subject::host(),
    }
}

/// Findings of the same kind that were checked: what each of them explains of it is nothing.
fn ruled_out(left: &Left<'_>, state: State) -> Vec<Evidence> {
    const MOST: usize = 8;
    let families: &[&str] = match state {
        State::CpuRunnable | State::CpuThrottled | State::CpuSteal => &["host.cpu.*"],
        State::MemoryStalled => &["host.memory.*"],
        State::IoWait | State::TaskBlocked => &["host.io.*", "host.disk.*", "host.tasks.*", "host.memory.*"],
        State::PeerReply | State::NetworkConnect | State::NetworkAccept | State::NetworkRetransmit | State::NetworkSend => {
            &["host.network.*", "app.*"]
        }
        state if state.of_a_server() => &["postgres.locks.*", "postgres.io.*", "postgres.wal.*", "host.network.*"],
        _ => &["host.*"],
    };
    let ours = left.cleared.iter().filter(|c| families.iter().any(|f| matches(f, &c.id)));
    let row = |c: &Cleared| {
        evidence(format!("{}{} ruled out: {}", c.id, whose(c), c.because), 0.0, Unit::SecondsPerSecond, None, "host.schedstat")
    };
    ours.take(MOST).map(row).collect()
}

/// The server that was checked, where it is one.
fn whose(c: &Cleared) -> String {
    if c.source == "host" { String::new() } else { format!(" on {}", c.source) }
}

fn host(id: ProcId, state: State) -> Vec<Fix> {
    let pid = id.pid;
    let wchan = || {
        look(
            "See where its threads wait in the kernel",
            sh!("cat /proc/{}/task/*/wchan | sed 's/$/\\n/' | sort | uniq -c | sort -rn; cat /proc/{}/stack", pid, pid),
        )
    };
    let calls = || {
        let mut calls = look("See which system calls take the time", sh!("timeout 5 strace -f -c -p {}", pid));
        calls.risk = "strace slows it down for five seconds".into();
        calls
    };
    match state {
        State::CpuRunnable | State::CpuThrottled | State::CpuSteal => {
            let sched = sh!("pidstat -t -u -w -p {} 1 3; cat /proc/{}/cgroup", pid, pid);
            vec![look("See its threads: CPU, run delay, context switches, and its control group", sched)]
        }
        State::PeerReply | State::NetworkConnect | State::NetworkRetransmit | State::NetworkSend => {
            vec![look("See its sockets: how long each waits, retransmits", sh!("ss -tinp | grep -A1 'pid={},'", pid))]
        }
        State::IoWait | State::TaskBlocked | State::MemoryStalled => {
            let files = look("See which files and mounts it uses", sh!("ls -l /proc/{}/cwd /proc/{}/fd; findmnt", pid, pid));
            vec![wchan(), files, calls()]
        }
        _ => vec![wchan(), calls()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::service;
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::ProcFacts;

    /// A service that works and waits for a CPU, so many seconds each second.
    fn service_that(works: f64, waits: f64) -> Bench {
        Bench::quiet().on(|host| {
            let api = ProcFacts { cpu: Some(works), runnable: Some(waits), ..service(100, "api", 8080) };
            host.processes = Ok(vec![api]);
        })
    }

    #[test]
    fn waiting_without_a_cause_is_found_and_held() {
        // Everything that the ledger has is known.
        Table {
            clear: service_that(0.35, 0.2),
            unknown: None,
            found: service_that(0.35, 0.32),
            held: Some(service_that(0.35, 0.28)),
        }
        .check(&RULE);
        service_that(0.35, 0.32)
            .must_say(&RULE, "found 0.3 of 0.7 s/s wait without a known cause, mostly for a CPU (run queue): api (pid 100)");
    }

    #[test]
    fn a_small_part_of_the_time_is_no_finding() {
        Table { clear: service_that(1.6, 0.4), unknown: None, found: service_that(0.9, 0.4), held: Some(service_that(1.1, 0.4)) }
            .check(&RULE);
    }
}
