//! The list of rules. One file per finding, one row here.

mod app;
mod host;
mod postgres;
mod source;
pub mod support;

use super::verdict::Rule;

pub use app::{service_stalled, unexplained};
pub use host::disk_errors;
pub use postgres::exhausted;
pub use postgres::support::terminate as end_session;

/// All rules, in the order of the catalogue.
pub const RULES: &[&Rule] = &[
    &host::cpu_contention::RULE,
    &host::cpu_throttled::RULE,
    &host::realtime_hog::RULE,
    &host::process_churn::RULE,
    &host::context_switches::RULE,
    &host::system_time::RULE,
    &host::steal::RULE,
    &host::hot_core::RULE,
    &host::memory_oom::RULE,
    &host::memory_reclaim::RULE,
    &host::swap_thrash::RULE,
    &host::cache_thrash::RULE,
    &host::leak::RULE,
    &host::io_saturated::RULE,
    &host::io_throttled::RULE,
    &host::dirty_throttling::RULE,
    &host::flush_storm::RULE,
    &host::disk_full::RULE,
    &host::inodes_exhausted::RULE,
    &host::disk_errors::RULE,
    &host::read_only::RULE,
    &host::mount_hung::RULE,
    &host::tasks_hung::RULE,
    &host::tasks_exhausted::RULE,
    &host::files_exhausted::RULE,
    &host::packet_loss::RULE,
    &host::syn_loss::RULE,
    &host::listen_overflow::RULE,
    &host::ports_exhausted::RULE,
    &host::slow_receiver::RULE,
    &host::softnet_drops::RULE,
    &host::conntrack_full::RULE,
    &host::nic_errors::RULE,
    &host::link_saturated::RULE,
    &postgres::idle_in_transaction::RULE,
    &postgres::ddl_queue::RULE,
    &postgres::prepared_transaction::RULE,
    &postgres::advisory::RULE,
    &postgres::hot_row::RULE,
    &postgres::blocked::RULE,
    &postgres::deadlocks::RULE,
    &postgres::missing_index::RULE,
    &postgres::stale_statistics::RULE,
    &postgres::expensive::RULE,
    &postgres::high_frequency::RULE,
    &postgres::temp_spill::RULE,
    &postgres::large_fetch::RULE,
    &postgres::regressed::RULE,
    &postgres::long_running::RULE,
    &postgres::read_bound::RULE,
    &postgres::commit_bound::RULE,
    &postgres::sync_replica::RULE,
    &postgres::forced::RULE,
    &postgres::exhausted::RULE,
    &postgres::churn::RULE,
    &postgres::xmin_horizon::RULE,
    &postgres::overdue::RULE,
    &postgres::bloat::RULE,
    &postgres::interference::RULE,
    &postgres::wraparound::RULE,
    &postgres::lag::RULE,
    &postgres::slot_retention::RULE,
    &postgres::archiver::RULE,
    &postgres::index_invalid::RULE,
    &postgres::index_duplicate::RULE,
    &postgres::index_unused::RULE,
    &postgres::index_redundant::RULE,
    &postgres::sequence::RULE,
    &postgres::settings::RULE,
    &postgres::checksums::RULE,
    &app::upstream_waiting::RULE,
    &app::workload_growth::RULE,
    &app::service_stalled::RULE,
    &app::unexplained::RULE,
    &app::pool_queueing::RULE,
    &source::unreachable::RULE,
    &source::denied::RULE,
    &source::not_watched::RULE,
    &source::blind::RULE,
];

/// The rule of that id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.id == id)
}
