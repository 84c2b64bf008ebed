//! Requests, the main thread, what stands still, the hit rate and memory over the last five minutes: a line each.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::redis::meaning_of_hits;
use crate::app::tables::ServerView;
use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::facts::RedisFacts;
use crate::model::history::Ring;
use crate::model::source::SourceKind;
use crate::model::unit::{bytes, count, seconds, short};
use crate::view::theme::Theme;
use crate::view::widgets::absent::{self, Absent};
use crate::view::widgets::{graph, lines, titled};

/// What is said where there is none.
const ABSENT: Absent = Absent { kind: SourceKind::Redis, name: "Redis server", named_by: "perftop --redis redis://HOST:PORT" };

/// ```text
/// ╭ Event loop ────────────────────────────── redis:6379 7.0.15 primary ╮
/// │ requests/s      12k ▂▃▅▇█▇▅▃▂                                        │
/// │ standing still 28.0 ▁▁▁▁▁▇██                                         │
/// │ main thread    71 % ▂▃▅▇█▇▅▃▂                                        │
/// ╰──────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(view: &ServerView, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    if area.height < 3 {
        return;
    }
    let server = view.of(&picture.facts);
    let Some(r) = picture.facts.servers.redis.iter().find(|r| Some(r.id.as_str()) == server) else {
        return absent::draw("Event loop", &ABSENT, picture, theme, frame, area);
    };
    let inside = titled("Event loop", &heading(r), theme, frame, area);
    let empty = std::collections::BTreeMap::new();
    let rings = picture.history.servers.get(&r.id).unwrap_or(&empty);
    let none = Ring::default();
    let ring = |name: &str| rings.get(name).unwrap_or(&none);
    let figure =
        |name: &str, show: &dyn Fn(f64) -> String| ring(name).last(1).next().flatten().map_or_else(|| "?".to_owned(), show);
    let percent = |v: f64| format!("{:.0} %", v * 100.0);
    let rows: [(&str, &str, String, Meaning, Option<f64>); 6] = [
        ("requests", "requests/s", figure("requests", &count), Meaning::Cpu, None),
        ("waiting", "standing still", figure("waiting", &short), Meaning::Critical, None),
        ("busy", "main thread", figure("busy", &percent), Meaning::Warning, Some(1.0)),
        ("hit", "hit rate", figure("hit", &percent), Meaning::Good, Some(1.0)),
        ("evicted", "evicted/s", figure("evicted", &count), Meaning::Memory, None),
        ("memory", "memory", figure("memory", &bytes), Meaning::Memory, None),
    ];
    let width = usize::from(inside.width).saturating_sub(28);
    let second = picture.at.mono_ns / 1_000_000_000;
    let hits = r.hit_rate().map_or(Meaning::Text, |h| meaning_of_hits(h * 100.0));
    let line = |(name, label, figure, meaning, top): (&str, &str, String, Meaning, Option<f64>)| {
        let ring = ring(name);
        let top = top.unwrap_or_else(|| {
            graph::columns(ring, graph::Span::whole(width), second).into_iter().flatten().fold(1e-9, f64::max)
        });
        Line::from(vec![
            Span::styled(format!(" {label:<15}"), theme.style(Meaning::Muted)),
            Span::styled(format!("{figure:>10} "), theme.style(if name == "hit" { hits } else { Meaning::Text })),
            Span::styled(graph::spark(ring, width, top, second, theme), theme.style(meaning)),
        ])
    };
    let all: Vec<Line<'_>> = rows.into_iter().map(line).collect();
    lines(&all, theme, frame, inside);
}

fn heading(r: &RedisFacts) -> String {
    let Some(instance) = &r.instance else { return r.id.clone() };
    let role = if instance.replica { "replica" } else { "primary" };
    if r.silent_s >= 1.0 {
        return format!("{} {} {} {role} · no answer for {}", r.id, instance.name(), instance.version, seconds(r.silent_s));
    }
    let trip = r.trips.map_or_else(String::new, |t| {
        let longest =
            if t.longest_ms >= 2.0 * t.median_ms { format!(", longest {}", short(t.longest_ms)) } else { String::new() };
        format!(" · round trip {} ms{longest}", short(t.median_ms))
    });
    format!("{} {} {} {role}{trip}", r.id, instance.name(), instance.version)
}
