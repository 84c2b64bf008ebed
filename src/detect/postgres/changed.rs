//! What changed at a server: its settings, its statements, its start. Pure.

use std::collections::BTreeMap;

use crate::detect::kind::Work;
use crate::model::facts::PgFacts;
use crate::model::postgres::StatementRow;

/// What a statement must take to count, s/s.
const COUNTS: f64 = 0.1;
/// So much of its text.
const TEXT: usize = 60;

/// Its settings, and those that roles have of their own, as people write them.
#[must_use]
pub fn settings(pg: &PgFacts) -> BTreeMap<String, String> {
    let Ok(cluster) = &pg.cluster else { return BTreeMap::new() };
    // `8kB`: a unit may be a number of units.
    let value = |setting: &str, unit: &str| {
        let digits = unit.bytes().take_while(u8::is_ascii_digit).count();
        match (unit[..digits].parse::<i64>(), setting.parse::<i64>()) {
            (_, Ok(-1)) => setting.to_owned(),
            (Ok(times), Ok(n)) => format!("{}{}", n.saturating_mul(times), &unit[digits..]),
            _ => format!("{setting}{unit}"),
        }
    };
    let told = cluster.settings.iter().filter(|(_, row)| !row.setting.is_empty());
    let own = told.map(|(name, row)| (name.clone(), value(&row.setting, &row.unit)));
    let of_roles = cluster.role_settings.iter().map(|r| {
        let place = if r.database.is_empty() { String::new() } else { format!(" in {}", r.database) };
        (format!("{} of role {}{place}", r.name, r.role), r.value.shown().to_owned())
    });
    own.chain(of_roles).collect()
}

/// Statements that nobody had sent before, as far as the server remembers, and that take time.
#[must_use]
pub fn came(pg: &PgFacts) -> Vec<String> {
    let Some(interval_s) = pg.interval_s() else { return Vec::new() };
    // Its first calls: one that comes back each hour is not new.
    let first = |row: &&StatementRow| row.came && row.key.top && row.calls_all == row.grown.calls;
    let new = pg.rows().filter(first).filter(|row| row.grown.exec_ms / 1e3 / interval_s >= COUNTS);
    let text = |query: i64| {
        let words: Vec<&str> = pg.text(query).split_whitespace().collect();
        let text: String = words.join(" ").chars().take(TEXT).collect();
        // Its text comes in a moment.
        (!text.is_empty()).then(|| format!("a new statement: {text}"))
    };
    new.filter_map(|row| text(row.key.query)).collect()
}

/// Its statements by what they took between the two newest readings.
#[must_use]
pub fn work(pg: &PgFacts) -> Vec<Work> {
    /// Older readings say nothing about now, seconds.
    const OLD_S: f64 = 45.0;
    let fresh = pg.interval_s().filter(|s| *s > 0.0 && pg.statements_age_s <= OLD_S);
    let Some(interval_s) = fresh else { return Vec::new() };
    let mut by_query: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for row in pg.rows().filter(|row| row.key.top) {
        let sum = by_query.entry(row.key.query).or_default();
        *sum = (sum.0 + row.grown.calls as f64 / interval_s, sum.1 + row.grown.exec_ms / 1e3 / interval_s);
    }
    let name = |query: i64| {
        let text: String = pg.text(query).split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TEXT).collect();
        if text.is_empty() { format!("query {query}") } else { text }
    };
    by_query.into_iter().map(|(query, (per_s, busy))| Work { name: name(query), per_s, busy }).collect()
}

/// When it started and read its configuration, seconds ago by its own clock.
#[must_use]
pub fn ages(pg: &PgFacts) -> Vec<(&'static str, f64)> {
    /// The postmaster reads it when it starts.
    const WITH_ITS_START_S: f64 = 5.0;
    let Some((server, cluster)) = pg.server.as_ref().zip(pg.cluster.as_ref().ok()) else { return Vec::new() };
    // Of one that is silent the time is not known.
    let Ok(activity) = &pg.activity else { return Vec::new() };
    let now_us = activity.newest.server_us;
    let ago = |at_us: i64| (now_us - at_us) as f64 / 1e6;
    let started = ago(server.started_us);
    let loaded = cluster.loaded_us.map(ago).filter(|loaded| started - loaded > WITH_ITS_START_S);
    let loaded = loaded.map(|s| ("the server read its configuration again", s));
    std::iter::once(("the server started", started)).chain(loaded).collect()
}
