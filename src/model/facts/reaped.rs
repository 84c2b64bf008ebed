//! What is known of children that ended: the kernel adds a child's whole life to its parent's figures when the parent waits for it, and
//! that is neither the parent's own nor of the window.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::model::host::{HostSweep, ProcId, ProcIo, ProcRaw};

/// Of the children of one parent that ended within the window.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Reaped {
    /// What they had read and written when the window began.
    pub(super) read_bytes: u64,
    pub(super) written_bytes: u64,
    /// The CPU time that they and their children had used when the window began, ticks.
    pub(super) ticks_before: u64,
    /// All that was used by those that were not short-lived, ticks: until they were seen last, and from there on as before.
    pub(super) ticks: u64,
}

/// Bytes that went, or will go, to a disk.
pub(super) const fn io_written(io: ProcIo) -> u64 {
    io.write_bytes.saturating_sub(io.cancelled_write_bytes)
}

const fn used(row: &ProcRaw) -> u64 {
    row.cpu_ticks.saturating_add(row.child_ticks)
}

/// Whoever is older than this when it is seen is not short-lived.
const LONG_NS: f64 = 2e9;

/// By the pid of the parent; `sweeps` are those of the window, the oldest first, `new` the rows of the newest. The window begins with `old`.
pub(super) fn reaped(
    old: Option<&HostSweep>,
    sweeps: &[&HostSweep],
    new: &[Arc<ProcRaw>],
    ticks_per_s: f64,
) -> HashMap<i32, Reaped> {
    let Some(old) = old else { return HashMap::new() };
    let sweeps: Vec<&HostSweep> = sweeps.iter().copied().skip_while(|s| s.at != old.at).collect();
    // Starts are counted with the time that the machine slept.
    let boot_ahead_ns = old.at.boot_ns as f64 - old.at.mono_ns as f64;
    let alive: HashSet<ProcId> = new.iter().map(|row| row.id).collect();
    let mut of: HashMap<i32, Reaped> = HashMap::new();
    let mut last: HashMap<ProcId, Vec<&ProcRaw>> = HashMap::new();
    for (index, sweep) in sweeps.iter().enumerate() {
        let gone = sweep.processes.iter().flat_map(|t| &t.rows).filter(|row| !alive.contains(&row.id));
        for row in gone {
            last.entry(row.id).or_default().push(row);
            if index == 0 {
                let sum = of.entry(row.ppid).or_default();
                sum.ticks_before = sum.ticks_before.saturating_add(used(row));
                if let Some(io) = row.io {
                    sum.read_bytes = sum.read_bytes.saturating_add(io.read_bytes);
                    sum.written_bytes = sum.written_bytes.saturating_add(io_written(io));
                }
            }
        }
    }
    for rows in last.values() {
        let Some(row) = rows.last() else { continue };
        let age_ns = row.mono_ns as f64 + boot_ahead_ns - row.id.start as f64 / ticks_per_s * 1e9;
        let (worked, worked_ns) = match rows.iter().rev().nth(1) {
            Some(before) => (used(row).saturating_sub(used(before)), row.mono_ns.saturating_sub(before.mono_ns) as f64),
            None if age_ns >= LONG_NS => (used(row), age_ns),
            None => continue,
        };
        let next_ns = sweeps.iter().map(|s| s.at.mono_ns).find(|ns| *ns > row.mono_ns).unwrap_or(row.mono_ns);
        let rest = worked as f64 * next_ns.saturating_sub(row.mono_ns) as f64 / worked_ns.max(1.0);
        let sum = of.entry(row.ppid).or_default();
        // Whole ticks: their sum is the same in whatever order they come.
        sum.ticks = sum.ticks.saturating_add(used(row)).saturating_add(rest.round() as u64);
    }
    of
}
