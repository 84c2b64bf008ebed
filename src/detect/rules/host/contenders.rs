//! Who competes for the CPUs: programs, crowds of them, batch that should give way; and what others lose by each.

use crate::detect::ledger::{Actor, State};
use crate::detect::rules::crowd::{Crowd, Look, crowds, same};
use crate::detect::rules::support::{Program, demand, gives_way, programs, unseen_cores};
use crate::detect::rules::without::{self, Due};
use crate::detect::verdict::{Facts, Prev};
use crate::model::facts::ProcFacts;
use crate::model::subject::Subject;

/// So many times as many answers as usual are no trouble of the service.
const MULTIPLE: f64 = 2.0;

/// Who is to blame for the waits of others in the run queue; or, alone, for its own.
pub(super) struct Blamed<'a> {
    pub(super) subject: Subject,
    pub(super) label: String,
    pub(super) members: Vec<&'a ProcFacts>,
    /// Its share of what competes, by nice-weighted CPU.
    pub(super) share: f64,
    /// What others lose in the run queue (or, alone, what itself waits).
    pub(super) lost: f64,
    pub(super) alone: bool,
    /// The part of `lost` that is its doing, and what others would wait without it.
    pub(super) due: Due,
    /// Several programs, whose label is a plural.
    pub(super) many: bool,
    /// Batch that should give way.
    pub(super) polite: bool,
}

/// Batch beside which others wait, though they do not fill the CPUs themselves.
pub(super) fn polite<'a>(facts: &Facts<'a>, prev: Option<&Prev>) -> Option<Blamed<'a>> {
    const HALF: f64 = 0.5;
    const FULL: f64 = 0.7;
    let world = facts.world;
    let batch = |p: &ProcFacts| if gives_way(p) { p.cpu.unwrap_or(0.0) } else { 0.0 };
    let all = programs(world, batch);
    let taken: f64 = all.iter().map(|p| p.amount).sum();
    let others: f64 = world.processes().iter().filter(|p| !p.kernel && !gives_way(p)).filter_map(|p| p.cpu).sum();
    if others + unseen_cores(world) >= FULL * world.cpus() || taken <= 0.0 {
        return None;
    }
    let look = Look { amount: &batch, waits: &|p| p.runnable.is_some_and(|s| s > 0.0) };
    let most: Vec<Crowd<'a>> = match all.first() {
        Some(first) if first.amount >= HALF * taken => vec![first.clone().into()],
        _ => crowds(world, &all, look, HALF * taken),
    };
    let held = |c: &Crowd<'_>| prev.is_some_and(|p| p.held.iter().any(|h| c.was(&h.subject)));
    let at = most.iter().position(held).unwrap_or(0);
    let crowd = most.into_iter().nth(at)?;
    let (many, share) = (crowd.programs > 1, crowd.amount / (taken + others));
    let made = Blamed::new(facts, crowd.subject, crowd.label, crowd.members, share, false);
    // A promise is broken by what is measured, not by what load alone would tell.
    Some(Blamed { many, polite: true, due: Due { part: share, alone: None }, ..made })
}

/// Who takes most of what competes, by the shares that are enough to be named and the least of them; and the server that waits for itself,
/// if one does.
pub(super) fn blame<'a>(
    facts: &Facts<'a>,
    prev: Option<&Prev>,
    (enough, least): (f64, f64),
) -> (Option<Blamed<'a>>, Option<Blamed<'a>>) {
    const KEEPS: f64 = 0.7;
    // Most of the CPUs.
    const HALF: f64 = 0.5;
    let world = facts.world;
    let own_pid = world.identity.as_ref().map_or(0, |i| i.self_pid);
    let all = programs(world, |p| if p.id.pid == own_pid { 0.0 } else { demand(p) });
    let total: f64 = all.iter().map(|p| p.amount).sum::<f64>() + unseen_cores(world);
    let mut blamed: Vec<Blamed<'a>> = Vec::new();
    let mut alone: Option<Blamed<'a>> = None;
    for program in &all {
        let of = |alone: bool| {
            let (subject, label) = (program.subject(), program.label());
            Blamed::new(facts, subject, label, program.members.clone(), program.amount / total.max(1e-9), alone)
        };
        let wanted = program.members.iter().any(|p| p.weight.value >= 1.0);
        let own = of(true);
        // Only what uses most of the CPUs itself can be its own bottleneck: once a top consumer has ended, its victim is the only
        // one that is left to compete, and the waits of the window are still the top consumer's.
        let cores: f64 = program.members.iter().filter_map(|p| p.cpu).sum();
        let most = cores >= HALF * world.cpus();
        if wanted && most && own.share >= enough && alone.as_ref().is_none_or(|a| a.lost < own.lost) {
            alone = Some(own);
        }
        blamed.push(of(false));
    }
    // By share, not by gain: a small program that others happen to wait beside is not who takes the CPU.
    if !blamed.iter().any(|b| b.share >= enough) {
        let look = Look { amount: &demand, waits: &|p| p.runnable.is_some_and(|s| s > 0.0) };
        let crowds = crowds(world, &all, look, enough * total);
        // The one that is held as long as it has enough; else the smallest.
        let held = |c: &Crowd<'_>| prev.is_some_and(|p| p.held.iter().any(|h| c.was(&h.subject)));
        let at = crowds.iter().position(held).unwrap_or(0);
        let crowd = crowds.into_iter().nth(at).map(|c| Blamed::of_crowd(facts, c, total));
        blamed.extend(crowd.or_else(|| Blamed::of_several(facts, prev, &all, (enough, total))));
    }
    blamed.retain(|b| b.share >= least);
    let by_share = |b: &Blamed<'_>| (b.share * 20.0).round();
    blamed.sort_by(|a, b| {
        by_share(b).total_cmp(&by_share(a)).then(b.gain().total_cmp(&a.gain())).then(a.subject.key.cmp(&b.subject.key))
    });
    let incumbent = prev.and_then(|p| {
        p.held.iter().find_map(|h| blamed.iter().position(|b| same(&b.subject, &h.subject) && b.share >= KEEPS * h.entered_share))
    });
    let index = incumbent.unwrap_or(0);
    let best = (index < blamed.len()).then(|| blamed.swap_remove(index));
    (best, alone)
}

