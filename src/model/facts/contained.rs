//! Inside a container the limits are its own: the root of its control groups has them, `/proc/meminfo` is the machine's. Pure.

use super::cgroup::CgroupFacts;
use super::cpu::{CpuFacts, OwnCpu};
use super::kernel::MemoryFacts;
use super::process::ProcFacts;

/// The root group with a limit: only a container has one, the machine's own root has no such files.
fn root(groups: &[CgroupFacts]) -> impl Iterator<Item = &CgroupFacts> {
    groups.iter().filter(|g| g.path.raw() == b"/")
}

/// CPUs that the container may use at once; `None` outside of one, and in one without a quota.
#[must_use]
pub fn quota_cores(groups: &[CgroupFacts]) -> Option<f64> {
    root(groups).filter_map(|g| g.quota_cores).reduce(f64::min)
}

/// CPU time of the container over what it may use; `None` outside of one. By its root group, else by its processes.
pub(super) fn cpu(cpu: &CpuFacts, groups: &[CgroupFacts], processes: Option<&[ProcFacts]>, inside: bool) -> Option<OwnCpu> {
    let quota = quota_cores(groups);
    let by_group = root(groups).filter_map(|g| g.usage_cores).reduce(f64::max);
    // A marker alone says little (a virtual machine made of an image has it too): its group or its quota must be seen.
    if quota.is_none() && (!inside || by_group.is_none()) {
        return None;
    }
    let by_processes = || Some(processes?.iter().filter(|p| !p.kernel).filter_map(|p| p.cpu).sum());
    let all = cpu.cores.len().max(1) as f64;
    Some(OwnCpu { used: by_group.or_else(by_processes)?, of: quota.unwrap_or(all).min(all) })
}

/// Memory in the measure of the container: total = its limit, available = what is left of it and of the machine:
/// min(MemAvailable, limit - (current - inactive_file)), bytes.
pub(super) fn measure(memory: &mut MemoryFacts, groups: &[CgroupFacts]) {
    let limited = root(groups).filter_map(|g| Some((g.memory_limit_bytes?, g.memory_bytes?, g.inactive_file_bytes.unwrap_or(0))));
    let Some((limit, current, inactive)) = limited.filter(|(limit, ..)| *limit < memory.raw.total).min_by_key(|l| l.0) else {
        return;
    };
    let left = limit.saturating_sub(current.saturating_sub(inactive));
    memory.raw.total = limit;
    memory.available_bytes = memory.available_bytes.min(left);
    memory.used = 1.0 - (memory.available_bytes as f64 / limit.max(1) as f64).min(1.0);
}
