//! Rules about PostgreSQL: one file per finding; `roots` and `queries` say which of them a chain of locks or a costly query belongs to.

pub mod advisory;
pub mod archiver;
pub mod bare_column;
pub mod bloat;
mod blocked;
mod cheaper;
pub mod checksums;
pub mod churn;
pub mod commit_bound;
pub mod ddl_queue;
pub mod deadlocks;
mod deploy;
pub mod evicting;
pub mod exhausted;
pub mod expensive;
pub mod forced;
pub mod high_frequency;
mod horizon;
pub mod hot_row;
pub mod idle_in_transaction;
pub mod index_duplicate;
pub mod index_invalid;
pub mod index_redundant;
pub mod index_unused;
mod inside;
pub mod interference;
pub mod jit;
pub mod lag;
pub mod large_fetch;
pub mod long_running;
pub mod lwlock;
pub mod missing_index;
mod object;
mod of_others;
pub mod overdue;
pub mod planning;
pub mod prepared_transaction;
pub mod queries;
mod query_found;
mod query_rule;
pub mod read_bound;
pub mod regressed;
mod role_setting;
mod roots;
pub mod sequence;
pub mod settings;
pub mod slot_retention;
pub mod stale_statistics;
pub mod support;
pub mod sync_replica;
pub mod temp_spill;
pub mod wraparound;
mod writes;
pub mod xmin_horizon;

pub use of_others::{see_whole, session_of};

use crate::detect::rule::Rule;

/// Its rules, in the order of the catalogue.
pub(super) const RULES: &[&Rule] = &[
    &idle_in_transaction::RULE,
    &ddl_queue::RULE,
    &prepared_transaction::RULE,
    &advisory::RULE,
    &hot_row::RULE,
    &blocked::RULE,
    &deadlocks::RULE,
    &missing_index::RULE,
    &stale_statistics::RULE,
    &expensive::RULE,
    &high_frequency::RULE,
    &temp_spill::RULE,
    &large_fetch::RULE,
    &planning::RULE,
    &jit::RULE,
    &regressed::RULE,
    &long_running::RULE,
    &lwlock::RULE,
    &evicting::RULE,
    &read_bound::RULE,
    &commit_bound::RULE,
    &sync_replica::RULE,
    &forced::RULE,
    &exhausted::RULE,
    &churn::RULE,
    &xmin_horizon::RULE,
    &overdue::RULE,
    &bloat::RULE,
    &interference::RULE,
    &wraparound::RULE,
    &lag::RULE,
    &slot_retention::RULE,
    &archiver::RULE,
    &index_invalid::RULE,
    &index_duplicate::RULE,
    &index_unused::RULE,
    &index_redundant::RULE,
    &sequence::RULE,
    &settings::RULE,
    &checksums::RULE,
];
