//! A process, as it was over the window.

use std::sync::Arc;

use crate::model::foreign::Foreign;
use crate::model::host::{CgroupPath, ProcId};

use super::foreground::Weight;

/// One process. Times are seconds per second of its own interval, so cores for `cpu`.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcFacts {
    /// Who.
    pub id: ProcId,
    /// Parent pid.
    pub ppid: i32,
    /// Name.
    pub name: Foreign,
    /// Masked arguments.
    pub command: Option<Foreign>,
    /// Owner.
    pub uid: Option<u32>,
    /// State letter in the newest sample.
    pub state: char,
    /// Nice value.
    pub nice: i32,
    /// Scheduling policy.
    pub policy: u32,
    /// Threads.
    pub threads: u32,
    /// Kernel thread.
    pub kernel: bool,
    /// On a CPU (cores); `None` with one sample.
    pub cpu: Option<f64>,
    /// Its busiest thread (cores); `None` where the threads were not read.
    pub hottest: Option<f64>,
    /// In the kernel (cores).
    pub system: Option<f64>,
    /// Runnable, waiting for a CPU; `None` when schedstat is missing.
    pub runnable: Option<f64>,
    /// Every thread's wait is in `runnable`.
    pub all_threads: bool,
    /// Waiting in uninterruptible sleep: threads in state D per sample. Delay accounting (field 42 of the stat files)
    /// is not used: on Linux 6.18 it showed 794 s for 0.12 s of real waiting, and 0 for tasks that are older than
    /// the switch.
    pub io_wait: Option<f64>,
    /// Samples behind `io_wait`.
    pub io_rounds: u32,
    /// Of `io_wait` the part inside fsync and its kind; `None` when that may not be read.
    pub sync_wait: Option<f64>,
    /// Bytes per second that reached the block layer; `None` without rights.
    pub read_bytes_per_s: Option<f64>,
    /// Bytes per second dirtied, less those taken back.
    pub write_bytes_per_s: Option<f64>,
    /// Resident bytes.
    pub rss_bytes: u64,
    /// Of them its own: without files and shared memory, where that is known.
    pub private_bytes: u64,
    /// Growth of the resident bytes per second.
    pub rss_growth_bytes_per_s: Option<f64>,
    /// Major faults per second.
    pub major_faults_per_s: Option<f64>,
    /// Control groups other than the root.
    pub cgroups: Arc<[CgroupPath]>,
    /// Times on a CPU per second, all threads: each is a switch to it.
    pub slices_per_s: Option<f64>,
    /// What its children used within the window that it waited for (cores).
    pub children_cpu: Option<f64>,
    /// The part of it of children that lived for a moment.
    pub short_lived_cpu: Option<f64>,
    /// CPU that it ran on last.
    pub processor: u32,
    /// The CPUs that it may use, where they are fewer than there are.
    pub pinned: Option<Vec<u32>>,
    /// Seconds of the window in which it was in state D at every sweep up to now.
    pub blocked_s: f64,
    /// Of `io_wait` the threads that stand in one place for seconds, which is not a wait for a disk.
    pub hung: f64,
    /// Where in the kernel it sleeps in state D.
    pub wchan: Option<Foreign>,
    /// Foreground weight.
    pub weight: Weight,
    /// Ports it listens on.
    pub listens: Vec<u16>,
    /// It listens on a port or holds accepted connections.
    pub serves_tcp: bool,
    /// It serves someone, be it through a unix socket; `None` where its sockets cannot be seen.
    pub serves: Option<bool>,
    /// The first process of a session with a terminal: someone is logged in there.
    pub session_leader: bool,
    /// The oldest ancestor that it was forked from without a new program: workers and their master are one.
    pub family: ProcId,
    /// Seconds since this row was read.
    pub age_s: f64,
}

impl ProcFacts {
    /// Name and pid as people write them.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{} (pid {})", self.name, self.id.pid)
    }
}
