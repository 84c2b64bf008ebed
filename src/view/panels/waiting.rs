//! Waiting over the last five minutes, by what is waited for.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::history::{Group, History, Ring};
use crate::model::unit::short;
use crate::view::theme::Theme;
use crate::view::widgets::{graph, titled};

/// A group as it is drawn everywhere: colour, word, and letter where there are no blocks.
pub const fn drawn(group: Group) -> (Meaning, &'static str, &'static str) {
    match group {
        Group::Cpu => (Meaning::Cpu, "cpu", "c"),
        Group::Quota => (Meaning::Warning, "quota", "q"),
        Group::Memory => (Meaning::Memory, "memory", "m"),
        Group::Io => (Meaning::Io, "io", "i"),
        Group::Peers => (Meaning::Network, "peers", "p"),
        Group::Servers => (Meaning::Database, "databases", "d"),
        Group::Other => (Meaning::Muted, "other", "o"),
    }
}

/// Each group with its figure over time.
pub fn groups(h: &History) -> impl Iterator<Item = (&Ring, Meaning, &'static str, &'static str)> {
    h.waiting.iter().map(|(group, ring)| {
        let (meaning, word, letter) = drawn(*group);
        (ring, meaning, word, letter)
    })
}

/// ```text
/// ╭ Waiting, last 5 min: ▇ cpu ▇ quota ▇ memory ▇ io ▇ peers ▇ databases ▇ other ─ top 4.2 s/s ─╮
/// │                                            ▂▃▅▇█▇▅                               │
/// ╰──────────────────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = titled("", "", theme, frame, area);
    if inside.height == 0 {
        return;
    }
    let rings: Vec<_> = groups(&picture.history).map(|(ring, m, _, letter)| (ring, theme.style(m), letter)).collect();
    let second = picture.at.mono_ns / 1_000_000_000;
    let top = graph::stacked(&rings, 0.2, second, theme, frame, inside);
    let mut title = vec![Span::styled(" Waiting, last 5 min: ", theme.style(Meaning::Title))];
    for group in Group::ALL {
        let (meaning, word, letter) = drawn(group);
        let block = if theme.ascii { letter } else { "▇" };
        title.push(Span::styled(format!("{block} {word} "), theme.style(meaning)));
    }
    title.push(Span::styled(format!(" scale to {} s/s ", short(top)), theme.style(Meaning::Muted)));
    let line = Line::from(title);
    let width = (line.width() as u16).min(area.width.saturating_sub(4));
    frame.render_widget(line, Rect { x: area.x + 2, y: area.y, width, height: 1 });
}
