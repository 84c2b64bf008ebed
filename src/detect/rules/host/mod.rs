//! Rules of the host, one file per finding.

pub mod cache_thrash;
pub mod clock_source;
pub mod conntrack_full;
mod contenders;
pub mod context_switches;
pub mod cpu_blame;
pub mod cpu_contention;
pub mod cpu_throttled;
pub mod dirty_throttling;
pub mod disk_errors;
pub mod disk_full;
pub mod file_lock;
pub mod files_exhausted;
pub mod flush_storm;
pub mod hot_core;
pub mod inodes_exhausted;
pub mod io_saturated;
pub mod io_throttled;
pub mod leak;
pub mod link_saturated;
pub mod listen_overflow;
pub mod memory_high;
pub mod memory_kernel;
pub mod memory_oom;
pub mod memory_reclaim;
pub mod mount_hung;
pub mod nic_errors;
pub mod packet_loss;
pub mod ports_exhausted;
pub mod process_churn;
pub mod queue_full;
pub mod read_only;
pub mod realtime_hog;
pub mod slow_receiver;
pub mod softirq_core;
pub mod softnet_drops;
pub mod steal;
pub mod swap_thrash;
pub mod syn_loss;
pub mod system_time;
pub mod table_full;
pub mod tasks_exhausted;
pub mod tasks_hung;

use crate::detect::rule::Rule;

/// Its rules, in the order of the catalogue.
pub(super) const RULES: &[&Rule] = &[
    &cpu_contention::RULE,
    &cpu_throttled::RULE,
    &realtime_hog::RULE,
    &process_churn::RULE,
    &context_switches::RULE,
    &system_time::RULE,
    &steal::RULE,
    &hot_core::RULE,
    &clock_source::RULE,
    &memory_oom::RULE,
    &memory_kernel::RULE,
    &memory_high::RULE,
    &memory_reclaim::RULE,
    &swap_thrash::RULE,
    &cache_thrash::RULE,
    &leak::RULE,
    &io_saturated::RULE,
    &io_throttled::RULE,
    &dirty_throttling::RULE,
    &flush_storm::RULE,
    &disk_full::RULE,
    &inodes_exhausted::RULE,
    &disk_errors::RULE,
    &read_only::RULE,
    &mount_hung::RULE,
    &file_lock::RULE,
    &tasks_hung::RULE,
    &tasks_exhausted::RULE,
    &files_exhausted::RULE,
    &packet_loss::RULE,
    &syn_loss::RULE,
    &listen_overflow::RULE,
    &ports_exhausted::RULE,
    &slow_receiver::RULE,
    &softnet_drops::RULE,
    &softirq_core::RULE,
    &queue_full::RULE,
    &table_full::RULE,
    &conntrack_full::RULE,
    &nic_errors::RULE,
    &link_saturated::RULE,
];
