//! What is drawn of Redis alone: what its loop does, over time.

mod activity;

/// What stands above its tables.
pub const GRAPH: super::graph::Graph = activity::draw;
