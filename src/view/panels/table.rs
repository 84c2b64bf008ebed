//! The tables of a server's screen: tabs, headings, the rows in sight.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::tables::{Column, Row, ServerView, Side, Tab};
use crate::app::target::Target;
use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::view::theme::Theme;
use crate::view::widgets::{lines, titled, within};

/// ```text
/// ╭ Queries · Sessions · Locks · Tables, indexes · WAL, vacuum, replication · Settings ─ 42, by BUSY ↓ ╮
/// │  BUSY  CALLS/s  MEAN ms    ROWS  HIT %  QUERY                                                      │
/// │   3.4       51       66       1    100  SELECT abalance FROM pgbench_accounts WHERE aid = $1       │
/// ╰────────────────────────────────────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(view: &ServerView, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let rows = view.rows(&picture.facts);
    let sort = view.sorted().and_then(|at| view.open().columns.get(at)).map_or_else(String::new, |c| {
        let arrow = if view.ascending { theme.pick("↑", "^") } else { theme.pick("↓", "v") };
        format!(", by {} {arrow}", c.name)
    });
    let typed = &view.filter;
    let filter =
        if typed.text().is_empty() && !typed.editing { String::new() } else { format!(", matching \"{}\"", typed.text()) };
    let since = if view.cumulative && view.open().cumulative { ", since stats reset" } else { "" };
    let inside = titled("", &format!("{}{sort}{filter}{since}", rows.len()), theme, frame, area);
    tabs(view, theme, frame, area);
    if inside.height == 0 {
        return;
    }
    let columns = columns(view.open().columns, inside.width);
    let mut out = vec![heading(&columns, view.sorted(), theme)];
    let room = usize::from(inside.height).saturating_sub(1);
    let skip = skipped(view, &rows, room);
    for row in rows.iter().skip(skip).take(room) {
        let line = line(row, &columns, usize::from(inside.width), theme);
        let selected = view.selected.as_ref() == Some(&row.key);
        out.push(if selected { line.style(theme.style(Meaning::Selected)) } else { line });
    }
    if rows.is_empty() {
        out.push(Line::from(Span::styled(nothing(view, picture), theme.style(Meaning::Muted))));
    }
    lines(&out, theme, frame, inside);
}

/// Why there is nothing to see.
fn nothing(view: &ServerView, picture: &Picture) -> String {
    let why = match view.filter.text().trim() {
        "" => view.of(&picture.facts).map(|server| (view.open().nothing)(&picture.facts, server)),
        words => Some(format!("nothing matches \"{words}\"; Esc shows all")),
    };
    format!(" {}", why.as_deref().unwrap_or("no server"))
}

/// Between two tabs.
const BETWEEN: &str = " · ";

/// The words of the tabs; in a narrow terminal only the open one keeps all of its own.
fn words(view: &ServerView, width: u16) -> Vec<&'static str> {
    let word = |(at, tab): (usize, &Tab)| {
        if width >= 110 || at == view.tab { tab.word } else { tab.word.split([' ', ',']).next().unwrap_or(tab.word) }
    };
    view.tabs().iter().enumerate().map(word).collect()
}

/// Rows above the first one in sight: the selected one stays in it.
fn skipped(view: &ServerView, rows: &[Row], room: usize) -> usize {
    let at = view.selected.as_ref().and_then(|key| rows.iter().position(|r| r.key == *key));
    at.map_or(0, |at| (at + 1).saturating_sub(room))
}

/// The tab, the heading or the row that stands there.
#[must_use]
pub fn pointed(view: &ServerView, picture: &Picture, area: Rect, (x, y): (u16, u16)) -> Option<Target> {
    let inside = within(area);
    if y == area.y {
        let mut left = usize::from(x.checked_sub(area.x + 3)?);
        return words(view, area.width)
            .into_iter()
            .position(|word| {
                let hit = left < word.chars().count();
                left = left.checked_sub(word.chars().count() + BETWEEN.chars().count()).unwrap_or(usize::MAX);
                hit
            })
            .map(Target::ServerTab);
    }
    let row = usize::from(y.checked_sub(inside.y).filter(|_| inside.contains((x, y).into()))?);
    let Some(below) = row.checked_sub(1) else {
        let mut left = usize::from(x - inside.x);
        let hit = columns(view.open().columns, inside.width).into_iter().find(|(_, c)| {
            let hit = c.width == 0 || left < usize::from(c.width);
            left = left.saturating_sub(usize::from(c.width));
            hit
        });
        return hit.map(|(at, _)| Target::ServerHeading(at));
    };
    let rows = view.rows(&picture.facts);
    let skip = skipped(view, &rows, usize::from(inside.height).saturating_sub(1));
    rows.get(skip + below).map(|r| Target::ServerRow(r.key.clone()))
}

fn tabs(view: &ServerView, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    if area.width < 8 {
        return;
    }
    let mut spans = vec![Span::raw(" ")];
    for (at, text) in words(view, area.width).into_iter().enumerate() {
        let open = at == view.tab;
        let title = theme.style(Meaning::Title);
        spans.push(Span::styled(text, if open { title.patch(theme.style(Meaning::Selected)) } else { title }));
        spans.push(Span::raw(if at + 1 < view.tabs().len() { BETWEEN } else { " " }));
    }
    let line = Line::from(spans);
    let width = (line.width() as u16).min(area.width.saturating_sub(4));
    frame.render_widget(line, Rect { x: area.x + 2, y: area.y, width, height: 1 });
}

/// Those that fit, with their places.
fn columns(all: &'static [Column], width: u16) -> Vec<(usize, Column)> {
    all.iter().enumerate().filter(|(_, c)| c.least <= width).map(|(at, c)| (at, *c)).collect()
}

fn cell(text: &str, c: &Column, room: usize) -> String {
    let width = if c.width == 0 { room } else { usize::from(c.width) };
    if c.width == 0 {
        return format!(" {text}");
    }
    let text = cut(text, width.saturating_sub(1));
    if c.side == Side::Left { format!(" {text:<w$}", w = width - 1) } else { format!("{text:>width$}") }
}

/// What does not fit ends in a mark.
fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

fn heading(columns: &[(usize, Column)], sort: Option<usize>, theme: &Theme) -> Line<'static> {
    let span = |(at, c): &(usize, Column)| {
        let meaning = if Some(*at) == sort { Meaning::Accent } else { Meaning::Muted };
        Span::styled(cell(c.name, c, 0), theme.style(meaning))
    };
    Line::from(columns.iter().map(span).collect::<Vec<_>>())
}

fn line(row: &Row, columns: &[(usize, Column)], width: usize, theme: &Theme) -> Line<'static> {
    let span = |(at, c): &(usize, Column)| {
        let text = row.cells.get(*at).map_or("", |c| c.text.as_str());
        let shown: String = text.chars().take(width).collect();
        Span::styled(cell(&theme.text(&shown), c, width), theme.style(row.meaning))
    };
    Line::from(columns.iter().map(span).collect::<Vec<_>>())
}
