//! The fleet as text, JSON and Markdown. Pure.

use std::fmt::Write as _;

use serde::Serialize;

use crate::detect::diagnosis::rfc3339;
use crate::detect::finding::{Severity, round6};
use crate::detect::prometheus::{Ranked, rank, way};
use crate::model::foreign::{Foreign, tamed};
use crate::model::prometheus::Fleet;
use crate::model::unit::{bytes, count, short};

use super::markdown::escape;

/// Hosts that text and Markdown name.
const SHOWN: usize = 40;

/// The fleet, for programs.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    at: String,
    source: &'a str,
    hosts: usize,
    critical: usize,
    warning: usize,
    /// Hosts with something wrong, worst first.
    wrong: Vec<Row<'a>>,
    /// What is not known.
    unknown: Vec<Unknown<'a>>,
    before: &'a str,
    requests: u32,
    bytes: u64,
    took_ms: u64,
}

#[derive(Serialize)]
struct Row<'a> {
    rank: usize,
    host: &'a str,
    severity: Severity,
    #[serde(serialize_with = "round6")]
    lost_s_per_s: f64,
    why: Vec<Why<'a>>,
    go_there: Option<String>,
}

#[derive(Serialize)]
struct Why<'a> {
    signal: &'static str,
    severity: Severity,
    says: &'a str,
    value: Option<f64>,
    before: Option<f64>,
}

#[derive(Serialize)]
struct Unknown<'a> {
    what: &'a str,
    because: &'a str,
}

fn numbers(ranked: &[Ranked]) -> (usize, usize) {
    let of = |severity: Severity| ranked.iter().filter(|r| r.severity == Some(severity)).count();
    (of(Severity::Critical), of(Severity::Warning))
}

/// One JSON object.
#[must_use]
pub fn json(source: &str, fleet: &Fleet) -> String {
    let ranked = rank(fleet);
    let (critical, warning) = numbers(&ranked);
    let row = |(at, r): (usize, &'_ Ranked)| -> Option<serde_json::Value> {
        let own = fleet.hosts.get(&r.host);
        let why = r.why.iter().map(|w| Why {
            signal: w.signal,
            severity: w.severity,
            says: &w.says,
            value: own.and_then(|h| h.now.get(w.signal).copied()),
            before: own.and_then(|h| h.past.get(w.signal).copied()),
        });
        let row = Row {
            rank: at + 1,
            host: &r.host,
            severity: r.severity?,
            lost_s_per_s: r.lost,
            why: why.collect(),
            go_there: way(&r.host).map(|c| c.to_string()),
        };
        serde_json::to_value(row).ok()
    };
    let wrong: Vec<serde_json::Value> = ranked.iter().enumerate().filter_map(row).collect();
    let blind = fleet.unread();
    let mut unknown: Vec<Unknown<'_>> = fleet.lacks.iter().map(|(what, said)| Unknown { what, because: said.shown() }).collect();
    unknown.extend(blind.iter().map(|(what, because)| Unknown { what, because }));
    let document = Document {
        schema: 1,
        at: rfc3339(fleet.at_ms),
        source,
        hosts: fleet.hosts.len(),
        critical,
        warning,
        wrong: Vec::new(),
        unknown,
        before: &fleet.before,
        requests: fleet.cost.requests,
        bytes: fleet.cost.bytes,
        took_ms: fleet.cost.took_ms,
    };
    let mut value = serde_json::to_value(document).unwrap_or_default();
    value["wrong"] = serde_json::Value::Array(wrong);
    value.to_string() + "\n"
}

fn head(source: &str, fleet: &Fleet, ranked: &[Ranked]) -> String {
    let (critical, warning) = numbers(ranked);
    format!(
        "{} hosts on {source}: {critical} critical, {warning} warning ({} queries, {}, {} s)",
        count(fleet.hosts.len() as f64),
        fleet.cost.requests,
        bytes(fleet.cost.bytes as f64),
        short(fleet.cost.took_ms as f64 / 1e3)
    )
}

/// For people.
#[must_use]
pub fn text(source: &str, fleet: &Fleet) -> String {
    let ranked = rank(fleet);
    let mut out = head(source, fleet, &ranked) + "\n\n";
    for r in ranked.iter().filter(|r| r.severity.is_some()).take(SHOWN) {
        let word = r.severity.map_or("ok", Severity::word);
        _ = writeln!(out, "{word:<9} {:<28} {:>6} s/s  {}", Foreign::from(r.host.as_str()).shown(), short(r.lost), said(r));
    }
    let more = ranked.iter().filter(|r| r.severity.is_some()).count().saturating_sub(SHOWN);
    if more > 0 {
        _ = writeln!(out, "and {more} more");
    }
    for (what, said) in &fleet.lacks {
        _ = writeln!(out, "unknown   {what}: {}", said.shown());
    }
    for (what, because) in fleet.unread() {
        _ = writeln!(out, "unknown   {what}: {because}");
    }
    out
}

/// For tickets.
#[must_use]
pub fn markdown(source: &str, fleet: &Fleet) -> String {
    let ranked = rank(fleet);
    let mut out = format!("## {}\n\n| host | severity | lost s/s | why |\n|---|---|---|---|\n", head(source, fleet, &ranked));
    let cell = |text: &str| escape(&tamed(text));
    for r in ranked.iter().filter(|r| r.severity.is_some()).take(SHOWN) {
        let word = r.severity.map_or("ok", Severity::word);
        _ = writeln!(out, "| {} | {word} | {} | {} |", cell(&r.host), short(r.lost), cell(&said(r)));
    }
    for (what, said) in &fleet.lacks {
        _ = writeln!(out, "\nUnknown: {}: {}", cell(what), cell(said.shown()));
    }
    for (what, because) in fleet.unread() {
        _ = writeln!(out, "\nUnknown: {what}: {because}");
    }
    out
}

fn said(r: &Ranked) -> String {
    r.why.iter().map(|w| w.says.as_str()).collect::<Vec<_>>().join(" · ")
}
