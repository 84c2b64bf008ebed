//! One query: its text laid out, what it waits for, its figures, its generic plan with the node that costs, and what would help.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::detect::advice;
use crate::diagnose::Picture;
use crate::model::facts::PgFacts;
use crate::model::postgres::lexer::{self, Kind};
use crate::model::postgres::plan::Plan;
use crate::model::postgres::{StatementRow, WaitClass};
use crate::model::unit::{bytes, count, seconds, short};
use crate::view::theme::Theme;
use crate::view::widgets::bar;
use crate::view::widgets::text::wrap;

/// Draws the query of that server.
pub fn draw(picture: &Picture, source: &str, query: i64, scroll: usize, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = super::boxed(&format!("Query {query} on {source}"), "H try, c copy the index, ↑↓, q", 132, theme, frame, area);
    let Some(pg) = picture.facts.postgres.iter().find(|pg| pg.id == source) else {
        let gone = Line::from(Span::styled(" the server is not read any more", theme.style(Meaning::Unknown)));
        return super::scrolled(&[gone], 0, theme, frame, inside);
    };
    let width = usize::from(inside.width).saturating_sub(2);
    let mut rows = text(pg, query, width, theme);
    rows.push(Line::default());
    let of: Vec<&StatementRow> = pg.rows().filter(|r| r.key.query == query).collect();
    rows.extend(figures(pg, &of, theme));
    rows.extend(waits(pg, query, width, theme));
    rows.push(Line::default());
    rows.extend(plan(pg, of.first().copied(), width, theme));
    super::scrolled(&rows, scroll, theme, frame, inside);
}

