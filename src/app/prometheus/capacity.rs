//! What runs out: rows, and one resource closely.

use crate::app::tables::{Card, Cell, Copied, Row};
use crate::config::Meaning;
use crate::detect::capacity::runs_out;
use crate::detect::finding::Severity;
use crate::model::capacity::{Capacity, Left};
use crate::model::facts::PrometheusFacts;
use crate::model::unit::{bytes, seconds, short};

const DAY_S: f64 = 86_400.0;

/// How it is drawn.
#[must_use]
pub fn meaning(left: &Left, limits_s: (u64, u64)) -> Meaning {
    match runs_out(left, limits_s) {
        Some(Severity::Critical) => Meaning::Critical,
        Some(_) => Meaning::Warning,
        None => Meaning::Text,
    }
}

/// What is left, what runs out first at the top.
pub fn left(p: &PrometheusFacts, _: i64) -> Vec<Row> {
    let Ok(capacity) = &p.capacity else { return Vec::new() };
    let row = |l: &Left| Row {
        key: l.key(),
        cells: vec![
            Cell::text(l.what.clone()),
            Cell::text(l.host.shown()),
            Cell::text(l.about.shown()),
            Cell::of(l.left, l.unit.show(l.left)),
            Cell::maybe(l.share(), |s| short(s * 100.0)),
            Cell::maybe(l.trend.map(|t| t.per_s * DAY_S), |v| l.unit.show(v)),
            Cell::text(l.outlook.says()),
        ],
        meaning: meaning(l, capacity.limits_s),
    };
    capacity.left.iter().map(row).collect()
}

/// Why there is nothing.
pub fn nothing(p: Option<&PrometheusFacts>) -> String {
    match p.map(|p| &p.capacity) {
        Some(Ok(_)) => "no metrics of anything that could run out".to_owned(),
        Some(Err(lack)) => format!("? {lack}"),
        None => "no Prometheus answers".to_owned(),
    }
}

/// How far back was looked, what it took, what is missing.
#[must_use]
pub fn banner(capacity: &Capacity) -> Vec<(String, Meaning)> {
    let cost = &capacity.cost;
    let took = format!(
        "readings of {}, one each {}; {} queries, {}, {} s",
        seconds(capacity.span_s as f64),
        seconds(capacity.step_s as f64),
        cost.requests,
        bytes(cost.bytes as f64),
        short(cost.took_ms as f64 / 1e3)
    );
    let lacks = capacity.lacks.iter().map(|(what, said)| (format!("not known: {what}: {}", said.shown()), Meaning::Warning));
    std::iter::once((took, Meaning::Muted)).chain(lacks).collect()
}

/// One resource: what is left, how it goes, when it ends, how that is known.
pub fn card(p: &PrometheusFacts, key: &str) -> Option<Card> {
    let capacity = p.capacity.as_ref().ok()?;
    let l = capacity.left.iter().find(|l| l.key() == key)?;
    let row = |label: &str, text: String| (label.to_owned(), text);
    let of = l.all.map_or_else(String::new, |all| format!(" of {}", l.unit.show(all)));
    let share = l.share().map_or_else(String::new, |s| format!(", {} %", short(s * 100.0)));
    let mut lines = vec![row("left", format!("{}{of}{share}", l.unit.show(l.left))), row("runs out", l.outlook.says())];
    if let Some(t) = &l.trend {
        lines.push(row(
            "trend",
            format!(
                "{} a day: the median slope between all pairs of the later half of the readings",
                l.unit.show(t.per_s * DAY_S)
            ),
        ));
        let (wrong, differ) = (l.unit.show(t.wrong * DAY_S), l.unit.show(t.differ * DAY_S));
        lines.push(row("wrong by", format!("{wrong} a day, when it is told from earlier readings and held against what came")));
        lines.push(row("spread", format!("{differ} a day: how much {} parts of {} differ", t.parts + 1, seconds(t.part_s))));
        lines.push(row("seen", format!("for {}; carried on for {} at most", seconds(t.span_s), seconds(t.reach_s()))));
    }
    let known = || l.points.iter().flatten().copied();
    if let (Some(least), Some(most)) = (known().reduce(f64::min), known().reduce(f64::max)) {
        lines.push(row(
            "readings",
            format!("{} to {}, the least of each {}", l.unit.show(least), l.unit.show(most), seconds(capacity.step_s as f64)),
        ));
    }
    Some(Card { title: l.title(), lines })
}

/// What is left, and until when, in a line.
pub fn copied(p: Option<&PrometheusFacts>, key: Option<&str>) -> Result<Copied, &'static str> {
    let capacity = p.and_then(|p| p.capacity.as_ref().ok()).ok_or("nothing to copy yet")?;
    let l = capacity.left.iter().find(|l| Some(l.key().as_str()) == key).ok_or("nothing to copy: none is selected")?;
    let text = format!("{}: {} left; {}", l.title(), l.unit.show(l.left), l.outlook.says());
    Ok(Copied { text, what: l.title() })
}
