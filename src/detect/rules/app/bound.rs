//! app.bound: nobody else is to blame: what a program itself is bound by.

use std::collections::HashSet;

use crate::detect::finding::{Class, Evidence};
use crate::detect::ledger::State;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::crowd::{Crowd, Look, crowds};
use crate::detect::rules::support::{demand, programs};
use crate::detect::verdict::{Facts, Found, Judged, Left, Prev, Verdict, evidence};
use crate::model::facts::ProcFacts;
use crate::model::host::ProcId;
use crate::model::seen::Lack;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, short};

use super::bound_words::{fixes, spent_on, title};
use super::own_share::{HALF, Share, Totals, own_waiting};
use super::own_time::{OwnTime, Part};

const TIME: Param = Param {
    name: "time",
    unit: Unit::SecondsPerSecond,
    default: 0.8,
    min: 0.1,
    max: 1000.0,
    what: "time in which a job works or waits for what is known: below it it mostly sleeps, and is bound by nothing here",
};
const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.1,
    min: 0.01,
    max: 1000.0,
    what: "waiting that a program causes itself and no other finding claims",
};
const FULL: Param = Param {
    name: "full",
    unit: Unit::Percent,
    default: 95.0,
    min: 50.0,
    max: 100.0,
    what: "time that the busiest thread of a program is on a CPU",
};
const QUEUED: Param = Param {
    name: "queued",
    unit: Unit::Count,
    default: 2.0,
    min: 1.0,
    max: 10_000.0,
    what: "requests in flight before a server with one full thread",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "app.bound",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "nobody else is to blame: what a program itself is bound by, in shares of its own time",
    params: &[TIME, LOST, FULL, QUEUED],
    origins: &["host.processes", "host.schedstat", "host.iodelay", "host.sync", "host.process_io", "host.peers"],
    page: "\
Some programs wait for nobody but themselves: for their own fsyncs, their own reads, their own quota, their one full thread. After
all other findings have claimed their seconds, what is left of a program's waiting is its own if the program also causes it: it has
half of the competing CPU use, or half of the bytes that the disks move while a disk is busy for 30 % of the time or more. From
`lost` on that is said, and those seconds are no longer unexplained. Programs that compete with each other alone (copies of one
program, what one group or one user runs) count as one.

A job that nobody waits for is listed whenever its time is `time` or more, with what limits it: the CPU, the run queue, fsync, data
from a disk, a CPU quota, the responses of a peer. A server is listed when one of its threads is on a CPU for `full` of the time and
`queued` requests or more are in flight.

It is never critical: info for a job; a warning when someone waits for the program (it listens, has accepted a connection, or has a
terminal) and its own waiting is a tenth of the foreground time, or requests queue for its one thread.

**What looks like it**: another program that takes the CPU or the disk (`host.cpu.contention`, `host.io.saturated`): then
that one is to blame. **What to do**: the finding says what would make it faster.",
    judge: Judge::Rest(judge),
};

/// Shown at once.
const MOST: usize = 3;

fn judge(facts: &Facts<'_>, left: &Left<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    if let Err(lack) = &facts.world.host.processes {
        return Judged::unknown(Subject::host(), lack);
    }
    if facts.world.window_s == 0.0 {
        return Judged::unknown(Subject::host(), &Lack::first_sample("the time of processes"));
    }
    let total = Totals::of(facts);
    let mut bound: Vec<Bound<'_>> =
        candidates(facts, &total).into_iter().filter_map(|who| Bound::of(facts, left, params, prev, &total, who)).collect();
    bound.sort_by(|a, b| b.order().total_cmp(&a.order()).then(a.who.subject.key.cmp(&b.who.subject.key)));
    bound.truncate(MOST);
    // Two that have half each: no second is given twice.
    for (state, left) in &left.by_state {
        let sum: f64 = bound.iter().flat_map(|b| &b.own).filter(|(s, _)| s == state).map(|(_, lost)| lost).sum();
        let own = bound.iter_mut().flat_map(|b| &mut b.own).filter(|(s, _)| s == state);
        own.for_each(|(_, lost)| *lost *= (left / sum.max(1e-9)).min(1.0));
    }
    if bound.is_empty() {
        return Judged::clear(Subject::host(), "no program waits for itself, and no job works all the time");
    }
    let verdicts = bound.into_iter().map(|b| b.judged(facts, params)).map(|(s, found)| (s, Verdict::Found(Box::new(found))));
    Judged { verdicts: verdicts.collect(), demands: Vec::new() }
}

