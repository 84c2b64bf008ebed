//! The key figures that are known without any configuration, and the profiles of targets of the documents that perftop was made from.

use crate::model::unit::Unit;

use super::{Kpi, KpiAsk};

/// How a key figure is asked.
enum Ask {
    Query(&'static str),
    Once(&'static str),
    Quantile(f64, &'static str),
    Nothing,
}

/// Buckets of what answers requests, and of what loads pages.
const API: &str = "{__name__=~\"http_request_duration_seconds_bucket|http_server_request_duration_seconds_bucket|http_server_requests_seconds_bucket\"}";
const PAGE: &str = "{__name__=~\"page_load_seconds_bucket|page_load_duration_seconds_bucket|web_vitals_lcp_seconds_bucket\"}";

/// A key figure: name, what it is, unit, the less the worse, how it is asked.
type Row = (&'static str, &'static str, Unit, bool, Ask);

/// All that are known.
const KPIS: &[Row] = &[
    ("api_p50", "API latency, p50", Unit::Milliseconds, false, Ask::Quantile(0.50, API)),
    ("api_p95", "API latency, p95", Unit::Milliseconds, false, Ask::Quantile(0.95, API)),
    ("api_p99", "API latency, p99", Unit::Milliseconds, false, Ask::Quantile(0.99, API)),
    ("page_p50", "page load, p50", Unit::Milliseconds, false, Ask::Quantile(0.50, PAGE)),
    ("page_p95", "page load, p95", Unit::Milliseconds, false, Ask::Quantile(0.95, PAGE)),
    ("page_p99", "page load, p99", Unit::Milliseconds, false, Ask::Quantile(0.99, PAGE)),
    (
        "throughput",
        "requests",
        Unit::PerSecond,
        true,
        Ask::Query(
            "sum(sum by (job) (rate(http_requests_total[$w])) or sum by (job) (rate({__name__=~\"http_request_duration_seconds_count|http_server_request_duration_seconds_count|http_server_requests_seconds_count\"}[$w])))",
        ),
    ),
    (
        "users",
        "concurrent users",
        Unit::Count,
        false,
        Ask::Query("max by (job) ({__name__=~\"concurrent_users|active_users|active_sessions\"})"),
    ),
    ("data_rate", "data processed", Unit::BytesPerSecond, true, Ask::Nothing),
    ("uptime", "targets up, over a day", Unit::Percent, true, Ask::Once("100 * avg(avg_over_time(up[1d]))")),
    (
        "error_rate",
        "requests that fail",
        Unit::Percent,
        false,
        Ask::Query(
            "100 * (sum(rate(http_requests_total{code=~\"5..\"}[$w]) or rate(http_requests_total{status=~\"5..\"}[$w]) or rate(http_requests_total{status_code=~\"5..\"}[$w])) or 0 * sum(rate(http_requests_total{code!=\"\"}[$w]) or rate(http_requests_total{status!=\"\"}[$w]) or rate(http_requests_total{status_code!=\"\"}[$w]))) / (sum(rate(http_requests_total{code!=\"\"}[$w]) or rate(http_requests_total{status!=\"\"}[$w]) or rate(http_requests_total{status_code!=\"\"}[$w])) > 0)",
        ),
    ),
    (
        "cpu",
        "CPU, busiest host",
        Unit::Percent,
        false,
        Ask::Query(
            "100 * max(1 - avg by (instance, job) (sum by (instance, job, cpu) (rate(node_cpu_seconds_total{mode=~\"idle|iowait\"}[$w]))))",
        ),
    ),
    (
        "memory",
        "memory, fullest host",
        Unit::Percent,
        false,
        Ask::Query("100 * max(1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)"),
    ),
    (
        "disk_io",
        "disk, busiest",
        Unit::Percent,
        false,
        Ask::Query("100 * max(rate(node_disk_io_time_seconds_total{device!~\"loop.*|ram.*|dm-.*\"}[$w]))"),
    ),
    (
        "disk_space",
        "disk space, fullest",
        Unit::Percent,
        false,
        Ask::Query(
            "100 * max((1 - node_filesystem_avail_bytes{fstype!~\"tmpfs|overlay|squashfs|erofs|ramfs|nsfs|iso9660|fuse.*\"} / node_filesystem_size_bytes) unless on (instance, job, device, mountpoint) (node_filesystem_readonly == 1))",
        ),
    ),
    (
        "cache_hits",
        "cache hits",
        Unit::Percent,
        true,
        Ask::Query(
            "100 * sum(rate(redis_keyspace_hits_total[$w])) / ((sum(rate(redis_keyspace_hits_total[$w])) + sum(rate(redis_keyspace_misses_total[$w]))) > 0)",
        ),
    ),
    (
        "db_connections",
        "database connections in use",
        Unit::Percent,
        false,
        Ask::Query(
            "100 * max(sum by (instance, job, server) (pg_stat_activity_count) / on (instance, job, server) max by (instance, job, server) (pg_settings_max_connections) or mysql_global_status_threads_connected / mysql_global_variables_max_connections)",
        ),
    ),
    (
        "db_sessions",
        "database connections",
        Unit::Count,
        false,
        Ask::Query("max(sum by (instance, job, server) (pg_stat_database_numbackends) or mysql_global_status_threads_connected)"),
    ),
    (
        "query_time",
        "time per query",
        Unit::Milliseconds,
        false,
        Ask::Query(
            "1000 * sum(rate(pg_stat_statements_seconds_total[$w])) / (sum(rate(pg_stat_statements_calls_total[$w])) > 0) or max(pg_stat_statements_mean_time_ms)",
        ),
    ),
    ("task_completion", "tasks completed", Unit::Percent, true, Ask::Query("min(task_completion_rate)")),
    ("scheduling", "scheduling accuracy", Unit::Percent, true, Ask::Query("min(scheduling_accuracy)")),
    ("satisfaction", "customer satisfaction, of 5", Unit::Count, true, Ask::Query("avg(customer_satisfaction)")),
];

/// A figure, and for how many seconds it must hold.
type For = Option<(f64, u64)>;
/// A row of a profile: which, its target, from when on it is a warning, and critical.
type Targets = (&'static str, Option<f64>, For, For);

const fn t(name: &'static str, target: f64) -> Targets {
    (name, Some(target), None, None)
}

const fn w(name: &'static str, target: f64, warning: f64) -> Targets {
    (name, Some(target), Some((warning, 0)), None)
}

const fn c(name: &'static str, target: f64, warning: f64, critical: f64) -> Targets {
    (name, Some(target), Some((warning, 0)), Some((critical, 0)))
}

/// Profiles by their names.
pub const PROFILES: &[(&str, &[Targets])] = &[
    (
        "runbook",
        &[
            c("api_p50", 50.0, 100.0, 200.0),
            c("api_p95", 200.0, 500.0, 1000.0),
            ("api_p99", Some(500.0), Some((1000.0, 300)), Some((2000.0, 120))),
            c("throughput", 5000.0, 3000.0, 1000.0),
            t("users", 10_000.0),
            t("data_rate", 100e6),
            c("uptime", 99.99, 99.9, 99.0),
            ("error_rate", Some(0.01), Some((0.1, 180)), Some((1.0, 60))),
            ("cpu", Some(50.0), Some((70.0, 600)), Some((85.0, 600))),
            ("memory", Some(60.0), Some((75.0, 300)), Some((90.0, 300))),
            c("disk_io", 60.0, 80.0, 95.0),
            c("cache_hits", 95.0, 90.0, 80.0),
            c("db_connections", 60.0, 80.0, 90.0),
            t("task_completion", 99.5),
            t("scheduling", 99.9),
            t("satisfaction", 4.5),
        ],
    ),
    (
        "playground",
        &[
            t("api_p50", 200.0),
            ("api_p95", Some(500.0), Some((500.0, 120)), None),
            t("api_p99", 1000.0),
            t("page_p50", 1000.0),
            t("page_p95", 2000.0),
            t("page_p99", 3000.0),
            t("throughput", 1000.0),
            t("users", 5000.0),
            ("db_sessions", Some(100.0), Some((80.0, 120)), None),
            t("uptime", 99.9),
            ("error_rate", Some(0.1), None, Some((1.0, 60))),
            ("cpu", Some(70.0), Some((80.0, 300)), None),
            ("memory", Some(80.0), Some((85.0, 300)), None),
            t("disk_space", 85.0),
        ],
    ),
    (
        "plan",
        &[
            t("uptime", 99.9),
            ("api_p95", Some(500.0), Some((500.0, 120)), None),
            t("api_p99", 1000.0),
            ("error_rate", Some(1.0), None, Some((1.0, 60))),
            t("throughput", 1000.0),
            ("cache_hits", Some(85.0), Some((80.0, 300)), None),
            t("db_connections", 80.0),
            ("query_time", Some(50.0), Some((100.0, 180)), None),
            ("memory", None, None, Some((90.0, 120))),
            t("users", 10_000.0),
        ],
    ),
    (
        "assistant",
        &[
            t("api_p95", 500.0),
            t("api_p99", 1000.0),
            ("error_rate", Some(1.0), Some((0.8, 0)), Some((1.0, 0))),
            ("cpu", None, Some((64.0, 0)), Some((80.0, 0))),
            ("memory", None, Some((68.0, 0)), Some((85.0, 0))),
            ("disk_space", None, Some((72.0, 0)), Some((90.0, 0))),
        ],
    ),
    (
        "engineer",
        &[
            w("api_p50", 200.0, 300.0),
            w("api_p95", 400.0, 600.0),
            w("api_p99", 500.0, 800.0),
            w("error_rate", 0.1, 0.5),
            w("throughput", 1000.0, 800.0),
            w("cpu", 70.0, 80.0),
            w("memory", 80.0, 90.0),
        ],
    ),
];

/// A key figure without targets.
#[must_use]
pub fn plain(name: &str) -> Option<Kpi> {
    let (name, says, unit, lower, ask) = KPIS.iter().find(|row| row.0 == name)?;
    let ask = match ask {
        Ask::Query(query) => KpiAsk::Query((*query).to_owned()),
        Ask::Once(query) => KpiAsk::Once((*query).to_owned()),
        Ask::Quantile(of, buckets) => KpiAsk::Quantile { of: *of, buckets: (*buckets).to_owned() },
        Ask::Nothing => KpiAsk::Nothing,
    };
    Some(Kpi {
        name: (*name).to_owned(),
        says: (*says).to_owned(),
        unit: *unit,
        lower: *lower,
        target: None,
        warning: None,
        critical: None,
        ask,
    })
}

/// The names of all that are known.
pub fn known() -> impl Iterator<Item = &'static str> {
    KPIS.iter().map(|row| row.0)
}

/// The key figures of a profile.
#[must_use]
pub fn profile(name: &str) -> Vec<Kpi> {
    let rows = PROFILES.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, rows)| rows);
    let row = |(name, target, warning, critical): &Targets| {
        Some(Kpi { target: *target, warning: *warning, critical: *critical, ..plain(name)? })
    };
    rows.iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_is_one_and_every_row_is_known() {
        for row in KPIS {
            let query = match &row.4 {
                Ask::Query(query) | Ask::Once(query) => (*query).to_owned(),
                Ask::Quantile(_, buckets) => format!("sum by (le, job) (rate({buckets}[$w]))"),
                Ask::Nothing => continue,
            };
            let query = query.replace("$w", "5m");
            assert!(promql_parser::parser::parse(&query).is_ok(), "{}: {query}", row.0);
        }
        for (name, rows) in PROFILES {
            assert_eq!(profile(name).len(), rows.len(), "{name}");
        }
    }

    /// The figures of the documents, by the words that stand there.
    #[test]
    fn profiles_say_what_the_documents_say() {
        let text = |name: &str| std::fs::read_to_string(format!("tests/fixtures/seeds/objectives/{name}")).unwrap();
        let of = |profile_: &str, name: &str| profile(profile_).into_iter().find(|k| k.name == name).unwrap();
        let kpi = text("runbook-kpi.yml");
        let three = |k: &Kpi| (k.target.unwrap(), k.warning.unwrap().0, k.critical.unwrap().0);
        let rows = [
            ("p50", "api_p50"),
            ("p95", "api_p95"),
            ("p99", "api_p99"),
            ("uptime", "uptime"),
            ("error_rate", "error_rate"),
            ("cpu", "cpu"),
            ("memory", "memory"),
            ("disk_io", "disk_io"),
        ];
        for (theirs, ours) in rows {
            let line = kpi.lines().find(|l| l.trim_start().starts_with(&format!("{theirs}:"))).unwrap();
            let (_, figures) = line.split_once(':').unwrap();
            let digits = |c: char| !(c.is_ascii_digit() || c == '.');
            let figures: Vec<f64> = figures.split(digits).filter_map(|w| w.parse().ok()).collect();
            let (t, w, c) = three(&of("runbook", ours));
            assert!([t, w, c].iter().all(|v| figures.contains(v)), "{line}: {t} {w} {c}");
        }
        let sla = text("sigma-sla.yml");
        for (theirs, ours) in [
            ("cpu", "cpu"),
            ("memory", "memory"),
            ("disk", "disk_space"),
            ("uptime", "uptime"),
            ("errorRate", "error_rate"),
            ("concurrentUsers", "users"),
            ("databaseConnections", "db_sessions"),
            ("requestsPerSecond", "throughput"),
        ] {
            let line = sla.lines().find(|l| l.trim_start().starts_with(&format!("{theirs}:"))).unwrap();
            let figure: f64 = line.split_once(':').unwrap().1.split('#').next().unwrap().trim().parse().unwrap();
            assert_eq!(of("playground", ours).target, Some(figure), "{line}");
        }
        let plan = text("performance-engineer-load-test-plan.md");
        for (theirs, ours) in [
            ("p50 Latency", "api_p50"),
            ("p95 Latency", "api_p95"),
            ("p99 Latency", "api_p99"),
            ("Error Rate", "error_rate"),
            ("Throughput", "throughput"),
            ("CPU Usage", "cpu"),
            ("Memory Usage", "memory"),
        ] {
            let line = plan.lines().find(|l| l.starts_with(&format!("| {theirs} "))).unwrap();
            let figures: Vec<f64> = line
                .split('|')
                .skip(2)
                .filter_map(|cell| cell.trim_matches(|c: char| !c.is_ascii_digit()).parse().ok())
                .collect();
            let k = of("engineer", ours);
            assert_eq!(figures, [k.target.unwrap(), k.warning.unwrap().0], "{line}");
        }
    }
}
