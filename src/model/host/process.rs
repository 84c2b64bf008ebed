//! Raw figures of processes, their states between sweeps, and whom they serve.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;

use super::cgroup::CgroupPath;

/// A process for ever: its pid and its start in clock ticks after boot (stat field 22), so that a reused pid
/// is another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcId {
    /// The pid.
    pub pid: i32,
    /// Start, clock ticks after boot.
    pub start: u64,
}

impl std::fmt::Display for ProcId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.pid, self.start)
    }
}

/// One process, counters since its start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcRaw {
    /// Who.
    pub id: ProcId,
    /// When this row was read (CLOCK_MONOTONIC ns); older than the sweep for those not in turn.
    pub mono_ns: u64,
    /// Parent pid.
    pub ppid: i32,
    /// Name (stat field 2).
    pub comm: Foreign,
    /// Arguments with secrets masked; `None` before they were read, empty for kernel threads.
    pub command: Option<Foreign>,
    /// Owner.
    pub uid: Option<u32>,
    /// State letter.
    pub state: char,
    /// Pid of the first process of its session; 0 in recordings from before it was read.
    #[serde(default)]
    pub session: i32,
    /// Controlling terminal, 0 = none.
    pub tty: i32,
    /// Kernel thread (PF_KTHREAD in field 9).
    pub kernel: bool,
    /// utime + stime, ticks, all threads.
    pub cpu_ticks: u64,
    /// stime alone, ticks.
    pub system_ticks: u64,
    /// Nice value.
    pub nice: i32,
    /// Scheduling policy (0 other, 1 FIFO, 2 RR, 3 batch, 5 idle, 6 deadline).
    pub policy: u32,
    /// Threads.
    pub threads: u32,
    /// Resident pages.
    pub rss_pages: u64,
    /// Of the resident pages those of files and of shared memory, which others may have too (statm field 3): as they were when the
    /// resident pages changed last; `None` for one that never grew while it was seen.
    #[serde(default)]
    pub shared_pages: Option<u64>,
    /// Major faults since start.
    pub major_faults: u64,
    /// schedstat; `None` when unreadable.
    pub sched: Option<ProcSched>,
    /// `/proc/PID/io`; `None` without rights.
    pub io: Option<ProcIo>,
    /// Control groups other than the root.
    pub cgroups: Arc<[CgroupPath]>,
    /// cutime + cstime, ticks: what its children used that it waited for.
    #[serde(default)]
    pub child_ticks: u64,
    /// CPU that it ran on last.
    #[serde(default)]
    pub processor: u32,
    /// The CPUs that it may use, where they are fewer than there are: `Cpus_allowed_list`.
    #[serde(default)]
    pub pinned: Option<Vec<u32>>,
    /// Threads beside the main one in state D when they were read last (every few sweeps, where there are several).
    #[serde(default)]
    pub blocked_threads: u32,
    /// Where in the kernel it sleeps, read while it is in state D at two sweeps in a row.
    #[serde(default)]
    pub wchan: Option<Foreign>,
}

/// `/proc/PID/schedstat`, nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcSched {
    /// On a CPU.
    pub run_ns: u64,
    /// Runnable, waiting for a CPU.
    pub wait_ns: u64,
    /// Times on a CPU.
    pub slices: u64,
    /// Of `run_ns` that of the busiest thread between each two readings: it grows as fast as the clock where one thread is full.
    #[serde(default)]
    pub hottest_ns: u64,
    /// Summed over all threads; otherwise the main thread only.
    pub all_threads: bool,
}

/// `/proc/PID/io`: bytes that reached the block layer. `write` counts when pages are dirtied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct ProcIo {
    pub read_bytes: u64,
    pub write_bytes: u64,
    pub cancelled_write_bytes: u64,
}

/// All processes of a sweep.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessTable {
    /// One row per process, by pid; those that a sweep did not read are shared with the one before it.
    pub rows: Vec<Arc<ProcRaw>>,
    /// How many rows this sweep read; the others are older, within the scan's budget.
    pub fresh: u32,
    /// Pids that vanished or could not be parsed while being read.
    pub unreadable: u32,
}

/// Task states seen between two sweeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSampling {
    /// What the samples stand for: slots of 10 ms between the first and the last of them. (Recordings without `looks`:
    /// the samples themselves.)
    pub rounds: u32,
    /// Number of samples: the n of a sampling error.
    #[serde(default)]
    pub looks: u32,
    /// Who was seen in uninterruptible sleep, and for how many thread-slots: each sample stands for half the time
    /// to the one before and half the time to the one after.
    pub blocked: Vec<StateHit>,
}

/// One process of a [`StateSampling`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateHit {
    /// Who.
    pub id: ProcId,
    /// Threads in state D, each times the slots.
    pub hits: u32,
    /// Of them those inside fsync and its kind; `None` when that may not be read.
    #[serde(default)]
    pub syncing: Option<u32>,
}

/// Which processes serve someone: listening or accepted sockets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// When it was read (CLOCK_BOOTTIME ns): a process that started later is not judged by it.
    pub boot_ns: u64,
    /// One per process whose descriptors could be read and that holds a socket that counts, sorted by it.
    pub processes: Vec<ServingProcess>,
    /// Processes whose descriptors could not be read, sorted.
    pub unreadable: Vec<ProcId>,
    /// Processes with more than half of the descriptors that they may have, fullest first.
    #[serde(default)]
    pub files: Vec<OpenFiles>,
    /// What users have of inotify.
    #[serde(default)]
    pub inotify: Inotify,
}

/// Inotify: what users have of it, and what each may have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inotify {
    /// Those with most instances, most first.
    pub users: Vec<InotifyUse>,
    /// Instances and watches that a user may have.
    pub limits: Option<(u64, u64)>,
}

/// What a user has of inotify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InotifyUse {
    /// The user.
    pub uid: u32,
    /// Descriptors of inotify.
    pub instances: u64,
    /// Watches; `None` where the limit is so large that they are not counted.
    pub watches: Option<u64>,
    /// The process with most instances.
    pub most: ProcId,
    /// The process with most watches.
    pub most_watches: Option<ProcId>,
}

/// Descriptors of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenFiles {
    /// Whose.
    pub id: ProcId,
    /// Links in `/proc/PID/fd`.
    pub open: u64,
    /// Those of them that are sockets; `None` where that was not recorded.
    #[serde(default)]
    pub sockets: Option<u64>,
    /// Soft limit, "Max open files" of `/proc/PID/limits`.
    pub limit: u64,
}

impl Serving {
    /// The sockets of that process; the list is sorted by it.
    #[must_use]
    pub fn of(&self, id: ProcId) -> Option<&ServingProcess> {
        self.processes.binary_search_by_key(&id, |p| p.id).ok().and_then(|at| self.processes.get(at))
    }
}

/// The sockets of one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServingProcess {
    /// Who.
    pub id: ProcId,
    /// TCP ports it listens on.
    pub listens: Vec<u16>,
    /// Listens on a unix socket.
    pub listens_unix: bool,
    /// Established sockets whose local port has a listener here.
    pub accepted: u32,
    /// Connected unix sockets that bear the name of a listener.
    #[serde(default)]
    pub accepted_unix: u32,
}
