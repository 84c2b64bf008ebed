//! The rows of each table of the PostgreSQL screen. Pure.

use crate::config::Meaning;
use crate::model::facts::{Holder, PgFacts, Root};
use crate::model::postgres::{Session, StatementRow};
use crate::model::unit::{bytes, count, seconds, short};

use crate::app::tables::{Cell, Row};

fn query_key(row: &StatementRow) -> String {
    format!("{}/{}/{}/{}", row.key.database, row.key.role, row.key.query, row.key.top)
}

pub(super) fn queries(pg: &PgFacts, cumulative: bool) -> Vec<Row> {
    let interval_s = pg.interval_s().unwrap_or(1.0);
    let one = |row: &StatementRow| {
        let g = &row.grown;
        // Short ones are seldom caught by samples: then by the time that they took.
        let seen = pg.activity.as_ref().map_or(0.0, |a| a.of_query(row.key.query));
        let busy = if seen > 0.0 { seen } else { g.exec_ms / 1000.0 / interval_s };
        let calls = g.calls.max(1) as f64;
        let (shown_calls, mean) = if cumulative {
            (row.calls_all as f64, row.ms_all / row.calls_all.max(1) as f64)
        } else {
            (g.calls as f64 / interval_s, g.exec_ms / calls)
        };
        let blocks = (g.hit_blocks + g.read_blocks) as f64;
        let hit = (blocks > 0.0).then(|| g.hit_blocks as f64 / blocks * 100.0);
        let temp = (g.temp_written_blocks * 8192) as f64 / interval_s;
        let wal = g.wal_bytes as f64 / interval_s;
        let busy = if cumulative { row.ms_all / 1000.0 } else { busy };
        let of = |v: f64, text: String| if v > 0.0 { text } else { "-".to_owned() };
        let usual = pg.usual.get(&row.key).map(|ms| mean / ms.max(1e-3));
        let busy_text = match busy {
            b if cumulative => seconds(b),
            b if b < 5e-4 => "0".to_owned(),
            b => short(b),
        };
        let text = match pg.text(row.key.query) {
            "" => format!("query {}", row.key.query),
            text => text.to_owned(),
        };
        let cells = vec![
            Cell::of(busy, busy_text),
            Cell::of(shown_calls, count(shown_calls)),
            Cell::of(mean, short(mean)),
            Cell::of(g.rows as f64 / calls, count(g.rows as f64 / calls)),
            Cell::maybe(hit, short),
            Cell::of(temp, of(temp, bytes(temp))),
            Cell::of(wal, of(wal, bytes(wal))),
            Cell::maybe(usual, |v| format!("{}x", short(v))),
            Cell::text(row.database.shown()),
            Cell::text(text),
        ];
        let meaning = if busy >= 0.5 && !cumulative { Meaning::Warning } else { Meaning::Text };
        Row { key: query_key(row), cells, meaning }
    };
    pg.rows().map(one).collect()
}

pub(super) fn session(pg: &PgFacts, key: &str) -> Option<Session> {
    let activity = pg.activity.as_ref().ok()?;
    activity.newest.sessions.iter().find(|s| s.key() == key).cloned()
}

fn age(s: Option<f64>) -> String {
    s.map_or_else(|| "-".to_owned(), seconds)
}

pub(super) fn sessions(pg: &PgFacts) -> Vec<Row> {
    let Ok(activity) = &pg.activity else { return Vec::new() };
    let one = |s: &Session| {
        let idle = s.idle_in_transaction();
        let shown = if idle { s.state_s } else { s.query_s };
        let wait = if s.active() { s.wait.word() } else { "-".to_owned() };
        let state = if idle { "idle in tx" } else { s.state.shown() };
        let text = if s.query.is_empty() { s.kind.shown() } else { s.query.shown() };
        let cells = vec![
            Cell::of(f64::from(s.pid), s.pid.to_string()),
            Cell::maybe(shown, seconds),
            Cell::maybe(s.xact_s, seconds),
            Cell::text(wait),
            Cell::text(state),
            Cell::text(s.database.shown()),
            Cell::text(s.role.shown()),
            Cell::text(s.application.shown()),
            Cell::text(s.client.shown()),
            Cell::text(text),
        ];
        let waits = s.active() && s.wait.kind == crate::model::postgres::WaitKind::Lock;
        let meaning = if idle && s.state_s.is_some_and(|a| a >= 10.0) {
            Meaning::Warning
        } else if waits {
            Meaning::Critical
        } else if idle {
            Meaning::Muted
        } else {
            Meaning::Text
        };
        Row { key: s.key(), cells, meaning }
    };
    let mut all: Vec<&Session> = activity.newest.sessions.iter().collect();
    all.sort_by(|a, b| b.active().cmp(&a.active()).then(b.query_s.unwrap_or(0.0).total_cmp(&a.query_s.unwrap_or(0.0))));
    all.into_iter().map(one).collect()
}

