//! The screens: which panels, where.

pub mod dashboard;
pub mod diagnose;
pub mod host;
pub mod server;
pub mod triage;
