//! Raw figures of block devices and file systems.

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;
use crate::model::seen::Seen;

/// One line of `/proc/diskstats`. Sectors are 512 B; the `*_ms` fields are 32-bit in the kernel and wrap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct DiskRaw {
    pub major: u32,
    pub minor: u32,
    pub name: Foreign,
    pub reads: u64,
    pub read_sectors: u64,
    pub read_ms: u64,
    pub writes: u64,
    pub write_sectors: u64,
    pub write_ms: u64,
    pub in_flight: u64,
    pub io_ms: u64,
    pub weighted_ms: u64,
    /// Discards and flushes: absent before Linux 4.18 and 5.5.
    pub discards: Option<u64>,
    pub discard_ms: Option<u64>,
    pub flushes: Option<u64>,
    pub flush_ms: Option<u64>,
    /// A device without `slaves/` that is no partition, loop, zram or ram disk: the ones that are summed.
    pub leaf: bool,
    /// `queue/rotational`, when readable.
    pub rotational: Option<bool>,
    /// The active IO scheduler, when readable (`[bfq]`): IO weights and idle class only count under bfq.
    pub scheduler: Option<Foreign>,
}

/// One mounted file system that can run full, each device once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsRaw {
    /// Mount point.
    pub mount: Foreign,
    /// Device number, `major:minor`.
    pub device: String,
    /// Source as the mount table names it (`/dev/vda`).
    pub source: Foreign,
    /// Type (`ext4`).
    pub kind: Foreign,
    /// Mounted read-only.
    pub read_only: bool,
    /// Read-only because of an error: by `errors=remount-ro`, or the emergency flag of ext4 since Linux 6.14.
    #[serde(default)]
    pub stopped_by_error: bool,
    /// Space, or why it is unknown (a hung mount is `TimedOut`).
    pub space: Seen<FsSpace>,
}

impl FsSpace {
    /// Share in use as `df` counts it: used / (used + free for users); root's reserve is neither.
    #[must_use]
    pub fn used(&self) -> f64 {
        let used = self.total_bytes.saturating_sub(self.free_bytes) as f64;
        used / (used + self.available_bytes as f64).max(1.0)
    }
}

/// `statvfs`, bytes and inodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsSpace {
    /// Size.
    pub total_bytes: u64,
    /// Free, root's reserve included.
    pub free_bytes: u64,
    /// Free for ordinary users.
    pub available_bytes: u64,
    /// Inodes in all; 0 where the file system has no fixed number.
    pub inodes: u64,
    /// Inodes free.
    pub inodes_free: u64,
}
