//! Rows of the tables.

use crate::app::tables::{Cell, Row};
use crate::config::Meaning;
use crate::detect::prometheus::{Burn, FAILURES, burn};
use crate::model::alerting::Evaluated;
use crate::model::facts::PrometheusFacts;
use crate::model::prometheus::Counted;
use crate::model::seen::Why;
use crate::model::unit::{Unit, count, seconds, short};

/// How an objective stands, in a word or two; and how that is drawn.
#[must_use]
pub fn state(counted: &Counted) -> (String, Meaning) {
    let lack = counted.windows.iter().find_map(|(_, seen)| seen.as_ref().err());
    match (burn(counted, FAILURES, false), lack) {
        (Burn::Burns(b), _) => {
            let word = if b.pair.urgent { "BURNS" } else { "burns slowly" };
            let until = counted.spent_in().map_or_else(String::new, |s| format!(", budget gone in {}", seconds(s)));
            (format!("{word}{until}"), if b.pair.urgent { Meaning::Critical } else { Meaning::Warning })
        }
        (Burn::Few { failures }, _) => (format!("too few failures: {}", count(failures)), Meaning::Muted),
        (Burn::Even { .. }, _) if counted.left().is_some_and(|(left, _)| left <= 0.0) => {
            ("budget spent".into(), Meaning::Warning)
        }
        (Burn::Even { .. }, _) => ("ok".into(), Meaning::Good),
        (Burn::Idle, _) => ("no requests".into(), Meaning::Muted),
        (Burn::Unknown, Some(lack)) if lack.why == Why::Absent => ("BLIND: no series".into(), Meaning::Warning),
        (Burn::Unknown, Some(lack)) => (format!("? {lack}"), Meaning::Muted),
        (Burn::Unknown, None) => ("?".into(), Meaning::Muted),
    }
}

/// A bar of what is left of the budget: `▓▓▓▓░░░░░░`.
#[must_use]
pub fn bar(left: f64, width: usize) -> String {
    let full = (left.clamp(0.0, 1.0) * width as f64).round() as usize;
    "▓".repeat(full) + &"░".repeat(width - full)
}

/// Objectives, those that burn first.
pub fn objectives(p: &PrometheusFacts, _: i64) -> Vec<Row> {
    const TEN: usize = 10;
    let pace = |c: &Counted, window: u64| Cell::maybe(c.burn(window), |b| format!("{}x", short(b)));
    let row = |c: &Counted| {
        let (state, meaning) = state(c);
        let left = c.left().map(|(left, _)| left);
        let rate = c.recent.iter().rev().take(3).find_map(|p| p.per_s).map(f64::from);
        Row {
            key: c.objective.name.clone(),
            cells: vec![
                Cell::text(c.objective.name.clone()),
                Cell::of(c.objective.target, format!("{} %", c.objective.percent())),
                Cell::maybe(left, |l| Unit::Percent.show(l.max(-9.99) * 100.0)),
                Cell::text(left.map_or_else(String::new, |l| bar(l, TEN))),
                pace(c, 300),
                pace(c, 3_600),
                pace(c, 1_800),
                pace(c, 21_600),
                pace(c, 259_200),
                Cell::maybe(rate, count),
                Cell::text(state),
            ],
            meaning,
        }
    };
    let mut rows: Vec<Row> = p.counted.iter().map(|c| row(c)).collect();
    let order = |m: Meaning| [Meaning::Critical, Meaning::Warning].iter().position(|o| *o == m).unwrap_or(2);
    rows.sort_by_key(|r| order(r.meaning));
    rows
}

/// Alerts as they stand.
pub fn alerts(p: &PrometheusFacts, now_ms: i64) -> Vec<Row> {
    let alerts = p.alerts.as_ref().map(|all| all.as_slice()).unwrap_or_default();
    let row = |a: &crate::model::prometheus::Alert| Row {
        key: format!("{} {}", a.name.shown(), a.all_labels()),
        cells: vec![
            Cell::text(if a.firing { "firing" } else { "pending" }),
            Cell::text(a.label("severity").unwrap_or_default()),
            Cell::maybe(a.since_ms.map(|since| ((now_ms - since) as f64 / 1e3).max(0.0)), seconds),
            Cell::text(a.name.shown()),
            Cell::text(a.who()),
            Cell::text(a.says.shown()),
        ],
        meaning: match (a.firing, a.label("severity")) {
            (true, Some("critical" | "page")) => Meaning::Critical,
            (true, Some("none" | "info")) => Meaning::Text,
            (true, _) => Meaning::Warning,
            (false, _) => Meaning::Muted,
        },
    };
    alerts.iter().map(row).collect()
}

/// Jobs, those with targets that do not answer first.
pub fn jobs(p: &PrometheusFacts, _: i64) -> Vec<Row> {
    let jobs = p.targets.as_ref().map(|t| t.jobs.as_slice()).unwrap_or_default();
    let mut rows: Vec<Row> = jobs
        .iter()
        .map(|j| {
            let (state, meaning) = match (j.up, j.all) {
                (up, all) if up >= all => ("ok", Meaning::Text),
                (0, _) => ("BLIND", Meaning::Critical),
                _ => ("partly", Meaning::Warning),
            };
            Row {
                key: j.name.shown().to_owned(),
                cells: vec![
                    Cell::text(state),
                    Cell::of(f64::from(j.up), j.up.to_string()),
                    Cell::of(f64::from(j.all), j.all.to_string()),
                    Cell::text(j.name.shown()),
                ],
                meaning,
            }
        })
        .collect();
    rows.sort_by_key(|r| r.meaning == Meaning::Text);
    rows
}

/// Rules of files: those that would fire first, then those that something is wrong with.
pub fn rules(p: &PrometheusFacts, now_ms: i64) -> Vec<Row> {
    let row = |r: &Evaluated| {
        let since = r.since_ms.map(|since| ((now_ms - since) as f64 / 1e3).max(0.0));
        let (state, meaning) = match &r.holds {
            _ if r.fires(now_ms) => ("would fire", Meaning::Critical),
            Ok(n) if *n > 0 && r.alert => ("pending", Meaning::Warning),
            _ if !r.defects.is_empty() => ("defect", Meaning::Warning),
            Ok(_) if r.alert => ("quiet", Meaning::Text),
            Ok(_) => ("recorded", Meaning::Text),
            Err(_) => ("?", Meaning::Muted),
        };
        Row {
            key: format!("{} {} {}", r.group.shown(), r.name.shown(), r.expr.shown()),
            cells: vec![
                Cell::text(state),
                Cell::maybe(since, seconds),
                Cell::maybe(r.holds.as_ref().ok().map(|n| f64::from(*n)), count),
                Cell::text(r.severity.shown()),
                Cell::text(r.name.shown()),
                Cell::text(r.defects.iter().map(|d| d.shown()).collect::<Vec<_>>().join(" · ")),
            ],
            meaning,
        }
    };
    let mut rows: Vec<Row> = p.rules.iter().map(|r| row(r)).collect();
    let order = |m: Meaning| [Meaning::Critical, Meaning::Warning].iter().position(|o| *o == m).unwrap_or(2);
    rows.sort_by_key(|r| order(r.meaning));
    rows
}
