//! One query: its text laid out, what it waits for, its figures; its plan follows.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::facts::PgFacts;
use crate::model::postgres::lexer::{self, Kind};
use crate::model::postgres::{StatementRow, WaitClass};
use crate::model::unit::{bytes, count, seconds, short};
use crate::view::overlays::boxed::{boxed, scrolled};
use crate::view::theme::Theme;
use crate::view::widgets::bar;
use crate::view::widgets::text::{paragraph, wrap};

/// Draws the query of that server.
pub fn draw(picture: &Picture, source: &str, query: i64, scroll: usize, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = boxed(&format!("Query {query} on {source}"), "H try, c copy the index, ↑↓, q", 132, theme, frame, area);
    let Some(pg) = picture.facts.servers.postgres.iter().find(|pg| pg.id == source) else {
        let gone = Line::from(Span::styled(" the server is no longer monitored", theme.style(Meaning::Unknown)));
        return scrolled(&[gone], 0, theme, frame, inside);
    };
    let width = usize::from(inside.width).saturating_sub(2);
    let mut rows = text(pg, query, width, theme);
    rows.push(Line::default());
    let of: Vec<&StatementRow> = pg.rows().filter(|r| r.key.query == query).collect();
    rows.extend(figures(pg, &of, width, theme));
    rows.extend(waits(pg, query, width, theme));
    rows.push(Line::default());
    rows.extend(super::plan::lines(pg, picture.shown.postgres.get(source), of.first().copied(), width, theme));
    scrolled(&rows, scroll, theme, frame, inside);
}

/// The statement in lines, coloured by what its words are.
fn text(pg: &PgFacts, query: i64, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    const WORDS: [&str; 40] = [
        "SELECT",
        "FROM",
        "WHERE",
        "GROUP",
        "BY",
        "ORDER",
        "HAVING",
        "LIMIT",
        "OFFSET",
        "UNION",
        "ALL",
        "JOIN",
        "LEFT",
        "RIGHT",
        "INNER",
        "CROSS",
        "ON",
        "AND",
        "OR",
        "NOT",
        "IN",
        "IS",
        "NULL",
        "AS",
        "INSERT",
        "INTO",
        "VALUES",
        "UPDATE",
        "SET",
        "DELETE",
        "RETURNING",
        "WITH",
        "CASE",
        "WHEN",
        "THEN",
        "ELSE",
        "END",
        "DISTINCT",
        "DESC",
        "FOR",
    ];
    // Evicted, or running for the first time: as a session has it now.
    let running =
        || pg.activity.as_ref().ok()?.newest.sessions.iter().find(|s| s.query_id == Some(query)).map(|s| s.query.shown());
    let sql = Some(pg.text(query)).filter(|sql| !sql.is_empty()).or_else(running).unwrap_or_default();
    if sql.is_empty() {
        let hidden = " its text is unknown: hidden from this role, or evicted from pg_stat_statements";
        return paragraph(hidden, Meaning::Muted, width, theme);
    }
    let mut rows = Vec::new();
    for line in lexer::lines(sql) {
        let long = line.iter().map(|t| t.text.chars().count()).sum::<usize>() > width;
        if long {
            let joined: String = line.iter().map(|t| t.text).collect();
            rows.extend(
                wrap(&joined, width).into_iter().map(|l| Line::from(Span::styled(format!(" {l}"), theme.style(Meaning::Text)))),
            );
            continue;
        }
        let span = |t: &lexer::Token<'_>| {
            let meaning = match t.kind {
                Kind::Word if WORDS.contains(&t.text.to_ascii_uppercase().as_str()) => Meaning::Accent,
                Kind::Parameter | Kind::Literal | Kind::Number => Meaning::Database,
                _ => Meaning::Text,
            };
            Span::styled(theme.text(t.text), theme.style(meaning))
        };
        rows.push(Line::from(std::iter::once(Span::raw(" ")).chain(line.iter().map(span)).collect::<Vec<_>>()));
    }
    rows
}

fn figures(pg: &PgFacts, rows: &[&StatementRow], width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let muted = |text: &str| paragraph(text, Meaning::Muted, width, theme);
    let Some(interval_s) = pg.interval_s() else { return muted(&format!(" ? {}", pg.no_statements())) };
    if rows.is_empty() {
        return muted(" no call has ended since the previous reading");
    }
    let mut out = Vec::new();
    for row in rows {
        let g = &row.grown;
        let calls = g.calls.max(1) as f64;
        let usual = pg.usual.get(&row.key).map_or_else(String::new, |ms| format!(" (baseline {} ms)", short(*ms)));
        let hit = g.hit_blocks as f64 / (g.hit_blocks + g.read_blocks).max(1) as f64 * 100.0;
        let text = format!(
            " {} as {}: {} calls/s, {} ms each{usual}, {} rows, {} blocks ({} % hits), read {} ms, temp {}, WAL {} per call",
            row.database,
            row.role,
            short(g.calls as f64 / interval_s),
            short(g.exec_ms / calls),
            count(g.rows as f64 / calls),
            count((g.hit_blocks + g.read_blocks) as f64 / calls),
            short(hit),
            short(g.read_ms / calls),
            bytes((g.temp_written_blocks * 8192) as f64 / calls),
            bytes(g.wal_bytes as f64 / calls),
        );
        out.extend(paragraph(&text, Meaning::Text, width, theme));
        let others = match row.alike {
            0 => String::new(),
            n => format!("; includes {n} entries that differ only in list length"),
        };
        let (calls, total) = (count(row.calls_all as f64), seconds(row.ms_all / 1000.0));
        let all = format!(" since stats reset: {calls} calls, {total} total{others}");
        out.extend(muted(&all));
    }
    out
}

fn waits(pg: &PgFacts, query: i64, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let Some(classes) = pg.activity.as_ref().ok().and_then(|a| a.by_query.get(&query)) else {
        return paragraph(" no session ran it within the window", Meaning::Muted, width, theme);
    };
    let all: f64 = classes.values().sum();
    let mut sorted: Vec<(&WaitClass, &f64)> = classes.iter().collect();
    sorted.sort_by(|a, b| b.1.total_cmp(a.1));
    let row = |(class, seconds): (&WaitClass, &f64)| {
        let name = crate::detect::postgres::backends::state_of(*class).map_or("idle", |s| s.id());
        let meaning = match class {
            WaitClass::Cpu => Meaning::Cpu,
            WaitClass::Lock => Meaning::Critical,
            WaitClass::Client => Meaning::Network,
            _ => Meaning::Io,
        };
        let bar = bar(seconds / all.max(1e-9), 20.min(width / 4), theme);
        Line::from(vec![
            Span::styled(format!(" {name:<22} {:>6} ", short(*seconds)), theme.style(Meaning::Text)),
            Span::styled(bar, theme.style(meaning)),
        ])
    };
    sorted.into_iter().map(row).collect()
}
