//! The ledger: every foreground actor-second is in exactly one state; the states sum to the foreground time T.
//!
//! An actor here is a process (all its threads) or a session; its second per second can exceed 1. Weights are those of
//! `model::facts::Weight`.

mod actor;
mod build;
mod file_waits;
mod groups;
pub mod loss;
mod pools;
mod state;
mod throttled;
mod told;
mod waits;

pub use actor::{Actor, PeerWait};
pub use build::{Ledger, refault_share};
pub use file_waits::FileWaits;
pub use groups::inside;
pub use pools::PoolWait;
pub use state::State;
pub use throttled::knee;
pub use told::{Sending, Session, Told};
pub use waits::Baseline;
