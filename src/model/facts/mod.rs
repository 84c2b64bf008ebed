//! Facts: derived purely from raw samples. Every formula names its source, unit and denominator.
//! What never lives here: thresholds and verdicts (`detect`).
//!
//! A window is a run of snapshots, oldest first; rates are taken between its ends. Counters that go back, gaps,
//! suspends and first samples give a [`Lack`], never a number.

mod cgroup;
mod contained;
mod cpu;
mod disk;
mod file_locks;
mod foreground;
mod kernel;
mod limits;
mod missing;
pub(super) mod postgres;
pub(super) mod process;
mod processes;
pub(super) mod prometheus;
mod reaped;
pub(super) mod redis;
mod servers;
mod socket;

use std::sync::Arc;

pub use cgroup::CgroupFacts;
pub use contained::quota_cores;
pub use cpu::{CoreFacts, CpuFacts, OwnCpu};
pub use disk::DiskFacts;
pub use file_locks::FileLockFacts;
pub use foreground::{Weight, WeightOverrides};
pub use kernel::{InterfaceFacts, MemoryFacts, Psi, PsiFacts, TcpFacts};
pub use limits::{DatagramFacts, LimitsFacts};
pub use postgres::{Activities, Chains, Holder, PgFacts, Root, SessionFacts};
pub use process::ProcFacts;
pub use prometheus::PrometheusFacts;
pub use redis::{CommandFacts, RedisFacts, Trips};
pub use servers::ServerFacts;
pub use socket::{ConnectingFacts, ListenerFacts, PathFacts, PeerFacts, QueueFacts, SocketFacts};

use super::counter::Stamp;
use super::demand::Closely;
use super::host::{ChangedFile, FilesRaw, FsRaw, HostSweep, Identity, Inotify, KernelMessage, LoadRaw, OpenFiles};
use super::named::Names;
use super::sample::Snapshot;
use super::seen::{Lack, Seen, Why};
use super::source::SourceStatus;

/// What is known at one evaluation.
#[derive(Debug, Clone)]
pub struct Facts {
    /// When.
    pub at: Stamp,
    /// The host's newest reading is late: what is known of it is that of the one before, once more.
    pub late: bool,
    /// Seconds between the ends of the window; 0 with a single sample.
    pub window_s: f64,
    /// Who the host is.
    pub identity: Option<Arc<Identity>>,
    /// The host.
    pub host: HostFacts,
    /// Servers.
    pub servers: ServerFacts,
    /// Sources and their states.
    pub sources: Arc<Vec<SourceStatus>>,
    /// What the operator re-weighed: it stands in the header as long as it holds.
    pub weighed: WeightOverrides,
}

/// Facts of the host.
#[derive(Debug, Clone)]
pub struct HostFacts {
    /// CPU shares.
    pub cpu: Seen<CpuFacts>,
    /// Load averages.
    pub load: Seen<LoadRaw>,
    /// Pressure.
    pub psi: PsiFacts,
    /// Memory levels and rates.
    pub memory: Seen<MemoryFacts>,
    /// Block devices.
    pub disks: Seen<Vec<DiskFacts>>,
    /// File systems, as read last.
    pub filesystems: Seen<Arc<Vec<FsRaw>>>,
    /// When they were read, CLOCK_MONOTONIC ns.
    pub filesystems_ns: u64,
    /// Network interfaces.
    pub interfaces: Seen<Vec<InterfaceFacts>>,
    /// TCP counters.
    pub tcp: Seen<TcpFacts>,
    /// Descriptors of the whole system.
    pub files: Seen<FilesRaw>,
    /// Control groups.
    pub cgroups: Seen<Vec<CgroupFacts>>,
    /// Processes.
    pub processes: Seen<Vec<ProcFacts>>,
    /// What the kernel said lately, oldest first; `None` where its log cannot be read.
    pub messages: Option<Vec<KernelMessage>>,
    /// Tables that run full.
    pub limits: LimitsFacts,
    /// UDP sockets that drop datagrams, most first.
    pub datagrams: Vec<DatagramFacts>,
    /// File locks that someone waits for, most waiting first.
    pub file_locks: Seen<Vec<FileLockFacts>>,
    /// Processes with more than half of their descriptors taken.
    pub crowded: Vec<OpenFiles>,
    /// What users have of inotify, and may have; `None` before the descriptors were read.
    pub inotify: Option<Inotify>,
    /// Sockets: who waits for whom.
    pub sockets: Seen<SocketFacts>,
    /// What containers and pods are called.
    pub names: Arc<Names>,
    /// Files that were changed lately, the newest first.
    pub changed: Arc<Vec<ChangedFile>>,
    /// Processes that were looked at closely lately.
    pub closely: Arc<Closely>,
    /// True when the sockets of other users' processes could not be seen, so that their weight is a guess.
    pub serving_unreadable: u32,
}

/// The newest reading stands for so long while the next one is late.
const LATE_S: f64 = 3.0;

