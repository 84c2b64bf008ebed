//! The view of WAL, vacuum and replication: each line a figure with its name. Pure.

use crate::config::Meaning;
use crate::model::facts::PgFacts;
use crate::model::postgres::Cluster;
use crate::model::unit::{bytes, count, seconds, short};

use crate::app::tables::{Cell, Row};

fn row(what: &str, figure: String, more: String, meaning: Meaning) -> Row {
    Row { key: format!("{what} {more}"), cells: vec![Cell::text(what), Cell::text(figure), Cell::text(more)], meaning }
}

fn age(s: Option<f64>) -> String {
    s.map_or_else(|| "never".to_owned(), |s| format!("{} ago", seconds(s)))
}

/// All lines.
#[must_use]
pub fn rows(pg: &PgFacts) -> Vec<Row> {
    let Ok(c) = &pg.cluster else { return Vec::new() };
    let rate = |of: fn(&Cluster) -> Option<u64>| pg.rate(of);
    let text = |v: Option<f64>, unit: fn(f64) -> String| v.map_or_else(|| "?".to_owned(), |v| format!("{}/s", unit(v)));
    let mut out = vec![
        row("WAL written", text(rate(|c| c.wal.position), bytes), String::new(), Meaning::Text),
        row("full pages in WAL", text(rate(|c| c.wal.full_page_images), count), String::new(), Meaning::Text),
        row(
            "checkpoints",
            format!("{} timed, {} requested", whole(c.checkpoints.timed), whole(c.checkpoints.requested)),
            format!(
                "since stats reset; writing {}, syncing {} ms/s; many requested: raise max_wal_size",
                text(rate(|c| Some(c.checkpoints.buffers? * 8192)), bytes),
                text(rate(|c| c.checkpoints.sync_ms.map(|ms| ms as u64)), short).trim_end_matches("/s"),
            ),
            Meaning::Text,
        ),
        row(
            "WAL buffers full",
            text(rate(|c| c.wal.buffers_full), count),
            "a session had to write WAL itself because wal_buffers was full".into(),
            Meaning::Text,
        ),
        row(
            "transactions",
            text(pg.databases_rate(|d| Some(d.commits)), count),
            format!("{} rolled back", text(pg.databases_rate(|d| Some(d.rollbacks)), count)),
            Meaning::Text,
        ),
        row("temporary files", text(pg.databases_rate(|d| Some(d.temp_bytes)), bytes), String::new(), Meaning::Text),
    ];
    out.extend(statements(pg));
    out.extend(databases(c));
    out.extend(replication(c));
    out.extend(open_work(c));
    out
}

/// How far pg_stat_statements is full: what is evicted is not known.
fn statements(pg: &PgFacts) -> Option<Row> {
    let s = pg.statements.as_ref().ok()?;
    let figure = format!("{} of {} entries", s.entries, s.capacity);
    let (more, meaning) = match s.evictions {
        None => ("evictions unknown: needs PostgreSQL 14 and two readings".to_owned(), Meaning::Muted),
        Some(0) => ("none evicted since the previous reading".to_owned(), Meaning::Text),
        Some(n) => {
            (format!("entries evicted {n} times in {}: raise pg_stat_statements.max", seconds(s.interval_s)), Meaning::Warning)
        }
    };
    Some(row("pg_stat_statements", figure, more, meaning))
}

fn databases(c: &Cluster) -> Vec<Row> {
    let mut out = Vec::new();
    for d in c.databases.iter().filter(|d| d.of_clients()) {
        let share = d.xid_age.max(d.mxid_age) as f64 / 2_147_483_648.0 * 100.0;
        let meaning = if share >= 40.0 { Meaning::Warning } else { Meaning::Muted };
        out.push(row("ids used", format!("{} %", short(share)), format!("database {}", d.name), meaning));
    }
    out
}

fn replication(c: &Cluster) -> Vec<Row> {
    let mut out = Vec::new();
    if c.settings.get("archive_mode").is_some_and(|s| s.setting != "off") {
        let a = &c.archiver;
        let failing = a.last_failed_s.is_some_and(|f| a.last_archived_s.is_none_or(|ok| ok > f));
        let meaning = if failing { Meaning::Warning } else { Meaning::Text };
        out.push(row(
            "archiver",
            format!("{} done, {} failed", a.archived, a.failed),
            match failing {
                true => format!("last success {}; fails on {}", age(a.last_archived_s), a.last_failed_wal),
                false => format!("last success {}", age(a.last_archived_s)),
            },
            meaning,
        ));
    }
    for r in &c.replicas {
        let lag = r.replay_lag_s.map_or_else(|| "no lag".to_owned(), |s| format!("{} behind", seconds(s)));
        let behind = r.behind_bytes.map_or_else(|| "?".to_owned(), |b| bytes(b as f64));
        let more = format!("{} {} {}, {behind} not replayed", r.name, r.sync, r.state);
        out.push(row("standby", lag, more, Meaning::Text));
    }
    if let Some((lag, behind)) = c.replay_lag {
        out.push(row(
            "this standby",
            format!("{} since the last replayed transaction", seconds(lag)),
            behind.map_or_else(|| "amount not replayed unknown".to_owned(), |b| format!("{} not replayed", bytes(b as f64))),
            Meaning::Text,
        ));
    }
    for s in &c.slots {
        let state = if s.active { "active" } else { "no reader" };
        let meaning = if s.active { Meaning::Text } else { Meaning::Warning };
        out.push(row(
            "slot",
            s.retained_bytes.map_or_else(|| "retains none".to_owned(), |b| format!("{} retained", bytes(b as f64))),
            format!("{} {} {state} {}", s.name, s.kind, s.wal_status),
            meaning,
        ));
    }
    out
}

fn open_work(c: &Cluster) -> Vec<Row> {
    let mut out = Vec::new();
    for h in c.horizon.iter().take(3) {
        let since = h.since_s.map_or_else(String::new, |s| format!(", {} old", seconds(s)));
        out.push(row(
            "oldest snapshot",
            format!("{} transactions", count(h.age as f64)),
            format!("{:?} {}{since}", h.kind, h.who),
            Meaning::Muted,
        ));
    }
    for p in &c.prepared {
        out.push(row(
            "prepared transaction",
            format!("{} old", seconds(p.age_s)),
            format!("{} of {} in {}", p.gid, p.owner, p.database),
            Meaning::Warning,
        ));
    }
    for p in &c.progress {
        let done = p.done.map_or_else(|| "?".to_owned(), |d| format!("{:.0} %", d * 100.0));
        out.push(row(&p.command, done, format!("{} (pid {} in {})", p.phase, p.pid, p.database), Meaning::Accent));
    }
    for k in c.connections.iter().take(8) {
        let name = if k.application.is_empty() { "no name" } else { k.application.shown() };
        let more = format!(
            "{name} as {} from {}; {} idle, {} idle in a transaction",
            k.role,
            if k.client.is_empty() { "the socket" } else { k.client.shown() },
            k.idle,
            k.idle_in_transaction
        );
        out.push(row("connections", k.all.to_string(), more, Meaning::Muted));
    }
    out
}

fn whole(v: Option<u64>) -> String {
    v.map_or_else(|| "?".to_owned(), |v| v.to_string())
}
