//! Inside a container the limits are its own: the root of its control groups has them, `/proc/meminfo` is the machine's. Pure.

use super::cgroup::CgroupFacts;
use super::kernel::MemoryFacts;

/// The root group with a limit: only a container has one, the machine's own root has no such files.
fn root(groups: &[CgroupFacts]) -> impl Iterator<Item = &CgroupFacts> {
    groups.iter().filter(|g| g.path.raw() == b"/")
}

/// CPUs that the container may use at once; `None` outside of one, and in one without a quota.
#[must_use]
pub fn quota_cores(groups: &[CgroupFacts]) -> Option<f64> {
    root(groups).filter_map(|g| g.quota_cores).reduce(f64::min)
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
