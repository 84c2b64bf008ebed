//! What became of each panel: first those that the server does not answer, then those that cannot be drawn.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::answer::{failed, title};
use crate::app::DashboardView;
use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::dashboard::{Drawn, Note};
use crate::view::theme::Theme;
use crate::view::widgets::{lines as paragraph, titled};

/// ```text
/// ╭ What was drawn ──── 11 whole, 1 with something missing, 1 left out, 1 without an answer ╮
/// │ no answer Errors                query A: bad_data: unknown function "rte"               │
/// │ left out  Map                   geomap      maps are not drawn                          │
/// ```
pub fn draw(view: &DashboardView, picture: &Picture, source: Option<&str>, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let (whole, degraded, left) = view.dashboard.tally();
    let mut rows: Vec<Line<'_>> = Vec::new();
    for panel in view.dashboard.panels.iter() {
        let failed = source.map_or_else(Vec::new, |source| failed(view, picture, source, panel));
        if failed.is_empty() {
            continue;
        }
        let because: Vec<String> = failed.iter().map(|(letter, lack)| format!("query {letter}: {lack}")).collect();
        rows.push(Line::from(vec![
            Span::styled(" no answer ", theme.style(Meaning::Critical)),
            Span::raw(format!("{:<40.40} ", title(view, panel))),
            Span::styled(because.join("; "), theme.style(Meaning::Muted)),
        ]));
    }
    let unanswered = match rows.len() {
        0 => String::new(),
        count => format!(", {count} without an answer"),
    };
    let inside = titled(
        "What was drawn",
        &format!("{whole} whole, {degraded} with something missing, {left} left out{unanswered}"),
        theme,
        frame,
        area,
    );
    let row = |n: &Note| {
        let (word, meaning) = match n.drawn {
            Drawn::Whole => ("whole", Meaning::Good),
            Drawn::Degraded => ("partly", Meaning::Warning),
            Drawn::LeftOut => ("left out", Meaning::Critical),
        };
        Line::from(vec![
            Span::styled(format!(" {word:<10}"), theme.style(meaning)),
            Span::raw(format!("{:<40.40} ", n.panel)),
            Span::styled(format!("{:<12.12} {}", n.kind, n.because.join("; ")), theme.style(Meaning::Muted)),
        ])
    };
    let mut notes: Vec<_> = view.dashboard.notes.iter().filter(|n| n.kind != "row").collect();
    notes.sort_by_key(|n| match n.drawn {
        Drawn::LeftOut => 0,
        Drawn::Degraded => 1,
        Drawn::Whole => 2,
    });
    rows.extend(notes.into_iter().map(row));
    paragraph(&rows, theme, frame, inside);
}
