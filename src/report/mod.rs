//! The same diagnosis as text, JSON or Markdown, the flowchart, and the report of a span of time. Pure.
//! What never lives here: files, clocks, colours.

pub mod brief;
pub mod capacity;
pub mod chart;
pub mod difference;
pub mod incident;
pub mod incidents;
pub mod kpi;
pub mod markdown;
pub mod metrics;
pub mod prometheus;
pub mod text;
