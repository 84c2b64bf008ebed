//! Rules of Redis and its kin. Each is given one server.

mod big_key;
mod churn;
mod client_buffers;
mod commands;
mod errors;
mod evictions;
mod exhausted;
mod expire_storm;
mod failing;
mod fork;
mod fragmentation;
mod fsync;
mod lag;
mod monitor;
mod near_limit;
mod oom_refused;
mod replication_down;
mod resync_loop;
mod saturated;
mod script;
mod slow;
pub mod support;
mod writes_to_replica;

use crate::detect::rule::Rule;

/// All of them, in the order of the catalogue.
pub const RULES: &[&Rule] = &[
    &slow::RULE,
    &script::RULE,
    &saturated::RULE,
    &evictions::RULE,
    &oom_refused::RULE,
    &near_limit::RULE,
    &fragmentation::RULE,
    &client_buffers::RULE,
    &big_key::RULE,
    &fsync::RULE,
    &fork::RULE,
    &failing::RULE,
    &expire_storm::RULE,
    &exhausted::RULE,
    &churn::RULE,
    &monitor::RULE,
    &errors::RULE,
    &replication_down::RULE,
    &lag::RULE,
    &resync_loop::RULE,
    &writes_to_replica::RULE,
];
