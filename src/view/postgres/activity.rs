//! Active sessions by class of wait over the last five minutes, against the number of CPUs.

use std::collections::BTreeMap;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::tables::ServerView;
use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::history::Ring;
use crate::model::source::SourceKind;
use crate::model::unit::short;
use crate::view::theme::Theme;
use crate::view::widgets::absent::{self, Absent};
use crate::view::widgets::{graph, titled};

/// What sessions wait for, as it is drawn: word, colour, and letter where there are no blocks.
const DRAWN: [(&str, Meaning, &str); 7] = [
    ("cpu", Meaning::Cpu, "c"),
    ("io", Meaning::Io, "i"),
    ("lock", Meaning::Critical, "l"),
    ("wal", Meaning::Warning, "w"),
    ("lwlock", Meaning::Memory, "L"),
    ("client", Meaning::Network, "n"),
    ("other", Meaning::Muted, "o"),
];

/// What is said where there is none.
const ABSENT: Absent =
    Absent { kind: SourceKind::Postgres, name: "PostgreSQL server", named_by: "perftop --postgres postgres://USER@HOST/" };

/// ```text
/// ╭ Active sessions 5.2: ▇ cpu ▇ io ▇ lock ▇ wal ▇ lwlock ▇ client ─ postgres:5432 16.4 ╮
/// │ - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - -  8 CPUs    │
/// │                                ▂▃▅▇█▇▅                                               │
/// ╰──────────────────────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(view: &ServerView, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    if area.height < 3 {
        return;
    }
    let server = view.of(&picture.facts);
    let Some(pg) = picture.facts.servers.postgres.iter().find(|pg| Some(pg.id.as_str()) == server) else {
        return absent::draw("Active sessions", &ABSENT, picture, theme, frame, area);
    };
    let version = pg.server.as_ref().map_or_else(String::new, |s| {
        format!(" {} {}", s.version.shown().split(' ').next().unwrap_or_default(), if s.standby { "standby" } else { "primary" })
    });
    let cost = pg
        .activity
        .as_ref()
        .map_or_else(|lack| format!("? {lack}"), |a| format!("perftop costs {} ms/s", short(a.cost_ms_per_s)));
    let several = if picture.facts.servers.postgres.len() > 1 { "  S next server" } else { "" };
    let empty = BTreeMap::new();
    let rings = picture.history.servers.get(&pg.id).unwrap_or(&empty);
    let none = Ring::default();
    let groups = DRAWN.map(|(word, meaning, letter)| (rings.get(word).unwrap_or(&none), meaning, word, letter));
    let active = pg.activity.as_ref().map_or_else(|_| "?".to_owned(), |a| short(a.active()));
    let mut title = vec![Span::styled(format!(" Active sessions {active}: "), theme.style(Meaning::Title))];
    for (_, meaning, word, letter) in groups {
        title.push(Span::styled(format!("{} {word} ", if theme.ascii { letter } else { "▇" }), theme.style(meaning)));
    }
    let heading = Line::from(title);
    let width = (heading.width() as u16).min(area.width.saturating_sub(4));
    // As much as there is room for beside it.
    let long = [format!("{}{version} · {cost}{several}", pg.id), format!("{}{version}{several}", pg.id), pg.id.clone()];
    let fits = long.iter().find(|t| t.chars().count() + heading.width() + 6 <= usize::from(area.width));
    let inside = titled("", fits.map_or("", String::as_str), theme, frame, area);
    let stacked: Vec<_> = groups.iter().map(|(ring, m, _, letter)| (*ring, theme.style(*m), *letter)).collect();
    let second = picture.at.mono_ns / 1_000_000_000;
    let cpus = picture.facts.cpus();
    // Elsewhere its CPUs are not known.
    let line = pg.local().then_some(cpus);
    let top = graph::stacked(
        &stacked,
        line.unwrap_or(1.0).max(1.0),
        (second, graph::Span::whole(usize::from(inside.width))),
        theme,
        frame,
        inside,
    );
    if let Some(cpus) = line {
        cpu_line(cpus, top, theme, frame, inside);
    }
    frame.render_widget(heading, Rect { x: area.x + 2, y: area.y, width, height: 1 });
}

/// More sessions on CPUs than there are CPUs wait for one.
fn cpu_line(cpus: f64, top: f64, theme: &Theme, frame: &mut Frame<'_>, inside: Rect) {
    if inside.is_empty() {
        return;
    }
    let height = f64::from(inside.height);
    let up = (cpus / top.max(1e-9) * height).ceil().clamp(1.0, height) as u16;
    let y = inside.y + inside.height - up;
    let buffer = frame.buffer_mut();
    for x in (inside.x..inside.x + inside.width).step_by(2) {
        if let Some(cell) = buffer.cell_mut((x, y)).filter(|c| c.symbol() == " ") {
            cell.set_symbol(theme.pick("╌", "-")).set_style(theme.style(Meaning::Muted));
        }
    }
    let text = format!(" {} CPUs", short(cpus));
    let width = text.chars().count() as u16;
    if inside.width > width + 2 {
        let at = Rect { x: inside.x + inside.width - width, y, width, height: 1 };
        frame.render_widget(Line::from(Span::styled(text, theme.style(Meaning::Muted))), at);
    }
}
