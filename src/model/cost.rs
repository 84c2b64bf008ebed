//! What a look at a server took. Pure.

use serde::{Deserialize, Serialize};

/// What a look took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Questions.
    pub requests: u32,
    /// Bytes of the answers.
    pub bytes: u64,
    /// Milliseconds, all in all.
    pub took_ms: u64,
}
