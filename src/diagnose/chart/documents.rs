//! The flowchart, the common issues and the troubleshooting guide of the documents that perftop was made from: each row with the questions
//! here that answer it. Pure data.

use std::fmt::Write as _;

/// A box of their flowchart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its letter.
    pub id: char,
    /// What it says.
    pub text: &'static str,
    /// It asks.
    pub asks: bool,
    /// The questions here that it stands for, or whose findings say what to do.
    pub questions: &'static [&'static str],
}

/// An arrow of their flowchart: from, label, to.
pub type Arrow = (char, &'static str, char);

const fn asks(id: char, text: &'static str, questions: &'static [&'static str]) -> Place {
    Place { id, text, asks: true, questions }
}

const fn does(id: char, text: &'static str, questions: &'static [&'static str]) -> Place {
    Place { id, text, asks: false, questions }
}

const CPU: &[&str] =
    &["host.cpu.contention", "host.cpu.throttled", "host.cpu.steal", "host.cpu.realtime_hog", "app.workload_growth"];
const NETWORK: &[&str] =
    &["host.network.packet_loss", "host.network.link_saturated", "host.network.syn_loss", "app.upstream.waiting"];
const QUERIES: &[&str] = &[
    "postgres.query.missing_index",
    "postgres.query.stale_statistics",
    "postgres.query.temp_spill",
    "postgres.query.high_frequency",
    "postgres.query.expensive",
];
const SUFFERS: &[&str] = &["slo.burn", "prometheus.alert", "app.service.stalled"];
const FAILS: &[&str] = &[
    "host.memory.oom",
    "host.disk.full",
    "host.disk.errors",
    "host.files.exhausted",
    "postgres.connections.exhausted",
    "redis.memory.oom_refused",
    "redis.errors",
];

/// The boxes of their flowchart.
pub const PLACES: &[Place] = &[
    does('A', "Performance Issue Detected", SUFFERS),
    asks('B', "Response Time Issue?", &["slo.burn", "app.service.stalled"]),
    does('C', "Check API Latency", SUFFERS),
    asks('D', "High Error Rate?", FAILS),
    asks('E', "Database Slow?", QUERIES),
    does('F', "Optimize Queries", QUERIES),
    asks('G', "CPU High?", CPU),
    does('H', "Scale Compute", &["host.cpu.contention", "app.workload_growth"]),
    does('I', "Check Network", NETWORK),
    does('J', "Check Logs", &["host.memory.oom", "host.disk.errors"]),
    asks('K', "Code Issue?", &["postgres.query.regressed", "postgres.query.high_frequency", "host.memory.leak"]),
    does('L', "Deploy Fix", &["postgres.query.regressed"]),
    does('M', "Infrastructure Issue", FAILS),
    asks(
        'N',
        "Resource Issue?",
        &["host.cpu.contention", "host.memory.reclaim", "host.io.saturated", "host.network.link_saturated"],
    ),
    does('O', "Scale Resources", &["host.memory.reclaim", "host.io.saturated"]),
    does('P', "Deep Analysis Required", &["app.unexplained"]),
];

/// The arrows of their flowchart, in their order.
pub const ARROWS: &[Arrow] = &[
    ('A', "", 'B'),
    ('B', "Yes", 'C'),
    ('B', "No", 'D'),
    ('C', "", 'E'),
    ('E', "Yes", 'F'),
    ('E', "No", 'G'),
    ('G', "Yes", 'H'),
    ('G', "No", 'I'),
    ('D', "Yes", 'J'),
    ('J', "", 'K'),
    ('K', "Yes", 'L'),
    ('K', "No", 'M'),
    ('D', "No", 'N'),
    ('N', "Yes", 'O'),
    ('N', "No", 'P'),
];

/// Their common issues, and their troubleshooting guide (symptom: cause).
pub const ROWS: &[(&str, &[&str])] = &[
    ("Slow Queries", QUERIES),
    ("Memory Leak", &["host.memory.leak", "host.memory.oom"]),
    ("Connection Pool Exhaustion", &["app.pool.queueing", "postgres.connections.exhausted", "redis.clients.exhausted"]),
    ("Cache Misses", &["redis.memory.evictions"]),
    ("Network Congestion", &["host.network.packet_loss", "host.network.link_saturated"]),
    ("CPU Throttling", &["host.cpu.throttled"]),
    ("High response times during peak hours: Insufficient server capacity", CPU),
    (
        "High response times during peak hours: Database connection pool exhaustion",
        &["app.pool.queueing", "postgres.connections.exhausted"],
    ),
    ("High response times during peak hours: Inefficient queries", QUERIES),
    ("High response times during peak hours: Cache misses", &["redis.memory.evictions"]),
    ("Memory leaks causing OOM errors: Unbounded caches", &["host.memory.leak", "redis.memory.near_limit"]),
    ("Memory leaks causing OOM errors: Event listener accumulation", &["host.memory.leak"]),
    ("Memory leaks causing OOM errors: Large object retention", &["host.memory.leak", "host.memory.oom"]),
    (
        "Database query timeouts: Table locks",
        &["postgres.locks.ddl_queue", "postgres.locks.idle_in_transaction", "postgres.locks.blocked"],
    ),
    ("Database query timeouts: Missing indexes", &["postgres.query.missing_index"]),
    ("Database query timeouts: Query plan changes", &["postgres.query.regressed"]),
    ("Database query timeouts: Statistics out of date", &["postgres.query.stale_statistics"]),
];

/// Their flowchart as they drew it: each box where it is first named.
#[must_use]
pub fn mermaid() -> String {
    let mut out = "graph TD\n".to_owned();
    let mut named: Vec<char> = Vec::new();
    let mut place = |id: char| {
        let known = named.contains(&id);
        named.push(id);
        match PLACES.iter().find(|p| p.id == id) {
            Some(p) if !known && p.asks => format!("{id}{{{}}}", p.text),
            Some(p) if !known => format!("{id}[{}]", p.text),
            _ => id.to_string(),
        }
    };
    for (from, label, to) in ARROWS {
        let (from, to) = (place(*from), place(*to));
        let label = if label.is_empty() { String::new() } else { format!("|{label}|") };
        _ = writeln!(out, "    {from} -->{label} {to}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::chart::{branches, start};

    /// The chart of the documents, row by row.
    const THEIRS: &str = "graph TD
    A[Performance Issue Detected] --> B{Response Time Issue?}
    B -->|Yes| C[Check API Latency]
    B -->|No| D{High Error Rate?}
    C --> E{Database Slow?}
    E -->|Yes| F[Optimize Queries]
    E -->|No| G{CPU High?}
    G -->|Yes| H[Scale Compute]
    G -->|No| I[Check Network]
    D -->|Yes| J[Check Logs]
    J --> K{Code Issue?}
    K -->|Yes| L[Deploy Fix]
    K -->|No| M[Infrastructure Issue]
    D -->|No| N{Resource Issue?}
    N -->|Yes| O[Scale Resources]
    N -->|No| P[Deep Analysis Required]
";

    #[test]
    fn the_chart_of_the_documents_comes_out_as_it_is_row_by_row() {
        assert_eq!(mermaid(), THEIRS);
    }

    #[test]
    fn every_row_of_the_documents_is_asked_about_here() {
        let asked: Vec<&str> = branches().flat_map(|b| b.questions).chain(start()).map(|q| q.id).collect();
        let places = PLACES.iter().map(|p| (p.text, p.questions));
        for (row, questions) in places.chain(ROWS.iter().copied()) {
            assert!(!questions.is_empty(), "{row}");
            for id in questions {
                assert!(asked.contains(id), "{row}: nobody asks for {id}");
            }
        }
    }
}