impl Facts {
    /// Derives the facts of the newest snapshot of `window` (oldest first).
    #[must_use]
    pub fn derive(window: &[Arc<Snapshot>], overrides: &WeightOverrides) -> Self {
        let Some(newest) = window.last() else { return Self::empty() };
        let identity = newest.identity.clone();
        let sweeps: Vec<&HostSweep> = window.iter().filter_map(|s| s.sweep.as_deref().ok()).collect();
        // A host so busy that one reading is late is judged by the one before: that it is slow is no reason to know nothing of it.
        let late = |new: &&HostSweep| newest.at.seconds_since(&new.at).is_some_and(|s| s <= LATE_S);
        let known = match &newest.sweep {
            Err(lack) if lack.why == Why::TimedOut => sweeps.last().copied().filter(late).ok_or(lack),
            sweep => sweep.as_deref(),
        };
        let host = match known {
            Err(lack) => HostFacts::unknown(lack, newest),
            Ok(new) => HostFacts::derive(new, &sweeps, window, overrides),
        };
        let window_s = match (sweeps.first(), sweeps.last()) {
            (Some(old), Some(new)) => new.at.seconds_since(&old.at).unwrap_or(0.0),
            _ => 0.0,
        };
        let servers = ServerFacts::derive(window, host.processes.as_deref().unwrap_or_default());
        let (sources, weighed) = (newest.sources.clone(), overrides.clone());
        let late = newest.sweep.is_err() && host.processes.is_ok();
        Self { at: newest.at, late, window_s, identity, host, servers, sources, weighed }
    }

    fn empty() -> Self {
        let snapshot = Snapshot::default();
        let host = HostFacts::unknown(&Lack::new(Why::NotYet, "host sweep"), &snapshot);
        Self {
            at: Stamp::default(),
            late: false,
            window_s: 0.0,
            identity: None,
            host,
            servers: ServerFacts::default(),
            sources: Arc::default(),
            weighed: WeightOverrides::default(),
        }
    }

    /// CPUs online, at least 1.
    #[must_use]
    pub fn cpus(&self) -> f64 {
        let online = self.host.cpu.as_ref().map(|c| c.cores.len()).unwrap_or(0);
        let known = self.identity.as_ref().map_or(1, |i| i.cpus as usize);
        if online > 0 { online as f64 } else { known.max(1) as f64 }
    }

    /// The processes, empty when unknown.
    #[must_use]
    pub fn processes(&self) -> &[ProcFacts] {
        self.host.processes.as_deref().unwrap_or_default()
    }
}

impl HostFacts {
    fn derive(new: &HostSweep, sweeps: &[&HostSweep], window: &[Arc<Snapshot>], ov: &WeightOverrides) -> Self {
        let newest = &window[window.len() - 1];
        // The older end: the oldest sweep from which the clocks ran through.
        let old = sweeps.iter().find(|s| new.at.seconds_since(&s.at).is_some()).copied();
        let slept = sweeps.len() > 1 && old.is_none();
        let no_rate = |what: &str| if slept { Lack::reset(what) } else { Lack::first_sample(what) };
        let page_bytes = newest.identity.as_ref().map_or(4096, |i| i.page_bytes);
        let cgroups = cgroup::derive(sweeps, new);
        let memory = kernel::memory(old, new, page_bytes).map(|mut memory| {
            contained::measure(&mut memory, cgroups.as_deref().unwrap_or_default());
            memory
        });
        let processes = processes::derive(old, new, sweeps, window, ov);
        let inside = newest.identity.as_ref().is_some_and(|i| i.inside.is_some());
        let cpu = cpu::derive(old, new, sweeps).unwrap_or_else(|| Err(no_rate("/proc/stat"))).map(|mut cpu| {
            cpu.own = contained::cpu(&cpu, cgroups.as_deref().unwrap_or_default(), processes.as_deref().ok(), inside);
            cpu
        });
        Self {
            cpu,
            load: new.load.clone(),
            psi: PsiFacts::derive(old, new),
            memory,
            disks: disk::derive(old, new).unwrap_or_else(|| Err(no_rate("/proc/diskstats"))),
            filesystems: newest.filesystems.clone(),
            filesystems_ns: newest.filesystems_ns,
            interfaces: kernel::interfaces(old, new, sweeps).unwrap_or_else(|| Err(no_rate("/proc/net/dev"))),
            tcp: kernel::tcp(old, new).unwrap_or_else(|| Err(no_rate("/proc/net/snmp"))),
            files: new.files.clone(),
            cgroups,
            file_locks: file_locks::derive(new, sweeps, processes.as_deref().unwrap_or_default()),
            processes,
            messages: newest.messages.as_deref().cloned(),
            limits: limits::derive(old, new),
            datagrams: limits::datagrams(sweeps, new),
            crowded: newest.serving.as_ref().map(|s| s.files.clone()).unwrap_or_default(),
            inotify: newest.serving.as_ref().ok().map(|s| s.inotify.clone()).filter(|i| i.limits.is_some()),
            sockets: socket::derive(window),
            names: newest.names.clone(),
            changed: newest.changed.clone(),
            closely: newest.closely.clone(),
            serving_unreadable: newest.serving.as_ref().map_or(0, |s| s.unreadable.len() as u32),
        }
    }

    fn unknown(lack: &Lack, newest: &Snapshot) -> Self {
        Self {
            cpu: Err(lack.clone()),
            load: Err(lack.clone()),
            psi: PsiFacts { cpu: Err(lack.clone()), memory: Err(lack.clone()), io: Err(lack.clone()) },
            memory: Err(lack.clone()),
            disks: Err(lack.clone()),
            filesystems: newest.filesystems.clone(),
            filesystems_ns: newest.filesystems_ns,
            interfaces: Err(lack.clone()),
            tcp: Err(lack.clone()),
            files: Err(lack.clone()),
            cgroups: Err(lack.clone()),
            processes: Err(lack.clone()),
            messages: newest.messages.as_deref().cloned(),
            limits: LimitsFacts::default(),
            datagrams: Vec::new(),
            file_locks: Err(lack.clone()),
            crowded: Vec::new(),
            inotify: None,
            sockets: Err(lack.clone()),
            names: newest.names.clone(),
            changed: newest.changed.clone(),
            closely: newest.closely.clone(),
            serving_unreadable: 0,
        }
    }
}
