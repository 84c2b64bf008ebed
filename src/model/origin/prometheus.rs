//! Where the figures of Prometheus come from.

use super::row::{Origin, origin};

/// All of them.
pub const ORIGINS: &[Origin] = &[
    origin(
        "prometheus.objective",
        "query_range of the objective's counters, as raw samples; a reset counts from 0, nothing is extrapolated",
        "burn = (Δfailed / Δall) / (1 - target), over each window; budget left = 1 - burn over the period",
        "curl -sG localhost:9090/api/v1/query --data-urlencode 'query=EXPRESSION'",
    ),
    origin("prometheus.alerts", "/api/v1/alerts", "as it is", "curl -s localhost:9090/api/v1/alerts"),
    origin(
        "prometheus.targets",
        "the metric `up`, by job",
        "targets whose last scrape worked, of all",
        "curl -s 'localhost:9090/api/v1/query?query=up'",
    ),
    origin(
        "prometheus.fleet",
        "metrics of the node, PostgreSQL and Redis exporters, by a constant number of instant queries",
        "Σ rate of pressure stall information (tasks that wait for CPU, memory, disks) + waits for blocks + misses × 2 ms, s/s",
        "curl -sG localhost:9090/api/v1/query --data-urlencode 'query=rate(node_pressure_io_waiting_seconds_total[5m])'",
    ),
    origin(
        "prometheus.rules",
        "expressions of rule files, as instant queries; count(selector) for what matches nothing",
        "since = the begin of the run of points that ends now, over the last hour in steps of 30 s; fires = held for at least `for`",
        "curl -sG localhost:9090/api/v1/query --data-urlencode 'query=EXPRESSION'",
    ),
    origin(
        "prometheus.warnings",
        "the field `warnings` of an answer",
        "as it is: the answer's figures are unknown",
        "curl -s 'localhost:9090/api/v1/query?query=up'",
    ),
];
