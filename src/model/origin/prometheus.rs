//! Where the figures of Prometheus come from.

use super::row::{Origin, origin};

/// All of them.
pub const ORIGINS: &[Origin] = &[
    origin(
        "prometheus.objective",
        "query_range of the objective's counters, as raw samples; a reset counts from 0, nothing is extrapolated",
        "burn = (Δfailed / Δall) / (1 - target), over each window; budget left = 1 - burn over the period",
        "curl -s 'localhost:9090/api/v1/query?query=EXPRESSION'",
    ),
    origin("prometheus.alerts", "/api/v1/alerts", "as it is", "curl -s localhost:9090/api/v1/alerts"),
    origin(
        "prometheus.targets",
        "the metric `up`, by job",
        "targets whose last scrape worked, of all",
        "curl -s 'localhost:9090/api/v1/query?query=up'",
    ),
    origin(
        "prometheus.warnings",
        "the field `warnings` of an answer",
        "as it is: the answer's figures are unknown",
        "curl -s 'localhost:9090/api/v1/query?query=up'",
    ),
];
