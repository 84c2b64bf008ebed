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

/// Rows that it takes, with its box: all of what it says, on a screen that has room for more.
#[must_use]
pub fn rows(app: &App, area: Rect) -> u16 {
    const LEAST_BESIDE: u16 = 14;
    let Some((_, _, says)) = app.tour_step() else { return 0 };
    let lines = wrap(&says, usize::from(area.width).saturating_sub(4)).len() as u16;
    if lines + 2 + LEAST_BESIDE > area.height { 0 } else { lines + 2 }
}

/// ```text
/// ╭ Tour, 2 of 6 ──────────────────────────────────────── N next · X ends the tour ╮
/// │ There it is: what is wrong, what it costs, since when. …                        │
/// ╰─────────────────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(app: &App, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let Some((number, of, says)) = app.tour_step() else { return };
    let keys = format!("{} next · {} ends the tour", app.key_of(Action::TourNext), app.key_of(Action::TourEnd));
    let inside = titled(&format!("Tour, {number} of {of}"), &keys, theme, frame, area);
    let text = wrap(&theme.text(&says), usize::from(inside.width)).into_iter();
    let rows: Vec<Line<'_>> = text.map(|line| Line::from(Span::styled(line, theme.style(Meaning::Accent)))).collect();
    lines(&rows, theme, frame, inside);
}
