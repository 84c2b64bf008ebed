//! What runs out, what is needed and what calls for more, as text, JSON and Markdown. Pure.

use std::fmt::Write as _;

use serde::Serialize;

use crate::detect::capacity::{bucket, called, runs_out, stands};
use crate::detect::diagnosis::rfc3339;
use crate::detect::finding::{Severity, round6};
use crate::model::capacity::{Capacity, Left, Needed, Triggered};
use crate::model::foreign::tamed;
use crate::model::trend::{Eta, Outlook};
use crate::model::unit::{bytes, seconds, short};

use super::markdown::escape;

/// Resources that text and Markdown name.
const SHOWN: usize = 40;
const DAY_S: f64 = 86_400.0;

/// For programs.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    at: String,
    source: &'a str,
    seen_s: u64,
    step_s: u64,
    ahead_s: u64,
    left: Vec<Row<'a>>,
    needs: Vec<Need<'a>>,
    triggers: Vec<Trigger<'a>>,
    unknown: Vec<Unknown<'a>>,
    requests: u32,
    bytes: u64,
    took_ms: u64,
}

#[derive(Serialize)]
struct Row<'a> {
    what: &'a str,
    whose: &'a str,
    which: &'a str,
    unit: &'static str,
    left: f64,
    all: Option<f64>,
    per_day: Option<f64>,
    /// out, short, steady, not_credible, beyond, runs_out.
    outlook: &'static str,
    severity: Option<Severity>,
    /// When it runs out by its trend.
    at: Option<String>,
    eta_s: Option<f64>,
    early_s: Option<f64>,
    late_s: Option<f64>,
}

#[derive(Serialize)]
struct Need<'a> {
    what: &'a str,
    unit: &'a str,
    have: Option<f64>,
    peak: Option<f64>,
    ahead_s: Option<f64>,
    peak_then: Option<f64>,
    peak_then_low: Option<f64>,
    peak_then_high: Option<f64>,
    #[serde(serialize_with = "round6")]
    buffer: f64,
    need: Option<f64>,
    missing: Option<f64>,
    price_a_month: Option<f64>,
    busiest_hours_utc: &'a [u8],
    says: String,
}

#[derive(Serialize)]
struct Trigger<'a> {
    what: &'a str,
    statistic: &'static str,
    over_s: u64,
    unit: &'static str,
    value: Option<f64>,
    /// Of a quantile the upper end of its bucket, where it has one.
    value_most: Option<f64>,
    whose: &'a str,
    above: f64,
    calls: bool,
    of: usize,
    calling: usize,
    action: &'a str,
}

#[derive(Serialize)]
struct Unknown<'a> {
    what: &'a str,
    because: &'a str,
}

/// The word of an outlook, and its dates.
const fn word(outlook: &Outlook) -> (&'static str, Option<Eta>) {
    match outlook {
        Outlook::Out => ("out", None),
        Outlook::Short => ("short", None),
        Outlook::Steady => ("steady", None),
        Outlook::NotCredible(_) => ("not_credible", None),
        Outlook::Beyond(_) => ("beyond", None),
        Outlook::RunsOut(eta) => ("runs_out", Some(*eta)),
    }
}

fn row(l: &Left, limits_s: (u64, u64), at_ms: i64) -> Row<'_> {
    let (outlook, eta) = word(&l.outlook);
    Row {
        what: &l.what,
        whose: l.host.shown(),
        which: l.about.shown(),
        unit: l.unit.word(),
        left: l.left,
        all: l.all,
        per_day: l.trend.map(|t| t.per_s * DAY_S),
        outlook,
        severity: runs_out(l, limits_s),
        at: eta.map(|e| rfc3339(at_ms + (e.at_s * 1e3) as i64)),
        eta_s: eta.map(|e| e.at_s.round()),
        early_s: eta.map(|e| e.early_s.round()),
        late_s: eta.map(|e| e.late_s.round()),
    }
}

