//! What is drawn of PostgreSQL alone: its sessions over time, a query with its plan.

pub mod activity;
mod plan;
pub mod query;

/// What stands above its tables.
pub const GRAPH: super::graph::Graph = activity::draw;
