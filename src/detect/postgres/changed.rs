//! What changed at a server: its settings, its statements, its start. Pure.

use std::collections::BTreeMap;

use crate::model::facts::PgFacts;

/// What a statement must take to count, s/s.
const COUNTS: f64 = 0.1;
/// So much of its text.
const TEXT: usize = 60;

/// Its settings, and those that roles have of their own, as people write them.
#[must_use]
pub fn settings(pg: &PgFacts) -> BTreeMap<String, String> {
    let Ok(cluster) = &pg.cluster else { return BTreeMap::new() };
    let value = |setting: &str, unit: &str| match (unit, setting.parse::<i64>()) {
        ("8kB", Ok(pages)) => format!("{}kB", pages.saturating_mul(8)),
        _ => format!("{setting}{unit}"),
    };
    let own = cluster.settings.iter().map(|(name, row)| (name.clone(), value(&row.setting, &row.unit)));
    let of_roles = cluster.role_settings.iter().map(|r| (format!("{} of role {}", r.name, r.role), r.value.shown().to_owned()));
    own.chain(of_roles).collect()
}

/// Statements that nobody had sent before, as far as the server remembers, and that take time.
#[must_use]
pub fn came(pg: &PgFacts) -> Vec<String> {
    let Some(interval_s) = pg.interval_s() else { return Vec::new() };
    let new = pg.rows().filter(|row| row.came && row.key.top && row.grown.exec_ms / 1e3 / interval_s >= COUNTS);
    let text = |query: i64| {
        let words: Vec<&str> = pg.text(query).split_whitespace().collect();
        let text: String = words.join(" ").chars().take(TEXT).collect();
        if text.is_empty() { format!("a new statement, queryid {query}") } else { format!("a new statement: {text}") }
    };
    new.map(|row| text(row.key.query)).collect()
}

/// When it started and read its configuration, seconds ago by its own clock.
#[must_use]
pub fn ages(pg: &PgFacts) -> Vec<(&'static str, f64)> {
    /// The postmaster reads it when it starts.
    const WITH_ITS_START_S: f64 = 5.0;
    let Some((server, cluster)) = pg.server.as_ref().zip(pg.cluster.as_ref().ok()) else { return Vec::new() };
    let now_us = pg.activity.as_ref().map_or(cluster.server_us, |a| a.newest.server_us);
    let ago = |at_us: i64| (now_us - at_us) as f64 / 1e6;
    let started = ago(server.started_us);
    let loaded = cluster.loaded_us.map(ago).filter(|loaded| started - loaded > WITH_ITS_START_S);
    let loaded = loaded.map(|s| ("the server read its configuration again", s));
    std::iter::once(("the server started", started)).chain(loaded).collect()
}
