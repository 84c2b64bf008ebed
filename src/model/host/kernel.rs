//! Raw figures of the whole kernel: CPU, load, pressure, memory, network, open files, identity.

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;
use crate::model::seen::Seen;

/// Who this host is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Host name (`/proc/sys/kernel/hostname`).
    pub name: Foreign,
    /// Kernel release (`/proc/sys/kernel/osrelease`).
    pub kernel: Foreign,
    /// Operating system, as its vendor names it.
    pub os: Foreign,
    /// CPUs online at the start.
    pub cpus: u32,
    /// Memory in bytes (MemTotal).
    pub memory_bytes: u64,
    /// "container" or "pod" when we can tell that we are inside one.
    pub inside: Option<String>,
    /// Clock ticks per second (USER_HZ), the unit of `/proc/stat` and `/proc/PID/stat`.
    pub ticks_per_s: u64,
    /// Page size in bytes.
    pub page_bytes: u64,
    /// Whether `kernel.sched_autogroup_enabled` is on: nice then acts within one session only.
    pub autogroup: bool,
    /// Whether we read as root.
    pub root: bool,
    /// The pid of perftop itself, as the process table counts it; its own cost is nobody's bottleneck.
    pub self_pid: i32,
    /// From where the kernel has the time; `None` where that is not told.
    #[serde(default)]
    pub clock: Option<Clock>,
}

/// The clock source, and those that the kernel offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "current_clocksource and available_clocksource")]
pub struct Clock {
    pub current: String,
    pub available: String,
}

/// One `cpu` line of `/proc/stat`, USER_HZ ticks. `guest` is inside `user` already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct CpuTicks {
    pub user: u64,
    pub nice: u64,
    pub system: u64,
    pub idle: u64,
    pub iowait: u64,
    pub irq: u64,
    pub softirq: u64,
    pub steal: u64,
}

/// `/proc/stat`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CpuRaw {
    /// The sum line.
    pub total: CpuTicks,
    /// One per online CPU, by its number.
    pub cores: Vec<(u32, CpuTicks)>,
    /// Context switches since boot.
    pub context_switches: Option<u64>,
    /// Forks since boot.
    pub forks: Option<u64>,
    /// Threads running or ready, ourselves included, at that instant.
    pub procs_running: Option<u64>,
    /// Threads waiting for IO at that instant.
    pub procs_blocked: Option<u64>,
    /// Boot time, seconds since 1970.
    pub boot_s: Option<u64>,
}

/// `/proc/loadavg`: counts tasks in state D too.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct LoadRaw {
    pub one: f64,
    pub five: f64,
    pub fifteen: f64,
    pub runnable: u64,
    pub threads: u64,
}

/// One line of a pressure file: averages in percent, `total` in microseconds since boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct PsiLine {
    pub avg10: f64,
    pub avg60: f64,
    pub avg300: f64,
    pub total_us: u64,
}

/// One pressure file. `full` is absent for CPU before Linux 5.13 and means nothing there system-wide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct PsiFile {
    pub some: PsiLine,
    pub full: Option<PsiLine>,
}

/// `/proc/pressure/{cpu,memory,io}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct PsiRaw {
    pub cpu: Seen<PsiFile>,
    pub memory: Seen<PsiFile>,
    pub io: Seen<PsiFile>,
}

/// `/proc/meminfo`, bytes. A line that the kernel does not print is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct MemoryRaw {
    pub total: u64,
    pub free: Option<u64>,
    pub available: Option<u64>,
    pub buffers: Option<u64>,
    pub cached: Option<u64>,
    pub shmem: Option<u64>,
    pub slab_reclaimable: Option<u64>,
    pub swap_total: Option<u64>,
    pub swap_free: Option<u64>,
    pub dirty: Option<u64>,
    pub writeback: Option<u64>,
    pub anonymous: Option<u64>,
    /// Kernel memory that cannot be given back (`SUnreclaim`).
    #[serde(default)]
    pub slab_kept: Option<u64>,
    #[serde(default)]
    pub page_tables: Option<u64>,
    #[serde(default)]
    pub kernel_stacks: Option<u64>,
    #[serde(default)]
    pub per_cpu: Option<u64>,
    /// Huge pages that are set aside and that nobody uses or has reserved, bytes.
    #[serde(default)]
    pub huge_unused: Option<u64>,
}

/// `/proc/vmstat`, pages or events since boot. A name that the kernel lacks is `None`, never 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct VmstatRaw {
    pub pgmajfault: Option<u64>,
    pub pswpin: Option<u64>,
    pub pswpout: Option<u64>,
    pub refault_file: Option<u64>,
    pub refault_anon: Option<u64>,
    pub pgscan_direct: Option<u64>,
    pub pgsteal_direct: Option<u64>,
    pub pgscan_kswapd: Option<u64>,
    /// Sum of the `allocstall_*` zones.
    pub allocstall: Option<u64>,
    pub oom_kill: Option<u64>,
    /// `nr_dirty` + `nr_writeback`, pages now.
    #[serde(default)]
    pub dirty: Option<u64>,
    /// `nr_dirty_threshold`, pages from which writers are held back.
    #[serde(default)]
    pub dirty_limit: Option<u64>,
    /// `pgpgin`, KiB read from block devices since boot.
    pub pgpgin_kib: Option<u64>,
}

/// One interface of `/proc/net/dev` with what `/sys/class/net` says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct InterfaceRaw {
    pub name: Foreign,
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
    /// Megabits per second; `None` for virtual ones.
    pub speed_mbit: Option<u64>,
    /// Backed by hardware (or a paravirtual device), so counted in sums: bonds, bridges, veth are views.
    pub physical: bool,
    /// Its outermost queue; `None` where it has none or the kernel does not tell.
    #[serde(default)]
    pub queue: Option<QueueRaw>,
}

/// The queue in front of an interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRaw {
    /// Packets that wait to be sent, now.
    pub packets: u32,
    /// Packets dropped because too many waited, ever; 32 bits.
    pub drops: u32,
}

/// Counters of TCP in the reader's network namespace, by name from `/proc/net/snmp` and `/proc/net/netstat`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct TcpRaw {
    pub curr_estab: Option<u64>,
    pub out_segs: Option<u64>,
    pub retrans_segs: Option<u64>,
    pub orig_data_sent: Option<u64>,
    pub timeouts: Option<u64>,
    pub syn_retrans: Option<u64>,
    pub listen_overflows: Option<u64>,
    pub listen_drops: Option<u64>,
    pub active_opens: Option<u64>,
    pub passive_opens: Option<u64>,
    pub spurious_rtos: Option<u64>,
    #[serde(default)]
    pub loss_probes: Option<u64>,
    /// Connections that were ended for lack of memory, or for too many orphans (`TCPAbortOnMemory`).
    #[serde(default)]
    pub aborted_on_memory: Option<u64>,
    /// Datagrams of UDP that came in, and those that found their socket's buffer full (IPv4).
    #[serde(default)]
    pub datagrams: Option<u64>,
    #[serde(default)]
    pub datagrams_dropped: Option<u64>,
}

/// `/proc/sys/fs/file-nr`: descriptors allocated, and their limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct FilesRaw {
    pub allocated: u64,
    pub limit: u64,
}
