//! What is needed by and by, and what calls for more: rows, and one closely.

use crate::app::tables::{Card, Cell, Copied, Row};
use crate::config::Meaning;
use crate::detect::capacity::{bucket, called, stands};
use crate::model::capacity::{Capacity, Needed, Triggered};
use crate::model::facts::PrometheusFacts;
use crate::model::unit::{seconds, short};

/// Needs, then triggers.
pub fn rows(p: &PrometheusFacts, _: i64) -> Vec<Row> {
    let Ok(capacity) = &p.capacity else { return Vec::new() };
    let needs = capacity.needed.iter().map(|n| need(n, capacity));
    needs.chain(capacity.triggered.iter().map(trigger)).collect()
}

fn amount(needed: &Needed, value: f64) -> String {
    format!("{} {}", short(value), needed.need.unit)
}

fn need(needed: &Needed, capacity: &Capacity) -> Row {
    let projected = needed.ahead(capacity.ahead_s as f64);
    let (state, act) = stands(needed, projected.as_ref());
    let show = |v: f64| amount(needed, v);
    Row {
        key: format!("need {}", needed.need.name),
        cells: vec![
            Cell::text(needed.need.name.clone()),
            Cell::maybe(needed.peak, show),
            Cell::maybe(needed.have, show),
            match projected {
                Some(p) if p.ahead_s > 0.0 => Cell::of(p.used.0, format!("{} in {}", show(p.used.0), seconds(p.ahead_s))),
                _ => Cell::text("no trend yet"),
            },
            Cell::maybe(projected.map(|p| p.need), show),
            Cell::maybe(projected.and_then(|p| needed.price(&p)), short),
            Cell::text(state),
        ],
        meaning: if act { Meaning::Warning } else { Meaning::Text },
    }
}

fn trigger(t: &Triggered) -> Row {
    let (state, act) = called(t);
    let of = &t.trigger;
    Row {
        key: format!("trigger {}", of.name),
        cells: vec![
            Cell::text(of.name.clone()),
            t.value.map_or_else(|| Cell::text("-"), |v| Cell::of(v.0, bucket(of.unit, v))),
            Cell::text(""),
            Cell::text(format!("{} of {}", of.statistic.word(), seconds(t.over_s as f64))),
            Cell::of(of.above, format!("> {}", of.unit.show(of.above))),
            Cell::text(""),
            Cell::text(state),
        ],
        meaning: if act { Meaning::Warning } else { Meaning::Text },
    }
}

/// One of them closely.
pub fn card(p: &PrometheusFacts, key: &str) -> Option<Card> {
    let capacity = p.capacity.as_ref().ok()?;
    let row = |label: &str, text: String| (label.to_owned(), text);
    if let Some(name) = key.strip_prefix("trigger ") {
        let t = capacity.triggered.iter().find(|t| t.trigger.name == name)?;
        let of = &t.trigger;
        let mut lines = vec![row("state", called(t).0)];
        lines.extend(t.value.map(|v| row("highest", format!("{} ({})", bucket(of.unit, v), t.whose.shown()))));
        lines.push(row(
            "threshold",
            format!("{} of the last {} above {}", of.statistic.word(), seconds(t.over_s as f64), of.unit.show(of.above)),
        ));
        lines.push(row("asked", of.query.clone()));
        return Some(Card { title: format!("trigger {name}"), lines });
    }
    let needed = capacity.needed.iter().find(|n| Some(n.need.name.as_str()) == key.strip_prefix("need "))?;
    let need = &needed.need;
    let show = |v: f64| amount(needed, v);
    let mut lines = Vec::new();
    lines.extend(needed.have.map(|have| row("there is", show(have))));
    lines.extend(needed.peak.map(|peak| row("peak", format!("{}: 19 of 20 readings are no higher", show(peak)))));
    if let Some(p) = needed.ahead(capacity.ahead_s as f64) {
        let (used, low, high) = p.used;
        let ahead = format!(
            "{} in {} (80 %: {} to {}), {} %",
            show(used),
            seconds(p.ahead_s),
            show(low),
            show(high),
            short(p.growth * 100.0)
        );
        lines.push(row("peak then", ahead));
        if p.ahead_s + 1.0 < capacity.ahead_s as f64 {
            lines.push(row(
                "",
                format!(
                    "no further: a trend is carried on for three times as long as it was seen, not for {}",
                    seconds(capacity.ahead_s as f64)
                ),
            ));
        }
        lines.push(row(
            "need",
            format!("{} with {} % kept free: {}", show(p.need), short(need.buffer), stands(needed, Some(&p)).0),
        ));
        match needed.price(&p) {
            Some(price) => {
                lines.push(row("a month", format!("{} at {} each", short(price), short(need.price.unwrap_or_default()))))
            }
            None => lines.push(row("a month", format!("not known: write price into [needs.{}]", need.name))),
        }
    }
    if !needed.busiest.is_empty() {
        let hours: Vec<String> = needed.busiest.iter().map(|h| format!("{h:02}:00")).collect();
        lines.push(row("busiest", format!("{} UTC", hours.join(", "))));
    }
    lines.push(row("asked", need.used.clone()));
    Some(Card { title: format!("need {}", need.name), lines })
}

/// The query behind it.
pub fn copied(p: Option<&PrometheusFacts>, key: Option<&str>) -> Result<Copied, &'static str> {
    let capacity = p.and_then(|p| p.capacity.as_ref().ok()).ok_or("nothing to copy yet")?;
    let (kind, name) = key.and_then(|k| k.split_once(' ')).ok_or("nothing to copy: none is selected")?;
    let needed = capacity.needed.iter().filter(|_| kind == "need").map(|n| (&n.need.name, &n.need.used));
    let triggered = capacity.triggered.iter().filter(|_| kind == "trigger").map(|t| (&t.trigger.name, &t.trigger.query));
    let (_, query) = needed.chain(triggered).find(|(n, _)| *n == name).ok_or("nothing to copy: it is not there any more")?;
    Ok(Copied { text: query.clone(), what: format!("the query of {name}") })
}