fn muted(text: String, theme: &Theme) -> Line<'static> {
    Line::from(Span::styled(text, theme.style(Meaning::Muted)))
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
    let sql = pg.text(query);
    if sql.is_empty() {
        return vec![muted(" its text is not known: hidden from this role, or thrown out of pg_stat_statements".into(), theme)];
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

fn figures(pg: &PgFacts, rows: &[&StatementRow], theme: &Theme) -> Vec<Line<'static>> {
    let Some(interval_s) = pg.interval_s() else { return vec![muted(format!(" ? {}", pg.no_statements()), theme)] };
    if rows.is_empty() {
        return vec![muted(" no call has ended since the reading before".into(), theme)];
    }
    let mut out = Vec::new();
    for row in rows {
        let g = &row.grown;
        let calls = g.calls.max(1) as f64;
        let usual = pg.usual.get(&row.key).map_or_else(String::new, |ms| format!(" (usual {} ms)", short(*ms)));
        let hit = g.hit_blocks as f64 / (g.hit_blocks + g.read_blocks).max(1) as f64 * 100.0;
        let text = format!(
            " {} as {}: {} calls/s, {} ms each{usual}, {} rows, {} blocks ({} % found), read {} ms, temp {}, WAL {} a call",
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
        out.push(Line::from(Span::styled(text, theme.style(Meaning::Text))));
        let all = format!(" since it is known: {} calls, {} in all", count(row.calls_all as f64), seconds(row.ms_all / 1000.0));
        out.push(muted(all, theme));
    }
    out
}

fn waits(pg: &PgFacts, query: i64, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let Some(classes) = pg.activity.as_ref().ok().and_then(|a| a.by_query.get(&query)) else {
        return vec![muted(" no session was seen in it within the window".into(), theme)];
    };
    let all: f64 = classes.values().sum();
    let mut sorted: Vec<(&WaitClass, &f64)> = classes.iter().collect();
    sorted.sort_by(|a, b| b.1.total_cmp(a.1));
    let row = |(class, seconds): (&WaitClass, &f64)| {
        let name = crate::detect::ledger::state_of(*class).map_or("idle", |s| s.id());
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

fn plan(pg: &PgFacts, row: Option<&StatementRow>, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let plan = match row.and_then(|row| pg.plan(row)) {
        Some((_, Ok(plan))) => plan,
        Some((_, Err(lack))) => return vec![Line::from(Span::styled(format!(" ? {lack}"), theme.style(Meaning::Unknown)))],
        None => return vec![muted(" plan: asked for, or not recorded".into(), theme)],
    };
    let mut out =
        vec![muted(" generic plan (for any parameters; not executed): cost of each node alone, rows expected".into(), theme)];
    let own: Vec<f64> = (0..plan.nodes.len()).map(|at| plan.own_cost(at)).collect();
    let most = own.iter().copied().fold(0.0, f64::max);
    for (at, node) in plan.nodes.iter().enumerate() {
        let table = if node.relation.is_empty() { String::new() } else { format!(" on {}", node.relation) };
        let index = if node.index.is_empty() { String::new() } else { format!(" using {}", node.index) };
        let text = format!(" {}{}{index}{table}", "  ".repeat(usize::from(node.depth)), node.kind);
        let meaning = if own[at] >= most * 0.99 && most > 0.0 { Meaning::Critical } else { Meaning::Text };
        let figures = format!("{:>12} {:>10} rows", count(own[at]), count(node.rows));
        let gap = width.saturating_sub(text.chars().count() + figures.chars().count());
        out.push(Line::from(vec![
            Span::styled(theme.text(&text), theme.style(meaning)),
            Span::raw(" ".repeat(gap)),
            Span::styled(figures, theme.style(meaning)),
        ]));
        for (name, condition) in &node.conditions {
            out.push(muted(format!(" {}  {name}: {condition}", "  ".repeat(usize::from(node.depth))), theme));
        }
    }
    out.push(Line::default());
    out.extend(help(plan, row, theme));
    out.extend(trial(pg, plan, row, theme));
    out
}

/// What the planner said of the index that was tried.
fn trial(pg: &PgFacts, plan: &Plan, row: Option<&StatementRow>, theme: &Theme) -> Option<Line<'static>> {
    let row = row?;
    let trial = match &pg.trials.of(&row.database, row.key.query)?.1 {
        Ok(trial) => trial,
        Err(lack) => return Some(Line::from(Span::styled(format!(" ? HypoPG: {lack}"), theme.style(Meaning::Unknown)))),
    };
    let (text, meaning) = if trial.used {
        let size = trial.bytes.map_or_else(String::new, |b| format!(", {}", bytes(b as f64)));
        let costs = format!("cost {} -> {}{size}", count(plan.cost()), count(trial.cost));
        (format!(" HypoPG: the planner would use {}: {costs}", trial.index), Meaning::Good)
    } else {
        (format!(" HypoPG: the planner would not use {}", trial.index), Meaning::Warning)
    };
    Some(Line::from(Span::styled(theme.text(&text), theme.style(meaning))))
}

/// What would help, in words.
fn help(plan: &Plan, row: Option<&StatementRow>, theme: &Theme) -> Vec<Line<'static>> {
    let mean_ms = row.and_then(|r| r.grown.mean_ms()).unwrap_or(1.0);
    let say = |text: String, meaning: Meaning| Line::from(Span::styled(text, theme.style(meaning)));
    let Some(advice) = advice::best(plan, mean_ms) else {
        return vec![say(" no index is suggested: none would make the plan half as cheap".into(), Meaning::Muted)];
    };
    let Some(table) = plan.tables.get(advice.table) else { return Vec::new() };
    vec![
        say(format!(" an index on {}.{} ({}) would help", table.schema, table.name, advice.columns.join(", ")), Meaning::Good),
        say(format!("   {}", advice.command(table).unwrap_or_default()), Meaning::Accent),
        say(
            format!(
                "   {:.0} to {:.1} % of its time back (cost {} -> {}); about {} on disk, kept up to date by every write to the table",
                advice.gain_low * 100.0,
                (advice.gain_high * 100.0).min(99.9),
                count(plan.cost()),
                count(advice.cost_after),
                bytes(advice.bytes(table))
            ),
            Meaning::Text,
        ),
    ]
}
