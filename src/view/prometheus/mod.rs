//! What is drawn of a Prometheus alone: the last hour of an objective, dashboards.

mod capacity;
mod dashboard;
mod hour;
mod kpi;

pub use dashboard::draw as draw_dashboard;

/// What stands above its tables.
pub const GRAPH: super::graph::Graph = hour::draw;
