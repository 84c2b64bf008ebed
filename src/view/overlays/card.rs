//! A row of a server's table, closely.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::App;
use crate::app::keymap::Action;
use crate::app::tables::ServerView;
use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::view::theme::Theme;
use crate::view::widgets::text::wrap;

/// Columns of what a line is about.
const LABEL: usize = 24;

/// Draws the card of that row, or says that it is gone.
pub fn draw(
    app: &App,
    picture: &Picture,
    (tab, key): (usize, &str),
    scroll: usize,
    theme: &Theme,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let close = app.key_of(Action::Close);
    let card = app.server().and_then(|view| card(view, picture, tab, key));
    let keys = format!("{} copy · {close} close", app.key_of(Action::CopyFix));
    let title = card.as_ref().map_or("Gone", |card| card.title.as_str());
    let inside = super::boxed::boxed(title, &keys, 110, theme, frame, area);
    let width = usize::from(inside.width).saturating_sub(LABEL + 3);
    let rows: Vec<Line<'_>> = match &card {
        None => vec![Line::from(Span::styled(" it is not there any more", theme.style(Meaning::Muted)))],
        Some(card) => card.lines.iter().flat_map(|(label, text)| row(label, text, width, theme)).collect(),
    };
    super::boxed::scrolled(&rows, scroll, theme, frame, inside);
}

fn card(view: &ServerView, picture: &Picture, tab: usize, key: &str) -> Option<crate::app::tables::Card> {
    (view.tabs().get(tab)?.card)(&picture.facts, view.of(&picture.facts)?, key)
}

fn row(label: &str, text: &str, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let parts = wrap(text, width.max(10)).into_iter().enumerate();
    let line = |(at, part): (usize, String)| {
        let label = if at == 0 { label } else { "" };
        Line::from(vec![
            Span::styled(format!(" {label:<LABEL$} "), theme.style(Meaning::Muted)),
            Span::styled(part, theme.style(Meaning::Text)),
        ])
    };
    parts.map(line).collect()
}
