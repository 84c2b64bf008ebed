//! Key figures: rows, and one closely.

use crate::app::tables::{Card, Cell, Copied, Row};
use crate::config::Meaning;
use crate::detect::kpi::{Level, Standing, Usual, exact, figure, standing, state, usual};
use crate::model::facts::PrometheusFacts;
use crate::model::kpi::{KpiAsk, Kpis, Measured};
use crate::model::unit::{bytes, seconds, short};

/// How it is drawn.
#[must_use]
pub fn meaning(s: &Standing) -> Meaning {
    match s.level {
        Level::Critical => Meaning::Critical,
        Level::Warning => Meaning::Warning,
        Level::Good => Meaning::Good,
        Level::Missed => Meaning::Text,
        Level::Between | Level::Unknown => Meaning::Muted,
    }
}

/// What is usual, as a cell: and how far from it.
fn unusual(measured: &Measured, found: Option<&Usual>) -> Cell {
    let Some(u) = found else { return Cell::text("-") };
    let mark = ["", " !", " !!"][usize::from(u.passed(measured)).min(2)];
    Cell::of(u.median, format!("{}{mark}", exact(&measured.kpi, u.median)))
}

/// All of them, in the order of their profile.
pub fn rows(p: &PrometheusFacts, _: i64) -> Vec<Row> {
    let Ok(kpis) = &p.kpis else { return Vec::new() };
    let row = |m: &Measured| {
        let (says, s) = state(kpis, m);
        let limit = |v: Option<f64>| Cell::maybe(v, |v| exact(&m.kpi, v));
        Row {
            key: m.kpi.name.clone(),
            cells: vec![
                Cell::text(m.kpi.says.clone()),
                m.now().map_or_else(|| Cell::text("-"), |now| Cell::of(now.0, figure(&m.kpi, now))),
                limit(m.kpi.target),
                limit(m.kpi.warning.map(|(v, _)| v)),
                limit(m.kpi.critical.map(|(v, _)| v)),
                unusual(m, usual(m, &kpis.habits, kpis.at_ms).as_ref()),
                Cell::text(says),
            ],
            meaning: meaning(&s),
        }
    };
    kpis.all.iter().map(row).collect()
}

/// Why there is nothing.
pub fn nothing(p: Option<&PrometheusFacts>) -> String {
    match p.map(|p| &p.kpis) {
        Some(Ok(_)) => "no key figures: profile = \"runbook\" in [kpis] of the configuration, or [kpi.NAME]".to_owned(),
        Some(Err(lack)) => format!("? {lack}"),
        None => "no Prometheus answers".to_owned(),
    }
}

/// How many stand how, and what it took.
#[must_use]
pub fn banner(kpis: &Kpis) -> Vec<(String, Meaning)> {
    let all: Vec<Level> = kpis.all.iter().map(|m| standing(m).level).collect();
    let of = |level: Level| all.iter().filter(|l| **l == level).count();
    let (critical, warning) = (of(Level::Critical), of(Level::Warning));
    let text = format!(
        "{} key figures: {critical} critical, {warning} warning, {} missed, {} good, {} not known",
        all.len(),
        of(Level::Missed),
        of(Level::Good),
        of(Level::Unknown) + of(Level::Between)
    );
    let worst = match (critical, warning) {
        (0, 0) => Meaning::Text,
        (0, _) => Meaning::Warning,
        _ => Meaning::Critical,
    };
    let cost = &kpis.cost;
    let took = format!("{} queries, {}, {} s", cost.requests, bytes(cost.bytes as f64), short(cost.took_ms as f64 / 1e3));
    let lacks = kpis.lacks.iter().map(|(name, said)| (format!("not known: {name}: {}", said.shown()), Meaning::Warning));
    [(text, worst), (took, Meaning::Muted)].into_iter().chain(lacks).collect()
}

/// One of them: how it stands, its thresholds, what is usual, how it is asked.
pub fn card(p: &PrometheusFacts, key: &str) -> Option<Card> {
    let kpis = p.kpis.as_ref().ok()?;
    let m = kpis.all.iter().find(|m| m.kpi.name == key)?;
    let kpi = &m.kpi;
    let row = |label: &str, text: String| (label.to_owned(), text);
    let mut lines = vec![row("state", state(kpis, m).0)];
    lines.extend(m.now().map(|now| row("now", figure(kpi, now))));
    lines.extend(
        kpi.target.map(|v| row("target", format!("{}{}", if kpi.lower { "at least " } else { "at most " }, exact(kpi, v)))),
    );
    let word = if kpi.lower { "below" } else { "above" };
    for (name, limit) in [("warning", kpi.warning), ("critical", kpi.critical)] {
        let held = |s: u64| if s > 0 { format!(" for {}", seconds(s as f64)) } else { String::new() };
        lines.extend(limit.map(|(v, s)| row(name, format!("{word} {}{}", exact(kpi, v), held(s)))));
    }
    match usual(m, &kpis.habits, kpis.at_ms) {
        Some(u) => {
            lines.push(row("usual", format!("{} {}", exact(kpi, u.median), u.from.says())));
            let (first, second) = u.bounds;
            lines.push(row("unusual", format!("{word} {}, far from usual {word} {}", exact(kpi, first), exact(kpi, second))));
        }
        None => lines.push(row("usual", "not known: the storage holds too little of the past".into())),
    }
    lines.push(row(
        "asked",
        match &kpi.ask {
            KpiAsk::Query(query) | KpiAsk::Once(query) => query.replace("$w", "5m"),
            KpiAsk::Quantile { of, buckets } => format!("the bucket of p{} of {buckets}, of the slowest job", short(of * 100.0)),
            KpiAsk::Nothing => format!("no exporter tells it: write [kpi.{}] with query", kpi.name),
        },
    ));
    Some(Card { title: kpi.says.clone(), lines })
}

/// The query behind it.
pub fn copied(p: Option<&PrometheusFacts>, key: Option<&str>) -> Result<Copied, &'static str> {
    let kpis = p.and_then(|p| p.kpis.as_ref().ok()).ok_or("nothing to copy yet")?;
    let m = kpis.all.iter().find(|m| Some(m.kpi.name.as_str()) == key).ok_or("nothing to copy: none is selected")?;
    let text = match &m.kpi.ask {
        KpiAsk::Query(query) | KpiAsk::Once(query) => query.replace("$w", "5m"),
        KpiAsk::Quantile { of, buckets } => format!("histogram_quantile({of}, sum by (le, job) (rate({buckets}[5m])))"),
        KpiAsk::Nothing => return Err("nothing to copy: it has no query"),
    };
    Ok(Copied { text, what: format!("the query of {}", m.kpi.says) })
}
