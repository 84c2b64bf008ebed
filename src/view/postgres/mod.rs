//! What is drawn of PostgreSQL alone: its sessions over time, a query with its plan.

pub mod activity;
mod plan;
pub mod query;
