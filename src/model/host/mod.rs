//! Raw host samples: what the kernel said, as cumulative counters. Serialisable and pure.
//! What never lives here: rates (`model::facts`), reading (`collect::host`).

mod ages;
mod cgroup;
mod changed;
mod file_locks;
mod join;
mod kernel;
mod limits;
mod message;
mod process;
mod socket;
mod storage;

pub use ages::Ages;
pub use cgroup::{CgroupCpu, CgroupIo, CgroupMemory, CgroupPath, CgroupRaw, Controller, IoLimit};
pub use changed::{ChangedFile, ChangedKind};
pub use file_locks::FileLockRaw;
pub use kernel::{
    Clock, CpuRaw, CpuTicks, FilesRaw, Identity, InterfaceRaw, LoadRaw, MemoryRaw, PsiFile, PsiLine, PsiRaw, QueueRaw, TcpRaw,
    VmstatRaw,
};
pub use limits::{DatagramRaw, LimitsRaw, SoftnetRaw};
pub use message::{KernelMessage, MessageKind};
pub use process::{
    Inotify, InotifyUse, OpenFiles, ProcId, ProcIo, ProcRaw, ProcSched, ProcessTable, Serving, ServingProcess, StateHit,
    StateSampling,
};
pub use socket::{Connecting, Listener, PeerLink, Peers, PortUse, Resend, UnixQueue};
pub use storage::{DiskRaw, FsRaw, FsSpace};

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::counter::Stamp;
use super::seen::Seen;

/// One sweep over the fast files of the host, all read within milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostSweep {
    /// When the sweep began.
    pub at: Stamp,
    /// `/proc/stat`.
    pub cpu: Seen<CpuRaw>,
    /// `/proc/loadavg`.
    pub load: Seen<LoadRaw>,
    /// `/proc/pressure/*`.
    pub psi: PsiRaw,
    /// `/proc/meminfo`.
    pub memory: Seen<MemoryRaw>,
    /// `/proc/vmstat`.
    pub vmstat: Seen<VmstatRaw>,
    /// `/proc/diskstats`, with what `/sys/block` says of each device.
    pub disks: Seen<Vec<DiskRaw>>,
    /// `/proc/net/dev`.
    pub interfaces: Seen<Vec<InterfaceRaw>>,
    /// `/proc/net/snmp` and `/proc/net/netstat`.
    pub tcp: Seen<TcpRaw>,
    /// `/proc/sys/fs/file-nr`.
    pub files: Seen<FilesRaw>,
    /// What the kernel said since the sweep before; `None` where its log cannot be read.
    #[serde(default)]
    pub messages: Option<Vec<KernelMessage>>,
    /// Tables that run full.
    #[serde(default)]
    pub limits: LimitsRaw,
    /// UDP sockets that have dropped datagrams, read while some are dropped.
    #[serde(default)]
    pub datagrams: Vec<DatagramRaw>,
    /// File locks that someone waits for; older recordings do not know.
    #[serde(default = "file_locks::unread")]
    pub file_locks: Seen<Vec<FileLockRaw>>,
    /// Control groups with their limits and counters.
    pub cgroups: Seen<Vec<CgroupRaw>>,
    /// The processes that this sweep read, and the others as they were read last.
    pub processes: Seen<ProcessTable>,
}

/// What the host said at one tick. `None`: that probe was not due, the value before still stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HostSample {
    /// Who the host is; sent when it changes and at the start of a recording.
    #[serde(default)]
    pub identity: Option<Identity>,
    /// The fast files.
    #[serde(default)]
    pub sweep: Option<Arc<HostSweep>>,
    /// Why there is no sweep although it was due (the reader hangs).
    #[serde(default)]
    pub hung: Option<super::seen::Lack>,
    /// File systems, from deadline threads.
    #[serde(default)]
    pub filesystems: Option<Seen<Vec<FsRaw>>>,
    /// Task states sampled between two sweeps, under IO pressure only.
    #[serde(default)]
    pub states: Option<StateSampling>,
    /// Which processes serve someone.
    #[serde(default)]
    pub serving: Option<Seen<Serving>>,
    /// Whom they wait for.
    #[serde(default)]
    pub peers: Option<Seen<Peers>>,
    /// What containers and pods are called.
    #[serde(default)]
    pub names: Option<super::named::Names>,
    /// Files that were changed within the last quarter of an hour, the newest first.
    #[serde(default)]
    pub changed: Option<Vec<ChangedFile>>,
}
