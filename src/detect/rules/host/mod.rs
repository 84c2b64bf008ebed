//! Rules of the host, one file per finding.

pub mod context_switches;
pub mod cpu_blame;
pub mod cpu_contention;
pub mod cpu_throttled;
pub mod disk_full;
pub mod files_exhausted;
pub mod inodes_exhausted;
pub mod io_saturated;
pub mod io_throttled;
pub mod listen_overflow;
pub mod memory_oom;
pub mod memory_reclaim;
pub mod mount_hung;
pub mod packet_loss;
pub mod process_churn;
pub mod read_only;
pub mod realtime_hog;
pub mod slow_receiver;
pub mod steal;
pub mod syn_loss;
pub mod system_time;
pub mod tasks_exhausted;
pub mod tasks_hung;
