//! How much of what competes for the CPU and for the disks a program has, and which part of its own waiting it causes so. Pure.

use std::collections::HashSet;

use crate::detect::ledger::State;
use crate::detect::rules::crowd::Crowd;
use crate::detect::rules::support::{demand, gives_way, unseen_cores};
use crate::detect::verdict::{Facts, Left};
use crate::model::facts::ProcFacts;
use crate::model::host::ProcId;

use super::own_time::Part;

/// Of what competes, to be who causes the waiting.
pub(super) const HALF: f64 = 0.5;
/// A device that works this part of the time is what its requesters wait for.
const WORKS: f64 = 0.3;

/// What all programs take together.
pub(super) struct Totals {
    /// Competing CPU use.
    pub(super) demand: f64,
    /// Bytes moved per second.
    moved: f64,
    /// Bytes written per second.
    written: f64,
    /// Those that wait for responses of peers.
    pub(super) asking: HashSet<ProcId>,
}

/// CPU that competes: its own, and that of its children that have ended. What they took of the window is nobody else's, least of all of
/// those whom they kept waiting.
fn competes(p: &ProcFacts) -> f64 {
    demand(p) + if gives_way(p) { 0.0 } else { p.children_cpu.unwrap_or(0.0) }
}

fn moved(p: &ProcFacts) -> f64 {
    p.read_bytes_per_s.unwrap_or(0.0) + p.write_bytes_per_s.unwrap_or(0.0)
}

impl Totals {
    pub(super) fn of(facts: &Facts<'_>) -> Self {
        let sum = |part: &dyn Fn(&ProcFacts) -> f64| facts.world.processes().iter().filter(|p| !p.kernel).map(part).sum::<f64>();
        // The devices know what processes do not tell: other users' reads, the kernel's own.
        let disks = || facts.world.host.disks.iter().flatten().filter(|d| d.leaf);
        let of_disks: f64 = disks().map(|d| d.read_bytes_per_s + d.write_bytes_per_s).sum();
        let links = facts.world.host.sockets.iter().flat_map(|s| &s.peers);
        let written_there: f64 = disks().map(|d| d.write_bytes_per_s).sum();
        Self {
            demand: sum(&competes) + unseen_cores(facts.world),
            moved: sum(&moved).max(of_disks),
            written: sum(&|p| p.write_bytes_per_s.unwrap_or(0.0)).max(written_there),
            asking: links.filter(|l| l.fresh >= HALF).filter_map(|l| l.owner).collect(),
        }
    }
}

/// How much of what competes it has.
pub(super) struct Share {
    cpu: f64,
    disk: f64,
    /// A device works.
    works: bool,
}

impl Share {
    pub(super) fn of(facts: &Facts<'_>, total: &Totals, who: &Crowd<'_>) -> Self {
        let sum = |part: &dyn Fn(&ProcFacts) -> f64| who.members.iter().map(|p| part(p)).sum::<f64>();
        let share = |mine: f64, all: f64| if all > 0.0 { mine / all } else { 0.0 };
        let written = share(sum(&|p| p.write_bytes_per_s.unwrap_or(0.0)), total.written);
        // Who waits inside fsync waits for what is written.
        let flushes = sum(&|p| p.sync_wait.unwrap_or(0.0)) * 2.0 >= sum(&|p| p.io_wait.unwrap_or(0.0));
        Self {
            cpu: share(sum(&competes), total.demand),
            disk: if flushes { written } else { share(sum(&moved), total.moved) },
            works: facts.world.host.disks.iter().flatten().any(|d| d.leaf && d.util >= WORKS),
        }
    }

    /// Who has half of it causes the waiting for it.
    pub(super) fn causes(&self, part: &Part) -> bool {
        match part {
            Part::Queue => self.cpu >= HALF,
            part if part.disk() => self.disk >= HALF,
            _ => true,
        }
    }
}

/// What nobody claims of its waiting and it causes itself, by state: as much of each state as it has of what competes. What one that is
/// `blamed` for a state takes there is the time of others: none of its own was claimed.
pub(super) fn own_waiting(
    facts: &Facts<'_>,
    left: &Left<'_>,
    share: &Share,
    (who, blamed): (&Crowd<'_>, &dyn Fn(State) -> bool),
) -> Vec<(State, f64)> {
    let causes = |state: State| match state {
        State::CpuRunnable => share.cpu,
        // While no device works, nobody waits for one: a limit, a frozen file system, a dead server.
        State::IoWait if share.works => share.disk,
        _ => 0.0,
    };
    let members = |id: ProcId| who.members.iter().any(|p| p.id == id);
    let of = |(state, left): &(State, f64)| {
        let share = causes(*state);
        if share < HALF {
            return None;
        }
        let all = facts.ledger.state(*state).max(1e-9);
        let part = if blamed(*state) { 1.0 - facts.ledger.baseline(*state) / all } else { left / all };
        let waits = facts.ledger.sum(|a| members(a.id) && !a.is_session(), |a| a.in_state(*state));
        (waits > 0.0).then_some((*state, (waits * part.clamp(0.0, 1.0) * share.min(1.0)).min(*left)))
    };
    left.by_state.iter().filter_map(of).collect()
}