fn need(n: &Needed, ahead_s: u64) -> Need<'_> {
    let p = n.ahead(ahead_s as f64);
    Need {
        what: &n.need.name,
        unit: &n.need.unit,
        have: n.have,
        peak: n.peak,
        ahead_s: p.map(|p| p.ahead_s.round()),
        peak_then: p.map(|p| p.used.0),
        peak_then_low: p.map(|p| p.used.1),
        peak_then_high: p.map(|p| p.used.2),
        buffer: n.need.buffer,
        need: p.map(|p| p.need),
        missing: p.and_then(|p| p.missing),
        price_a_month: p.and_then(|p| n.price(&p)),
        busiest_hours_utc: &n.busiest,
        says: stands(n, p.as_ref()).0,
    }
}

fn trigger(t: &Triggered) -> Trigger<'_> {
    Trigger {
        what: &t.trigger.name,
        statistic: t.trigger.statistic.word(),
        over_s: t.over_s,
        unit: t.trigger.unit.word(),
        value: t.value.map(|(low, _)| low),
        value_most: t.value.map(|(_, high)| high).filter(|v| v.is_finite()),
        whose: t.whose.shown(),
        above: t.trigger.above,
        calls: t.calls(),
        of: t.above.1,
        calling: t.above.0,
        action: &t.trigger.action,
    }
}

/// One JSON object.
#[must_use]
pub fn json(source: &str, capacity: &Capacity) -> String {
    let document = Document {
        schema: 1,
        at: rfc3339(capacity.at_ms),
        source,
        seen_s: capacity.span_s,
        step_s: capacity.step_s,
        ahead_s: capacity.ahead_s,
        left: capacity.left.iter().map(|l| row(l, capacity.limits_s, capacity.at_ms)).collect(),
        needs: capacity.needed.iter().map(|n| need(n, capacity.ahead_s)).collect(),
        triggers: capacity.triggered.iter().map(trigger).collect(),
        unknown: capacity.lacks.iter().map(|(what, said)| Unknown { what, because: said.shown() }).collect(),
        requests: capacity.cost.requests,
        bytes: capacity.cost.bytes,
        took_ms: capacity.cost.took_ms,
    };
    serde_json::to_string(&document).unwrap_or_default() + "\n"
}

fn head(source: &str, c: &Capacity) -> String {
    format!(
        "Capacity by {}: readings of {}, one each {} ({} queries, {}, {} s)",
        tamed(source),
        seconds(c.span_s as f64),
        seconds(c.step_s as f64),
        c.cost.requests,
        bytes(c.cost.bytes as f64),
        short(c.cost.took_ms as f64 / 1e3)
    )
}

/// What stands in a line of a resource.
fn cells(l: &Left, c: &Capacity) -> [String; 5] {
    let share = l.share().map_or_else(String::new, |s| format!(" ({} %)", short(s * 100.0)));
    let severity = runs_out(l, c.limits_s).map_or("-", Severity::word);
    // A ticket is read on another day.
    let date = word(&l.outlook).1.map_or_else(String::new, |e| {
        let at = rfc3339(c.at_ms + (e.at_s * 1e3) as i64);
        let day = l.trend.map_or_else(String::new, |t| format!(", {} a day", l.unit.show(t.per_s * DAY_S)));
        format!(": {} UTC{day}", at.get(..16).unwrap_or(&at).replace('T', " "))
    });
    [
        severity.to_owned(),
        l.what.clone(),
        format!("{} {}", l.host.shown(), l.about.shown()).trim().to_owned(),
        format!("{}{share}", l.unit.show(l.left)),
        l.outlook.says() + &date,
    ]
}

/// An amount of money, whose currency only its owner knows.
fn money(amount: f64) -> String {
    if amount >= 100.0 { format!("{amount:.0}") } else { format!("{amount:.2}") }
}

