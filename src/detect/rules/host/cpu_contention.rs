//! host.cpu.contention: foreground threads wait for a CPU; names who takes it.

use crate::detect::finding::{Class, Horizon, Phase, Preflight};
use crate::detect::fix;
use crate::detect::ledger::State;
use crate::detect::params::{Param, Params};
use crate::detect::rules::support::{Program, confidence, programs, shared_cgroup};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Rule, evidence};
use crate::model::facts::ProcFacts;
use crate::model::source::SourceKind;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, short};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.cpu.contention",
    class: Class::Live,
    source: SourceKind::Host,
    says: "foreground threads wait for a CPU; names who takes it",
    params: &[
        Param {
            name: "pressure",
            unit: Unit::Percent,
            default: 10.0,
            min: 1.0,
            max: 100.0,
            what: "PSI cpu below this clears the finding: PSI gates, it does not rank (niced batch alone reaches 70 %)",
        },
        Param {
            name: "lost",
            unit: Unit::SecondsPerSecond,
            default: 0.05,
            min: 0.001,
            max: 100.0,
            what: "foreground seconds per second that others must lose",
        },
    ],
    origins: &["host.psi.cpu", "host.schedstat", "host.processes", "host.cpu", "host.runqueue"],
    page: "\
Threads of foreground processes are ready to run and stand in the run queue. The cost is their run delay
(`schedstat`, field 2), not PSI and not CPU percent: niced or SCHED_IDLE batch keeps every CPU busy and costs nobody
anything, because the scheduler takes it off the CPU at once.

**Who is to blame**: the program (a process and its forks) whose CPU use, weighted by its nice value, is the largest
share of what competes. Its own waiting is neither loss nor denominator. A program at nice 10 or more, SCHED_IDLE or
SCHED_BATCH is never to blame. A server that waits for itself alone needs more CPU, and that is said.

**What looks like it**: a CPU quota (`host.cpu.throttled`: high PSI while CPUs idle), steal, one pinned core.

**Relief**: lower its priority, or pause it. **Cure**: a CPU weight or quota for its unit, another time, more CPUs.",
    judge,
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
    if pressure.is_some_and(|p| p < params.limit("pressure", held)) {
        return Judged::clear(host, format!("PSI cpu {} %", short(pressure.unwrap_or(0.0))));
    }
    let (Some(best), self_inflicted) = blame(facts, prev) else {
        return Judged::clear(host, "no foreground program competes for the CPU");
    };
    if best.lost * best.share < params.limit("lost", held) {
        return match self_inflicted {
            Some(own) if own.lost >= params.limit("lost", held) => own.judged(facts, pressure),
            _ => Judged::clear(host, clear_reason(facts, waiting, pressure)),
        };
    }
    best.judged(facts, pressure)
}

fn clear_reason(facts: &Facts<'_>, waiting: f64, pressure: Option<f64>) -> String {
    let psi = pressure.map_or_else(String::new, |p| format!(" though PSI cpu is {} %", short(p)));
    let niced: f64 =
        facts.world.processes().iter().filter(|p| p.nice >= 10 || matches!(p.policy, 3 | 5)).filter_map(|p| p.cpu).sum();
    let why = if niced >= 0.3 {
        format!("niced batch uses {} CPUs and gives way", short(niced))
    } else {
        "nobody takes it from others".to_owned()
    };
    format!("foreground waits {} s/s for a CPU{psi}: {why}", short(waiting))
}

struct Blamed<'a> {
    program: Program<'a>,
    /// Its share of what competes, by nice-weighted CPU.
    share: f64,
    /// What others lose in the run queue (or, alone, what itself waits).
    lost: f64,
    alone: bool,
}

/// The scheduler's weight of a nice level: a factor of 1.25 per step.
fn demand(p: &ProcFacts) -> f64 {
    const IDLE: u32 = 5;
    const BATCH: u32 = 3;
    let polite = p.nice >= 10 || p.policy == IDLE || p.policy == BATCH;
    if polite { 0.0 } else { p.cpu.unwrap_or(0.0) * 1.25f64.powi(-p.nice) }
}

