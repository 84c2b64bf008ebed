//! A host of two CPUs that does little: a service on :8080 that nobody asks, one disk, one interface, one file system.

use std::sync::Arc;

use crate::detect::series::Series;
use crate::model::facts::{
    CgroupFacts, CoreFacts, CpuFacts, DiskFacts, HostFacts, InterfaceFacts, LimitsFacts, MemoryFacts, PathFacts, ProcFacts, Psi,
    PsiFacts, SocketFacts, TcpFacts, Weight,
};
use crate::model::host::{CgroupPath, Controller, FilesRaw, FsRaw, FsSpace, Identity, LoadRaw, MemoryRaw, ProcId};
use crate::model::seen::{Lack, Seen, Why};

const GIB: u64 = 1 << 30;

/// Why something could not be read.
pub fn unread() -> Lack {
    Lack::new(Why::Denied, "/proc")
}

/// Pressure: the share of the time in which a task stood still.
pub fn pressure(some: f64) -> Seen<Psi> {
    Ok(Psi { some: Some(some), full: Some(0.0), averages: [0.0; 3] })
}

/// A minute and a half of a figure that is now `last` and changes steadily.
pub fn trend(last: f64, per_s: f64) -> Series {
    Series((0..90).map(|at| (f64::from(at), last - per_s * f64::from(89 - at))).collect())
}

/// Who it is.
pub fn identity() -> Identity {
    Identity {
        name: "bench".into(),
        kernel: "6.1".into(),
        os: "Debian".into(),
        cpus: 4,
        memory_bytes: 8 << 30,
        inside: None,
        ticks_per_s: 100,
        page_bytes: 4096,
        autogroup: false,
        root: true,
        self_pid: 1,
        clock: None,
    }
}

/// That host.
pub fn quiet() -> HostFacts {
    HostFacts {
        cpu: Ok(cpu()),
        load: Ok(LoadRaw { one: 0.1, five: 0.1, fifteen: 0.1, runnable: 1, threads: 200 }),
        psi: PsiFacts { cpu: pressure(0.0), memory: pressure(0.0), io: pressure(0.0) },
        memory: Ok(memory()),
        disks: Ok(vec![disk("vda")]),
        filesystems: Ok(Arc::new(vec![filesystem("/")])),
        filesystems_ns: 1,
        interfaces: Ok(vec![interface("eth0")]),
        tcp: Ok(tcp()),
        files: Ok(FilesRaw { allocated: 2_000, limit: 1_000_000 }),
        cgroups: Ok(Vec::new()),
        processes: Ok(vec![service(100, "api", 8080)]),
        messages: Some(Vec::new()),
        datagrams: Vec::new(),
        file_locks: Ok(Vec::new()),
        limits: LimitsFacts {
            packets_per_s: Some(100.0),
            softnet_drops_per_s: Some(0.0),
            squeezes_per_s: Some(0.0),
            conntrack_drops_per_s: Some(0.0),
            ..LimitsFacts::default()
        },
        crowded: Vec::new(),
        inotify: None,
        changed: Arc::default(),
        closely: Arc::default(),
        sockets: Ok(SocketFacts { rounds: 20, ..SocketFacts::default() }),
        names: Arc::default(),
        serving_unreadable: 0,
    }
}

fn cpu() -> CpuFacts {
    let core = |number| CoreFacts { number, busy: Some(0.05), softirq: Some(0.0) };
    CpuFacts {
        busy: 0.05,
        user: 0.04,
        nice: 0.0,
        system: 0.01,
        iowait: 0.0,
        steal: 0.0,
        cores: vec![core(0), core(1)],
        switches_per_s: Some(500.0),
        forks_per_s: Some(1.0),
        run_queue: Some(0.0),
        own: None,
    }
}

fn memory() -> MemoryFacts {
    MemoryFacts {
        raw: MemoryRaw { total: 8 * GIB, free: Some(4 * GIB), available: Some(6 * GIB), ..MemoryRaw::default() },
        available_bytes: 6 * GIB,
        used: 0.25,
        swap_in_bytes_per_s: Some(0.0),
        swap_out_bytes_per_s: Some(0.0),
        refault_bytes_per_s: Some(0.0),
        refault_file_bytes_per_s: Some(0.0),
        read_bytes_per_s: Some(0.0),
        direct_scan_pages_per_s: Some(0.0),
        direct_reclaims_per_s: Some(0.0),
        major_faults_per_s: Some(0.0),
        dirty_share: Some(0.01),
        oom_kills: Some(0),
        oom_kills_ever: Some(0),
    }
}

fn tcp() -> TcpFacts {
    TcpFacts {
        established: Some(10),
        retransmits_per_s: Some(0.0),
        retransmit_share: Some(0.0),
        timeouts_per_s: Some(0.0),
        loss_probes_per_s: Some(0.0),
        syn_retransmits_per_s: Some(0.0),
        listen_overflows_per_s: Some(0.0),
        active_opens_per_s: Some(1.0),
        passive_opens_per_s: Some(1.0),
    }
}

