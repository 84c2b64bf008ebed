//! INFO, as far as it is used: figures and words by the server's own names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;

/// What is kept of the figures.
pub const NUMBERS: &[&str] = &[
    "process_id",
    "tcp_port",
    "uptime_in_seconds",
    "server_time_usec",
    "io_threads_active",
    "connected_clients",
    "maxclients",
    "blocked_clients",
    "tracking_clients",
    "pubsub_clients",
    "client_recent_max_input_buffer",
    "client_recent_max_output_buffer",
    "used_memory",
    "used_memory_rss",
    "used_memory_peak",
    "used_memory_dataset",
    "used_memory_overhead",
    "used_memory_scripts",
    "total_system_memory",
    "maxmemory",
    "mem_not_counted_for_evict",
    "mem_clients_normal",
    "mem_clients_slaves",
    "mem_total_replication_buffers",
    "mem_replication_backlog",
    "mem_fragmentation_ratio",
    "mem_fragmentation_bytes",
    "allocator_frag_ratio",
    "allocator_frag_bytes",
    "allocator_rss_bytes",
    "active_defrag_running",
    "lazyfree_pending_objects",
    "loading",
    "loading_eta_seconds",
    "rdb_changes_since_last_save",
    "rdb_bgsave_in_progress",
    "rdb_last_save_time",
    "rdb_last_bgsave_time_sec",
    "rdb_current_bgsave_time_sec",
    "rdb_last_cow_size",
    "rdb_saves",
    "aof_enabled",
    "aof_rewrite_in_progress",
    "aof_current_size",
    "aof_base_size",
    "aof_pending_bio_fsync",
    "aof_delayed_fsync",
    "aof_last_cow_size",
    "total_connections_received",
    "total_commands_processed",
    "instantaneous_ops_per_sec",
    "total_net_input_bytes",
    "total_net_output_bytes",
    "total_net_repl_output_bytes",
    "rejected_connections",
    "sync_full",
    "sync_partial_ok",
    "sync_partial_err",
    "expired_keys",
    "expired_stale_perc",
    "expired_time_cap_reached_count",
    "expire_cycle_cpu_milliseconds",
    "evicted_keys",
    "evicted_clients",
    "total_eviction_exceeded_time",
    "keyspace_hits",
    "keyspace_misses",
    "latest_fork_usec",
    "total_forks",
    "total_error_replies",
    "total_reads_processed",
    "total_writes_processed",
    "acl_access_denied_auth",
    "acl_access_denied_cmd",
    "client_query_buffer_limit_disconnections",
    "client_output_buffer_limit_disconnections",
    "eventloop_cycles",
    "eventloop_duration_sum",
    "eventloop_duration_cmd_sum",
    "eventloop_duration_aof_sum",
    "eventloop_duration_cron_sum",
    "connected_slaves",
    "master_port",
    "master_last_io_seconds_ago",
    "master_sync_in_progress",
    "master_link_down_since_seconds",
    "master_repl_offset",
    "slave_repl_offset",
    "slave_read_only",
    "repl_backlog_active",
    "repl_backlog_size",
    "repl_backlog_histlen",
    "min_slaves_good_slaves",
    "used_cpu_sys",
    "used_cpu_user",
    "used_cpu_sys_children",
    "used_cpu_user_children",
    "used_cpu_sys_main_thread",
    "used_cpu_user_main_thread",
    "cluster_enabled",
    "slowlog_commands_count",
];

/// What is kept of the words.
pub const WORDS: &[&str] = &[
    "maxmemory_policy",
    "mem_allocator",
    "rdb_last_bgsave_status",
    "aof_last_bgrewrite_status",
    "aof_last_write_status",
    "role",
    "master_host",
    "master_link_status",
    "master_failover_state",
    "executable",
    "config_file",
];

/// One reading of INFO.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Info {
    /// Figures by the server's names: those of [`NUMBERS`] that it has.
    pub numbers: BTreeMap<String, f64>,
    /// Words: those of [`WORDS`].
    pub words: BTreeMap<String, Foreign>,
    /// Commands that were called at least once.
    pub commands: Vec<CommandRow>,
    /// Errors by their first word, since the counters began (6.2 and later).
    pub errors: BTreeMap<String, u64>,
    /// Replicas that are connected.
    pub replicas: Vec<ReplicaRow>,
    /// Databases that hold keys.
    pub keyspace: Vec<Keyspace>,
}

/// A line of commandstats.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CommandRow {
    /// `get`, `config|get`.
    pub name: Foreign,
    /// Calls.
    pub calls: u64,
    /// Microseconds on the main thread.
    pub usec: u64,
    /// Refused before they ran (6.2 and later).
    pub rejected: Option<u64>,
    /// Failed while they ran (6.2 and later).
    pub failed: Option<u64>,
}

/// A replica.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplicaRow {
    /// `ip:port`.
    pub address: Foreign,
    /// `online`, `wait_bgsave` …
    pub state: Foreign,
    /// How far it is; 0 until it acknowledged for the first time: it still reads its copy.
    pub offset: f64,
    /// Seconds since it acknowledged; unknown where the server does not say.
    #[serde(default)]
    pub lag_s: Option<f64>,
}

/// A database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Keyspace {
    /// Its number.
    pub db: u32,
    /// Keys.
    pub keys: u64,
    /// Of them with an expiry.
    pub expires: u64,
}

impl Info {
    /// A figure by its name.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.numbers.get(name).copied()
    }

    /// A word by its name; empty when it is not there.
    #[must_use]
    pub fn word(&self, name: &str) -> &str {
        self.words.get(name).map_or("", |w| w.shown())
    }

    /// A flag.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.number(name).is_some_and(|n| n > 0.0)
    }

    /// Keys in all databases.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.keyspace.iter().fold(0, |all, db| all.saturating_add(db.keys))
    }
}