/// What stands in a line of a need.
fn need_cells(n: &Needed, c: &Capacity) -> [String; 5] {
    let projected = n.ahead(c.ahead_s as f64);
    let show = |v: Option<f64>| v.map_or_else(|| "?".to_owned(), |v| format!("{} {}", short(v), n.need.unit));
    let then = match projected {
        Some(p) if p.ahead_s > 0.0 => format!("{} in {}", show(Some(p.used.0)), seconds(p.ahead_s)),
        _ => "no trend yet".to_owned(),
    };
    let price = projected.and_then(|p| n.price(&p)).map_or_else(String::new, |price| {
        let missing = projected.and_then(|p| p.missing).filter(|m| *m > 0.0);
        let more = missing
            .zip(n.need.price)
            .map_or_else(String::new, |(m, each)| format!(", {} of it for what is missing", money(m * each)));
        format!(", {} a month{more}", money(price))
    });
    [
        n.need.name.clone(),
        show(n.have),
        format!("{}, {then}", show(n.peak)),
        show(projected.map(|p| p.need)) + &price,
        stands(n, projected.as_ref()).0,
    ]
}

fn trigger_cells(t: &Triggered) -> [String; 4] {
    let of = &t.trigger;
    let value = t.value.map_or_else(|| "?".to_owned(), |v| bucket(of.unit, v));
    [
        of.name.clone(),
        format!("{} of {}", of.statistic.word(), seconds(t.over_s as f64)),
        format!("{value} (threshold {})", of.unit.show(of.above)),
        called(t).0,
    ]
}

/// For people.
#[must_use]
pub fn text(source: &str, c: &Capacity) -> String {
    let mut out = head(source, c) + "\n\n";
    for [severity, what, whose, left, says] in told(c).into_iter().map(|l| cells(l, c)) {
        _ = writeln!(out, "{severity:<9} {what:<28} {whose:<32} {left:>18}  {says}");
    }
    more(&mut out, c);
    out.push('\n');
    for [what, have, peak, need, says] in c.needed.iter().map(|n| need_cells(n, c)) {
        _ = writeln!(out, "need      {what:<14} have {have}, peak {peak}; need {need}: {says}");
    }
    for [what, statistic, value, says] in c.triggered.iter().map(trigger_cells) {
        _ = writeln!(out, "trigger   {what:<14} {statistic}: {value}: {says}");
    }
    for (what, said) in &c.lacks {
        _ = writeln!(out, "unknown   {}: {}", tamed(what), said.shown());
    }
    out
}

/// Resources that are told one by one: those of which there is something to say, at most so many.
fn told(c: &Capacity) -> Vec<&Left> {
    let quiet = |l: &&Left| !matches!(l.outlook, Outlook::Steady | Outlook::Beyond(_));
    c.left.iter().filter(quiet).take(SHOWN).collect()
}

fn more(out: &mut String, c: &Capacity) {
    let more = c.left.len() - told(c).len();
    if more > 0 {
        _ = writeln!(out, "{more} others: none is seen to run out; the screen and the JSON have them all");
    }
    if c.needed.iter().any(|n| n.trend.is_some_and(|t| t.reach_s() + 1.0 < c.ahead_s as f64)) {
        let (asked, allowed) = (seconds(c.ahead_s as f64), seconds(c.span_s as f64 * 3.0));
        _ = writeln!(
            out,
            "{asked} ahead are asked for, and a trend is carried on for three times as long as it was seen: {allowed}"
        );
    }
}

/// For tickets.
#[must_use]
pub fn markdown(source: &str, c: &Capacity) -> String {
    let mut out = format!("## {}\n\n", escape(&head(source, c)));
    let mut table = |heading: &[&str], rows: Vec<Vec<String>>| {
        _ = writeln!(out, "| {} |\n|{}", heading.join(" | "), "---|".repeat(heading.len()));
        for row in rows {
            let cells: Vec<String> = row.iter().map(|cell| escape(&tamed(cell))).collect();
            _ = writeln!(out, "| {} |", cells.join(" | "));
        }
        out.push('\n');
    };
    table(&["severity", "what", "whose", "left", "runs out"], told(c).into_iter().map(|l| cells(l, c).to_vec()).collect());
    table(
        &["need", "have", "peak, now and then", "needed", "state"],
        c.needed.iter().map(|n| need_cells(n, c).to_vec()).collect(),
    );
    table(&["trigger", "statistic", "value", "state"], c.triggered.iter().map(|t| trigger_cells(t).to_vec()).collect());
    more(&mut out, c);
    for (what, said) in &c.lacks {
        _ = writeln!(out, "Unknown: {}: {}", escape(&tamed(what)), escape(said.shown()));
    }
    out
}
