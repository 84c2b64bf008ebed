//! Everything that perftop can touch: files by pattern, calls, commands. `perftop doctor --audit` prints it, and a test holds a live
//! run under strace against it. Pure.

/// How something is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// A file is opened and read.
    Read,
    /// A directory is listed, or it is asked whether something is there.
    Look,
    /// A file system is asked for its space.
    Statfs,
    /// A kernel interface is asked.
    Ask,
    /// A file is written.
    Write,
    /// A program is run.
    Run,
}

impl Use {
    /// In one word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Look => "look",
            Self::Statfs => "statfs",
            Self::Ask => "ask",
            Self::Write => "write",
            Self::Run => "run",
        }
    }
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touched {
    /// How.
    pub how: Use,
    /// A path, in which `*` stands for anything without a slash and `**` for anything; or the name of an interface or command.
    pub what: &'static str,
    /// For what, and when.
    pub why: &'static str,
}

const fn row(how: Use, what: &'static str, why: &'static str) -> Touched {
    Touched { how, what, why }
}

/// In words: a pattern for it would be one for everything.
pub const ABOVE: &str = "the directories above those of the sessions, up to the home directory";

/// All rows. With `--procfs-root` and `--sysfs-root` those directories stand in the place of /proc and /sys.
pub const TOUCHED: &[Touched] = &[
    row(Use::Look, "/proc", "list of processes"),
    row(Use::Read, "/proc/stat", "CPU time, forks, switches; the number of CPUs"),
    row(Use::Read, "/proc/loadavg", "load, number of tasks"),
    row(Use::Read, "/proc/meminfo", "memory"),
    row(Use::Read, "/proc/vmstat", "paging, swapping, kills"),
    row(Use::Read, "/proc/diskstats", "block devices"),
    row(Use::Read, "/proc/pressure/*", "pressure stall information"),
    row(
        Use::Read,
        "/proc/net/*",
        "network counters and tables: dev, snmp, netstat, sockstat, softnet_stat, unix, tcp, tcp6, udp, udp6, snmp6",
    ),
    row(Use::Read, "/proc/1/net/*", "the same of the host, through another /proc"),
    row(Use::Read, "/proc/net/stat/*", "connections dropped by connection tracking; the tables of neighbours: entries, refusals"),
    row(Use::Read, "/proc/sys/fs/file-nr", "descriptors of the host"),
    row(Use::Read, "/proc/sys/kernel/*", "host name, kernel, limits of tasks, autogroup"),
    row(Use::Read, "/proc/sys/net/ipv4/*", "the range of local ports, reuse, memory of TCP sockets"),
    row(Use::Read, "/proc/sys/net/*/neigh/default/gc_thresh3", "the limit of the tables of neighbours"),
    row(Use::Read, "/proc/sys/net/netfilter/*", "connection tracking: count and limit"),
    row(Use::Read, "/proc/*/mountinfo", "mounts: perftop's own, or those of pid 1 of another /proc"),
    row(Use::Look, "/proc/*", "a process' owner"),
    row(Use::Read, "/proc/*/stat", "a process: times, state, parent"),
    row(Use::Read, "/proc/*/statm", "perftop's own memory, for the header; shared part of a growing process"),
    row(Use::Read, "/proc/*/schedstat", "run delay"),
    row(Use::Read, "/proc/*/io", "bytes from and to devices"),
    row(Use::Read, "/proc/*/status", "affinity, swapped memory; namespaces' pids"),
    row(Use::Read, "/proc/*/cgroup", "control groups"),
    row(Use::Read, "/proc/*/cmdline", "arguments, masked before they are stored; on a separate thread"),
    row(Use::Read, "/proc/*/limits", "limit of descriptors"),
    row(Use::Look, "/proc/*/fd", "descriptors: how many"),
    row(Use::Look, "/proc/*/fd/*", "which of them are sockets"),
    row(Use::Read, "/proc/locks", "who waits for a file lock, and who holds it"),
    row(Use::Read, "/proc/*/fdinfo/*", "watches of inotify; which file it is whose lock a process holds"),
    row(Use::Read, "/proc/sys/fs/inotify/*", "what a user may have of inotify"),
    row(Use::Look, "/proc/*/task", "threads"),
    row(Use::Read, "/proc/*/task/*/stat", "state of a thread"),
    row(Use::Read, "/proc/*/task/*/schedstat", "its run delay"),
    row(
        Use::Read,
        "/proc/*/task/*/wchan",
        "where in the kernel it sleeps: in state D, of a stalled service, of a process that is opened",
    ),
    row(Use::Read, "/proc/*/task/*/syscall", "its system call, in state D"),
    row(Use::Look, "/proc/*/ns/*", "network and pid namespaces"),
    row(
        Use::Read,
        "/proc/*/ns/net",
        "to enter a network namespace (setns) for a socket dump, and to return; one thread, as root",
    ),
    row(
        Use::Read,
        "/proc/thread-self/net/*",
        "of the network namespace that the thread is in: connections accepted (snmp), ended lately (sockstat)",
    ),
    row(Use::Look, "/proc/self/exe", "the runtime: its own program"),
    row(Use::Read, "/proc/sys/vm/overcommit_memory", "the C library: whether memory that is given back is unmapped"),
    row(Use::Read, "/sys/devices/system/cpu/*", "the C library: the number of CPUs"),
    row(Use::Read, "/proc/self/maps", "the runtime: the stack of its first thread"),
    row(Use::Read, "/sys/devices/system/clocksource/clocksource0/*", "the clock source"),
    row(Use::Read, "/dev/kmsg", "kernel messages of the last ten minutes"),
    row(Use::Look, "/sys/fs/fuse/connections", "file systems that a daemon serves"),
    row(Use::Read, "/sys/fs/fuse/connections/*/waiting", "requests that wait for it"),
    row(Use::Look, "/sys/block", "block devices"),
    row(Use::Look, "/sys/block/**", "devices that a device is built from"),
    row(Use::Read, "/sys/block/*/queue/*", "rotational, scheduler"),
    row(Use::Look, "/sys/class/net/*/device", "whether an interface is physical"),
    row(Use::Read, "/sys/class/net/*/speed", "speed of a link"),
    row(Use::Read, "/sys/class/net/*/ifindex", "number of an interface"),
    row(Use::Look, "/sys/fs/cgroup", "control groups"),
    row(Use::Look, "/sys/fs/cgroup/**", "control groups"),
    row(Use::Read, "/sys/fs/cgroup/**", "figures and limits of control groups: cpu, memory, io, pids, pressure"),
    row(Use::Statfs, "**", "space of each mount that can fill up, on threads with a deadline"),
    row(Use::Look, "/var/log/pods", "names of pods, on a thread with a deadline; through another /proc below its 1/root"),
    row(Use::Look, "/var/lib/docker/containers", "containers of Docker, likewise"),
    row(Use::Read, "/var/lib/docker/containers/*/config.v2.json", "their names, likewise"),
    row(Use::Read, "/var/lib/containers/storage/overlay-containers/containers.json", "names of containers of Podman, likewise"),
    row(Use::Look, "/etc", "which files were changed within the last quarter of an hour, on a thread with a deadline"),
    row(Use::Look, "/etc/**", "their times, never what is in them"),
    row(Use::Look, "/var/lib/dpkg/status", "when packages were changed, likewise"),
    row(Use::Look, "/var/lib/rpm/*", "the same"),
    row(Use::Look, "/usr/lib/sysimage/rpm/rpmdb.sqlite", "the same"),
    row(Use::Look, "/lib/apk/db/installed", "the same"),
    row(Use::Look, "/var/lib/pacman/local", "the same"),
    row(Use::Read, "/etc/os-release", "the name of the system"),
    row(Use::Look, "/.dockerenv", "whether this is a container"),
    row(Use::Look, "/run/.containerenv", "whether this is a container"),
    row(Use::Read, "/etc/perftop/config.toml", "configuration"),
    row(Use::Read, "**/perftop/config.toml", "configuration of the user"),
    row(Use::Read, "**.toml", "a file of --config, a theme file"),
    row(Use::Read, "**.perftop", "a recording, for replay"),
    row(Use::Look, "/dev/pts/*", "whether that is the terminal on standard output"),
    row(Use::Write, "/dev/pts/*", "the terminal that it draws on, opened once more so that no write waits"),
    row(Use::Write, "/dev/tty*", "the same on a console"),
    row(Use::Read, "/dev/tty", "keys, when standard input is not a terminal; the terminal's size"),
    row(
        Use::Ask,
        "AF_NETLINK",
        "sock_diag: TCP sockets with their times, and queues of unix sockets, like ss; rtnetlink: interface queues, like tc -s qdisc",
    ),
    row(
        Use::Ask,
        "AF_UNIX",
        "a pair of sockets within perftop, for signals; between its guard and the library that reads a server",
    ),
    row(Use::Read, "/proc/*/cwd/postmaster.pid", "where a PostgreSQL server listens, on a thread with a deadline"),
    row(Use::Look, "**/.s.PGSQL.*", "PostgreSQL sockets: their owners"),
    row(Use::Read, "/etc/passwd", "the name of the owner of such a socket"),
    row(Use::Read, "**/.pgpass", "passwords of monitored servers; PGPASSFILE likewise"),
    row(Use::Read, "**/.pg_service.conf", "the same of services; PGSERVICEFILE likewise"),
    row(Use::Ask, "connect **/.s.PGSQL.**", "two connections to each PostgreSQL server that runs here; read-only transactions"),
    row(
        Use::Ask,
        "connect **sun_path=@\"perftop-**",
        "perftop's own guard in front of a server: a socket without a file, which accepts this process only",
    ),
    row(Use::Read, "a file of sslrootcert, sslcert, sslkey", "certificates, where a URL or PGSSL* names them; else the system's"),
    row(Use::Read, "a file of password_file", "the password of a server of the configuration, where only its owner may read it"),
    row(
        Use::Ask,
        "the address of a Redis server that runs here, or of --redis",
        "one connection to each, kept: AUTH where a password is known, CLIENT SETNAME, CLIENT ID, INFO, PING, LATENCY HISTOGRAM, \
         SLOWLOG GET, CONFIG GET, and CLIENT LIST below 2,000 clients or when it is asked for; only when asked SELECT, SCAN, MEMORY USAGE, TYPE",
    ),
    row(
        Use::Ask,
        "the address of a Prometheus that runs here, or of --prometheus",
        "HTTP, over one connection that is kept: GET /api/v1/status/buildinfo and /api/v1/alerts; POST /api/v1/query and /api/v1/query_range with \
         objectives, rules, `up` by job, and what screens 7 and 8 show; redirects are not followed",
    ),
    row(
        Use::Read,
        "a file of token_file, header_file, tls_ca, tls_cert, tls_key",
        "what a Prometheus of the configuration is told, and by which certificates",
    ),
    row(Use::Read, "**.{json,yml,yaml}", "dashboards, rule files and objectives that were named"),
    row(
        Use::Ask,
        "the address of --postgres",
        "the same, by TCP, to servers that were named (an argument, the configuration, DATABASE_URL, PGHOST) and to no other",
    ),
    row(
        Use::Read,
        "/etc/{resolv,nsswitch,host}.conf, /etc/hosts",
        "the C library, for the name of such a server; it asks the name servers listed there",
    ),
    row(Use::Read, "/dev/urandom", "randomness for TLS and for maps"),
    row(Use::Write, "**.perftop", "a recording, under the name you gave"),
    row(Use::Look, "**/perftop/sessions", "sessions that were kept, in the state directory: ~/.local/state, or XDG_STATE_HOME"),
    row(Use::Look, ABOVE, "whose home it is: in another user's nothing is written"),
    row(Use::Read, "**/perftop/journal.jsonl", "what was found before, and what helped"),
    row(
        Use::Write,
        "**/perftop/journal.jsonl*",
        "what was found, which fix was copied, what became of it; sessions.keep = false: nothing",
    ),
    row(Use::Write, "**.md-tmp", "the report of an incident that w wrote, beside it"),
    row(
        Use::Read,
        "**/perftop/sessions/*.perftop",
        "what was kept, to drop what is older than a day; a link to what perftop record wrote",
    ),
    row(
        Use::Write,
        "**/perftop/sessions/*",
        "what the screen sees, for a day and 20 MB at most, readable by its owner only; sessions.keep = false: nothing",
    ),
    row(Use::Write, "**/.perftop-copy", "what was copied, readable by its owner only"),
    row(Use::Run, "tmux", "load-buffer -w -, when something is copied inside tmux"),
];

/// True when `path` is one of those that `pattern` stands for.
#[must_use]
pub fn matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((head, rest)) => {
            let Some(tail) = path.strip_prefix(head) else { return false };
            let (deep, rest) = rest.strip_prefix('*').map_or((false, rest), |rest| (true, rest));
            let ends = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
            let reach = if deep { tail.len() } else { tail.find('/').unwrap_or(tail.len()) };
            ends.take_while(|at| *at <= reach).any(|at| matches(rest, &tail[at..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn one_star_stays_within_a_directory_and_two_do_not() {
        assert!(matches("/proc/*/stat", "/proc/42/stat") && !matches("/proc/*/stat", "/proc/42/task/42/stat"));
        assert!(matches("/sys/fs/cgroup/**", "/sys/fs/cgroup/a/b/cpu.stat") && !matches("/sys/fs/cgroup/**", "/sys/fs/other"));
        assert!(matches("**/.perftop-copy", "/run/user/0/.perftop-copy") && matches("**", "/") && !matches("/proc", "/proc/1"));
    }
}
