//! What is drawn of a Prometheus alone: the last hour of an objective.

mod hour;

/// What stands above its tables.
pub const GRAPH: super::graph::Graph = hour::draw;
