//! Messages of the kernel that matter to a diagnosis.

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// A device did not read or write.
    IoError,
    /// A file system found itself damaged, or stopped.
    FsError,
    /// A task stood in state D for minutes.
    HungTask,
    /// The OOM killer ran.
    OomKill,
    /// Connection tracking is full.
    TableFull,
    /// The table of neighbours is full: addresses of a link cannot be found.
    NeighbourFull,
    /// More connects than a listener takes.
    SynFlood,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelMessage {
    /// CLOCK_MONOTONIC, µs, as the kernel stamps it.
    pub at_us: u64,
    /// What it is about.
    pub kind: MessageKind,
    /// The device that it names.
    pub device: Option<Foreign>,
    /// The message.
    pub text: Foreign,
}
