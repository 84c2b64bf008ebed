//! Pressure: the share of time in which someone stood still, now and over the last minutes.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::facts::Psi;
use crate::model::history::Ring;
use crate::model::seen::Seen;
use crate::view::theme::Theme;
use crate::view::widgets::text::packed;
use crate::view::widgets::{graph, lines, titled};

/// ```text
/// ╭ Pressure ──────── some · 10 s 60 s 5 min ─╮
/// │ cpu     12 %  ▁▂▃▅▇    9.1   4.2   1.0     │
/// │ memory   0 %           0.0   0.0   0.0     │
/// │ io       3 %  ▁        2.0   1.1   0.4     │
/// ╰───────────────────────────────────────────╯
/// ```
pub fn draw(picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let all = area.width >= 40;
    let inside = titled("Pressure", if all { "10 s 60 s 5 min" } else { "" }, theme, frame, area);
    let (psi, h) = (&picture.facts.host.psi, &picture.history);
    let second = picture.at.mono_ns / 1_000_000_000;
    let row = |name: &str, now: &Seen<Psi>, ring: &Ring, meaning: Meaning| match now {
        Ok(p) => {
            let share = p.some.map_or_else(|| "   ? %".to_owned(), |s| format!("{:>4.0} %", s * 100.0));
            let width = usize::from(inside.width).saturating_sub(if all { 33 } else { 21 }).min(40);
            let averages = inside.width >= 21;
            let [a, b, c] = p.averages;
            Line::from(vec![
                Span::styled(format!("{name:<7}{share} "), theme.style(meaning)),
                Span::styled(graph::spark(ring, width, 100.0, second, theme), theme.style(meaning)),
                Span::styled(
                    match (all, averages) {
                        (true, _) => format!(" {a:>5.1} {b:>5.1} {c:>5.1}"),
                        (false, true) => format!(" {a:>5.1}"),
                        (false, false) => String::new(),
                    },
                    theme.style(Meaning::Muted),
                ),
            ])
        }
        Err(lack) => Line::from(Span::styled(format!("{name:<7} ? {lack}"), theme.style(Meaning::Unknown))),
    };
    let full = |now: &Seen<Psi>| {
        now.as_ref().ok().and_then(|p| p.full).map_or_else(|| "?".to_owned(), |f| format!("{:.0} %", f * 100.0))
    };
    let mut rows = vec![
        row("cpu", &psi.cpu, &h.psi_cpu_percent, Meaning::Cpu),
        row("memory", &psi.memory, &h.psi_memory_percent, Meaning::Memory),
        row("io", &psi.io, &h.psi_io_percent, Meaning::Io),
    ];
    let all = [format!("full: memory {}", full(&psi.memory)), format!("io {}", full(&psi.io))];
    let all = packed(&all, usize::from(inside.width)).into_iter();
    rows.extend(all.map(|text| Line::from(Span::styled(text, theme.style(Meaning::Muted)))));
    lines(&rows, theme, frame, inside);
}
