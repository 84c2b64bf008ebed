//! Figures of the host, of its sockets and of the judgement itself.

use super::row::{Origin, origin};

pub(super) const ORIGINS: &[Origin] = &[
    origin(
        "host.cpu",
        "/proc/stat, line cpu and cpuN",
        "busy = (Δtotal - Δidle - Δiowait - Δsteal) / Δtotal of all online CPUs",
        "grep ^cpu /proc/stat",
    ),
    origin(
        "host.runqueue",
        "/proc/stat, procs_running",
        "median over the window of procs_running - 1 (perftop), threads",
        "grep procs_running /proc/stat",
    ),
    origin(
        "host.load",
        "/proc/loadavg",
        "exponential averages over 1, 5, 15 min of runnable and state-D tasks",
        "cat /proc/loadavg",
    ),
    origin(
        "host.psi.cpu",
        "/proc/pressure/cpu, some total",
        "Δtotal µs / Δt µs; before the second sample avg10",
        "cat /proc/pressure/cpu",
    ),
    origin("host.psi.memory", "/proc/pressure/memory, some and full total", "Δtotal µs / Δt µs", "cat /proc/pressure/memory"),
    origin("host.psi.io", "/proc/pressure/io, some and full total", "Δtotal µs / Δt µs", "cat /proc/pressure/io"),
    origin(
        "host.memory",
        "/proc/meminfo",
        "available = MemAvailable; used = 1 - MemAvailable / MemTotal",
        "grep -E 'MemTotal|MemAvailable' /proc/meminfo",
    ),
    origin(
        "host.vmstat",
        "/proc/vmstat",
        "Δcounter / Δt; refault bytes = Δ(workingset_refault_file + _anon) x page size",
        "grep -E 'refault|pgscan_direct|allocstall|oom_kill|pswp' /proc/vmstat",
    ),
    origin(
        "host.disks",
        "/proc/diskstats",
        "await = Δ(ms of reads, writes, discards, flushes) / Δoperations; aqu-sz = Δweighted ms / Δt ms; util = Δio ms / Δt ms",
        "iostat -x 1",
    ),
    origin(
        "host.filesystems",
        "statvfs(2) of each mount, every 3 s, up to 10 s by its cost",
        "free for users = f_bavail x f_frsize",
        "df -h; df -i",
    ),
    origin(
        "host.interfaces",
        "/proc/net/dev, /sys/class/net/*/speed",
        "Δbytes / Δt; util = 8 Δbytes / Δt / speed, the busier direction",
        "ip -s link",
    ),
    origin(
        "host.queues",
        "rtnetlink, RTM_GETQDISC: gnet_stats_queue of each interface's outermost queue",
        "Δdrops / Δt; packets = mean of qlen over the sweeps of the window",
        "tc -s qdisc",
    ),
    origin(
        "host.tcp",
        "/proc/net/snmp, /proc/net/netstat, by name",
        "Δcounter / Δt; share = ΔRetransSegs / ΔTCPOrigDataSent from 100 segments on",
        "nstat -az TcpRetransSegs TcpExtTCPOrigDataSent TcpExtTCPTimeouts",
    ),
    origin("host.files", "/proc/sys/fs/file-nr, fields 1 and 3", "allocated / limit", "cat /proc/sys/fs/file-nr"),
    origin(
        "host.processes",
        "/proc/PID/stat, fields 14, 15 and 24; statm, field 3",
        "Δ(utime + stime) / USER_HZ / Δt, cores; resident = RSS; private = RSS without file and shared pages, bytes",
        "top -H -p PID",
    ),
    origin(
        "host.schedstat",
        "/proc/PID/task/*/schedstat, fields 1 and 2",
        "run delay = Δfield 2 ns / Δt ns summed over the threads, s/s",
        "cat /proc/PID/task/*/schedstat",
    ),
    origin(
        "host.iodelay",
        "/proc/PID/task/*/stat, field 3, sampled ten times a second while PSI io grows, three times while it does not",
        "threads in state D per sample, s/s; standard error sqrt(mean / samples)",
        "for i in 1 2 3 4 5; do grep -h State /proc/PID/task/*/status; sleep 0.2; done",
    ),
    origin(
        "host.process_io",
        "/proc/PID/io, read_bytes and write_bytes",
        "Δbytes / Δt; writes count when pages are dirtied",
        "cat /proc/PID/io",
    ),
    origin(
        "host.cgroup.cpu",
        "cpu.stat and cpu.max (v1: cpu.cfs_quota_us, cpu.cfs_period_us) of the group and its ancestors",
        "throttled share = Δnr_throttled / Δnr_periods; throttled time = Δthrottled / Δt, s/s",
        "cat DIRECTORY/cpu.stat",
    ),
    origin(
        "host.cgroup.memory",
        "memory.events, memory.current, memory.max (v1: memory.oom_control, memory.usage_in_bytes, memory.limit_in_bytes)",
        "Δoom_kill within the window; bytes",
        "cat DIRECTORY/memory.events || cat DIRECTORY/memory.oom_control",
    ),
    origin(
        "host.cgroup.io",
        "io.max and io.stat (v1: blkio.throttle.*)",
        "Δbytes or operations / Δt against the limit",
        "cat DIRECTORY/io.max || grep . DIRECTORY/blkio.throttle.*",
    ),
    origin(
        "host.peers",
        "sock_diag, tcp_info: tcpi_last_data_sent, tcpi_last_data_recv, tcpi_rtt, tcpi_data_segs_out, tcpi_total_retrans",
        "responses pending = client sockets with last sent < last received (ms ago), mean per dump; response time = that / \
         Δdata segments per second",
        "ss -tinp state established",
    ),
    origin(
        "host.listeners",
        "sock_diag: idiag_rqueue and idiag_wqueue of listeners; tcp_info of accepted sockets",
        "in flight = accepted sockets with last received < last sent (ms ago), mean per dump; queue / backlog",
        "ss -ltn; ss -tin state established",
    ),
    origin(
        "host.requests",
        "sock_diag, tcp_info of accepted sockets: tcpi_data_segs_in; PassiveOpens of /proc/net/snmp; TIME_WAIT",
        "Δsegments with data received by the accepted sockets of a listener / Δt; usual = median of the previous two minutes, the \
         newest fifteen evaluations left out; answers also count connections that no dump caught",
        "ss -tin state established",
    ),
    origin(
        "host.stands",
        "sock_diag, tcp_info of accepted sockets: tcpi_last_data_recv, tcpi_last_data_sent, idiag_rqueue, inode (0: not accepted)",
        "pending requests = accepted sockets with last received < last sent (ms ago), for at most ten minutes, by age (0, 10, 30, 100, \
         300 ms, 1, 3, 10, 30, 100 s and more), mean per dump; answers = the lesser of Δtcpi_data_segs_in and Δtcpi_data_segs_out of each, \
         plus connections closed with a request younger than 1 s",
        "ss -tinp state established",
    ),
    origin(
        "host.unix",
        "sock_diag, AF_UNIX: UNIX_DIAG_RQLEN of listeners",
        "connections waiting to be accepted, mean per dump, of those that were in every dump of the window",
        "ss -xl",
    ),
    origin(
        "host.ports",
        "sock_diag: sockets opened from here, by our address and the other end; net.ipv4.ip_local_port_range, tcp_tw_reuse",
        "(open + closing, unless closed ones are reused) / ports of the range",
        "ss -tan | awk '{print $5}' | sort | uniq -c | sort -rn | head; sysctl net.ipv4.ip_local_port_range net.ipv4.tcp_tw_reuse",
    ),
    origin(
        "host.sync",
        "/proc/PID/task/TID/syscall of threads in state D, in the samples of host.iodelay",
        "threads in state D inside fsync, fdatasync, sync, syncfs, msync, sync_file_range per sample, s/s",
        "cat /proc/PID/task/*/syscall",
    ),
    origin(
        "host.kmsg",
        "/dev/kmsg, records that name a device, a hung task, a kill, a full table",
        "messages of the last minute, by device",
        "dmesg -T | tail -n 50",
    ),
    origin(
        "host.conntrack",
        "net.netfilter.nf_conntrack_count and _max; /proc/net/stat/nf_conntrack by column name",
        "count / max; Δdrop / Δt",
        "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max; conntrack -S",
    ),
    origin(
        "host.neighbours",
        "/proc/net/stat/arp_cache and ndisc_cache by column name, hexadecimal; net.ipv4 and net.ipv6 neigh.default.gc_thresh3",
        "entries / gc_thresh3; Δtable_fulls / Δt of all CPUs",
        "cat /proc/net/stat/arp_cache; sysctl net.ipv4.neigh.default.gc_thresh3",
    ),
    origin(
        "host.tcp_memory",
        "/proc/net/sockstat, TCP mem, pages; net.ipv4.tcp_mem; /proc/net/netstat, TCPAbortOnMemory",
        "pages x page size against the second and third figure of tcp_mem; ΔTCPAbortOnMemory / Δt",
        "grep TCP /proc/net/sockstat; sysctl net.ipv4.tcp_mem",
    ),
    origin(
        "host.datagrams",
        "/proc/net/snmp and snmp6, InDatagrams and RcvbufErrors of UDP; /proc/net/udp and udp6, drops by socket",
        "Δdrops / Δt by socket; share = ΔRcvbufErrors / (ΔRcvbufErrors + ΔInDatagrams)",
        "ss -uanm; nstat -az UdpRcvbufErrors UdpInDatagrams",
    ),
    origin(
        "host.softnet",
        "/proc/net/softnet_stat, columns 1, 2, 3, hexadecimal, all CPUs",
        "Δdropped / Δt, Δsqueezed / Δt",
        "cat /proc/net/softnet_stat",
    ),
    origin(
        "host.affinity",
        "/proc/PID/status, Cpus_allowed_list; /proc/PID/stat, field 39",
        "the CPUs a process is allowed on, and the one it last ran on",
        "taskset -cp PID",
    ),
    origin(
        "host.open_files",
        "links in /proc/PID/fd, and Max open files of /proc/PID/limits",
        "open / soft limit, every 5 s or less often the more the scan costs; of processes with 64 open and more than half of the limit",
        "ls /proc/PID/fd | wc -l; grep 'open files' /proc/PID/limits",
    ),
    origin("host.mounts", "/proc/self/mountinfo, options of each mount", "ro now, rw before", "findmnt -o TARGET,OPTIONS"),
    origin(
        "host.wchan",
        "/proc/PID/wchan, while a task is in state D at two sweeps in a row",
        "the kernel function that it sleeps in",
        "cat /proc/PID/wchan",
    ),
    origin(
        "host.cgroup.tasks",
        "pids.current and pids.max of the group",
        "tasks / limit",
        "cat DIRECTORY/pids.current DIRECTORY/pids.max",
    ),
    origin(
        "host.limits",
        "/proc/loadavg field 4, kernel.threads-max, kernel.pid_max",
        "tasks / the smaller of the two limits",
        "cat /proc/loadavg; sysctl kernel.threads-max kernel.pid_max",
    ),
    origin(
        "host.serving",
        "sock_diag (a foreign /proc: net/tcp, net/tcp6), /proc/net/unix and the links in /proc/PID/fd",
        "listening sockets, and established ones whose local port has a listener",
        "ss -ltnp",
    ),
    origin(
        "ledger",
        "all other figures of this host and its servers",
        "every foreground actor-second is in exactly one state; the states sum to the foreground time T",
        "perftop check --format json",
    ),
    origin(
        "sources",
        "what perftop saw of a server: its process, its port, its response",
        "state: ok, degraded, denied, not_watched, unreachable",
        "perftop doctor",
    ),
];
