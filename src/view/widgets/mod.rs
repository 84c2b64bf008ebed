//! Small pieces: boxes, lines that fit, bars, sparklines, stacked graphs.

pub mod absent;
pub mod cleared;
pub mod graph;
pub mod pasteable;
pub mod question;
pub mod text;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::symbols::border;
use ratatui::text::{Line, Span};
use ratatui::widgets::Block;

use crate::config::Meaning;

use super::theme::Theme;

const ASCII_BORDER: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// The same for the box that matters.
const ASCII_THICK: border::Set<'static> =
    border::Set { horizontal_top: "=", horizontal_bottom: "=", vertical_left: "#", vertical_right: "#", ..ASCII_BORDER };

/// The lines of a box, heavy where it is the one that matters.
#[must_use]
pub const fn borders(heavy: bool, theme: &Theme) -> border::Set<'static> {
    match (heavy, theme.ascii) {
        (true, false) => border::THICK,
        (false, false) => border::ROUNDED,
        (true, true) => ASCII_THICK,
        (false, true) => ASCII_BORDER,
    }
}

/// Draws a titled box and gives its inside. Nothing is drawn into an area without room.
pub fn titled(title: &str, right: &str, theme: &Theme, frame: &mut Frame<'_>, area: Rect) -> Rect {
    if area.height < 2 || area.width < 4 {
        return Rect::default();
    }
    let set = if theme.ascii { ASCII_BORDER } else { border::ROUNDED };
    let mut block = Block::bordered().border_set(set).border_style(theme.style(Meaning::Border));
    if !title.is_empty() {
        block = block.title(Line::from(Span::styled(format!(" {} ", theme.text(title)), theme.style(Meaning::Title))));
    }
    if !right.is_empty() && usize::from(area.width) > title.len() + right.len() + 8 {
        let text = Span::styled(format!(" {} ", theme.text(right)), theme.style(Meaning::Muted));
        block = block.title(Line::from(text).right_aligned());
    }
    frame.render_widget(block, area);
    within(area)
}

/// The inside of a titled box: nothing touches its lines.
#[must_use]
pub const fn within(area: Rect) -> Rect {
    if area.height < 2 || area.width < 4 {
        return Rect { x: 0, y: 0, width: 0, height: 0 };
    }
    let gap = if area.width >= 12 { 2 } else { 1 };
    Rect { x: area.x + gap, y: area.y + 1, width: area.width - 2 * gap, height: area.height - 2 }
}

/// Draws lines from the top of `area`; what does not fit is cut, never wrapped.
pub fn lines(lines: &[Line<'_>], theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    for (row, line) in lines.iter().take(usize::from(area.height)).enumerate() {
        let at = Rect { y: area.y + row as u16, height: 1, ..area };
        frame.render_widget(text::fit(line, usize::from(area.width), theme), at);
    }
}

/// A bar of `width` cells filled by `share`, in eighths where the terminal can.
#[must_use]
pub fn bar(share: f64, width: usize, theme: &Theme) -> String {
    const EIGHTHS: [&str; 9] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let eighths = (share * width as f64 * 8.0).round() as usize;
    let full = if theme.ascii { "#".repeat(eighths.div_ceil(8)) } else { "█".repeat(eighths / 8) };
    let part = if theme.ascii { "" } else { EIGHTHS[eighths % 8] };
    let text = format!("{full}{part}");
    let used = text.chars().count();
    format!("{text}{}", " ".repeat(width.saturating_sub(used)))
}
