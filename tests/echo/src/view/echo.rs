//! The panel above the table of echo servers.

use ratatui::text::Line;

use super::graph::Graph;
use super::widgets::{lines, titled};

/// ```text
/// ╭ Round trip ──────────────── echo:7 ╮
/// │ 0.3 ms                             │
/// ╰────────────────────────────────────╯
/// ```
pub const GRAPH: Graph = |view, picture, theme, frame, area| {
    let server = view.of(&picture.facts);
    let inside = titled("Round trip", server.unwrap_or_default(), theme, frame, area);
    let trip = picture.facts.servers.echo.iter().find(|s| Some(s.id.as_str()) == server).and_then(|s| s.trip.ms);
    lines(&[Line::from(trip.map_or_else(|| "?".to_owned(), |ms| format!(" {ms:.1} ms")))], theme, frame, inside);
};
