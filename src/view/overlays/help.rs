//! Help: every key from the one keymap; on a finding its page as well.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use unicode_width::UnicodeWidthStr;

use crate::app::keymap::{Action, Context, Row};
use crate::app::{App, Screen};
use crate::config::Meaning;
use crate::detect::rule::Rule;
use crate::detect::rules;
use crate::view::theme::Theme;
use crate::view::widgets::text::wrap;

/// Draws the page of the selected finding, then the keys by screen.
pub fn draw(app: &App, scroll: usize, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = super::boxed::boxed(
        "Help",
        &format!("↑↓ scrolls · {} or {} closes", app.key_of(Action::Help), app.key_of(Action::Close)),
        88,
        theme,
        frame,
        area,
    );
    let width = usize::from(inside.width);
    let mut rows: Vec<Line<'_>> = Vec::new();
    // What is selected is what one asks about; the keys of this screen, then those that count everywhere, then the others.
    if let Some(rule) = app.finding().filter(|_| app.screen == Screen::Triage).and_then(|f| rules::find(&f.id)) {
        rows.extend(page(rule, width, theme));
    }
    let widest = app.keymap.rows().iter().map(|r| r.shown.width()).max().unwrap_or(0).min(24);
    let here = app.screen.context();
    let rank = |c: Context| {
        if c == here {
            0
        } else if c == Context::Anywhere {
            1
        } else {
            2
        }
    };
    let mut contexts = CONTEXTS.to_vec();
    contexts.sort_by_key(|(c, _)| rank(*c));
    for (context, name) in contexts {
        let of: Vec<&Row> = app.keymap.rows().iter().filter(|r| r.binding.context == context).collect();
        if of.is_empty() {
            continue;
        }
        let here = if context == here { ", where you are" } else { "" };
        rows.push(Line::from(Span::styled(format!("{name}{here}"), theme.style(Meaning::Title))));
        rows.extend(of.into_iter().map(|r| {
            let keys = format!("  {}{} ", r.shown, " ".repeat(widest.saturating_sub(r.shown.width())));
            Line::from(vec![
                Span::styled(keys, theme.style(Meaning::Accent)),
                Span::styled(r.binding.what, theme.style(Meaning::Text)),
            ])
        }));
        rows.push(Line::default());
    }
    super::boxed::scrolled(&rows, scroll, theme, frame, inside);
}

/// The sections, in the order of the screens.
const CONTEXTS: [(Context, &str); 8] = [
    (Context::Triage, "Triage (1)"),
    (Context::Host, "Host (2)"),
    (Context::Server, "Servers (3, 4, 5, 7)"),
    (Context::Diagnose, "Diagnose (6)"),
    (Context::Dashboard, "Dashboards (8)"),
    (Context::Time, "Time axis (t)"),
    (Context::Overlay, "Cards"),
    (Context::Anywhere, "Everywhere"),
];

/// How a finding is judged.
fn page(rule: &Rule, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let mut rows = vec![Line::from(Span::styled(format!("{}: {}", rule.id, rule.says), theme.style(Meaning::Title)))];
    for paragraph in rule.page.split("\n\n") {
        let text = paragraph.replace('\n', " ").replace("**", "");
        rows.extend(wrap(&text, width).into_iter().map(|l| Line::from(Span::styled(l, theme.style(Meaning::Text)))));
        rows.push(Line::default());
    }
    rows
}
