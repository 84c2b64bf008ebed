//! Waiting over the last five minutes, by what is waited for.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::history::{History, Ring};
use crate::model::unit::short;
use crate::view::theme::Theme;
use crate::view::widgets::{graph, titled};

/// What is waited for, as it is drawn everywhere: figure, colour, word, and letter where there are no blocks.
pub fn groups(h: &History) -> [(&Ring, Meaning, &'static str, &'static str); 7] {
    [
        (&h.waiting_cpu, Meaning::Cpu, "cpu", "c"),
        (&h.waiting_throttled, Meaning::Warning, "quota", "q"),
        (&h.waiting_memory, Meaning::Memory, "memory", "m"),
        (&h.waiting_io, Meaning::Io, "io", "i"),
        (&h.waiting_peers, Meaning::Network, "peers", "p"),
        (&h.waiting_postgres, Meaning::Database, "postgres", "d"),
        (&h.waiting_other, Meaning::Muted, "other", "o"),
    ]
}

/// ```text
/// ╭ Waiting, last 5 min: ▇ cpu ▇ quota ▇ memory ▇ io ▇ peers ▇ postgres ▇ other ─ top 4.2 s/s ─╮
/// │                                            ▂▃▅▇█▇▅                               │
/// ╰──────────────────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let groups = groups(&picture.history);
    let inside = titled("", "", theme, frame, area);
    if inside.height == 0 {
        return;
    }
    let rings: Vec<_> = groups.iter().map(|(ring, m, _, letter)| (*ring, theme.style(*m), *letter)).collect();
    let second = picture.at.mono_ns / 1_000_000_000;
    let top = graph::stacked(&rings, 0.2, second, theme, frame, inside);
    let mut title = vec![Span::styled(" Waiting, last 5 min: ", theme.style(Meaning::Title))];
    for (_, meaning, word, letter) in groups {
        let block = if theme.ascii { letter } else { "▇" };
        title.push(Span::styled(format!("{block} {word} "), theme.style(meaning)));
    }
    title.push(Span::styled(format!(" top of the scale {} s/s ", short(top)), theme.style(Meaning::Muted)));
    let line = Line::from(title);
    let width = (line.width() as u16).min(area.width.saturating_sub(4));
    frame.render_widget(line, Rect { x: area.x + 2, y: area.y, width, height: 1 });
}