/// A disk that does nothing.
pub fn disk(name: &str) -> DiskFacts {
    DiskFacts {
        name: name.into(),
        number: "254:0".into(),
        leaf: true,
        reads_per_s: 0.0,
        writes_per_s: 0.0,
        flushes_per_s: Some(0.0),
        read_bytes_per_s: 0.0,
        write_bytes_per_s: 0.0,
        read_await_ms: None,
        write_await_ms: None,
        await_ms: None,
        queue: 0.0,
        util: 0.0,
        in_flight: 0,
        rotational: Some(false),
        scheduler: Some("none".into()),
    }
}

/// An interface of 1 Gbit/s that carries nothing.
pub fn interface(name: &str) -> InterfaceFacts {
    InterfaceFacts {
        name: name.into(),
        rx_bytes_per_s: 0.0,
        tx_bytes_per_s: 0.0,
        rx_packets_per_s: 0.0,
        tx_packets_per_s: 0.0,
        bad_packets_per_s: 0.0,
        util: Some(0.0),
        speed_mbit: Some(1000),
        physical: true,
        queued_packets: Some(0.0),
        queue_drops_per_s: Some(0.0),
    }
}

/// A file system of 100 GiB, half full.
pub fn filesystem(mount: &str) -> FsRaw {
    FsRaw {
        mount: mount.into(),
        device: "254:1".into(),
        source: "/dev/vda1".into(),
        kind: "ext4".into(),
        read_only: false,
        stopped_by_error: false,
        space: Ok(FsSpace {
            total_bytes: 100 * GIB,
            free_bytes: 50 * GIB,
            available_bytes: 45 * GIB,
            inodes: 6_000_000,
            inodes_free: 5_000_000,
        }),
    }
}

/// A process that does nothing, and that nobody waits for.
pub fn process(pid: i32, name: &str) -> ProcFacts {
    let id = ProcId { pid, start: 1000 + u64::from(pid.unsigned_abs()) };
    ProcFacts {
        id,
        ppid: 1,
        name: name.into(),
        command: Some(name.into()),
        uid: Some(1000),
        state: 'S',
        nice: 0,
        policy: 0,
        threads: 1,
        kernel: false,
        cpu: Some(0.0),
        hottest: None,
        system: Some(0.0),
        runnable: Some(0.0),
        all_threads: true,
        io_wait: Some(0.0),
        io_rounds: 20,
        sync_wait: Some(0.0),
        read_bytes_per_s: Some(0.0),
        write_bytes_per_s: Some(0.0),
        rss_bytes: 100 << 20,
        private_bytes: 80 << 20,
        rss_growth_bytes_per_s: Some(0.0),
        major_faults_per_s: Some(0.0),
        cgroups: Arc::from([]),
        slices_per_s: Some(10.0),
        children_cpu: Some(0.0),
        short_lived_cpu: Some(0.0),
        processor: 0,
        pinned: None,
        blocked_s: 0.0,
        hung: 0.0,
        wchan: None,
        weight: Weight { value: 0.25, why: "serves no one", known: true, said: false },
        listens: Vec::new(),
        serves_tcp: false,
        serves: Some(false),
        session_leader: false,
        family: id,
        age_s: 0.0,
    }
}

/// A process that listens on a port, so that someone waits for it.
pub fn service(pid: i32, name: &str, port: u16) -> ProcFacts {
    ProcFacts {
        weight: Weight { value: 1.0, why: "serves", known: true, said: false },
        listens: vec![port],
        serves_tcp: true,
        serves: Some(true),
        ..process(pid, name)
    }
}

/// A process that stands in that control group.
pub fn inside(path: &str, process: ProcFacts) -> ProcFacts {
    let group = CgroupPath { controller: Controller::Unified, path: path.into() };
    ProcFacts { cgroups: Arc::from([group]), ..process }
}

/// A control group without any limit.
pub fn cgroup(path: &str) -> CgroupFacts {
    CgroupFacts {
        controller: Controller::Unified,
        path: path.into(),
        directory: format!("/sys/fs/cgroup{path}").as_str().into(),
        throttled_share: None,
        throttled_s_per_s: None,
        quota_cores: None,
        usage_cores: None,
        period_us: None,
        memory_bytes: None,
        memory_limit_bytes: None,
        inactive_file_bytes: None,
        oom_kills: None,
        limit_hits_per_s: None,
        memory_high_bytes: None,
        high_hits_per_s: None,
        memory_pressure: None,
        io_pressure: None,
        refaults_per_s: None,
        io_limits: Vec::new(),
        io_limit_rates: Vec::new(),
        io_bytes_per_s: None,
        io_operations_per_s: None,
        tasks: None,
    }
}

/// Ten sockets to an address, none of which waits.
pub fn path(ip: [u8; 4]) -> PathFacts {
    PathFacts {
        ip: ip.into(),
        sockets: 10,
        timed_out: 0.0,
        retransmits_per_s: 0.0,
        segments_per_s: 1000.0,
        window_limited_s_per_s: 0.0,
    }
}