impl<'a> Blamed<'a> {
    /// Answers per second now and usually, where they are a multiple.
    pub(super) fn does_more(&self, facts: &Facts<'_>) -> Option<(f64, f64)> {
        let families: Vec<_> = self.members.iter().map(|p| p.family).collect();
        facts.learned.stands.as_quick_as_usual(facts.world, &families).filter(|(now, usual)| *now >= MULTIPLE * usual)
    }

    fn new(facts: &Facts<'a>, subject: Subject, label: String, members: Vec<&'a ProcFacts>, share: f64, alone: bool) -> Self {
        let due = Due { part: share, alone: None };
        let mut blamed = Self { subject, label, members, share, lost: 0.0, due, alone, many: false, polite: false };
        blamed.lost = facts.ledger.sum(|a| blamed.is_victim(a), |a| a.in_state(State::CpuRunnable));
        blamed.due = without::due(facts.world, &blamed.members, share, blamed.lost);
        blamed
    }

    fn of_crowd(facts: &Facts<'a>, crowd: Crowd<'a>, total: f64) -> Self {
        let made = Self::new(facts, crowd.subject, crowd.label, crowd.members, crowd.amount / total.max(1e-9), false);
        Self { many: true, ..made }
    }

    /// The fewest background programs that have enough together: two jobs of different names share the CPUs. The one that was
    /// named before is named first.
    fn of_several(facts: &Facts<'a>, prev: Option<&Prev>, all: &[Program<'a>], (enough, total): (f64, f64)) -> Option<Self> {
        const MOST: usize = 3;
        let nobodys = |p: &&Program<'a>| p.members.iter().all(|m| m.weight.value < 1.0);
        let mut largest: Vec<&Program<'a>> = all.iter().filter(nobodys).collect();
        largest.sort_by(|a, b| b.amount.total_cmp(&a.amount).then(a.root.cmp(&b.root)));
        let reached = |n: &usize| largest.iter().take(*n).map(|p| p.amount).sum::<f64>() >= enough * total;
        let mut several: Vec<&Program<'a>> = largest.iter().copied().take((2..=MOST).find(reached)?).collect();
        let before = |p: &&Program<'a>| {
            prev.is_some_and(|prev| prev.held.iter().any(|h| h.subject.typed_key() == p.subject().typed_key()))
        };
        several.sort_by_key(|p| !before(p));
        let mut subject = several.first()?.subject();
        let others = several.iter().skip(1).map(|p| p.subject());
        others.for_each(|other| subject.also.extend(std::iter::once(other.typed_key()).chain(other.also)));
        let labels: Vec<String> = several.iter().map(|p| p.label()).collect();
        let label = match labels.split_last() {
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
            None => return None,
        };
        let amount: f64 = several.iter().map(|p| p.amount).sum();
        let members = several.into_iter().flat_map(|p| p.members.iter().copied()).collect();
        let made = Self::new(facts, subject, label, members, amount / total.max(1e-9), false);
        Some(Self { many: true, ..made })
    }

    pub(super) fn is_victim(&self, actor: &Actor) -> bool {
        self.members.iter().any(|p| p.id == actor.id) == self.alone
    }

    /// What its end would give back.
    pub(super) fn gain(&self) -> f64 {
        if self.alone { self.lost } else { self.due.part * self.lost }
    }
}
