//! Raw figures of control groups, v1, v2 and hybrid, joined by path.

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;

use super::kernel::PsiFile;

/// The controllers that perftop reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Controller {
    /// v1 `cpu`.
    Cpu,
    /// v1 `memory`.
    Memory,
    /// v1 `blkio`.
    Io,
    /// v1 `pids`.
    Pids,
    /// v2, all controllers in one tree.
    Unified,
}

/// Where a process stands in one hierarchy; the root group is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupPath {
    /// The hierarchy.
    pub controller: Controller,
    /// Path below its mount, with the leading slash.
    pub path: Foreign,
}

/// One control group in one hierarchy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CgroupRaw {
    /// The hierarchy it stands in.
    pub controller: Controller,
    /// Path below the mount of the hierarchy.
    pub path: Foreign,
    /// Directory as the operator can type it, for fixes and provenance.
    pub directory: Foreign,
    /// When its counters were read (CLOCK_MONOTONIC ns): groups without limits are read less often.
    pub mono_ns: u64,
    /// CPU part.
    pub cpu: Option<CgroupCpu>,
    /// Memory part.
    pub memory: Option<CgroupMemory>,
    /// IO part.
    pub io: Option<CgroupIo>,
    /// Tasks and how many there may be: `pids.current` and `pids.max`, where there is a limit.
    #[serde(default)]
    pub tasks: Option<(u64, u64)>,
    /// `cpu.pressure`, `memory.pressure`, `io.pressure` (v2 only).
    pub psi: Option<[Option<PsiFile>; 3]>,
}

/// `cpu.stat` and the quota; times in microseconds whatever the version (v1 prints nanoseconds).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupCpu {
    /// `usage_usec`; v1 has it in another hierarchy (cpuacct), then `None`.
    pub usage_us: Option<u64>,
    /// Periods in which the group wanted to run.
    pub periods: Option<u64>,
    /// Periods in which it was throttled.
    pub throttled_periods: Option<u64>,
    /// Time throttled, summed over run queues.
    pub throttled_us: Option<u64>,
    /// Quota per period; `None` = no limit.
    pub quota_us: Option<u64>,
    /// Length of a period.
    pub period_us: Option<u64>,
}

/// Memory use, limit and events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupMemory {
    /// Bytes charged, page cache included.
    pub current: Option<u64>,
    /// Limit; `None` = no limit (v1's sentinel near 2^63 counts as none).
    pub limit: Option<u64>,
    /// OOM kills in the group (v1 `memory.oom_control`, v2 `memory.events.local`).
    pub oom_kill: Option<u64>,
    /// Times the limit was hit (v1 `memory.failcnt`, v2 `max`).
    pub max_events: Option<u64>,
    /// Page-cache pages read again soon after they were dropped (v2 `memory.stat`).
    pub refault_file: Option<u64>,
    /// Page cache that can go first.
    pub inactive_file: Option<u64>,
    /// v2 `memory.high`; `None` = none.
    #[serde(default)]
    pub high: Option<u64>,
    /// Times that tasks were held back at it (v2 `high`).
    #[serde(default)]
    pub high_events: Option<u64>,
}

/// IO limits and counters over all devices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupIo {
    /// Limits, one per device and direction that has one.
    pub limits: Vec<IoLimit>,
    /// Bytes moved since the group was made.
    pub bytes: Option<u64>,
    /// Operations since the group was made.
    pub operations: Option<u64>,
}

/// One IO limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoLimit {
    /// `major:minor`.
    pub device: String,
    /// `rbps`, `wbps`, `riops` or `wiops`.
    pub what: String,
    /// Bytes or operations per second.
    pub per_s: u64,
    /// What the group moved that way on that device since it was made, in the same unit.
    #[serde(default)]
    pub done: Option<u64>,
}
