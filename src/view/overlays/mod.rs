//! What lies on top of a screen.

pub(super) mod boxed;
mod card;
mod cleared;
mod fix;
mod help;
mod messages;
mod palette;
mod process;
mod provenance;
mod sockets;
mod time;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::{App, ByHand, Overlay};
use crate::config::Meaning;
use crate::diagnose::Picture;

use super::postgres;
use super::theme::Theme;
use super::widgets::text::wrap;
use super::widgets::{lines, pasteable, titled};

/// Draws one overlay over `area`.
pub fn draw(app: &App, picture: &Picture, overlay: &Overlay, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    match overlay {
        Overlay::Help { scroll } => help::draw(app, *scroll, theme, frame, area),
        Overlay::Fix { index, scroll } => fix::draw(app, *index, *scroll, theme, frame, area),
        Overlay::Process { id } => process::draw(app, picture, *id, theme, frame, area),
        Overlay::Provenance { scroll } => provenance::draw(app, *scroll, theme, frame, area),
        Overlay::Palette { input, index } => palette::draw(app, input, *index, theme, frame, area),
        Overlay::Sockets { scroll } => sockets::draw(picture, *scroll, theme, frame, area),
        Overlay::Cleared { scroll } => cleared::draw(picture, *scroll, theme, frame, area),
        Overlay::Messages { scroll } => messages::draw(picture, *scroll, theme, frame, area),
        Overlay::Query { source, query, scroll } => postgres::query::draw(picture, source, *query, *scroll, theme, frame, area),
        Overlay::Card { tab, key, scroll } => card::draw(app, picture, (*tab, key), *scroll, theme, frame, area),
        Overlay::Time { back } => time::draw(app, picture, *back, theme, frame, area),
        Overlay::CopyView { .. } => {}
    }
}

/// Before the first picture.
pub fn waiting(theme: &Theme, frame: &mut Frame<'_>, area: Rect, notice: Option<&str>) {
    const WIDTH: u16 = 64;
    let size = (area.width.min(WIDTH), area.height.min(4));
    let at = Rect { x: (area.width - size.0) / 2, y: area.height.saturating_sub(size.1) / 3, width: size.0, height: size.1 };
    let inside = titled("perftop", "", theme, frame, at);
    let dots = theme.pick("…", "...");
    let text = notice.map_or_else(|| format!("reading this host{dots} first figures in a second"), |n| theme.text(n));
    let row = |text: &str, meaning| Line::from(Span::styled(text.to_owned(), theme.style(meaning)));
    lines(&[row(&text, Meaning::Text), row("Ctrl-C leaves", Meaning::Muted)], theme, frame, inside);
}

/// The raw text without boxes, for the terminal's own selection.
pub fn copy_view(app: &App, scroll: usize, frame: &mut Frame<'_>, area: Rect) {
    let width = usize::from(area.width);
    let lines = |row: &ByHand| match row {
        // An empty line stays one.
        ByHand::Text(text) if text.is_empty() => vec![String::new()],
        ByHand::Text(text) => wrap(text, width),
        ByHand::Note(language, text) => pasteable::note(text, *language, width),
        ByHand::Command(language, text) => pasteable::broken(text, *language, width),
    };
    let all: Vec<String> = app.copy_text().iter().flat_map(lines).collect();
    let skip = scroll.min(all.len().saturating_sub(usize::from(area.height).saturating_sub(1)));
    for (row, line) in all.iter().skip(skip).take(usize::from(area.height)).enumerate() {
        frame.render_widget(Line::raw(line.as_str()), Rect { y: area.y + row as u16, height: 1, ..area });
    }
}
