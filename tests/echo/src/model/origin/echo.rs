//! Where the figures of an echo server come from.

use super::row::{Origin, origin};

/// All of them.
pub const ORIGINS: &[Origin] = &[origin(
    "echo.trip",
    "a line that is sent and comes back",
    "milliseconds between the two, newest of one a second",
    "time (echo hello | nc -N HOST PORT)",
)];
