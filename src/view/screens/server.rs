//! A kind of server (3 and on): what it does, over time; and the tables behind it.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};

use crate::app::App;
use crate::diagnose::Picture;
use crate::model::kinds::kinds;
use crate::model::source::SourceKind;
use crate::view::graph::Graph;
use crate::view::panels;
use crate::view::theme::Theme;

macro_rules! graphs {
    ($($Kind:ident $folder:ident $name:literal,)*) => {
        /// One row a kind.
        const GRAPHS: &[(SourceKind, Graph)] = &[$((SourceKind::$Kind, crate::view::$folder::GRAPH)),*];
    };
}

kinds!(graphs);

/// ```text
/// ╭ Active sessions: ▇ cpu ▇ io ▇ lock ▇ wal … ──────── postgres:5432 16.4 ╮
/// │ - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - 8 CPUs │
/// ╰─────────────────────────────────────────────────────────────────────────╯
/// ╭ Queries · Sessions · Locks · Tables, indexes · WAL … · Settings ────────╮
/// │   BUSY  CALLS/s  MEAN ms  …  QUERY                                       │
/// ╰─────────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(app: &App, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let Some(view) = app.server() else { return };
    let (above, below) = places(area);
    if let Some((_, graph)) = GRAPHS.iter().find(|(kind, _)| *kind == view.kind()) {
        graph(view, picture, theme, frame, above);
    }
    panels::table::draw(view, picture, theme, frame, below);
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
