//! The same diagnosis as text, JSON or Markdown. Pure.
//! What never lives here: files, clocks, colours.

pub mod capacity;
pub mod chart;
pub mod kpi;
pub mod markdown;
pub mod prometheus;
pub mod text;