/// The part of the time from which a thread is full: one at 70 % is not, however it was before.
fn full(params: &Params<'_>, held: bool) -> f64 {
    const BAND: f64 = 0.95;
    params.get(FULL) / 100.0 * if held { BAND } else { 1.0 }
}

/// Of the foreground time, percent: from here on what a server loses by itself is a warning.
const MUCH: f64 = 10.0;

fn waits_for_cpu(p: &ProcFacts) -> bool {
    p.runnable.is_some_and(|s| s > 0.0)
}

/// Every program with time of its own but perftop itself and the servers that are read: those say more of themselves.
fn candidates<'a>(facts: &Facts<'a>, total: &Totals) -> Vec<Crowd<'a>> {
    let world = facts.world;
    let own_pid = world.identity.as_ref().map_or(0, |i| i.self_pid);
    let servers: HashSet<ProcId> = facts.kinds.iter().flat_map(|kind| (kind.programs)(world)).collect();
    let time = |p: &ProcFacts| p.cpu.unwrap_or(0.0) + p.runnable.unwrap_or(0.0) + p.io_wait.unwrap_or(0.0);
    let mut all = programs(world, time);
    all.retain(|p| !p.members.iter().any(|m| m.id.pid == own_pid || servers.contains(&m.id)));
    // Those that wait for each other alone.
    let mut competing = all.clone();
    for program in &mut competing {
        program.amount = program.members.iter().map(|p| demand(p)).sum();
    }
    let alone = competing.iter().any(|p| p.amount >= HALF * total.demand);
    let look = Look { amount: &demand, waits: &waits_for_cpu };
    let several = if alone { Vec::new() } else { crowds(world, &competing, look, HALF * total.demand) };
    let crowd = several.into_iter().next();
    let in_crowd = |p: &ProcFacts| crowd.as_ref().is_some_and(|c| c.members.iter().any(|m| m.id == p.id));
    all.retain(|p| !p.members.iter().any(|m| in_crowd(m)));
    all.into_iter().map(Crowd::from).chain(crowd).collect()
}

/// A program with what it is bound by.
struct Bound<'a> {
    who: Crowd<'a>,
    time: OwnTime,
    /// What it is bound by, and how much of its time that is.
    by: (Part, f64),
    /// What it loses by itself, and nobody claims, by state.
    own: Vec<(State, f64)>,
    /// Someone waits for it.
    serves: bool,
    /// Requests that its one full thread keeps waiting, where it has one.
    queued: Option<f64>,
}

impl<'a> Bound<'a> {
    fn of(
        facts: &Facts<'a>,
        left: &Left<'_>,
        params: &Params<'_>,
        prev: Option<&Prev>,
        total: &Totals,
        who: Crowd<'a>,
    ) -> Option<Self> {
        let held = prev.is_some_and(|p| p.held.iter().any(|h| who.was(&h.subject)));
        // It did too little to be bound by anything.
        if who.amount < params.limit(LOST, true)
            && !who.members.iter().any(|p| p.weight.value < 1.0 && total.asking.contains(&p.id))
        {
            return None;
        }
        let time = OwnTime::of(facts, &who.members);
        let share = Share::of(facts, total, &who);
        let mine = |key: &String| *key == who.subject.typed_key() || who.subject.also.contains(key);
        let blamed = left.blamed.iter().any(|(key, _)| mine(key));
        let own = own_waiting(facts, left, &share, (&who, &|state| left.blamed.iter().any(|(key, s)| *s == state && mine(key))));
        let lost: f64 = own.iter().map(|(_, s)| s).sum();
        let serves =
            who.members.iter().any(|p| p.serves == Some(true) || !p.listens.is_empty() || p.weight.why == "has a terminal");
        let queued = if serves && time.one_thread(full(params, held)) { queued(facts, &who) } else { None };
        let queued = queued.filter(|q| *q >= params.limit(QUEUED, held));
        let busy = !serves && !blamed && time.total() >= params.limit(TIME, held);
        let largest = time.parts.first().cloned().filter(|_| queued.is_some() || busy);
        let by = match own.iter().filter(|_| lost >= params.limit(LOST, held)).max_by(|a, b| a.1.total_cmp(&b.1)) {
            Some((State::CpuRunnable, seconds)) => Some((Part::Queue, *seconds)),
            Some(_) => time.parts.iter().find(|(part, _)| part.disk()).cloned(),
            // A job that others keep waiting is bound by them.
            None => {
                largest.filter(|(part, _)| queued.is_some() || share.causes(part) && (!part.peer() || left.blamed.is_empty()))
            }
        }?;
        Some(Self { who, time, by, own, serves, queued })
    }

