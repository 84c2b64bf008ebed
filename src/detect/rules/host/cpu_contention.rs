//! host.cpu.contention: foreground threads wait for a CPU; names who takes it.

use crate::detect::command::{Command, named, sh};
use crate::detect::finding::{Class, Evidence, Horizon, Phase, Preflight};
use crate::detect::fix;
use crate::detect::ledger::{Actor, State};
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::support::confidence;
use crate::detect::verdict::{Facts, Found, Judged, Prev, evidence};
use crate::model::facts::ProcFacts;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, short};

use super::contenders::{Blamed, blame, polite};
use super::{cpu_throttled, steal};

const PRESSURE: Param = Param {
    name: "pressure",
    unit: Unit::Percent,
    default: 10.0,
    min: 1.0,
    max: 100.0,
    what: "PSI cpu below this clears the finding: PSI gates, it does not rank (niced batch alone reaches 70 %)",
};
const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.05,
    min: 0.001,
    max: 100.0,
    what: "run delay it causes the foreground: theirs times its share",
};

const SHARE: Param = Param {
    name: "share",
    unit: Unit::Percent,
    default: 50.0,
    min: 5.0,
    max: 100.0,
    what: "share of competing CPU use, nice-weighted: below it confidence falls, and a crowd of programs with as much is blamed",
};
const LEAST: Param = Param {
    name: "least",
    unit: Unit::Percent,
    default: 30.0,
    min: 5.0,
    max: 100.0,
    what: "share of competing CPU use: below it neither a program nor a group is blamed",
};

const POLITE: Param = Param {
    name: "polite",
    unit: Unit::SecondsPerSecond,
    default: 0.5,
    min: 0.05,
    max: 100.0,
    what: "run delay of others beside batch that should give way: from here on it is seen not to",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.cpu.contention",
    class: Class::Live,
    culprit: Culprit::One,
    says: "foreground threads wait for a CPU; names who takes it",
    params: &[PRESSURE, LOST, SHARE, LEAST, POLITE],
    origins: &["host.psi.cpu", "host.schedstat", "host.processes", "host.cpu", "host.runqueue", "host.stands"],
    page: "\
Threads of foreground processes are ready to run and stand in the run queue. What counts is their run delay
(`schedstat`, field 2), not CPU percent: niced or SCHED_IDLE batch keeps every CPU busy and delays nobody, because the
scheduler takes it off the CPU at once. PSI cpu is a gate only: below `pressure` the finding is cleared.

**Who is to blame**: the program (a process and its forks) whose CPU use, weighted by its nice value, is the largest
share of competing CPU use; processes that cannot be seen compete too. Where no program has `share` of it, the smallest
crowd is blamed that has: copies of one program, what runs in one control group, what one user runs; never one that holds
a server which waits itself; and where there is none, the two or three largest background programs, together. Below `least` nothing is. The loss is the run delay of everyone else times that share; where the
CPUs are full, that delay less what the others would wait by themselves (cores that they want x load^CPUs / (1 - load^CPUs)), if
that is more. A
program at nice 10 or more, SCHED_IDLE or SCHED_BATCH is not to blame as long as it gives way: where others wait for `polite`
or more beside it, though they use less than seven tenths of the CPUs themselves, it is seen not to. A foreground program that uses half of the
CPUs or more, and delays itself more than others, needs more CPU: its own run delay is the loss then; never critical where it
answers twice as much as usual, none later, as after a cure.

**What looks like it**: a CPU quota (`host.cpu.throttled`), steal (`host.cpu.steal`), one pinned core
(`host.cpu.hot_core`).

**Relief**: lower its priority, or pause it; one that others depend on is only inspected. **Cure**: a low CPU weight
for its unit; by hand: a quota, another time, fewer requests, more CPUs.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = Subject::host();
    let world = facts.world;
    if let Err(lack) = &world.host.processes {
        return Judged::unknown(host, lack);
    }
    let waiting = facts.ledger.state(State::CpuRunnable);
    if !world.processes().iter().any(|p| p.runnable.is_some()) {
        let lack = crate::model::seen::Lack::first_sample("run delay (schedstat)");
        return Judged::unknown(host, &lack);
    }
    let pressure = world.host.psi.cpu.as_ref().ok().map(|p| p.best() * 100.0);
    let held = prev.is_some_and(|p| !p.held.is_empty());
    if pressure.is_some_and(|p| p < params.limit(PRESSURE, held)) {
        return Judged::clear(host, format!("PSI cpu {} %", short(pressure.unwrap_or(0.0))));
    }
    let (best, self_inflicted) = blame(facts, prev, (params.get(SHARE) / 100.0, params.get(LEAST) / 100.0));
    let least = params.limit(LOST, held);
    // A class is a promise; that others wait is measured.
    let rude = polite(facts, prev).filter(|p| p.gain() >= params.limit(POLITE, held));
    if let Some(rude) = rude.filter(|p| best.as_ref().is_none_or(|b| b.gain() < p.gain())) {
        return rude.judged(facts, params, pressure);
    }
    let Some(best) = best else {
        return Judged::clear(host, "no program and no crowd of them has a large share of competing CPU use");
    };
    if let Some(own) = self_inflicted.filter(|own| own.gain() > best.gain() && own.gain() >= least) {
        return own.judged(facts, params, pressure);
    }
    if best.gain() < least {
        return Judged::clear(host, clear_reason(facts, &best, waiting, pressure));
    }
    best.judged(facts, params, pressure)
}

