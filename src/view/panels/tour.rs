//! The guided tour: what to look at, and what to press next.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::App;
use crate::app::keymap::Action;
use crate::config::Meaning;
use crate::view::theme::Theme;
use crate::view::widgets::text::wrap;
use crate::view::widgets::{lines, titled};

/// Rows that it takes, with its box, of so many.
#[must_use]
pub const fn rows(width: u16, height: u16) -> u16 {
    match (width, height) {
        (_, 0..=15) => 0,
        (0..=99, _) => 5,
        _ => 4,
    }
}

/// ```text
/// ╭ Tour, 2 of 6 ──────────────────────────────────────── N next · X ends the tour ╮
/// │ There it is: what is wrong, what it costs, since when. …                        │
/// ╰─────────────────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(app: &App, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let Some((number, of, says)) = app.tour.as_ref().and_then(crate::app::Tour::step) else { return };
    let keys = format!("{} next · {} ends the tour", app.key_of(Action::TourNext), app.key_of(Action::TourEnd));
    let inside = titled(&format!("Tour, {number} of {of}"), &keys, theme, frame, area);
    let text = wrap(&theme.text(&says), usize::from(inside.width)).into_iter();
    let rows: Vec<Line<'_>> = text.map(|line| Line::from(Span::styled(line, theme.style(Meaning::Accent)))).collect();
    lines(&rows, theme, frame, inside);
}
