//! The hosts of the fleet: rows, and one of them over the last hour.

use std::sync::Arc;

use crate::app::tables::{Card, Cell, Copied, Row};
use crate::config::Meaning;
use crate::detect::finding::Severity;
use crate::detect::prometheus::{Ranked, ranked, reading, way};
use crate::model::demand::Demand;
use crate::model::facts::PrometheusFacts;
use crate::model::foreign::Foreign;
use crate::model::prometheus::signals::{GROUPS, Signal};
use crate::model::prometheus::{Fleet, PrometheusAsk};
use crate::model::unit::{bytes, count, short};

/// Hosts, those that are worst first.
pub fn rows(p: &PrometheusFacts, _: i64) -> Vec<Row> {
    let Ok(fleet) = &p.fleet else { return Vec::new() };
    let level = |fleet: &Fleet, r: &Ranked, k: &str, turned: bool| {
        let value = fleet.hosts.get(&r.host).and_then(|h| h.now.get(k)).map(|v| if turned { 1.0 - v } else { *v });
        Cell::maybe(value, |v| format!("{} %", short(v * 100.0)))
    };
    let row = |r: &Ranked| Row {
        key: r.host.clone(),
        cells: vec![
            Cell::text(Foreign::from(r.host.as_str()).shown()),
            Cell::text(r.severity.map_or("ok", Severity::word)),
            Cell::of(r.lost, short(r.lost)),
            level(fleet, r, "cpu_util", false),
            level(fleet, r, "mem_free", true),
            level(fleet, r, "disk_util", false),
            Cell::text(r.why.iter().map(|w| w.says.as_str()).collect::<Vec<_>>().join(" · ")),
        ],
        meaning: match r.severity {
            Some(Severity::Critical) => Meaning::Critical,
            Some(_) => Meaning::Warning,
            None => Meaning::Text,
        },
    };
    ranked(fleet).iter().map(row).collect()
}

/// Why there are none.
pub fn nothing(p: Option<&PrometheusFacts>) -> String {
    match p.map(|p| &p.fleet) {
        Some(Ok(_)) => "it watches no host".to_owned(),
        Some(Err(lack)) => format!("? {lack}"),
        None => "no Prometheus answers".to_owned(),
    }
}

/// The banner: how many, what is wrong with them, what it took, what is missing.
#[must_use]
pub fn banner(fleet: &Arc<Fleet>) -> Vec<(String, Meaning)> {
    let ranked = ranked(fleet);
    let of = |severity: Severity| ranked.iter().filter(|r| r.severity == Some(severity)).count();
    let (critical, warning) = (of(Severity::Critical), of(Severity::Warning));
    let worst = match (critical, warning) {
        // What was not seen may be anything.
        (0, 0) if fleet.blind() || !fleet.lacks.is_empty() => Meaning::Muted,
        (0, 0) => Meaning::Good,
        (0, _) => Meaning::Warning,
        _ => Meaning::Critical,
    };
    let all = fleet.hosts.len();
    let mut lines = vec![(
        format!("{} host{}: {critical} critical, {warning} warning", count(all as f64), if all == 1 { "" } else { "s" }),
        worst,
    )];
    let cost = &fleet.cost;
    let before = if fleet.before.is_empty() {
        "no history to compare with".to_owned()
    } else {
        format!("compared with {} ago", fleet.before)
    };
    let took =
        format!("{} queries, {}, {} s; {before}", cost.requests, bytes(cost.bytes as f64), short(cost.took_ms as f64 / 1e3));
    lines.push((took, Meaning::Muted));
    let down: usize = fleet.hosts.values().map(|h| h.down.len()).sum();
    if down > 0 {
        lines
            .push((format!("{} target{} not answering", count(down as f64), if down == 1 { "" } else { "s" }), Meaning::Warning));
    }
    lines.extend(fleet.unread().into_iter().map(|(what, because)| (format!("{what}: {because}"), Meaning::Muted)));
    lines.extend(fleet.lacks.iter().map(|(name, said)| (format!("not whole: {name}: {}", said.shown()), Meaning::Warning)));
    lines
}

/// What is asked for when a host is opened.
pub fn asks(source: &str, host: &str) -> Option<Demand> {
    Some(PrometheusAsk::Host(host.to_owned()).of(source))
}

/// The line that leads there.
pub fn copied(key: Option<&str>) -> Result<Copied, &'static str> {
    let host = key.ok_or("nothing to copy: no host is selected")?;
    let command = way(host).ok_or("nothing to copy: that name leads to no host")?;
    Ok(Copied { text: command.to_string(), what: format!("the way to {host}") })
}

/// A host: what is wrong, and each signal now, among its peers, and over the last hour.
pub fn card(p: &PrometheusFacts, host: &str) -> Option<Card> {
    const WIDTH: usize = 30;
    let fleet = p.fleet.as_ref().ok()?;
    let own = fleet.hosts.get(host)?;
    let all = ranked(fleet);
    let ranked = all.iter().find(|r| r.host == host)?;
    let mut lines: Vec<(String, String)> = Vec::new();
    for (at, why) in ranked.why.iter().enumerate() {
        lines.push((if at == 0 { "problem".into() } else { String::new() }, format!("{}: {}", why.severity.word(), why.says)));
    }
    lines.extend(way(host).map(|way| ("go there".to_owned(), way.to_string())));
    let history = p.host.as_ref().ok().filter(|h| h.host == host);
    let past =
        |s: &Signal| own.past.get(s.k).map_or_else(String::new, |v| format!("  ({} ago: {})", fleet.before, reading(s, *v)));
    for group in GROUPS {
        for s in group.signals.iter().filter(|s| own.now.contains_key(s.k)) {
            let now = reading(s, own.now[s.k]);
            let about = own.about.get(s.k).map_or_else(String::new, |a| format!(" {}", a.shown()));
            let line = history.and_then(|h| h.signals.get(s.k)).map_or_else(|| " ".repeat(WIDTH), |points| spark(points, WIDTH));
            lines.push((format!("{}{about}", s.says), format!("{now:>10}  {line}{}", past(s))));
        }
    }
    Some(Card { title: format!("host {}", Foreign::from(host).shown()), lines })
}

/// An hour in so many columns, against its own highest point.
fn spark(points: &[Option<f32>], width: usize) -> String {
    const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let top = points.iter().flatten().copied().fold(f32::EPSILON, f32::max);
    let per = points.len().div_ceil(width).max(1);
    let mean = |part: &[Option<f32>]| {
        let known: Vec<f32> = part.iter().flatten().copied().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f32>() / known.len() as f32)
    };
    let glyph = |v: Option<f32>| v.map_or(' ', |v| LEVELS[((v / top).clamp(0.0, 1.0) * 8.0).round() as usize]);
    let line: String = points.chunks(per).map(|part| glyph(mean(part))).collect();
    format!("{line:<width$}")
}
