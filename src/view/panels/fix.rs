//! What to do about the selected finding: relief first, then cure.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::App;
use crate::app::keymap::Action;
use crate::config::Meaning;
use crate::detect::finding::{Fix, Phase};
use crate::view::theme::Theme;
use crate::view::widgets::text::wrap;
use crate::view::widgets::{lines, titled};

/// ```text
/// ╭ Fix ──────────────────────────────────────────────── c copy · ⏎ open ─╮
/// │ RELIEF  Give it the lowest CPU priority                                │
/// │   renice -n 19 -p 4242                                                 │
/// │   ✔ 5 processes at nice 0                                              │
/// ╰───────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(app: &App, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let keys = format!("{} copy · {} open", app.keymap.first(Action::CopyFix), app.keymap.first(Action::Open));
    let inside = titled("Fix", &keys, theme, frame, area);
    let fixes = app.finding().map(|f| f.fixes.as_slice()).unwrap_or_default();
    let width = usize::from(inside.width);
    let mut rows: Vec<Line<'static>> = Vec::new();
    for fix in fixes {
        rows.extend(one(fix, width, theme));
    }
    if rows.is_empty() {
        rows.push(Line::from(Span::styled("nothing to do", theme.style(Meaning::Muted))));
    }
    lines(&rows, theme, frame, inside);
}

fn one(fix: &Fix, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let (word, meaning) = match fix.phase {
        Phase::Relief => ("RELIEF", Meaning::Warning),
        Phase::Cure => ("CURE  ", Meaning::Good),
    };
    let mut rows: Vec<Line<'static>> = Vec::new();
    for (n, text) in wrap(&fix.title, width.saturating_sub(word.len() + 1)).into_iter().enumerate() {
        let word = if n == 0 { word } else { "      " };
        rows.push(Line::from(vec![
            Span::styled(format!("{word} "), theme.style(meaning)),
            Span::styled(text, theme.style(Meaning::Text)),
        ]));
    }
    let command = wrap(&fix.command, width.saturating_sub(2)).into_iter().take(3);
    rows.extend(command.map(|text| Line::from(Span::styled(format!("  {text}"), theme.style(Meaning::Accent)))));
    rows.extend(fix.preflight.iter().map(|p| {
        let (sign, meaning) =
            if p.ok { (theme.pick("✔", "ok"), Meaning::Good) } else { (theme.pick("✖", "X"), Meaning::Warning) };
        Line::from(vec![
            Span::styled(format!("  {sign} "), theme.style(meaning)),
            Span::styled(p.what.clone(), theme.style(Meaning::Muted)),
        ])
    }));
    rows
}
