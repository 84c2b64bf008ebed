//! Waits for file locks that someone feels: threads of a service, as far as requests are in flight at it. A stand-by that waits for its turn, or a
//! job that another one keeps out, holds nobody up. Pure.

use std::collections::BTreeMap;

use crate::model::facts::{Facts, FileLockFacts, ProcFacts};
use crate::model::host::ProcId;

/// How much of their waiting counts, by family: requests in flight / threads that wait for a file lock, at most 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileWaits(BTreeMap<ProcId, f64>);

impl FileWaits {
    /// Of the newest window.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        let locks = || facts.host.file_locks.iter().flatten();
        if locks().next().is_none() {
            return Self::default();
        }
        let family: BTreeMap<ProcId, ProcId> = facts.processes().iter().map(|p| (p.id, p.family)).collect();
        let mut waiting: BTreeMap<ProcId, f64> = BTreeMap::new();
        for (id, threads) in locks().flat_map(|l| &l.waiters) {
            family.get(id).iter().for_each(|family| *waiting.entry(**family).or_default() += threads);
        }
        let mut in_flight: BTreeMap<ProcId, f64> = BTreeMap::new();
        for listener in facts.host.sockets.iter().flat_map(|s| &s.listeners) {
            let family = listener.owner.and_then(|id| family.get(&id));
            family.iter().for_each(|family| *in_flight.entry(**family).or_default() += listener.in_flight + listener.queued);
        }
        let part = |(family, threads): (ProcId, f64)| Some((family, (in_flight.get(&family)? / threads.max(1e-9)).min(1.0)));
        Self(waiting.into_iter().filter_map(part).collect())
    }

    /// Seconds per second that a process loses to one lock.
    #[must_use]
    pub fn lost(&self, lock: &FileLockFacts, p: &ProcFacts) -> f64 {
        let threads = lock.waiters.iter().find(|(id, _)| *id == p.id).map_or(0.0, |(_, n)| *n);
        threads * self.0.get(&p.family).copied().unwrap_or(0.0) * p.weight.value
    }

    /// The same of all locks.
    #[must_use]
    pub fn of_process(&self, facts: &Facts, p: &ProcFacts) -> f64 {
        if self.0.is_empty() { 0.0 } else { facts.host.file_locks.iter().flatten().map(|lock| self.lost(lock, p)).sum() }
    }
}
