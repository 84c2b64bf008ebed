//! How Prometheus and its kin are asked: a few small queries by POST, each with a deadline and a limit, over one connection that is kept.
//! Redirects are never followed, so that no credential goes to another host.

pub mod answers;
mod capacity;
mod client;
mod count;
mod fleet;
mod kpi;
mod looking;
mod panel;
mod question;
mod reads;
mod rules;
mod share;
mod slot;
mod status;
mod target;
mod trouble;
mod watcher;

pub use self::reads::KIND;