/// Whose end would give most back; and the server that waits for itself, if one does.
fn blame<'a>(facts: &Facts<'a>, prev: Option<&Prev>) -> (Option<Blamed<'a>>, Option<Blamed<'a>>) {
    const KEEPS: f64 = 0.7;
    let world = facts.world;
    let all = programs(world, demand);
    let total: f64 = all.iter().map(|p| p.amount).sum();
    let mut blamed: Vec<Blamed<'a>> = Vec::new();
    let mut alone: Option<Blamed<'a>> = None;
    for program in all {
        let root = program.root;
        let share = program.amount / total.max(1e-9);
        let others = facts.ledger.sum(|a| a.family != root, |a| a.runnable);
        let own = facts.ledger.sum(|a| a.family == root, |a| a.runnable);
        let serves = program.members.iter().any(|p| !p.listens.is_empty());
        if serves && own > others && alone.as_ref().is_none_or(|a| a.lost < own) {
            alone = Some(Blamed { program: program.clone(), share, lost: own, alone: true });
        }
        blamed.push(Blamed { program, share, lost: others, alone: false });
    }
    let gain = |b: &Blamed<'_>| b.share * b.lost;
    blamed.sort_by(|a, b| gain(b).total_cmp(&gain(a)).then(a.program.root.cmp(&b.program.root)));
    let incumbent = prev.and_then(|p| {
        let holds = |b: &Blamed<'_>, entered: f64| b.share >= KEEPS * entered;
        p.held.iter().find_map(|h| {
            let same = |b: &Blamed<'_>| b.program.subject().typed_key() == h.subject.typed_key();
            blamed.iter().position(|b| same(b) && holds(b, h.entered_share))
        })
    });
    let index = incumbent.unwrap_or(0);
    let best = (index < blamed.len()).then(|| blamed.swap_remove(index));
    (best, alone)
}