fn clear_reason(facts: &Facts<'_>, best: &Blamed<'_>, waiting: f64, pressure: Option<f64>) -> String {
    let psi = pressure.map_or_else(String::new, |p| format!("PSI cpu is {} %, ", short(p)));
    let polite = |p: &&ProcFacts| p.nice >= 10 || matches!(p.policy, 3 | 5);
    let niced: f64 = facts.world.processes().iter().filter(polite).filter_map(|p| p.cpu).sum();
    if niced >= 0.3 {
        return format!("{psi}but niced batch uses {} CPUs and gives way", short(niced));
    }
    let own = waiting - best.lost;
    let cores = best.members.iter().filter_map(|p| p.cpu).sum::<f64>();
    let itself = if own >= 0.05 { format!("; it waits {} itself", short(own)) } else { String::new() };
    let (uses, delays) = if best.many { ("use", "delay") } else { ("uses", "delays") };
    format!("{psi}{} {uses} {} CPUs and {delays} others by {} s/s{itself}", best.label, short(cores), short(best.gain()))
}

impl Blamed<'_> {
    fn judged(&self, facts: &Facts<'_>, params: &Params<'_>, pressure: Option<f64>) -> Judged {
        let victims_time = facts.ledger.sum(|a| self.is_victim(a), Actor::time);
        let own_time = if self.alone { 0.0 } else { facts.ledger.sum(|a| !self.is_victim(a), Actor::time) };
        let label = &self.label;
        let cores = self.members.iter().filter_map(|p| p.cpu).sum::<f64>();
        let title = if self.alone {
            format!("{label} needs more CPU than there is: its own threads wait in the run queue")
        } else {
            let victim = self.worst_victim(facts).map_or_else(|| "others wait".into(), |v| format!("{v} waits most"));
            let take = match (self.polite, self.many) {
                (false, false) => "takes",
                (false, true) => "take",
                (true, false) => "does not give way and takes",
                (true, true) => "do not give way and take",
            };
            format!("{label} {take} {} of {} CPUs: {victim} for CPU time", short(cores), short(facts.world.cpus()))
        };
        let mut found = Found::new(Class::Live, title);
        found.losses = vec![(State::CpuRunnable, self.gain())];
        found.victims_time = victims_time;
        found.own_time = own_time;
        found.held_share = self.share;
        found.evidence = self.evidence(facts, params, pressure, cores);
        found.against = against(facts, params, self.polite);
        found.fixes = self.fixes(facts);
        // Below half of what competes it is the largest of several.
        found.confidence = confidence(facts.ledger, self.lost, 0) * (self.share / (params.get(SHARE) / 100.0)).min(1.0);
        // A job that nobody but its own terminal waits for, or a service that does a multiple of what it did, no later than before (its
        // queries got their index, its clients never pause): worth saying, nothing to be woken for.
        let more = self.does_more(facts).filter(|_| self.alone);
        found.never_critical = self.alone && (more.is_some() || !self.members.iter().any(|p| !p.listens.is_empty()));
        found.against.extend(more.map(|(now, usual)| {
            evidence("answers per second, none later than usual", now, Unit::PerSecond, Some(usual), "host.stands")
        }));
        Judged::found(self.subject.clone(), found)
    }

    fn worst_victim(&self, facts: &Facts<'_>) -> Option<String> {
        let victims = facts.ledger.actors.iter().filter(|a| self.is_victim(a));
        let worst = victims.max_by(|a, b| a.in_state(State::CpuRunnable).total_cmp(&b.in_state(State::CpuRunnable)))?;
        facts.world.processes().iter().find(|p| p.id == worst.id).map(ProcFacts::label)
    }

    fn evidence(&self, facts: &Facts<'_>, params: &Params<'_>, pressure: Option<f64>, cores: f64) -> Vec<Evidence> {
        let mut rows = vec![
            params.row(
                if self.alone { "run-queue wait of its own threads" } else { "run-queue wait of others" },
                self.lost,
                if self.polite { POLITE } else { LOST },
                "host.schedstat",
            ),
            evidence("CPU used by the program", cores, Unit::Cores, Some(facts.world.cpus()), "host.processes").of_capacity(),
        ];
        rows.push(if self.polite {
            evidence("share of the CPU that is used", self.share * 100.0, Unit::Percent, None, "host.processes")
        } else {
            params.row("share of competing CPU use, nice-weighted", self.share * 100.0, SHARE, "host.processes")
        });
        rows.extend(self.due.alone.filter(|_| !self.alone).map(|alone| {
            evidence("run-queue wait of others without it, by their load", alone, Unit::SecondsPerSecond, None, "host.processes")
        }));
        if let Some(p) = pressure {
            rows.push(params.row("PSI cpu some", p, PRESSURE, "host.psi.cpu"));
        }
        if let Ok(cpu) = &facts.world.host.cpu {
            rows.push(evidence("CPU busy", cpu.busy * 100.0, Unit::Percent, None, "host.cpu"));
            if let Some(queue) = cpu.run_queue {
                let cpus = Some(facts.world.cpus());
                rows.push(evidence("threads running or ready", queue, Unit::Count, cpus, "host.runqueue").of_capacity());
            }
        }
        rows
    }

    fn fixes(&self, facts: &Facts<'_>) -> Vec<crate::detect::finding::Fix> {
        let mut cure = fix::shell_fix(
            Phase::Cure,
            Horizon::LongTerm,
            "Give its unit a low CPU weight, so that it gets only what others leave",
            sh!("systemctl edit --full UNIT   # [Service] CPUWeight=20"),
        );
        cure.undo = Some(Command::note("# remove the CPUWeight line"));
        cure.risk = "weights act only between units".into();
        cure.needs = "root; the name of its unit".into();
        cure.takes_s = None;
        match fix::unit(facts.world, &self.members) {
            Ok(unit) => {
                cure.command = sh!("systemctl set-property {} CPUWeight=20", unit);
                cure.undo = Some(fix::undo_property(&unit, "CPUWeight"));
            }
            Err(why) => cure.preflight = vec![Preflight { ok: false, what: format!("{why}, or under nice -n 19") }],
        }
        if self.alone {
            cure.title = "Give it more CPUs, fewer threads, or less work".into();
            cure.command =
                Command::note(format!("# {} CPUs here; {} of its threads wait on average", facts.world.cpus(), short(self.lost)));
            cure.undo = None;
            cure.preflight = Vec::new();
            return vec![cure];
        }
        let (renice, pause) = (fix::renice(facts.world, &self.members), fix::pause(facts.world, &self.members));
        if renice.is_none() && pause.is_none() {
            // A server, or what all stand on: fewer or cheaper requests are its cure, not a lower weight.
            cure.title = "Send it fewer or cheaper requests, add CPUs, or move one of the two to another host".into();
            cure.command =
                Command::note(format!("# {} serves others: slowing it down makes them wait", named(self.label.as_bytes())));
            (cure.undo, cure.preflight) = (None, Vec::new());
            return fix::look_into(&self.members).into_iter().chain([cure]).collect();
        }
        if self.polite {
            // Its priority is the lowest already: only a limit holds it back.
            cure.title = "Limit its CPU time to half of the CPUs, or run it at another time".into();
            cure.risk = "it takes longer".into();
            let half = (facts.world.cpus() * 50.0).round() as u64;
            match fix::unit(facts.world, &self.members) {
                Ok(unit) => {
                    cure.command = sh!("systemctl set-property {} CPUQuota={}%", unit, half);
                    cure.undo = Some(fix::undo_property(&unit, "CPUQuotaPerSecUSec"));
                }
                Err(why) => {
                    cure.command = Command::note(format!("# [Service] CPUQuota={half}%"));
                    cure.undo = Some(Command::note("# remove the CPUQuota line"));
                    cure.preflight = vec![Preflight { ok: false, what: why.into() }];
                }
            }
            return pause.into_iter().chain([cure]).collect();
        }
        renice.into_iter().chain(pause).chain([cure]).collect()
    }
}