/// The tree: each root, below it those who wait for it directly, below them those behind.
pub(super) fn locks(pg: &PgFacts) -> Vec<Row> {
    let Ok(chains) = &pg.chains else { return Vec::new() };
    let mut rows = Vec::new();
    for root in chains.roots.iter().filter(|root| !root.gone) {
        let who = match &root.holder {
            Holder::Session(s) => {
                let does = if s.active() { s.wait.word() } else { format!("{} {}", s.state, age(s.state_s)) };
                format!("{} ({}@{}, pid {}) {does}: {}", s.application, s.role, s.database, s.pid, s.query)
            }
            Holder::Prepared(p) => format!("prepared transaction {} of {}, {} old", p.gid, p.owner, seconds(p.age_s)),
            Holder::Unknown(pid) => format!("pid {pid} (not visible)"),
        };
        let key = root.session().map_or_else(|| who.clone(), Session::key);
        let cells = vec![
            Cell::of(root.waiting, short(root.waiting)),
            Cell::of(root.longest_s, seconds(root.longest_s)),
            Cell::text(format!("blocks {}", root.waiters.len())),
            Cell::text(who),
        ];
        rows.push(Row { key, cells, meaning: Meaning::Critical });
        below(pg, root, &root.direct, 1, &mut Vec::new(), &mut rows);
    }
    if chains.more > 0 {
        let more = format!("and {} more sessions waiting for a lock", chains.more);
        let cells = vec![Cell::text(""), Cell::text(""), Cell::text(""), Cell::text(more)];
        rows.push(Row { key: "more".into(), cells, meaning: Meaning::Muted });
    }
    rows
}

fn below(pg: &PgFacts, root: &Root, pids: &[i32], depth: usize, seen: &mut Vec<i32>, rows: &mut Vec<Row>) {
    const DEEP: usize = 16;
    let (Ok(chains), Ok(activity)) = (&pg.chains, &pg.activity) else { return };
    for pid in pids {
        if seen.contains(pid) || depth > DEEP {
            continue;
        }
        seen.push(*pid);
        let Some(waiter) = chains.waiters.get(pid) else { continue };
        let session = activity.session(*pid);
        let lock = waiter.name.as_ref().map_or_else(|| waiter.kind.clone(), |n| format!("{} {n}", waiter.kind));
        let text = session.map_or_else(String::new, |s| format!("{} ({}): {}", s.application, s.role, s.query));
        let cells = vec![
            Cell::text(""),
            Cell::maybe(waiter.waited_s, seconds),
            Cell::text(lock),
            Cell::text(format!("{}\u{2514} pid {pid}, {}: {text}", "  ".repeat(depth), waiter.mode.trim_end_matches("Lock"))),
        ];
        let key = session.map_or_else(|| pid.to_string(), Session::key);
        rows.push(Row { key, cells, meaning: Meaning::Text });
        let behind: Vec<i32> =
            root.waiters.iter().filter(|p| chains.waiters.get(p).is_some_and(|w| w.by.contains(pid))).copied().collect();
        below(pg, root, &behind, depth + 1, seen, rows);
    }
}

pub(super) fn tables(pg: &PgFacts) -> Vec<Row> {
    let mut rows = Vec::new();
    for catalog in pg.catalogs.values() {
        for t in &catalog.tables {
            let due = t.dead as f64 / t.vacuum_at.max(1.0);
            let name = format!("{}.{}.{}", catalog.database, t.schema, t.name);
            let size = t.pages as f64 * 8192.0;
            let counted = |n: f64| Cell::of(n, count(n));
            let shown = if t.autovacuum { name.clone() } else { format!("{name}  (autovacuum off)") };
            let cells = vec![
                Cell::of(size, bytes(size)),
                counted(t.live as f64),
                counted(t.dead as f64),
                Cell::of(due, format!("{}x", short(due))),
                counted(t.seq_rows as f64),
                counted(t.index_scans as f64),
                counted(t.writes as f64),
                Cell::maybe(t.vacuumed_s, seconds),
                Cell::text(shown),
            ];
            let meaning = if due >= 2.0 && t.dead >= 10_000 { Meaning::Warning } else { Meaning::Text };
            rows.push(Row { key: name, cells, meaning });
        }
        let mut index = |name: String, pages: u64, scans: Option<u64>, what: &str| {
            let size = pages as f64 * 8192.0;
            let mut cells = vec![Cell::of(size, bytes(size))];
            cells.extend(std::iter::repeat_n(Cell::text("-"), 4));
            cells.push(Cell { value: None, ..Cell::maybe(scans.map(|s| s as f64), count) });
            cells.extend([Cell::text("-"), Cell::text("-"), Cell::text(format!("{name}  ({what})"))]);
            rows.push(Row { key: name, cells, meaning: Meaning::Muted });
        };
        for i in catalog.indexes.iter().filter(|i| !i.valid || !i.needed) {
            let what = if !i.valid && i.building {
                "index, build in progress"
            } else if i.valid {
                "index, never used"
            } else {
                "index, INVALID"
            };
            index(format!("{}.{}.{}", catalog.database, i.schema, i.name), i.pages, Some(i.scans), what);
        }
        for d in &catalog.duplicates {
            index(
                format!("{}.{}.{}", catalog.database, d.schema, d.name),
                d.pages,
                None,
                &format!("index, redundant with {}", d.kept),
            );
        }
    }
    rows
}

pub(super) fn settings(pg: &PgFacts) -> Vec<Row> {
    let Ok(cluster) = &pg.cluster else { return Vec::new() };
    let one = |(name, s): (&String, &crate::model::postgres::SettingRow)| {
        let effect = match (s.pending_restart, s.context.as_str()) {
            (true, _) => "changed; needs a restart",
            (_, "postmaster") => "at a restart",
            (_, "sighup") => "at a reload",
            _ => "at once, or for new sessions",
        };
        let meaning = if s.pending_restart {
            Meaning::Warning
        } else if s.setting == s.boot {
            Meaning::Muted
        } else {
            Meaning::Text
        };
        let cells = [name, s.setting.as_str(), s.unit.as_str(), s.source.as_str(), effect].map(Cell::text).to_vec();
        Row { key: name.clone(), cells, meaning }
    };
    cluster.settings.iter().map(one).collect()
}
