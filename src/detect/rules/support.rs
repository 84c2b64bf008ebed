//! What several host rules need: programs as one, subjects for them, sampling error.

use std::collections::BTreeMap;

use crate::detect::ledger::Ledger;
use crate::detect::verdict::Prev;
use crate::model::facts::{Facts, ProcFacts};
use crate::model::host::ProcId;
use crate::model::named;
use crate::model::subject::{Subject, SubjectType};

/// A program: a process and those forked from it.
#[derive(Debug, Clone)]
pub struct Program<'a> {
    /// The oldest of them.
    pub root: ProcId,
    /// All of them, busiest first.
    pub members: Vec<&'a ProcFacts>,
    /// What it was ranked by.
    pub amount: f64,
}

impl Program<'_> {
    /// Name and pid of the root, and whether others work for it.
    #[must_use]
    pub fn label(&self) -> String {
        let root = self.members.iter().find(|p| p.id == self.root);
        let name = root.or(self.members.first()).map_or("?", |p| p.name.shown());
        match self.members.len() {
            0 | 1 => format!("{name} (pid {})", self.root.pid),
            // Not how many: a name that changes with each fork is none.
            _ => format!("{name} (pid {} and its children)", self.root.pid),
        }
    }

    /// The subject: the root process, its workers in `also`.
    #[must_use]
    pub fn subject(&self) -> Subject {
        let mut subject = Subject::new(SubjectType::Process, self.root.to_string(), self.label());
        let workers = self.members.iter().filter(|p| p.id != self.root).take(16);
        subject.also = workers.map(|p| format!("process:{}", p.id)).collect();
        subject
    }
}

/// Programs by what `amount` says of each process, largest first; those with nothing are left out.
pub fn programs<'a>(facts: &'a Facts, amount: impl Fn(&ProcFacts) -> f64) -> Vec<Program<'a>> {
    let mut by_root: BTreeMap<ProcId, Program<'a>> = BTreeMap::new();
    for p in facts.processes().iter().filter(|p| !p.kernel) {
        let empty = Program { root: p.family, members: Vec::new(), amount: 0.0 };
        let program = by_root.entry(p.family).or_insert(empty);
        program.amount += amount(p);
        program.members.push(p);
    }
    let mut all: Vec<Program<'a>> = by_root.into_values().filter(|p| p.amount > 0.0).collect();
    for program in &mut all {
        program.members.sort_by(|a, b| amount(b).total_cmp(&amount(a)).then(a.id.cmp(&b.id)));
    }
    all.sort_by(|a, b| b.amount.total_cmp(&a.amount).then(a.root.cmp(&b.root)));
    all
}

/// The program that was to blame before, while it holds 0.7 of the share that it entered with; else the first.
pub fn kept<'a>(all: Vec<Program<'a>>, prev: Option<&Prev>, share: impl Fn(&Program<'a>) -> f64) -> Option<Program<'a>> {
    const KEEPS: f64 = 0.7;
    let entered = |p: &Program<'a>| Some(prev?.held(&p.subject().typed_key())?.entered_share);
    let held = all.iter().position(|p| entered(p).is_some_and(|before| share(p) >= KEEPS * before));
    all.into_iter().nth(held.unwrap_or(0))
}

/// What a process competes with for the CPU: its use, weighted as the scheduler does, a factor of 1.25 per nice level; nothing
/// for batch that gives way.
#[must_use]
pub fn demand(p: &ProcFacts) -> f64 {
    if gives_way(p) { 0.0 } else { p.cpu.unwrap_or(0.0) * weight(p) }
}

/// CPUs that are busy with what is no program that can be seen: kernel threads, interrupts, processes hidden from this user or in other
/// containers. What children used that have ended is their parents'.
#[must_use]
pub fn unseen_cores(facts: &Facts) -> f64 {
    let Ok(cpu) = &facts.host.cpu else { return 0.0 };
    let seen: f64 =
        facts.processes().iter().filter(|p| !p.kernel).map(|p| p.cpu.unwrap_or(0.0) + p.children_cpu.unwrap_or(0.0)).sum();
    (cpu.busy * facts.cpus() - seen).max(0.0)
}

/// Batch: nice 10 or more, SCHED_BATCH, SCHED_IDLE.
#[must_use]
pub const fn gives_way(p: &ProcFacts) -> bool {
    matches!(p.policy, 3 | 5) || p.nice >= 10 && !real_time(p)
}

/// FIFO, RR or deadline: it runs before every normal task, whatever its nice value.
#[must_use]
pub const fn real_time(p: &ProcFacts) -> bool {
    matches!(p.policy, 1 | 2 | 6)
}

/// The scheduler's weight of a nice value against that of 0.
#[must_use]
pub fn weight(p: &ProcFacts) -> f64 {
    if real_time(p) { 1.0 } else { 1.25_f64.powi(-p.nice) }
}

/// The subject of one process.
#[must_use]
pub fn process_subject(p: &ProcFacts) -> Subject {
    Subject::new(SubjectType::Process, p.id.to_string(), p.label())
}

/// The subject of a control group; the unit, container or pod that it is in, if there is one, in `also`.
#[must_use]
pub fn cgroup_subject(facts: &Facts, path: &str) -> Subject {
    let mut subject = Subject::new(SubjectType::Cgroup, path, path);
    let name = facts.host.names.of(path);
    match named::owner(path) {
        Some((SubjectType::Container, id)) => {
            let called = name.map_or_else(|| format!("container {id}"), |name| format!("container {name} ({id})"));
            subject.label = format!("{called} ({path})");
            subject.also = vec![format!("container:{id}")];
            subject.also.extend(name.map(|name| format!("container:{name}")));
        }
        Some((_, unit)) => {
            subject.label = format!("{unit} ({path})");
            subject.also = vec![format!("unit:{unit}")];
        }
        None => {
            if let Some(pod) = name {
                subject.label = format!("pod {pod} ({path})");
                subject.also = vec![format!("container:{pod}")];
            }
        }
    }
    subject
}

/// Half width of the 95 % interval of a mean seen `rounds` times: 1.96 x sqrt(mean / n); 0 when it was counted.
#[must_use]
pub fn interval(mean: f64, rounds: u32) -> f64 {
    if rounds > 0 { 1.96 * (mean / f64::from(rounds)).sqrt() } else { 0.0 }
}

/// coverage x sampling, DESIGN.md section 4.9; the part of the evidence is counted for all rules alike (`Found::met`).
#[must_use]
pub fn confidence(ledger: &Ledger, lost: f64, rounds: u32) -> f64 {
    let error = interval(lost, rounds) / 1.96;
    let sampling = if lost > 0.0 { (1.0 - error / lost).clamp(0.0, 1.0) } else { 1.0 };
    (ledger.coverage * sampling).clamp(0.0, 1.0)
}
