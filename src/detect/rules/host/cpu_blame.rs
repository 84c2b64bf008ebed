//! What rules share that blame one program for the run queue by its nature: a real-time task, a fork storm, a switch
//! storm, kernel time. They are narrower causes than contention, and move its seconds to themselves by an edge.

use crate::detect::finding::{Class, Fix};
use crate::detect::fix;
use crate::detect::ledger::{Actor, State};
use crate::detect::rules::support::{Program, confidence, demand, gives_way, kept, programs, unseen_cores, weight};
use crate::detect::rules::without;
use crate::detect::verdict::{Facts, Found, Prev};
use crate::model::facts::ProcFacts;

/// A program with the part of the others' run delay that is its doing.
pub struct Blamed<'a> {
    /// Who.
    pub program: Program<'a>,
    /// Cores that it takes in that way.
    pub cores: f64,
    /// Its share of what competes for the CPU.
    pub share: f64,
    /// What others lose because of it, s/s.
    pub lost: f64,
}

/// Of a program's CPU use.
const MOSTLY: f64 = 0.5;
/// PSI cpu below which nobody stands for a CPU.
const PRESSED: f64 = 0.05;

/// The program with the most of what `cores` says of a process, and what others lose because of it: their run delay times its
/// share of the nice-weighted CPU use. The one that was to blame before stays while it holds 0.7 of the share it entered with.
pub fn most<'a>(facts: &Facts<'a>, prev: Option<&Prev>, cores: impl Fn(&ProcFacts) -> f64) -> Option<Blamed<'a>> {
    let own = facts.world.identity.as_ref().map_or(0, |i| i.self_pid);
    // What gives way is never to blame, and what is weighted for all is weighted here.
    let plain = |p: &ProcFacts| if p.id.pid == own || gives_way(p) { 0.0 } else { cores(p) };
    let of = |p: &ProcFacts| plain(p) * weight(p);
    let pressed = facts.world.host.psi.cpu.as_ref().map_or(true, |psi| psi.best() >= PRESSED);
    if !pressed {
        return None;
    }
    let all = programs(facts.world, of);
    let unseen = unseen_cores(facts.world);
    let share = |program: &Program<'a>| {
        let other = |p: &&ProcFacts| !p.kernel && p.id.pid != own && p.family != program.root;
        let rest: f64 = facts.world.processes().iter().filter(other).map(demand).sum();
        program.amount / (program.amount + rest + unseen).max(1e-9)
    };
    let program = kept(all, prev, share)?;
    let share = share(&program);
    let waiting = facts.ledger.sum(|a| a.family != program.root, |a| a.in_state(State::CpuRunnable));
    let cores: f64 = program.members.iter().map(|p| plain(p)).sum();
    // What it does in that way is what it does: without the one there is not the other.
    let whole = cores >= MOSTLY * program.members.iter().filter_map(|p| p.cpu).sum::<f64>();
    let part = if whole { without::due(facts.world, &program.members, share, waiting).part } else { share };
    Some(Blamed { cores, share, lost: waiting * part, program })
}

impl Blamed<'_> {
    /// The finding, with its losses and times filled in; evidence and fixes are the rule's.
    pub fn found(&self, facts: &Facts<'_>, title: String) -> Found {
        let root = self.program.root;
        let mut found = Found::new(Class::Live, title);
        found.losses = vec![(State::CpuRunnable, self.lost)];
        found.victims_time = facts.ledger.sum(|a| a.family != root, Actor::time);
        found.own_time = facts.ledger.sum(|a| a.family == root, Actor::time);
        found.held_share = self.share;
        found.confidence = confidence(facts.ledger, self.lost, 0);
        found
    }

    /// Relief that fits any program that nobody waits for: a pause, or a lower priority; an inspection of one that others wait
    /// for.
    pub fn reliefs(&self, facts: &Facts<'_>) -> Vec<Fix> {
        let members = &self.program.members;
        let reliefs: Vec<Fix> = fix::pause(facts.world, members).into_iter().chain(fix::renice(facts.world, members)).collect();
        if reliefs.is_empty() { fix::look_into(members).into_iter().collect() } else { reliefs }
    }
}
