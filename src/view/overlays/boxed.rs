//! The box that an overlay stands in.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Clear;

use crate::view::layout::centered;
use crate::view::theme::Theme;
use crate::view::widgets::{lines, titled, within};

/// A cleared box with a title; gives its inside.
pub(in crate::view) fn boxed(title: &str, right: &str, width: u16, theme: &Theme, frame: &mut Frame<'_>, area: Rect) -> Rect {
    let place = centered(area, width, area.height.saturating_sub(2).max(3));
    frame.render_widget(Clear, place);
    titled(title, right, theme, frame, place)
}

/// The same, no higher than its text: what is behind it stays in sight.
pub(in crate::view) fn fitting(
    (title, right): (&str, &str),
    width: u16,
    rows: impl Fn(usize) -> Vec<Line<'static>>,
    (theme, scroll): (&Theme, usize),
    frame: &mut Frame<'_>,
    area: Rect,
) {
    const BORDERS: u16 = 2;
    let all = rows(usize::from(within(centered(area, width, area.height)).width));
    let height = (all.len() as u16).saturating_add(BORDERS).min(area.height.saturating_sub(2).max(3));
    let place = centered(area, width, height);
    frame.render_widget(Clear, place);
    let inside = titled(title, right, theme, frame, place);
    scrolled(&all, scroll, theme, frame, inside);
}

/// Lines from `scroll` on; never past the last.
pub(in crate::view) fn scrolled(all: &[Line<'_>], scroll: usize, theme: &Theme, frame: &mut Frame<'_>, inside: Rect) {
    let skip = scroll.min(all.len().saturating_sub(usize::from(inside.height)));
    lines(&all[skip..], theme, frame, inside);
}