impl Blamed<'_> {
    fn judged(&self, facts: &Facts<'_>, pressure: Option<f64>) -> Judged {
        let root = self.program.root;
        let is_victim = |family| (family == root) == self.alone;
        let victims_time = facts.ledger.sum(|a| is_victim(a.family), crate::detect::ledger::Actor::time);
        let own_time = if self.alone { 0.0 } else { facts.ledger.sum(|a| a.family == root, |a| a.time()) };
        let label = self.program.label();
        let cores = self.program.members.iter().filter_map(|p| p.cpu).sum::<f64>();
        let title = if self.alone {
            format!("{label} needs more CPU than there is: {} of its own threads wait for one", short(self.lost))
        } else {
            let victim = worst_victim(facts, root).map_or_else(String::new, |v| format!(", {v} first"));
            format!(
                "{label} takes {} of {} CPUs: {} waiting for a CPU{victim}",
                short(cores),
                short(facts.world.cpus()),
                short(self.lost * self.share)
            )
        };
        let mut found = Found::new(Class::Live, title);
        found.losses = vec![(State::CpuRunnable, self.lost * if self.alone { 1.0 } else { self.share })];
        found.victims_time = victims_time;
        found.own_time = own_time;
        found.held_share = self.share;
        found.evidence = self.evidence(facts, pressure, cores);
        found.against = against(facts);
        found.fixes = self.fixes(facts);
        found.confidence = confidence(facts.ledger, self.lost, 0, found.evidence.len(), 4);
        // No single program with half of it: the group it runs in is the better handle.
        let subject = self.program.subject();
        let subject =
            if self.share < 0.5 && !self.alone { shared_cgroup(&self.program.members).unwrap_or(subject) } else { subject };
        Judged::found(subject, found)
    }

    fn evidence(&self, facts: &Facts<'_>, pressure: Option<f64>, cores: f64) -> Vec<crate::detect::finding::Evidence> {
        let mut rows = vec![
            evidence(
                "foreground waits for a CPU",
                facts.ledger.state(State::CpuRunnable),
                Unit::SecondsPerSecond,
                Some(0.05),
                "host.schedstat",
            ),
            evidence("CPU used by the program", cores, Unit::Cores, Some(facts.world.cpus()), "host.processes"),
            evidence(
                "its share of what competes, nice-weighted",
                self.share * 100.0,
                Unit::Percent,
                Some(50.0),
                "host.processes",
            ),
        ];
        if let Some(p) = pressure {
            rows.push(evidence("PSI cpu some", p, Unit::Percent, Some(10.0), "host.psi.cpu"));
        }
        if let Ok(cpu) = &facts.world.host.cpu {
            rows.push(evidence("CPU busy", cpu.busy * 100.0, Unit::Percent, None, "host.cpu"));
            if let Some(queue) = cpu.run_queue {
                rows.push(evidence("threads running or ready", queue, Unit::Count, Some(facts.world.cpus()), "host.runqueue"));
            }
        }
        rows
    }

    fn fixes(&self, facts: &Facts<'_>) -> Vec<crate::detect::finding::Fix> {
        let mut cure = fix::shell_fix(
            Phase::Cure,
            Horizon::LongTerm,
            "Give its unit a low CPU weight, so that it only gets what others leave",
            "systemctl edit --full UNIT   # [Service] CPUWeight=20",
        );
        cure.language = crate::detect::finding::Language::Config;
        cure.undo = Some("remove the CPUWeight line".into());
        cure.risk = "weights act between units only".into();
        cure.needs = "root; the name of its unit".into();
        cure.takes_s = None;
        let unit = self.program.members.iter().flat_map(|p| &p.cgroups).map(|g| g.path.shown().to_owned());
        let unit = unit.filter_map(|p| p.rsplit('/').next().map(ToOwned::to_owned)).find(|u| u.ends_with(".service"));
        match unit {
            Some(unit) => {
                cure.language = crate::detect::finding::Language::Shell;
                cure.command = format!("systemctl set-property {} CPUWeight=20", fix::shell(unit.as_bytes()));
                cure.undo = Some(format!("systemctl set-property {} CPUWeight=100", fix::shell(unit.as_bytes())));
            }
            None => {
                cure.preflight =
                    vec![Preflight { ok: false, what: "it runs in no service unit: start it in one, or under nice -n 19".into() }]
            }
        }
        if self.alone {
            cure.title = "Give it more CPUs, fewer threads, or less work".into();
            cure.command = format!("# {} CPUs here; {} of its threads wait on average", facts.world.cpus(), short(self.lost));
            cure.undo = None;
            cure.preflight = Vec::new();
            return vec![cure];
        }
        let autogroup = facts.world.identity.as_ref().is_some_and(|i| i.autogroup);
        vec![
            fix::renice(self.program.root, &self.program.members, autogroup),
            fix::pause(self.program.root, &self.program.members),
            cure,
        ]
    }
}

fn worst_victim(facts: &Facts<'_>, root: crate::model::host::ProcId) -> Option<String> {
    let worst = facts.ledger.actors.iter().filter(|a| a.family != root).max_by(|a, b| a.runnable.total_cmp(&b.runnable))?;
    facts.world.processes().iter().find(|p| p.id == worst.id).map(ProcFacts::label)
}

fn against(facts: &Facts<'_>) -> Vec<crate::detect::finding::Evidence> {
    let mut rows = Vec::new();
    let throttled = facts.ledger.state(State::CpuThrottled);
    rows.push(evidence("held back by a CPU quota instead", throttled, Unit::SecondsPerSecond, Some(0.05), "host.cgroup.cpu"));
    if let Ok(cpu) = &facts.world.host.cpu {
        rows.push(evidence("taken by the hypervisor", cpu.steal * 100.0, Unit::Percent, Some(5.0), "host.cpu"));
    }
    let niced: f64 = facts.world.processes().iter().filter(|p| p.nice >= 10).filter_map(|p| p.cpu).sum();
    rows.push(evidence("CPU used by niced batch, which gives way", niced, Unit::Cores, None, "host.processes"));
    rows
}
