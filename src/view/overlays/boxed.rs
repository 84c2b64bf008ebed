//! The box that an overlay stands in.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Clear;

use crate::view::layout::centered;
use crate::view::theme::Theme;
use crate::view::widgets::{lines, titled};

/// A cleared box with a title; gives its inside.
pub(in crate::view) fn boxed(title: &str, right: &str, width: u16, theme: &Theme, frame: &mut Frame<'_>, area: Rect) -> Rect {
    let place = centered(area, width, area.height.saturating_sub(2).max(3));
    frame.render_widget(Clear, place);
    titled(title, right, theme, frame, place)
}

/// Lines from `scroll` on; never past the last.
pub(in crate::view) fn scrolled(all: &[Line<'_>], scroll: usize, theme: &Theme, frame: &mut Frame<'_>, inside: Rect) {
    let skip = scroll.min(all.len().saturating_sub(usize::from(inside.height)));
    lines(&all[skip..], theme, frame, inside);
}
