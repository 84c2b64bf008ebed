//! Key figures against their targets, as text, JSON and Markdown. Pure.

use std::fmt::Write as _;

use serde::Serialize;

use crate::detect::diagnosis::rfc3339;
use crate::detect::kpi::{Level, figure, standing, state, usual, word};
use crate::model::foreign::tamed;
use crate::model::kpi::{Kpis, Measured};

use super::markdown::escape;

/// For programs.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    at: String,
    source: &'a str,
    kpis: Vec<Row<'a>>,
    unknown: Vec<Unknown<'a>>,
    requests: u32,
    bytes: u64,
    took_ms: u64,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    says: &'a str,
    unit: &'static str,
    /// At least, and at most where that is known: the ends of a bucket.
    low: Option<f64>,
    high: Option<f64>,
    lower_is_worse: bool,
    target: Option<f64>,
    warning: Option<f64>,
    critical: Option<f64>,
    /// good, missed, warning, critical, between, unknown.
    level: &'static str,
    reached: &'static str,
    lasted_s: u64,
    must_s: u64,
    usual: Option<f64>,
    usual_from: Option<String>,
    unusual: Option<f64>,
    far_from_usual: Option<f64>,
}

#[derive(Serialize)]
struct Unknown<'a> {
    what: &'a str,
    because: &'a str,
}

fn row<'a>(m: &'a Measured, kpis: &Kpis) -> Row<'a> {
    let (s, u) = (standing(m), usual(m, &kpis.habits, kpis.at_ms));
    Row {
        name: &m.kpi.name,
        says: &m.kpi.says,
        unit: m.kpi.unit.word(),
        low: m.now().map(|(low, _)| low),
        high: m.now().map(|(_, high)| high).filter(|v| v.is_finite()),
        lower_is_worse: m.kpi.lower,
        target: m.kpi.target,
        warning: m.kpi.warning.map(|(v, _)| v),
        critical: m.kpi.critical.map(|(v, _)| v),
        level: word(s.level),
        reached: word(s.reached),
        lasted_s: s.lasted_s,
        must_s: s.must_s,
        usual: u.map(|u| u.median),
        usual_from: u.map(|u| u.from.says()),
        unusual: u.map(|u| u.bounds.0),
        far_from_usual: u.map(|u| u.bounds.1),
    }
}

/// The worst level of all.
#[must_use]
pub fn worst(kpis: &Kpis) -> Level {
    kpis.all.iter().map(|m| standing(m).level).max().unwrap_or(Level::Unknown)
}

/// Too little is known: a question failed, or there is no series of any. Those of which there is no series are not in use here.
#[must_use]
pub fn blind(kpis: &Kpis) -> bool {
    !kpis.lacks.is_empty() || kpis.all.iter().all(|m| m.now().is_none())
}

/// One JSON object.
#[must_use]
pub fn json(source: &str, kpis: &Kpis) -> String {
    let document = Document {
        schema: 1,
        at: rfc3339(kpis.at_ms),
        source,
        kpis: kpis.all.iter().map(|m| row(m, kpis)).collect(),
        unknown: kpis.lacks.iter().map(|(what, said)| Unknown { what, because: said.shown() }).collect(),
        requests: kpis.cost.requests,
        bytes: kpis.cost.bytes,
        took_ms: kpis.cost.took_ms,
    };
    serde_json::to_string(&document).unwrap_or_default() + "\n"
}

/// What stands in a line: what, now, target, warning, critical, usual, how it stands.
fn cells(m: &Measured, kpis: &Kpis) -> [String; 7] {
    let show = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| figure(&m.kpi, (v, v)));
    let u = usual(m, &kpis.habits, kpis.at_ms);
    [
        m.kpi.says.clone(),
        m.now().map_or_else(|| "-".to_owned(), |now| figure(&m.kpi, now)),
        show(m.kpi.target),
        show(m.kpi.warning.map(|(v, _)| v)),
        show(m.kpi.critical.map(|(v, _)| v)),
        show(u.map(|u| u.median)),
        state(kpis, m).0,
    ]
}

const HEADING: [&str; 7] = ["key figure", "now", "target", "warning", "critical", "usual", "state"];

/// For people.
#[must_use]
pub fn text(source: &str, kpis: &Kpis) -> String {
    let mut out = format!("Key figures by {}\n\n", tamed(source));
    let rows = std::iter::once(HEADING.map(ToOwned::to_owned)).chain(kpis.all.iter().map(|m| cells(m, kpis)));
    for [what, now, target, warning, critical, usual, state] in rows {
        _ = writeln!(out, "{:<28} {now:>16} {target:>10} {warning:>10} {critical:>10} {usual:>12}  {state}", tamed(&what));
    }
    for (what, said) in &kpis.lacks {
        _ = writeln!(out, "unknown   {}: {}", tamed(what), said.shown());
    }
    out
}

/// For tickets.
#[must_use]
pub fn markdown(source: &str, kpis: &Kpis) -> String {
    let mut out = format!(
        "## Key figures by {}\n\n| {} |\n|{}\n",
        escape(&tamed(source)),
        HEADING.join(" | "),
        "---|".repeat(HEADING.len())
    );
    for m in &kpis.all {
        let cells: Vec<String> = cells(m, kpis).iter().map(|cell| escape(&tamed(cell))).collect();
        _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    for (what, said) in &kpis.lacks {
        _ = writeln!(out, "\nUnknown: {}: {}", escape(&tamed(what)), escape(said.shown()));
    }
    out
}
