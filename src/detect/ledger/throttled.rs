//! Which part of a run delay a quota makes, and which the contention for CPUs. Pure.

use crate::model::facts::{CgroupFacts, Facts, ProcFacts};

use super::actor::Actor;
use super::groups::inside;
use super::state::State;

/// Share of throttled periods from which a throttle explains the whole run delay while CPUs are free.
const OFTEN: f64 = 0.05;

/// Utilisation at which the response time of `cpus` servers bends: (c + 1)^(-1/c); 0.58 at 2, 0.76 at 8.
#[must_use]
pub fn knee(cpus: f64) -> f64 {
    (cpus + 1.0).powf(-1.0 / cpus.max(1.0))
}

/// Groups that were throttled, and how much of their tasks' run delay that is.
pub(super) struct Throttled<'a> {
    groups: Vec<(&'a CgroupFacts, f64)>,
}

impl<'a> Throttled<'a> {
    pub(super) fn of(facts: &'a Facts) -> Self {
        let groups = facts.host.cgroups.as_deref().unwrap_or_default();
        let throttled = groups.iter().filter(|g| g.throttled_s_per_s.is_some_and(|t| t > 0.0));
        let busy = facts.host.cpu.as_ref().map_or(1.0, |c| c.busy);
        // With free CPUs there is no other reason to wait. The time throttled alone would miss most of it: it is
        // summed over run queues, while the delay is summed over tasks (measured: 1.5 against 4.8 s/s).
        let room = busy < knee(facts.cpus());
        let with_share = throttled.map(|group| {
            let delay: f64 = facts.processes().iter().filter(|p| inside(p, group)).filter_map(|p| p.runnable).sum();
            let throttled = group.throttled_s_per_s.unwrap_or(0.0);
            let often = group.throttled_share.is_some_and(|s| s >= OFTEN);
            let share = if often && room { 1.0 } else { (throttled / delay.max(1e-9)).min(1.0) };
            (group, share)
        });
        Self { groups: with_share.collect() }
    }

    /// Splits the run delay: what the tightest throttled ancestor explains is not contention.
    pub(super) fn actor(&self, p: &ProcFacts, w: f64) -> Actor {
        let tightest = self.groups.iter().filter(|(g, _)| inside(p, g)).max_by(|a, b| a.1.total_cmp(&b.1));
        let share = tightest.map_or(0.0, |(_, share)| *share);
        // Whoever was stopped (SIGSTOP, a debugger) stands in no queue any more: what it waited before lies behind it.
        let stopped = matches!(p.state, 'T' | 't');
        let delay = if stopped { 0.0 } else { p.runnable.unwrap_or(0.0) * w };
        let mut actor = Actor { family: p.family, ..Actor::nobody(p.id, w) };
        actor.throttled_by = tightest.map(|(g, _)| g.path.clone());
        actor.spend(State::Working, p.cpu.unwrap_or(0.0) * w);
        actor.spend(State::CpuRunnable, delay * (1.0 - share));
        actor.spend(State::CpuThrottled, delay * share);
        actor.spend(State::IoWait, (p.io_wait.unwrap_or(0.0) - p.hung) * w);
        actor.spend(State::TaskBlocked, p.hung * w);
        actor
    }
}
