//! Control groups over the window: throttling, limits, kills.

use crate::model::counter::delta;
use crate::model::foreign::Foreign;
use crate::model::host::{CgroupRaw, Controller, HostSweep, IoLimit};
use crate::model::seen::Seen;

/// One control group in one hierarchy.
#[derive(Debug, Clone, PartialEq)]
pub struct CgroupFacts {
    /// The hierarchy.
    pub controller: Controller,
    /// Path below its mount.
    pub path: Foreign,
    /// Directory, to be typed.
    pub directory: Foreign,
    /// Δnr_throttled / Δnr_periods, 0..1; `None` with no period in the window.
    pub throttled_share: Option<f64>,
    /// Time throttled per second, summed over run queues (can exceed 1).
    pub throttled_s_per_s: Option<f64>,
    /// Quota in cores; `None` = no limit.
    pub quota_cores: Option<f64>,
    /// CPU used in cores, when this hierarchy knows.
    pub usage_cores: Option<f64>,
    /// Period in microseconds.
    pub period_us: Option<u64>,
    /// Bytes charged.
    pub memory_bytes: Option<u64>,
    /// Memory limit in bytes.
    pub memory_limit_bytes: Option<u64>,
    /// Page cache of it that can go first, bytes.
    pub inactive_file_bytes: Option<u64>,
    /// OOM kills within the window.
    pub oom_kills: Option<u64>,
    /// Times the limit was hit, per second.
    pub limit_hits_per_s: Option<f64>,
    /// `memory.high` in bytes.
    pub memory_high_bytes: Option<u64>,
    /// Times that its tasks were held back there, per second.
    pub high_hits_per_s: Option<f64>,
    /// Share of the time in which some of its tasks waited for memory, 0..1 (`memory.pressure`); v2 only.
    pub memory_pressure: Option<f64>,
    /// The same for disks (`io.pressure`).
    pub io_pressure: Option<f64>,
    /// Page cache read again, pages per second.
    pub refaults_per_s: Option<f64>,
    /// IO limits.
    pub io_limits: Vec<IoLimit>,
    /// What the group does now against each of them: bytes or operations per second, that way on that device.
    pub io_limit_rates: Vec<Option<f64>>,
    /// Bytes through the block layer per second.
    pub io_bytes_per_s: Option<f64>,
    /// Operations per second.
    pub io_operations_per_s: Option<f64>,
    /// Tasks and their limit.
    pub tasks: Option<(u64, u64)>,
}

/// Each group is taken between its own newest reading and the oldest other one within the window.
pub(super) fn derive(sweeps: &[&HostSweep], new: &HostSweep) -> Seen<Vec<CgroupFacts>> {
    let groups = new.cgroups.as_ref().map_err(Clone::clone)?;
    Ok(groups.iter().map(|group| one(oldest(sweeps, new, group), group)).collect())
}

fn oldest<'a>(sweeps: &[&'a HostSweep], new: &HostSweep, group: &CgroupRaw) -> Option<&'a CgroupRaw> {
    let same = |g: &&CgroupRaw| g.controller == group.controller && g.path == group.path && g.mono_ns < group.mono_ns;
    let usable = sweeps.iter().filter(|s| new.at.seconds_since(&s.at).is_some());
    usable.filter_map(|s| s.cgroups.as_ref().ok()?.iter().find(same)).next()
}

fn one(old: Option<&CgroupRaw>, new: &CgroupRaw) -> CgroupFacts {
    let dt_s = old.map(|o| (new.mono_ns - o.mono_ns) as f64 / 1e9);
    let grown = |field: fn(&CgroupRaw) -> Option<u64>| delta(field(old?)?, field(new)?);
    let per_s = |field: fn(&CgroupRaw) -> Option<u64>| Some(grown(field)? as f64 / dt_s?);
    let periods = grown(|g| g.cpu?.periods);
    let throttled = grown(|g| g.cpu?.throttled_periods);
    let limits = new.io.as_ref().map(|io| io.limits.as_slice()).unwrap_or_default();
    let rate = |limit: &IoLimit| {
        let same = |l: &&IoLimit| (&l.device, &l.what) == (&limit.device, &limit.what);
        let before = old?.io.as_ref()?.limits.iter().find(same)?;
        Some(delta(before.done?, limit.done?)? as f64 / dt_s?)
    };
    CgroupFacts {
        controller: new.controller,
        path: new.path.clone(),
        directory: new.directory.clone(),
        throttled_share: periods.filter(|n| *n > 0).zip(throttled).map(|(n, t)| t as f64 / n as f64),
        throttled_s_per_s: per_s(|g| g.cpu?.throttled_us).map(|us| us / 1e6),
        quota_cores: new.cpu.and_then(|c| Some(c.quota_us? as f64 / c.period_us.filter(|p| *p > 0)? as f64)),
        usage_cores: per_s(|g| g.cpu?.usage_us).map(|us| us / 1e6),
        period_us: new.cpu.and_then(|c| c.period_us),
        memory_bytes: new.memory.and_then(|m| m.current),
        memory_limit_bytes: new.memory.and_then(|m| m.limit),
        inactive_file_bytes: new.memory.and_then(|m| m.inactive_file),
        oom_kills: grown(|g| g.memory?.oom_kill),
        limit_hits_per_s: per_s(|g| g.memory?.max_events),
        memory_high_bytes: new.memory.and_then(|m| m.high),
        high_hits_per_s: per_s(|g| g.memory?.high_events),
        // Read with the rest only where there is a limit to be held back by.
        memory_pressure: per_s(|g| Some(g.psi.as_ref()?[1].as_ref()?.some.total_us)).map(|us| (us / 1e6).min(1.0)),
        io_pressure: per_s(|g| Some(g.psi.as_ref()?[2].as_ref()?.some.total_us)).map(|us| (us / 1e6).min(1.0)),
        refaults_per_s: per_s(|g| g.memory?.refault_file),
        io_limits: limits.to_vec(),
        io_limit_rates: limits.iter().map(rate).collect(),
        io_bytes_per_s: per_s(|g| g.io.as_ref()?.bytes),
        io_operations_per_s: per_s(|g| g.io.as_ref()?.operations),
        tasks: new.tasks,
    }
}
