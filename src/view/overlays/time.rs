//! The time axis: what the last five minutes were like at the cursor, and when something was wrong.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

use crate::app::App;
use crate::app::keymap::Action;
use crate::config::Meaning;
use crate::detect::diagnosis::rfc3339;
use crate::diagnose::{Mode, Picture};
use crate::model::history::{History, Ring};
use crate::model::unit::{bytes, seconds, short};
use crate::view::panels::spent::groups;
use crate::view::theme::Theme;
use crate::view::widgets::{lines, titled};

/// ```text
/// ╭ Time 03:11:26, 41 s ago ───────── ←/→ moves, [ ] incidents, PgUp/PgDn a minute, ⏎ goes there, Esc ╮
/// │ waiting 4.2 s/s   cpu 3.1  quota 0  memory 0  io 1.1  peers 0  other 0                            │
/// │ CPU 97 %  memory 62 %  disk 31 %  …                                                               │
/// │ ✖ 03:11:02 to 03:11:40  stress-ng takes 1.9 of 2 CPUs …                                           │
/// ╰───────────────────────────────────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(app: &App, picture: &Picture, back: usize, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    const ROWS: u16 = 14;
    let h = &picture.history;
    let height = ROWS.min(area.height);
    let place = Rect { y: area.y + area.height - height, height, ..area };
    frame.render_widget(Clear, place);
    let at_ms = h.at_ms.iter().rev().nth(back).copied();
    let now_ms = h.at_ms.back().copied().unwrap_or(0);
    let ago = at_ms.map_or(0.0, |at| (now_ms - at) as f64 / 1e3);
    let title = match at_ms.map(clock) {
        Some(when) if ago > 0.0 => format!("Time {when}, {} ago", seconds(ago)),
        Some(when) => format!("Time {when}, now"),
        None => "Time, from the next look on".to_owned(),
    };
    let key = |action| app.keymap.first(action);
    let moves = format!("{}{} move", key(Action::Earlier), key(Action::Later));
    let incidents = format!("{} {} incidents", key(Action::IncidentBefore), key(Action::IncidentAfter));
    let keys = match picture.mode {
        Mode::Live if app.reaches_back => {
            let (there, further) = (key(Action::Open), key(Action::PageUp));
            format!("{moves} · {incidents} · {there} go there · {further} further back · {} live", key(Action::Back))
        }
        Mode::Live => format!("{moves} · {incidents} · {} live", key(Action::Back)),
        Mode::Replay { .. } => {
            let minute = format!("{} {} a minute", key(Action::PageUp), key(Action::PageDown));
            format!("{moves} · {incidents} · {minute} · {} go there", key(Action::Open))
        }
    };
    let inside = titled(&title, &keys, theme, frame, place);
    let mut rows = vec![waiting(h, back, theme), figures(h, back, theme), axis(h, back, usize::from(inside.width), theme)];
    rows.push(cursor(h, back, usize::from(inside.width), theme));
    for i in h.incidents.iter().rev() {
        let there = at_ms.is_some_and(|at| i.since_ms <= at && at <= i.last_ms);
        let end = if i.over { format!("to {}", clock(i.last_ms)) } else { "until now  ".to_owned() };
        let sign = if i.critical { theme.pick("✖", "X") } else { theme.pick("▲", "!") };
        let meaning = if i.critical { Meaning::Critical } else { Meaning::Warning };
        let line = Line::from(vec![
            Span::styled(format!(" {sign} {} {end}  ", clock(i.since_ms)), theme.style(meaning)),
            Span::styled(i.title.as_str(), theme.style(if there { Meaning::Text } else { Meaning::Muted })),
        ]);
        rows.push(if there { line.style(theme.style(Meaning::Selected)) } else { line });
    }
    if h.incidents.is_empty() {
        rows.push(Line::from(Span::styled(" no incidents in the history kept", theme.style(Meaning::Muted))));
    }
    lines(&rows, theme, frame, inside);
}

/// The time of day, UTC as everywhere on the screen.
fn clock(ms: i64) -> String {
    rfc3339(ms).get(11..19).unwrap_or_default().to_owned()
}

fn total(h: &History, back: usize) -> f64 {
    groups(h).filter_map(|(ring, ..)| ring.back(back)).sum()
}

fn waiting(h: &History, back: usize, theme: &Theme) -> Line<'static> {
    let mut spans = vec![Span::styled(format!(" waiting {:>5} s/s  ", short(total(h, back))), theme.style(Meaning::Title))];
    spans.extend(groups(h).map(|(ring, meaning, name, _)| {
        let value = ring.back(back).map_or_else(|| "?".to_owned(), short);
        Span::styled(format!(" {name} {value} "), theme.style(meaning))
    }));
    Line::from(spans)
}

fn figures(h: &History, back: usize, theme: &Theme) -> Line<'static> {
    let percent = |ring: &Ring| ring.back(back).map_or_else(|| "?".to_owned(), |v| format!("{v:.0} %"));
    let size = |ring: &Ring| ring.back(back).map_or_else(|| "?".to_owned(), bytes);
    let text = format!(
        " CPU {}  memory {}  disk {}, {}/s  net {}/s  PSI cpu {} memory {} io {}  load {}",
        percent(&h.cpu_busy_percent),
        percent(&h.memory_used_percent),
        percent(&h.disk_util_percent),
        size(&h.disk_bytes_per_s),
        size(&h.net_bytes_per_s),
        percent(&h.psi_cpu_percent),
        percent(&h.psi_memory_percent),
        percent(&h.psi_io_percent),
        h.load_one.back(back).map_or_else(|| "?".to_owned(), short),
    );
    Line::from(Span::styled(text, theme.style(Meaning::Text)))
}

/// Points that a cell stands for, so that all that is kept fits.
fn per_cell(h: &History, width: usize) -> usize {
    h.at_ms.len().div_ceil(width.max(1)).max(1)
}

/// The sum of all waiting, the newest at the right end; each cell the highest of its points.
fn axis(h: &History, back: usize, width: usize, theme: &Theme) -> Line<'static> {
    let step = per_cell(h, width);
    let of_cell = |cell: usize| (cell * step..(cell + 1) * step).map(|b| total(h, b)).fold(0.0, f64::max);
    let top = (0..width).map(of_cell).fold(0.2, f64::max);
    let cells = (0..width).rev().map(|cell| {
        let text = if cell * step >= h.at_ms.len() {
            " ".to_owned()
        } else if theme.ascii {
            let level = (of_cell(cell) / top * 3.0).round() as usize;
            ["_", ".", "o", "#"][level.min(3)].to_owned()
        } else {
            let level = (of_cell(cell) / top * 8.0).round() as usize;
            ["▁", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"][level.min(8)].to_owned()
        };
        let here = cell == back / step;
        Span::styled(text, theme.style(if here { Meaning::Selected } else { Meaning::Accent }))
    });
    Line::from(cells.collect::<Vec<_>>())
}

fn cursor(h: &History, back: usize, width: usize, theme: &Theme) -> Line<'static> {
    let at = width.saturating_sub(1 + back / per_cell(h, width));
    Line::from(Span::styled(format!("{}{}", " ".repeat(at), theme.pick("▲", "^")), theme.style(Meaning::Accent)))
}
