//! Host (2): the figures, and the process table.

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::app::App;
use crate::diagnose::Picture;
use crate::view::theme::Theme;
use crate::view::{layout, panels};

/// ```text
/// ╭ CPU ────╮╭ Memory ─╮╭ Pressure ╮╭ Disks ───────╮
/// ╭ Network ╮╭ Peers ╮╭ File systems ╮╭ Ctrl groups ╮
/// ╭ Processes ─────────────────────────────────────╮
/// ```
pub fn draw(app: &App, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let h = layout::host(area);
    panels::cpu::draw(picture, theme, frame, h.cpu);
    panels::memory::draw(picture, theme, frame, h.memory);
    panels::pressure::draw(picture, theme, frame, h.pressure);
    panels::disks::draw(picture, theme, frame, h.disks);
    panels::network::draw(picture, theme, frame, h.network);
    panels::peers::draw(picture, theme, frame, h.peers);
    panels::filesystems::draw(picture, theme, frame, h.filesystems);
    panels::cgroups::draw(picture, theme, frame, h.cgroups);
    panels::processes::draw(app, picture, theme, frame, h.processes);
}