    fn lost(&self) -> f64 {
        self.own.iter().map(|(_, s)| s).sum()
    }

    /// Those that someone waits for first, then by what they lose, then by their time.
    fn order(&self) -> f64 {
        let felt = if self.serves { 1e6 * (self.lost() + self.queued.unwrap_or(0.0)) } else { 0.0 };
        felt + 1e3 * self.lost() + self.time.total()
    }

    fn judged(self, facts: &Facts<'_>, params: &Params<'_>) -> (Subject, Found) {
        let full = full(params, true);
        let mut found = Found::new(Class::Live, title(facts, &self.who, &self.time, &self.by, full));
        let members = |id: ProcId| self.who.members.iter().any(|p| p.id == id);
        found.victims_time = facts.ledger.sum(|a| members(a.id), |a| a.time());
        found.losses = self.own.iter().copied().filter(|(_, s)| *s > 0.0).collect();
        found.never_critical = true;
        // What a job would gain nobody waits for.
        found.recoverable = if self.serves { 1.0 } else { 0.0 };
        // Nobody waits for a job; a server with requests before its one thread loses what no state of the ledger holds.
        found.standing = match self.queued {
            Some(queued) => Some(queued >= params.get(QUEUED)),
            None => {
                let much = 100.0 * self.lost() >= MUCH * facts.ledger.total() && self.lost() >= params.get(LOST);
                Some(self.serves && much)
            }
        };
        found.confidence = facts.ledger.coverage;
        found.evidence = self.evidence(params);
        found.fixes = fixes(facts, &self.who, &self.time, &self.by.0, self.serves);
        (self.who.subject, found)
    }

    fn evidence(&self, params: &Params<'_>) -> Vec<Evidence> {
        let seconds = Unit::SecondsPerSecond;
        let whole = self.time.total();
        let mut rows = vec![match self.serves {
            true => evidence("its own time", whole, seconds, None, "host.processes"),
            false => params.either("its own time", whole, TIME, "host.processes"),
        }];
        rows.extend(self.time.parts.iter().filter(|(_, s)| *s >= 0.01 * whole).map(|(part, s)| {
            let (words, origin) = spent_on(part);
            evidence(format!("{words} ({} % of it)", short(100.0 * s / whole)), *s, seconds, None, origin)
        }));
        if self.lost() > 0.0 {
            rows.push(params.either("waiting that it causes itself", self.lost(), LOST, "host.schedstat"));
        }
        if let Some(hottest) = self.time.hottest {
            rows.push(params.either("its busiest thread", hottest * 100.0, FULL, "host.schedstat"));
        }
        if let Some(queued) = self.queued {
            rows.push(params.either("requests in flight before it", queued, QUEUED, "host.peers"));
        }
        rows
    }
}

