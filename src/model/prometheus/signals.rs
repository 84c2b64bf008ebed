//! The signals of a host, as data: what is asked, in which unit, and what a reading of it means. `$h` stands where a host is chosen, `$w`
//! where the window of a rate is, `$o` where the past is.

use crate::model::unit::Unit;

/// A signal.
#[derive(Debug, Clone, Copy)]
pub struct Signal {
    /// Its name in readings.
    pub k: &'static str,
    /// What it is, for people.
    pub says: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// What a reading means.
    pub means: Means,
    /// The query: one series a host, labelled `instance`.
    pub query: &'static str,
}

/// What a reading of a signal means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Means {
    /// Seconds lost per second.
    Loss,
    /// Trouble by itself, from the first figure on a warning, from the second critical.
    Trouble(f64, f64),
    /// Trouble where it is far beyond that of the peers, and at least so much.
    Peers(f64),
    /// What is running out, by itself: seconds until it has.
    Eta,
    /// No trouble by itself, however high.
    Level,
}

/// The exporter that a group is of.
pub struct Group {
    /// As it is called in what is missing.
    pub name: &'static str,
    /// Its signals.
    pub signals: &'static [Signal],
}

const fn s(k: &'static str, says: &'static str, unit: Unit, means: Means, query: &'static str) -> Signal {
    Signal { k, says, unit, means, query }
}

use Means::{Eta, Level, Loss, Peers, Trouble};
use Unit::{BytesPerSecond, Cores, Count, PerSecond, Ratio, Seconds, SecondsPerSecond};

