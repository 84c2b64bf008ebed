//! How we ask: readers of the host, the scheduler that owns cadence and deadlines, discovery of servers.
//! The only layer that opens files of the system under observation, and the only one with a clock.
//! What never lives here: rates, thresholds, verdicts.

pub mod bounded;
pub mod clock;
pub mod deadline;
pub mod discover;
pub mod host;
pub mod kind;
pub mod kinds;
pub mod own;
pub mod pace;
pub mod postgres;
pub mod prometheus;
pub mod redis;
pub mod root;
pub mod schedule;
pub mod servers;
pub mod tls;
pub mod url;
pub mod watched;
