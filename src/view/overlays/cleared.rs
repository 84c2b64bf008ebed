//! What was ruled out, and by which figure; what could not be looked at, and how to lift that.

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::diagnose::Picture;
use crate::view::theme::Theme;
use crate::view::widgets::cleared;

/// ```text
/// ╭ What was ruled out ───────────────────────────────────── ↑↓ scrolls · q close ─╮
/// │ cpu.contention             PSI cpu 1.1 %                                        │
/// ╰─────────────────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(picture: &Picture, scroll: usize, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = super::boxed::boxed("What was ruled out", "q close", 110, theme, frame, area);
    let rows = cleared::all(&picture.diagnosis, usize::from(inside.width), theme);
    super::boxed::scrolled(&rows, scroll, theme, frame, inside);
}
