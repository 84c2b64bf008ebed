//! A dashboard (8).

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::app::App;
use crate::diagnose::Picture;
use crate::view::theme::Theme;

/// ```text
///  Node Exporter  job=node instance=db3  last 60 min
/// ╭ CPU busy ──────╮╭ Load ──────────╮╭ Memory ────────────────────────╮
/// ```
pub fn draw(app: &App, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    crate::view::prometheus::draw_dashboard(app, picture, theme, frame, area);
}
