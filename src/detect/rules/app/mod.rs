//! Rules about applications, from the host's own view, with nothing configured.

mod asleep;
pub mod bound;
mod bound_words;
mod late;
mod own_share;
mod own_time;
pub mod pool_queueing;
pub mod service_stalled;
pub mod unexplained;
mod unix_stalled;
pub mod upstream_waiting;
pub mod workload_growth;

use crate::detect::rule::Rule;

/// Its rules, in the order of the catalogue.
pub(super) const RULES: &[&Rule] = &[
    &upstream_waiting::RULE,
    &workload_growth::RULE,
    &service_stalled::RULE,
    &bound::RULE,
    &unexplained::RULE,
    &pool_queueing::RULE,
];