/// All groups: a question each.
pub const GROUPS: &[Group] = &[
    Group {
        name: "pressure of hosts",
        signals: &[
            s(
                "psi_cpu",
                "tasks wait for a CPU",
                SecondsPerSecond,
                Loss,
                "rate(node_pressure_cpu_waiting_seconds_total{$h}[$w]$o)",
            ),
            s(
                "psi_mem",
                "tasks wait for memory",
                SecondsPerSecond,
                Loss,
                "rate(node_pressure_memory_waiting_seconds_total{$h}[$w]$o)",
            ),
            s("psi_io", "tasks wait for disks", SecondsPerSecond, Loss, "rate(node_pressure_io_waiting_seconds_total{$h}[$w]$o)"),
        ],
    },
    Group {
        name: "hosts",
        signals: &[
            s(
                "cpu_util",
                "CPU busy",
                Ratio,
                Level,
                "1 - avg by (instance) (sum by (instance, cpu) (rate(node_cpu_seconds_total{mode=~\"idle|iowait\",$h}[$w]$o)))",
            ),
            s(
                "cpu_nice",
                "CPU busy, niced",
                Ratio,
                Level,
                "avg by (instance) (rate(node_cpu_seconds_total{mode=\"nice\",$h}[$w]$o))",
            ),
            s(
                "cpu_steal",
                "taken by the hypervisor",
                Ratio,
                Trouble(0.10, 0.30),
                "avg by (instance) (rate(node_cpu_seconds_total{mode=\"steal\",$h}[$w]$o))",
            ),
            s("cores", "CPUs", Cores, Level, "count by (instance) (node_cpu_seconds_total{mode=\"idle\",$h}$o)"),
            s("load", "load of one minute", Count, Level, "max by (instance) (node_load1{$h}$o)"),
            s(
                "mem_free",
                "memory available",
                Ratio,
                Level,
                "max by (instance) (node_memory_MemAvailable_bytes{$h}$o / node_memory_MemTotal_bytes{$h}$o)",
            ),
            s(
                "swap_in",
                "pages read from swap",
                PerSecond,
                Peers(200.0),
                "max by (instance) (rate(node_vmstat_pswpin{$h}[$w]$o))",
            ),
            s(
                "oom",
                "processes killed for memory within the hour",
                Count,
                Trouble(1.0, 3.0),
                "max by (instance) (sum by (instance, job) (increase(node_vmstat_oom_kill{$h}[1h]$o)))",
            ),
            s(
                "disk_util",
                "busiest disk",
                Ratio,
                Level,
                "max by (instance) (rate(node_disk_io_time_seconds_total{device!~\"loop.*|ram.*|dm-.*\",$h}[$w]$o))",
            ),
            s(
                "disk_queue",
                "requests in the longest disk queue",
                Count,
                Level,
                "max by (instance) (rate(node_disk_io_time_weighted_seconds_total{device!~\"loop.*|ram.*|dm-.*\",$h}[$w]$o))",
            ),
            s(
                "disk_await",
                "time per disk request",
                Seconds,
                Peers(0.020),
                "max by (instance) ((rate(node_disk_read_time_seconds_total{device!~\"loop.*|ram.*|dm-.*\",$h}[$w]$o) + rate(node_disk_write_time_seconds_total{device!~\"loop.*|ram.*|dm-.*\",$h}[$w]$o)) / clamp_min(rate(node_disk_reads_completed_total{device!~\"loop.*|ram.*|dm-.*\",$h}[$w]$o) + rate(node_disk_writes_completed_total{device!~\"loop.*|ram.*|dm-.*\",$h}[$w]$o), 1))",
            ),
            s(
                "retrans",
                "TCP segments sent again",
                Ratio,
                Peers(0.01),
                "sum by (instance) (rate(node_netstat_Tcp_RetransSegs{$h}[$w]$o)) / clamp_min(sum by (instance) (rate(node_netstat_Tcp_OutSegs{$h}[$w]$o)), 10)",
            ),
            s(
                "listen_drops",
                "connections dropped at full accept queues",
                PerSecond,
                Trouble(0.1, 1.0),
                "max by (instance) (sum by (instance, job) (rate(node_netstat_TcpExt_ListenDrops{$h}[$w]$o)))",
            ),
            s(
                "conntrack",
                "connection table (conntrack)",
                Ratio,
                Trouble(0.9, 0.98),
                "max by (instance) (node_nf_conntrack_entries{$h}$o / node_nf_conntrack_entries_limit{$h}$o)",
            ),
            s(
                "fd_used",
                "open files of the system",
                Ratio,
                Trouble(0.9, 0.98),
                "max by (instance) (node_filefd_allocated{$h}$o / node_filefd_maximum{$h}$o)",
            ),
            s(
                "readonly",
                "file systems turned read-only within the hour",
                Count,
                Trouble(1.0, 1.0),
                "count by (instance) ((node_filesystem_readonly{fstype=~\"ext.*|xfs|btrfs\",$h}$o == 1) and (min_over_time(node_filesystem_readonly{$h}[1h]$o) == 0))",
            ),
        ],
    },
    Group {
        name: "file systems",
        signals: &[
            s(
                "fs_used",
                "fullest file system",
                Ratio,
                Trouble(0.95, 0.99),
                "topk by (instance) (1, max by (instance, mountpoint) (1 - node_filesystem_avail_bytes{fstype!~\"tmpfs|overlay|squashfs|ramfs|nsfs|iso9660|fuse.*\",$h}$o / node_filesystem_size_bytes{$h}$o))",
            ),
            s(
                "inodes",
                "fullest in inodes",
                Ratio,
                Trouble(0.95, 0.99),
                "topk by (instance) (1, max by (instance, mountpoint) (1 - node_filesystem_files_free{fstype!~\"tmpfs|overlay|squashfs|ramfs|nsfs|iso9660|fuse.*\",$h}$o / (node_filesystem_files{$h}$o > 0)))",
            ),
            s(
                "fs_eta",
                "time left on the file system",
                Seconds,
                Eta,
                "bottomk by (instance) (1, min by (instance, mountpoint) ((node_filesystem_avail_bytes{fstype!~\"tmpfs|overlay|squashfs|ramfs|nsfs|iso9660|fuse.*\",$h}$o / -(deriv(node_filesystem_avail_bytes{$h}[1h]$o) < 0)) and (deriv(node_filesystem_avail_bytes{$h}[10m]$o) < 0) and node_filesystem_avail_bytes{$h}$o < 0.2 * node_filesystem_size_bytes{$h}$o))",
            ),
        ],
    },
    Group {
        name: "PostgreSQL",
        signals: &[
            s(
                "pg_down",
                "PostgreSQL does not answer its exporter",
                Count,
                Trouble(1.0, 1.0),
                "1 - min by (instance) (pg_up{$h}$o)",
            ),
            s(
                "pg_conn",
                "connections of PostgreSQL in use",
                Ratio,
                Trouble(0.9, 0.98),
                "max by (instance) (sum by (instance, job) (pg_stat_activity_count{$h}$o) / on (instance, job) max by (instance, job) (pg_settings_max_connections{$h}$o))",
            ),
            s(
                "pg_active",
                "sessions at work",
                Count,
                Level,
                "max by (instance) (sum by (instance, job) (pg_stat_activity_count{state=\"active\",$h}$o))",
            ),
            s(
                "pg_tx",
                "oldest transaction",
                Seconds,
                Trouble(1_800.0, f64::INFINITY),
                "max by (instance) (pg_stat_activity_max_tx_duration{state=~\"active|idle in transaction.*\",$h}$o)",
            ),
            s(
                "pg_io",
                "sessions wait for blocks",
                SecondsPerSecond,
                Loss,
                "max by (instance) (sum by (instance, job) (rate(pg_stat_database_blk_read_time{$h}[$w]$o))) / 1000",
            ),
            s(
                "pg_deadlocks",
                "deadlocks",
                PerSecond,
                Trouble(0.02, 0.2),
                "max by (instance) (sum by (instance, job) (rate(pg_stat_database_deadlocks{$h}[$w]$o)))",
            ),
            s(
                "pg_rollback",
                "transactions rolled back",
                Ratio,
                Peers(0.10),
                "sum by (instance) (rate(pg_stat_database_xact_rollback{$h}[$w]$o)) / clamp_min(sum by (instance) (rate(pg_stat_database_xact_commit{$h}[$w]$o)) + sum by (instance) (rate(pg_stat_database_xact_rollback{$h}[$w]$o)), 1)",
            ),
            s(
                "pg_temp",
                "written to temporary files",
                BytesPerSecond,
                Peers(20e6),
                "max by (instance) (sum by (instance, job) (rate(pg_stat_database_temp_bytes{$h}[$w]$o)))",
            ),
            s(
                "pg_lag",
                "a replica of PostgreSQL is behind",
                Seconds,
                Trouble(60.0, 600.0),
                "max by (instance) (pg_replication_lag_seconds{$h}$o or pg_replication_lag{$h}$o)",
            ),
            s(
                "pg_locks",
                "exclusive locks, held or waited for",
                Count,
                Peers(50.0),
                "max by (instance) (sum by (instance, job) (pg_locks_count{mode=~\"exclusivelock|accessexclusivelock\",$h}$o))",
            ),
        ],
    },
    Group {
        name: "Redis",
        signals: &[
            s(
                "redis_down",
                "Redis does not answer its exporter",
                Count,
                Trouble(1.0, 1.0),
                "1 - min by (instance) (redis_up{$h}$o)",
            ),
            s(
                "redis_busy",
                "main thread of Redis",
                Cores,
                Trouble(0.85, 0.95),
                "max by (instance) (sum by (instance, job) (rate(redis_cpu_sys_main_thread_seconds_total{$h}[$w]$o) + rate(redis_cpu_user_main_thread_seconds_total{$h}[$w]$o)))",
            ),
            s(
                "redis_evict",
                "keys evicted by Redis",
                PerSecond,
                Level,
                "max by (instance) (sum by (instance, job) (rate(redis_evicted_keys_total{$h}[$w]$o)))",
            ),
            s(
                "redis_miss",
                "look-ups that miss",
                PerSecond,
                Level,
                "max by (instance) (sum by (instance, job) (rate(redis_keyspace_misses_total{$h}[$w]$o)))",
            ),
            s(
                "redis_hit",
                "look-ups that hit",
                PerSecond,
                Level,
                "max by (instance) (sum by (instance, job) (rate(redis_keyspace_hits_total{$h}[$w]$o)))",
            ),
            s(
                "redis_reject",
                "connections refused by Redis",
                PerSecond,
                Trouble(0.01, 1.0),
                "max by (instance) (sum by (instance, job) (rate(redis_rejected_connections_total{$h}[$w]$o)))",
            ),
            s(
                "redis_clients",
                "clients of Redis",
                Ratio,
                Trouble(0.9, 0.98),
                "max by (instance) (redis_connected_clients{$h}$o) / max by (instance) (redis_max_clients{$h}$o or redis_config_maxclients{$h}$o)",
            ),
            s(
                "redis_save",
                "saves of Redis fail",
                Count,
                Trouble(1.0, 2.0),
                "1 - min by (instance) (redis_rdb_last_bgsave_status{$h}$o)",
            ),
            s(
                "redis_link",
                "a replica of Redis has lost its primary",
                Count,
                Trouble(1.0, 1.0),
                "1 - min by (instance) (redis_master_link_up{$h}$o)",
            ),
            s(
                "redis_errors",
                "commands refused by Redis",
                PerSecond,
                Trouble(0.1, 10.0),
                "max by (instance) (sum by (instance, job) (rate(redis_errors_total{err=~\"OOM|READONLY|MISCONF|CLUSTERDOWN|LOADING|NOREPLICAS|NOPERM\",$h}[$w]$o)))",
            ),
        ],
    },
];

/// The signal of that name.
#[must_use]
pub fn find(k: &str) -> Option<&'static Signal> {
    GROUPS.iter().flat_map(|g| g.signals).find(|s| s.k == k)
}
