//! File locks that processes wait for.

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;
use crate::model::seen::{Lack, Seen, Why};

/// A file whose lock is held and waited for (`/proc/locks`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileLockRaw {
    /// `major:minor` of its device and its inode, as the kernel prints them.
    pub file: String,
    /// FLOCK, POSIX, OFDLCK, LEASE …
    pub kind: String,
    /// Who took it; below 1: nobody that can be seen from here.
    pub holder: i32,
    /// Its path, by the holder's descriptors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Foreign>,
    /// Who waits, one for each thread that does.
    pub waiters: Vec<i32>,
}

/// Of a recording from before they were read.
pub(super) fn unread() -> Seen<Vec<FileLockRaw>> {
    Err(Lack::new(Why::NotYet, "/proc/locks"))
}
