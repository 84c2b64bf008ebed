//! What is looked at without any configuration: resources by the usual exporters, the needs and triggers of the documents that perftop was
//! made from. `$d` stands for the file systems that hold what is kept.

use crate::model::unit::Unit;

use super::plan::{CapacityPlan, Need, Resource, Statistic, Trigger};

/// File systems that hold what is kept.
const DISKS: &str = "fstype!~\"tmpfs|overlay|squashfs|ramfs|nsfs|iso9660|fuse.*\",$h";

/// Resources: name, unit, what is left, all there is.
const RESOURCES: &[(&str, Unit, &str, &str)] = &[
    (
        "file system",
        Unit::Bytes,
        "max by (instance, mountpoint) (node_filesystem_avail_bytes{$d})",
        "max by (instance, mountpoint) (node_filesystem_size_bytes{$d})",
    ),
    (
        "inodes",
        Unit::Count,
        "max by (instance, mountpoint) (node_filesystem_files_free{$d} and node_filesystem_files{$d} > 0)",
        "max by (instance, mountpoint) (node_filesystem_files{$d} > 0)",
    ),
    (
        "memory",
        Unit::Bytes,
        "max by (instance) (node_memory_MemAvailable_bytes{$h})",
        "max by (instance) (node_memory_MemTotal_bytes{$h})",
    ),
    // Without a limit there is nothing that runs out.
    (
        "open files",
        Unit::Count,
        "max by (instance) ((node_filefd_maximum{$h} < 1e9) - node_filefd_allocated{$h})",
        "max by (instance) (node_filefd_maximum{$h} < 1e9)",
    ),
    (
        "descriptors of a process",
        Unit::Count,
        "min by (instance, job) (process_max_fds{$h} - process_open_fds{$h})",
        "max by (instance, job) (process_max_fds{$h})",
    ),
    (
        "connection table (conntrack)",
        Unit::Count,
        "max by (instance) (node_nf_conntrack_entries_limit{$h} - node_nf_conntrack_entries{$h})",
        "max by (instance) (node_nf_conntrack_entries_limit{$h})",
    ),
    (
        "connections of PostgreSQL",
        Unit::Count,
        "max by (instance) (max by (instance, job) (pg_settings_max_connections{$h}) - on (instance, job) sum by (instance, job) (pg_stat_activity_count{$h}))",
        "max by (instance) (pg_settings_max_connections{$h})",
    ),
    (
        "transaction ids",
        Unit::Count,
        "2147483647 - max by (instance, datname) (pg_database_wraparound_age_datfrozenxid_seconds{$h})",
        "2147483647 + 0 * max by (instance, datname) (pg_database_wraparound_age_datfrozenxid_seconds{$h})",
    ),
    // One that evicts makes room by itself.
    (
        "memory of Redis",
        Unit::Bytes,
        "max by (instance) (((redis_memory_max_bytes{$h} > 0) - redis_memory_used_bytes{$h}) unless on (instance) redis_instance_info{maxmemory_policy!~\"noeviction|\",$h})",
        "max by (instance) (redis_memory_max_bytes{$h} > 0)",
    ),
    (
        "clients of Redis",
        Unit::Count,
        "max by (instance) ((redis_max_clients{$h} or redis_config_maxclients{$h}) - on (instance) redis_connected_clients{$h})",
        "max by (instance) (redis_max_clients{$h} or redis_config_maxclients{$h})",
    ),
    (
        "connections of MySQL",
        Unit::Count,
        "max by (instance) (mysql_global_variables_max_connections{$h} - mysql_global_status_threads_connected{$h})",
        "max by (instance) (mysql_global_variables_max_connections{$h})",
    ),
    (
        "volume of Kubernetes",
        Unit::Bytes,
        "max by (namespace, persistentvolumeclaim) (kubelet_volume_stats_available_bytes{$h})",
        "max by (namespace, persistentvolumeclaim) (kubelet_volume_stats_capacity_bytes{$h})",
    ),
];

