//! The palette: a line to type into, and the actions that hold the words.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::App;
use crate::app::input::Input;
use crate::config::Meaning;
use crate::view::theme::Theme;
use crate::view::widgets::lines;
use crate::view::widgets::text::typed;

/// ```text
/// ╭ Actions ────────────────────────── ⏎ run, Esc close ╮
/// │ : sort_                                             │
/// │▸>  sort_right      sort                             │
/// ╰─────────────────────────────────────────────────────╯
/// ```
pub fn draw(app: &App, input: &Input, index: usize, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = super::boxed::boxed("Actions", "⏎ run, Esc close", 72, theme, frame, area);
    let mut rows = vec![typed(": ", input, "", theme)];
    let found = app.palette_rows(&input.text);
    if found.is_empty() {
        rows.push(Line::from(Span::styled("   no match", theme.style(Meaning::Muted))));
    }
    let room = usize::from(inside.height).saturating_sub(1).max(1);
    let skip = (index + 1).saturating_sub(room);
    rows.extend(found.iter().enumerate().skip(skip).map(|(at, row)| {
        let mark = if at == index { theme.pick("▸", ">") } else { " " };
        let line = Line::from(vec![
            Span::styled(format!("{mark} {:<16} ", row.binding.name), theme.style(Meaning::Title)),
            Span::styled(format!("{:<12} ", row.shown), theme.style(Meaning::Accent)),
            Span::styled(row.binding.what, theme.style(Meaning::Text)),
        ]);
        if at == index { line.style(theme.style(Meaning::Selected)) } else { line }
    }));
    lines(&rows, theme, frame, inside);
}
