//! File locks over the window. Pure.

use std::collections::BTreeMap;

use crate::model::foreign::Foreign;
use crate::model::host::{HostSweep, ProcId};
use crate::model::seen::Seen;

use super::process::ProcFacts;

/// A file whose lock is waited for.
#[derive(Debug, Clone, PartialEq)]
pub struct FileLockFacts {
    /// Device and inode, as the kernel prints them.
    pub file: String,
    /// Its path, where it was seen.
    pub path: Option<Foreign>,
    /// FLOCK, POSIX …
    pub kind: String,
    /// Who held it, and in which share of the sweeps that saw it waited for; most often first.
    pub holders: Vec<(ProcId, f64)>,
    /// Who waited, in threads: thread-sweeps / sweeps of the window.
    pub waiters: Vec<(ProcId, f64)>,
}

/// Those of the window that the newest sweep or the one before it saw, most waiting first.
pub(super) fn derive(new: &HostSweep, sweeps: &[&HostSweep], processes: &[ProcFacts]) -> Seen<Vec<FileLockFacts>> {
    new.file_locks.as_ref().map_err(Clone::clone)?;
    let mut seen: BTreeMap<&str, (FileLockFacts, u32)> = BTreeMap::new();
    let known: BTreeMap<i32, ProcId> =
        match sweeps.iter().rev().take(2).any(|s| s.file_locks.as_ref().is_ok_and(|l| !l.is_empty())) {
            true => processes.iter().map(|p| (p.id.pid, p.id)).collect(),
            false => return Ok(Vec::new()),
        };
    let add = |to: &mut Vec<(ProcId, f64)>, pid: i32| {
        let Some(id) = known.get(&pid) else { return };
        match to.iter_mut().find(|(known, _)| known == id) {
            Some((_, times)) => *times += 1.0,
            None => to.push((*id, 1.0)),
        }
    };
    for sweep in sweeps {
        for lock in sweep.file_locks.iter().flatten() {
            let new = || {
                (
                    FileLockFacts {
                        file: lock.file.clone(),
                        path: None,
                        kind: lock.kind.clone(),
                        holders: Vec::new(),
                        waiters: Vec::new(),
                    },
                    0,
                )
            };
            let (facts, times) = seen.entry(lock.file.as_str()).or_insert_with(new);
            *times += 1;
            facts.path = lock.path.clone().or_else(|| facts.path.take());
            add(&mut facts.holders, lock.holder);
            lock.waiters.iter().for_each(|pid| add(&mut facts.waiters, *pid));
        }
    }
    let all = seen.into_values().map(|(mut facts, times)| {
        facts.holders.iter_mut().for_each(|(_, n)| *n /= f64::from(times));
        facts.waiters.iter_mut().for_each(|(_, n)| *n /= sweeps.len() as f64);
        facts.holders.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        facts.waiters.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        facts
    });
    let mut all: Vec<FileLockFacts> = all.filter(|l| !l.waiters.is_empty()).collect();
    let waiting = |l: &FileLockFacts| l.waiters.iter().map(|(_, n)| n).sum::<f64>();
    all.sort_by(|a, b| waiting(b).total_cmp(&waiting(a)).then(a.file.cmp(&b.file)));
    Ok(all)
}
