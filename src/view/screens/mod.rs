//! The screens: which panels, where.

pub mod diagnose;
pub mod host;
pub mod server;
pub mod triage;