fn against(facts: &Facts<'_>, params: &Params<'_>, polite: bool) -> Vec<Evidence> {
    let mut rows = Vec::new();
    let throttled = facts.ledger.state(State::CpuThrottled);
    let quota = params.of(cpu_throttled::RULE.id);
    rows.push(quota.row("held back by a CPU quota instead", throttled, cpu_throttled::LOST, "host.cgroup.cpu"));
    if let Ok(cpu) = &facts.world.host.cpu {
        let hypervisor = params.of(steal::RULE.id);
        rows.push(hypervisor.row("taken by the hypervisor", cpu.steal * 100.0, steal::STEAL, "host.cpu"));
    }
    // Beside one that is seen not to, that others do is no comfort.
    if polite {
        return rows;
    }
    let niced: f64 = facts.world.processes().iter().filter(|p| p.nice >= 10).filter_map(|p| p.cpu).sum();
    rows.push(evidence("CPU used by niced batch, which gives way", niced, Unit::Cores, None, "host.processes"));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{pressure, process, service};
    use crate::detect::bench::sockets::{listener, sockets};
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::ListenerFacts;
    use crate::model::host::Ages;

    /// A program beside a service that waits for a CPU.
    fn beside(nice: i32, stalled: f64) -> Bench {
        let program = ProcFacts { cpu: Some(1.6), nice, ..process(200, "dd") };
        let server = ProcFacts { cpu: Some(0.3), runnable: Some(0.4), ..service(100, "api", 8080) };
        let busy = Bench::quiet().running(vec![program, server]).with_cpu(|cpu| cpu.busy = 0.95);
        busy.on(|host| host.psi.cpu = pressure(stalled))
    }

    #[test]
    fn who_takes_the_cpu_is_named_unless_it_gives_way() {
        let found = beside(0, 0.11);
        found.must_say(&RULE, "found dd (pid 200) takes 1.6 of 2.0 CPUs: api (pid 100) waits most for CPU time");
        let unread = ProcFacts { runnable: None, ..service(100, "api", 8080) };
        Table {
            clear: beside(19, 0.7),
            unknown: Some(beside(0, 0.11).running(vec![unread])),
            found,
            held: Some(beside(0, 0.08)),
        }
        .check(&RULE);
    }

    /// Two jobs of different names have as much each: neither is to blame alone, and both together are.
    #[test]
    fn two_that_share_the_cpus_are_named_together() {
        let jobs = |gzip: f64, cc: f64| {
            let gzip = ProcFacts { cpu: Some(gzip), runnable: Some(0.2), ..process(200, "gzip") };
            let cc = ProcFacts { cpu: Some(cc), runnable: Some(0.2), ..process(300, "cc") };
            let server = ProcFacts { cpu: Some(0.3), runnable: Some(0.8), ..service(100, "api", 8080) };
            let busy = Bench::quiet().running(vec![gzip, cc, server]).with_cpu(|cpu| cpu.busy = 0.98);
            busy.on(|host| host.psi.cpu = pressure(0.5))
        };
        let both = "found gzip (pid 200) and cc (pid 300) take 1.6 of 2.0 CPUs: api (pid 100) waits most for CPU time";
        jobs(0.8, 0.8).must_say(&RULE, both);
        // Whoever has a little more a moment later, the first stays the first.
        jobs(0.75, 0.85).must_say_after(&RULE, Some(&jobs(0.8, 0.8)), both);
        jobs(1.3, 0.3).must_say(&RULE, "found gzip (pid 200) takes 1.3 of 2.0 CPUs");
    }

    /// A moment after the culprit was paused its own wait is still in the window: the service that it delayed is not to blame for that.
    #[test]
    fn who_was_paused_is_nobodys_victim() {
        let after = |state: char| {
            let hog = ProcFacts { cpu: Some(0.3), runnable: Some(1.2), state, ..process(200, "sh") };
            let server = ProcFacts { cpu: Some(0.9), runnable: Some(0.02), ..service(100, "api", 8080) };
            let busy = Bench::quiet().running(vec![hog, server]).with_cpu(|cpu| cpu.busy = 0.8);
            busy.on(|host| host.psi.cpu = pressure(0.4))
        };
        after('T').must_say(&RULE, "clear");
        after('R').must_say(&RULE, "found api (pid 100) takes 0.9 of 2.0 CPUs: sh (pid 200) waits most for CPU time");
    }

    #[test]
    fn many_small_ones_are_named_as_one_and_workers_that_wait_are_not() {
        let hogs = |n: i32, name: &'static str| {
            (0..n).map(|i| ProcFacts { cpu: Some(0.4), runnable: Some(0.3), uid: Some(i as u32 + 1), ..process(200 + i, name) })
        };
        let server = || ProcFacts { cpu: Some(0.3), runnable: Some(0.4), ..service(100, "api", 8080) };
        let beside = |all: Vec<ProcFacts>| {
            let busy = Bench::quiet().running(all.into_iter().chain([server()]).collect()).with_cpu(|cpu| cpu.busy = 0.95);
            busy.on(|host| host.psi.cpu = pressure(0.4))
        };
        beside(hogs(4, "dd").collect())
            .must_say(&RULE, "found dd processes take 1.6 of 2.0 CPUs: api (pid 100) waits most for CPU time");
        // Four services that wait for each other have no culprit.
        let workers =
            (0..4).map(|i| ProcFacts { cpu: Some(0.4), runnable: Some(0.3), ..service(200 + i, "web", 9000 + i as u16) });
        beside(workers.collect()).must_say(&RULE, "clear");
    }

    #[test]
    fn batch_that_is_seen_not_to_give_way_is_to_blame_and_one_that_does_is_not() {
        let loops = |policy: u32| (0..4).map(move |i| ProcFacts { cpu: Some(0.4), policy, ..process(200 + i, "batch") });
        let beside = |own: f64, waits: f64, policy: u32| {
            let server = ProcFacts { cpu: Some(own), runnable: Some(waits), ..service(100, "api", 8080) };
            let busy = Bench::quiet().running(loops(policy).chain([server]).collect()).with_cpu(|cpu| cpu.busy = 0.98);
            busy.on(|host| host.psi.cpu = pressure(0.6))
        };
        beside(0.3, 0.74, 5)
            .must_say(&RULE, "found batch processes do not give way and take 1.6 of 2.0 CPUs: api (pid 100) waits most");
        let fixes = beside(0.3, 0.74, 5).pastes(&RULE).join("\n");
        assert!(fixes.contains("CPUQuota=100%") && !fixes.contains("renice") && !fixes.contains("CPUWeight"), "{fixes}");
        beside(0.3, 0.3, 5).must_say(&RULE, "clear");
        // It fills the CPUs by itself: it would wait without them.
        beside(1.5, 0.74, 5).must_say(&RULE, "found api (pid 100) needs more CPU");
    }

    #[test]
    fn a_server_alone_needs_more_cpus() {
        let alone = |cores, waits| {
            let server = ProcFacts { cpu: Some(cores), runnable: Some(waits), ..service(100, "api", 8080) };
            let busy = Bench::quiet().running(vec![server]).with_cpu(|cpu| cpu.busy = cores / 2.0);
            busy.on(|host| host.psi.cpu = pressure(0.3))
        };
        alone(1.9, 0.06).must_say(&RULE, "found api (pid 100) needs more CPU than there is");
        // After a cure its clients, who never pause, have forty times as many answers: no reason to wake anybody. As many as ever are one.
        let answers = |per_s: f64, ages: [u32; 10]| {
            alone(1.9, 1.2).on(|host| {
                let at = listener(service(100, "api", 8080).id, 8080);
                host.sockets =
                    Ok(sockets(vec![ListenerFacts { answers_per_s: per_s, ages: Some(Ages(ages)), ..at }], Vec::new()));
            })
        };
        let (sick, well) = ((20.0, [0, 0, 4, 0, 0, 0, 0, 0, 0, 0]), (800.0, [4, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
        let wakes = |now: (f64, [u32; 10]), before: (f64, [u32; 10])| {
            answers(now.0, now.1).after(12, &answers(before.0, before.1)).may_wake(&RULE)
        };
        assert!(!wakes(well, sick) && wakes(well, well) && wakes(sick, well));
        // More of them, and later ones.
        assert!(wakes((800.0, [0, 0, 0, 0, 4, 0, 0, 0, 0, 0]), sick));
        // It uses less than half of the CPUs: something else took them.
        alone(0.9, 0.5).must_say(&RULE, "clear");
    }
}
