//! Rules of the host, one file per finding.

pub mod cpu_contention;
pub mod cpu_throttled;
pub mod disk_full;
pub mod io_saturated;
pub mod io_throttled;
pub mod memory_oom;
pub mod memory_reclaim;
