//! The screens: which panels, where.

pub mod diagnose;
pub mod host;
pub mod postgres;
pub mod triage;
