//! What is looked at without any configuration: resources by the usual exporters, the needs and triggers of the documents that perftop was
//! made from. `$d` and `$o` stand for file systems, `$l` for links.

use crate::model::unit::Unit;

use super::plan::{CapacityPlan, Need, Resource, Statistic, Trigger};

/// File systems that hold what is kept.
const DISKS: &str = "fstype!~\"tmpfs|overlay|squashfs|erofs|ramfs|nsfs|iso9660|fuse.*\",$h";
/// Of a share in the network each client sees the same; of a pool each data set its free space.
const OWN_DISKS: &str =
    "fstype!~\"tmpfs|overlay|squashfs|erofs|ramfs|nsfs|iso9660|fuse.*|nfs.*|cifs|smb.*|9p|ceph|glusterfs|zfs\"";
/// Links of their own: no bonds beside their parts, no tunnels, no ends of containers.
const LINKS: &str =
    "device!~\"lo|veth.*|docker.*|br-.*|virbr.*|cali.*|cni.*|flannel.*|vxlan.*|wg.*|tun.*|tap.*|bond.*|team.*|.*[.].*\"";

/// Resources: name, unit, what is left (of several that are told as one the least), all there is.
const RESOURCES: &[(&str, Unit, &str, &str)] = &[
    (
        "file system",
        Unit::Bytes,
        // What is read-only is full for good.
        "min by (cluster, instance, mountpoint) (node_filesystem_avail_bytes{$d} unless on (instance, job, device, mountpoint) (node_filesystem_readonly{$d} == 1))",
        "min by (cluster, instance, mountpoint) (node_filesystem_size_bytes{$d})",
    ),
    (
        "inodes",
        Unit::Count,
        "min by (cluster, instance, mountpoint) ((node_filesystem_files_free{$d} and node_filesystem_files{$d} > 0) unless on (instance, job, device, mountpoint) (node_filesystem_readonly{$d} == 1))",
        "min by (cluster, instance, mountpoint) (node_filesystem_files{$d} > 0)",
    ),
    (
        "memory",
        Unit::Bytes,
        "min by (cluster, instance) (node_memory_MemAvailable_bytes{$h})",
        "min by (cluster, instance) (node_memory_MemTotal_bytes{$h})",
    ),
    // Without a limit there is nothing that runs out.
    (
        "open files",
        Unit::Count,
        "min by (cluster, instance) ((node_filefd_maximum{$h} < 1e9) - node_filefd_allocated{$h})",
        "min by (cluster, instance) (node_filefd_maximum{$h} < 1e9)",
    ),
    (
        "descriptors of a process",
        Unit::Count,
        "min by (cluster, instance, job) (process_max_fds{$h} - process_open_fds{$h})",
        "min by (cluster, instance, job) (process_max_fds{$h})",
    ),
    (
        "connection table (conntrack)",
        Unit::Count,
        "min by (cluster, instance) (node_nf_conntrack_entries_limit{$h} - node_nf_conntrack_entries{$h})",
        "min by (cluster, instance) (node_nf_conntrack_entries_limit{$h})",
    ),
    // Ordinary roles are refused while some are still free for superusers.
    (
        "connections of PostgreSQL",
        Unit::Count,
        "min by (instance, server) (max by (instance, job, server) (pg_settings_max_connections{$h}) - on (instance, job, server) (max by (instance, job, server) (pg_settings_superuser_reserved_connections{$h}) or 0 * max by (instance, job, server) (pg_settings_max_connections{$h})) - on (instance, job, server) sum by (instance, job, server) (pg_stat_activity_count{$h}))",
        "min by (instance, server) (pg_settings_max_connections{$h})",
    ),
    // A server stops three million before they are used up.
    (
        "transaction ids",
        Unit::Count,
        "2144483647 - max by (instance, server, datname) (pg_database_wraparound_age_datfrozenxid_seconds{$h})",
        "2144483647 + 0 * max by (instance, server, datname) (pg_database_wraparound_age_datfrozenxid_seconds{$h})",
    ),
    // One that evicts any key makes room by itself.
    (
        "memory of Redis",
        Unit::Bytes,
        "min by (instance) (((redis_memory_max_bytes{$h} > 0) - redis_memory_used_bytes{$h}) unless on (instance) redis_instance_info{maxmemory_policy=~\"allkeys-.*\",$h})",
        "min by (instance) (redis_memory_max_bytes{$h} > 0)",
    ),
    (
        "clients of Redis",
        Unit::Count,
        "min by (instance) (max by (instance, job) (redis_max_clients{$h} or redis_config_maxclients{$h}) - on (instance, job) max by (instance, job) (redis_connected_clients{$h}))",
        "min by (instance) (redis_max_clients{$h} or redis_config_maxclients{$h})",
    ),
    (
        "connections of MySQL",
        Unit::Count,
        "min by (instance) (mysql_global_variables_max_connections{$h} - mysql_global_status_threads_connected{$h})",
        "min by (instance) (mysql_global_variables_max_connections{$h})",
    ),
    (
        "volume of Kubernetes",
        Unit::Bytes,
        "min by (cluster, namespace, persistentvolumeclaim) (kubelet_volume_stats_available_bytes{$h})",
        "min by (cluster, namespace, persistentvolumeclaim) (kubelet_volume_stats_capacity_bytes{$h})",
    ),
];

