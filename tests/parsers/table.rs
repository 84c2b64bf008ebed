//! Every parser of what the kernel prints and of what servers answer, with a real file that it reads. Tests and fuzz targets share this list.

use perftop::collect::host::{
    cgroup, cpu, disk, filesystem, kmsg, limits, memory, network, ports, psi, qdisc, serving::Sockets, sockdiag, stat, unixdiag,
};
use perftop::collect::prometheus::answers as prometheus;
use perftop::collect::redis::{answers, info};
use perftop::config::files;
use perftop::model::mask;

/// A parser: whether it made something of the bytes.
pub type Parser = fn(&[u8]) -> bool;

/// A real file and what reads it.
pub const PARSERS: &[(&str, Parser)] = &[
    ("/proc/stat", |b| cpu::parse_stat(b).is_some_and(|c| !c.cores.is_empty())),
    ("/proc/loadavg", |b| cpu::parse_loadavg(b).is_some()),
    ("/proc/sys/fs/file-nr", |b| cpu::parse_file_nr(b).is_some()),
    ("/proc/pressure/io", |b| psi::parse(b).is_some()),
    ("/proc/pressure/cpu", |b| psi::parse(b).is_some()),
    ("/proc/meminfo", |b| memory::parse_meminfo(b).is_some_and(|m| m.available.is_some())),
    ("/proc/vmstat", |b| memory::parse_vmstat(b).is_some_and(|v| v.pgpgin_kib.is_some())),
    ("/proc/diskstats", |b| !disk::parse(b).is_empty()),
    ("/proc/net/dev", |b| !network::parse_dev(b).is_empty()),
    ("/proc/net/snmp", |b| network::by_name(b, b"Tcp:", b"RetransSegs").is_some()),
    ("/proc/net/netstat", |b| network::by_name(b, b"TcpExt:", b"TCPTimeouts").is_some()),
    ("/proc/self/stat", |b| stat::parse(b).is_some()),
    ("/proc/self/schedstat", |b| stat::parse_sched(b).is_some()),
    ("/proc/self/io", |b| stat::parse_io(b).is_some()),
    ("/proc/self/statm", |b| stat::parse_shared(b).is_some()),
    ("/proc/self/cgroup", |b| stat::parse_cgroups(b).len() < 1000),
    ("/proc/self/mountinfo", |b| !filesystem::relevant(filesystem::parse_mountinfo(b)).is_empty()),
    ("/proc/self/cmdline", |b| !mask::command_line(b).is_empty()),
    ("/proc/net/tcp", |b| {
        let mut sockets = Sockets::default();
        sockets.add_tcp(b);
        sockets.add_unix(b);
        sockets.listening.len() < 100_000
    }),
    ("/proc/net/softnet_stat", |b| limits::parse_softnet(b).is_some_and(|s| s.processed > 0)),
    ("/proc/self/status", |b| stat::parse_allowed(b).is_some_and(|cpus| !cpus.is_empty())),
    ("/proc/self/status", |b| stat::parse_innermost_pid(b).is_some()),
    ("/proc/self/syscall", |b| stat::parse_syscall(b).is_some()),
    ("/proc/net/sockstat", |b| ports::parse_time_wait(b).is_some()),
    ("/proc/self/limits", |b| stat::parse_open_files(b).is_some()),
    ("tests/fixtures/kmsg.txt", |b| kmsg::parse(b).is_some()),
    ("tests/fixtures/nf_conntrack.txt", |b| limits::parse_conntrack(b).is_some()),
    ("/proc/vmstat", |b| cgroup::keyed(b, b"pgpgin").is_some()),
    // A recorded dump (Linux 6.18): IPv4 and IPv6, two listeners, three established sockets, the end.
    ("tests/fixtures/sock_diag.bin", |b| {
        let mut rows = 0;
        sockdiag::parse(b, &mut |_| rows += 1);
        rows >= 5
    }),
    // A recorded dump (Linux 6.18) of three listening unix sockets, two of them with waiting connections.
    ("tests/fixtures/unix_diag.bin", |b| {
        let mut rows = Vec::new();
        unixdiag::parse(b, &mut |queue| rows.push((queue.waiting, queue.backlog)));
        rows.sort_unstable();
        rows == [(1, 128), (2, 8)]
    }),
    // A recorded dump (Linux 6.18) of the queues of a loopback and a card.
    ("tests/fixtures/qdisc.bin", |b| {
        let mut rows = 0;
        qdisc::parse(b, &mut |_, _| rows += 1);
        rows >= 1
    }),
    // Recorded answers (Redis 7.0.15): a primary with a replica, a monitor, two slow commands.
    ("tests/fixtures/redis/info_7.0.txt", |b| {
        let info = info::parse(b);
        info.number("used_memory").is_some() && !info.commands.is_empty() && info.replicas.len() == 1
    }),
    ("tests/fixtures/redis/clients_7.0.txt", |b| answers::clients(b, None).all == 4),
    ("tests/fixtures/redis/slowlog_7.0.resp", |b| answers::whole(b).is_some_and(|v| answers::slowlog(&v).entries.len() > 3)),
    ("tests/fixtures/redis/histogram_7.0.resp", |b| answers::whole(b).is_some_and(|v| answers::histograms(&v).len() > 5)),
    ("tests/fixtures/redis/config_7.0.resp", |b| answers::whole(b).is_some_and(|v| answers::settings(&v).len() > 150)),
    // Recorded answers (Prometheus 2.42): a histogram, two counters over two minutes, two alerts.
    ("tests/fixtures/prometheus/query_2.42.json", |b| prometheus::series(b).is_ok_and(|told| told.data.len() == 7)),
    ("tests/fixtures/prometheus/range_2.42.json", |b| {
        prometheus::series(b).is_ok_and(|told| told.data.iter().all(|s| s.points.len() == 9))
    }),
    ("tests/fixtures/prometheus/alerts_2.42.json", |b| prometheus::alerts(b).is_ok_and(|told| told.data.len() == 2)),
    ("tests/fixtures/prometheus/buildinfo_2.42.json", |b| prometheus::open::<prometheus::Build>(b).is_ok()),
    ("tests/fixtures/seeds/dashboards/engineer-assistant-dashboard.json", |b| {
        std::str::from_utf8(b).is_ok_and(|text| files::dashboard("f", text).is_ok_and(|d| d.panels.len() == 8))
    }),
    ("tests/fixtures/seeds/rules/sigma-alerts.yml", |b| {
        std::str::from_utf8(b).is_ok_and(|text| files::rules("f", text).is_ok_and(|rules| rules.len() == 5))
    }),
];
