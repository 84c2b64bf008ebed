//! PostgreSQL (3): who is active and in what, over time; and the tables behind it.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};

use crate::app::App;
use crate::diagnose::Picture;
use crate::view::panels;
use crate::view::theme::Theme;

/// ```text
/// ╭ Active sessions: ▇ cpu ▇ io ▇ lock ▇ wal … ──────── postgres:5432 16.4 ╮
/// │ - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - 8 CPUs │
/// ╰─────────────────────────────────────────────────────────────────────────╯
/// ╭ Queries · Sessions · Locks · Tables, indexes · WAL … · Settings ────────╮
/// │   BUSY  CALLS/s  MEAN ms  …  QUERY                                       │
/// ╰─────────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(app: &App, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let (graph, table) = places(area);
    panels::pg_activity::draw(app, picture, theme, frame, graph);
    panels::pg_table::draw(app, picture, theme, frame, table);
}

/// Where its panels stand; in a low terminal the table alone.
#[must_use]
pub fn places(area: Rect) -> (Rect, Rect) {
    let graph = match area.height {
        0..=15 => 0,
        16..=29 => 6,
        30..=44 => 9,
        _ => 14,
    };
    let [graph, table] = Layout::vertical([Constraint::Length(graph), Constraint::Min(0)]).areas(area);
    (graph, table)
}
