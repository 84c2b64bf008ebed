//! Help: every key from the one keymap; on a finding its page as well.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::App;
use unicode_width::UnicodeWidthStr;

use crate::app::keymap::{Action, Context};
use crate::config::Meaning;
use crate::detect::rules;
use crate::view::theme::Theme;
use crate::view::widgets::text::wrap;

/// Draws the keys, then the page of the selected finding.
pub fn draw(app: &App, scroll: usize, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = super::boxed::boxed(
        "Help",
        &format!("{} or {} closes", app.key_of(Action::Help), app.key_of(Action::Close)),
        88,
        theme,
        frame,
        area,
    );
    let widest = app.keymap.rows().iter().map(|r| r.shown.width()).max().unwrap_or(0).min(24);
    let mut rows: Vec<Line<'_>> = app
        .keymap
        .rows()
        .iter()
        .map(|r| {
            let place = match r.binding.context {
                Context::Host => "  (host)",
                Context::Server => "  (servers)",
                Context::Overlay => "  (card)",
                _ => "",
            };
            Line::from(vec![
                Span::styled(
                    format!(" {}{} ", r.shown, " ".repeat(widest.saturating_sub(r.shown.width()))),
                    theme.style(Meaning::Accent),
                ),
                Span::styled(r.binding.what, theme.style(Meaning::Text)),
                Span::styled(place, theme.style(Meaning::Muted)),
            ])
        })
        .collect();
    if let Some(rule) = app.finding().and_then(|f| rules::find(&f.id)) {
        rows.push(Line::default());
        rows.push(Line::from(Span::styled(format!(" {}: {}", rule.id, rule.says), theme.style(Meaning::Title))));
        for paragraph in rule.page.split("\n\n") {
            rows.push(Line::default());
            let text = paragraph.replace('\n', " ").replace("**", "");
            let wrapped = wrap(&text, usize::from(inside.width).saturating_sub(2));
            rows.extend(wrapped.into_iter().map(|l| Line::from(Span::styled(format!(" {l}"), theme.style(Meaning::Text)))));
        }
    }
    super::boxed::scrolled(&rows, scroll, theme, frame, inside);
}