/// Needs: name, unit, whole, percent kept free, what is used, all there is. A host that two jobs scrape counts once.
const NEEDS: &[(&str, &str, bool, f64, &str, &str)] = &[
    (
        "cpu",
        "cores",
        true,
        20.0,
        "sum(max by (cluster, instance, cpu, mode) (rate(node_cpu_seconds_total{mode!~\"idle|iowait|steal\"}[10m])))",
        "count(max by (cluster, instance, cpu) (node_cpu_seconds_total{mode=\"idle\"}))",
    ),
    (
        "memory",
        "GB",
        true,
        15.0,
        "sum(max by (cluster, instance) (node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes)) / 1e9",
        "sum(max by (cluster, instance) (node_memory_MemTotal_bytes)) / 1e9",
    ),
    (
        "storage",
        "TB",
        false,
        25.0,
        "sum(max by (cluster, instance, device) (node_filesystem_size_bytes{$o} - node_filesystem_avail_bytes{$o})) / 1e12",
        "sum(max by (cluster, instance, device) (node_filesystem_size_bytes{$o})) / 1e12",
    ),
    (
        "network",
        "Gbps",
        false,
        30.0,
        // Both ways have the whole speed: the busier one counts. Links that do not tell theirs are in neither sum.
        "8e-9 * sum(max by (cluster, instance, device) ((rate(node_network_transmit_bytes_total{$l}[10m]) >= rate(node_network_receive_bytes_total{$l}[10m]) or rate(node_network_receive_bytes_total{$l}[10m])) and on (instance, job, device) (node_network_speed_bytes{$l} > 0)))",
        "8e-9 * sum(max by (cluster, instance, device) (node_network_speed_bytes{$l} > 0))",
    ),
];

/// Triggers: name, statistic, from where on, unit, what to do, a series for each; or the buckets of a histogram.
const TRIGGERS: &[(&str, Statistic, f64, Unit, &str, &str)] = &[
    (
        "cpu",
        Statistic::P95,
        70.0,
        Unit::Percent,
        "more or larger CPUs",
        "100 * max by (cluster, instance) (1 - avg by (cluster, instance, job) (sum by (cluster, instance, job, cpu) (rate(node_cpu_seconds_total{mode=~\"idle|iowait\"}[10m]))))",
    ),
    (
        "memory",
        Statistic::P95,
        75.0,
        Unit::Percent,
        "more memory",
        "100 * max by (cluster, instance) (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)",
    ),
    (
        "response_time",
        Statistic::P99,
        800.0,
        Unit::Milliseconds,
        "more instances",
        "{__name__=~\"http_request_duration_seconds_bucket|http_server_request_duration_seconds_bucket|http_server_requests_seconds_bucket\"}",
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
        Self { ahead_s: 90 * 86_400, limits_s: (86_400, 3_600), resources: resources(), needs: needs(), triggers: triggers() }
    }
}

fn written(query: &str) -> String {
    query.replace("$d", DISKS).replace("$o", OWN_DISKS).replace("$l", LINKS)
}

/// Resources.
fn resources() -> Vec<Resource> {
    let row = |(name, unit, left, all): &(&str, Unit, &str, &str)| Resource {
        name: (*name).to_owned(),
        unit: *unit,
        left: written(left),
        all: Some(written(all)),
    };
    RESOURCES.iter().map(row).collect()
}

/// Needs.
fn needs() -> Vec<Need> {
    let row = |(name, unit, whole, buffer, used, have): &(&str, &str, bool, f64, &str, &str)| Need {
        name: (*name).to_owned(),
        unit: (*unit).to_owned(),
        used: written(used),
        have: Some(written(have)),
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
        buckets: query.contains("_bucket"),
    };
    TRIGGERS.iter().map(row).collect()
}