/// Needs: name, unit, whole, percent kept free, what is used, all there is.
const NEEDS: &[(&str, &str, bool, f64, &str, &str)] = &[
    (
        "cpu",
        "cores",
        true,
        20.0,
        "sum(rate(node_cpu_seconds_total{mode!~\"idle|iowait|steal\"}[10m]))",
        "count(node_cpu_seconds_total{mode=\"idle\"})",
    ),
    (
        "memory",
        "GB",
        true,
        15.0,
        "sum(node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes) / 1e9",
        "sum(node_memory_MemTotal_bytes) / 1e9",
    ),
    (
        "storage",
        "TB",
        false,
        25.0,
        "sum(max by (instance, device) (node_filesystem_size_bytes{$d} - node_filesystem_avail_bytes{$d})) / 1e12",
        "sum(max by (instance, device) (node_filesystem_size_bytes{$d})) / 1e12",
    ),
    (
        "network",
        "Gbps",
        false,
        30.0,
        "8e-9 * sum(rate(node_network_transmit_bytes_total{device!~\"lo|veth.*|docker.*|br-.*|cali.*|cni.*\"}[10m]))",
        "8e-9 * sum(node_network_speed_bytes{device!~\"lo|veth.*|docker.*|br-.*|cali.*|cni.*\"} > 0)",
    ),
];

/// Triggers: name, statistic, from where on, unit, what to do, a series for each.
const TRIGGERS: &[(&str, Statistic, f64, Unit, &str, &str)] = &[
    (
        "cpu",
        Statistic::P95,
        70.0,
        Unit::Percent,
        "more or larger CPUs",
        "100 * (1 - avg by (instance) (sum by (instance, cpu) (rate(node_cpu_seconds_total{mode=~\"idle|iowait\"}[10m]))))",
    ),
    (
        "memory",
        Statistic::P95,
        75.0,
        Unit::Percent,
        "more memory",
        "100 * (1 - max by (instance) (node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes))",
    ),
    (
        "response_time",
        Statistic::P99,
        800.0,
        Unit::Milliseconds,
        "more instances",
        "1000 * histogram_quantile(0.99, sum by (le, job) (rate({__name__=~\"http_request_duration_seconds_bucket|http_server_request_duration_seconds_bucket\"}[10m])))",
    ),
    (
        "queue_depth",
        Statistic::Max,
        100.0,
        Unit::Count,
        "more workers",
        "max by (job, queue, vhost) ({__name__=~\"queue_depth|job_queue_depth|rabbitmq_queue_messages_ready|sidekiq_queue_enqueued_jobs|celery_queue_length\"})",
    ),
];

impl Default for CapacityPlan {
    fn default() -> Self {
        Self { ahead_s: 90 * 86_400, resources: resources(), needs: needs(), triggers: triggers() }
    }
}

fn disks(query: &str) -> String {
    query.replace("$d", DISKS)
}

/// Resources.
fn resources() -> Vec<Resource> {
    let row = |(name, unit, left, all): &(&str, Unit, &str, &str)| Resource {
        name: (*name).to_owned(),
        unit: *unit,
        left: disks(left),
        all: Some(disks(all)),
    };
    RESOURCES.iter().map(row).collect()
}

/// Needs.
fn needs() -> Vec<Need> {
    let row = |(name, unit, whole, buffer, used, have): &(&str, &str, bool, f64, &str, &str)| Need {
        name: (*name).to_owned(),
        unit: (*unit).to_owned(),
        used: disks(used).replace(",$h", ""),
        have: Some(disks(have).replace(",$h", "")),
        buffer: *buffer,
        price: None,
        whole: *whole,
    };
    NEEDS.iter().map(row).collect()
}

/// Triggers, each over a day.
fn triggers() -> Vec<Trigger> {
    let row = |(name, statistic, above, unit, action, query): &(&str, Statistic, f64, Unit, &str, &str)| Trigger {
        name: (*name).to_owned(),
        query: (*query).to_owned(),
        statistic: *statistic,
        above: *above,
        unit: *unit,
        action: (*action).to_owned(),
        over_s: 86_400,
    };
    TRIGGERS.iter().map(row).collect()
}