/// Requests in flight before its listeners that do not wait for others in turn.
fn queued(facts: &Facts<'_>, who: &Crowd<'_>) -> Option<f64> {
    let sockets = facts.world.host.sockets.as_ref().ok()?;
    let mine = |owner: Option<ProcId>| owner.is_some_and(|id| who.members.iter().any(|p| p.id == id));
    let asked: f64 = sockets.listeners.iter().filter(|l| mine(l.owner)).map(|l| l.in_flight).sum();
    let waits: f64 = sockets.peers.iter().filter(|l| mine(l.owner)).map(|l| l.for_requests).sum();
    Some((asked - waits).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{process, service};
    use crate::detect::bench::{Bench, Table, sockets};
    use crate::model::facts::ListenerFacts;

    fn job(cpu: f64, change: impl FnOnce(&mut ProcFacts)) -> Bench {
        let mut gzip = ProcFacts { cpu: Some(cpu), hottest: Some(cpu), ..process(200, "gzip") };
        change(&mut gzip);
        Bench::quiet().running(vec![gzip]).with_cpu(|c| c.busy = cpu / 2.0)
    }

    #[test]
    fn a_job_is_bound_by_what_takes_its_time() {
        Table {
            clear: job(0.3, |_| {}),
            unknown: Some(Bench::quiet().on(|host| host.processes = Err(Lack::first_sample("processes")))),
            found: job(0.98, |_| {}),
            held: Some(job(0.6, |_| {})),
        }
        .check(&RULE);
        job(0.98, |_| {})
            .must_say(&RULE, "found gzip (pid 200) is bound by one thread: 100 % of its time on a CPU, while 1 CPU is free");
        let kernel = job(0.9, |p| (p.hottest, p.system) = (Some(0.4), Some(0.8)));
        kernel.must_say(&RULE, "found gzip (pid 200) is bound by CPU, most of it in the kernel");
        let flushes = job(0.2, |p| (p.io_wait, p.sync_wait, p.write_bytes_per_s) = (Some(0.7), Some(0.65), Some(1e5)));
        flushes.must_say(&RULE, "found gzip (pid 200) is bound by its own flushes to disk: 72 % of its time inside fsync");
        let reads = job(0.3, |p| (p.io_wait, p.read_bytes_per_s) = (Some(0.6), Some(4e6)));
        reads.must_say(&RULE, "found gzip (pid 200) is bound by its own reads: 67 % of its time at 3.8 MiB/s");
        let writes = job(0.3, |p| (p.io_wait, p.write_bytes_per_s) = (Some(0.6), Some(4e6)));
        writes.must_say(&RULE, "found gzip (pid 200) is bound by its own writes");
    }

    #[test]
    fn a_job_is_no_warning_and_a_server_that_waits_for_itself_is() {
        assert!(!job(0.98, |_| {}).stands(&RULE));
        let waits = |cpu: f64, others: f64| {
            let api = ProcFacts { cpu: Some(cpu), runnable: Some(0.6), ..service(100, "api", 8080) };
            let other = ProcFacts { cpu: Some(others), ..process(300, "tar") };
            Bench::quiet().running(vec![api, other]).with_cpu(|c| c.busy = (cpu + others) / 2.0)
        };
        waits(1.3, 0.2).must_say(&RULE, "found api (pid 100) is bound by CPU");
        // Another one has most of what competes: that it waits is not its own.
        waits(0.3, 0.7).must_say(&RULE, "clear");
    }

    #[test]
    fn one_full_thread_matters_where_requests_wait_for_it() {
        let server = |hottest: f64, in_flight: f64| {
            let api = ProcFacts { cpu: Some(hottest), hottest: Some(hottest), threads: 11, ..service(100, "node", 8080) };
            let listener = ListenerFacts { in_flight, ..sockets::listener(api.id, 8080) };
            Bench::quiet().running(vec![api]).on(|host| host.sockets = Ok(sockets::sockets(vec![listener], vec![])))
        };
        server(0.99, 4.0).must_say(&RULE, "found node (pid 100) is bound by one thread");
        let python = server(0.3, 4.0).on(|host| {
            let processes = host.processes.as_mut().unwrap();
            (processes[0].name, processes[0].cpu) = ("python3".into(), Some(0.98));
        });
        python.must_say(&RULE, "found python3 (pid 100) is bound by one thread");
        let kernel = server(0.99, 4.0).on(|host| host.processes.as_mut().unwrap()[0].system = Some(0.9));
        assert!(kernel.pastes(&RULE).iter().all(|c| !c.contains("strace")), "nobody stops a server at each call");
        assert!(server(0.99, 4.0).stands(&RULE));
        server(0.99, 1.0).must_say(&RULE, "clear");
        server(0.5, 4.0).must_say(&RULE, "clear");
        server(0.92, 4.0).must_say_after(&RULE, Some(&server(0.99, 4.0)), "found");
    }

    #[test]
    fn programs_that_wait_for_each_other_alone_are_one() {
        let hog = |pid: i32| ProcFacts { cpu: Some(0.5), runnable: Some(0.5), ..process(pid, "dd") };
        let four = Bench::quiet().running((200..204).map(hog).collect()).with_cpu(|c| c.busy = 1.0);
        four.must_say(&RULE, "found dd processes are bound by CPU");
    }
}
