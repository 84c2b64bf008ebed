//! Where the foreground's time goes: a bar of now, in shares with figures, and its last minutes.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use crate::config::Meaning;
use crate::detect::diagnosis::Time;
use crate::diagnose::Picture;
use crate::model::history::{Group, History, Ring};
use crate::model::unit::short;
use crate::view::theme::Theme;
use crate::view::widgets::{graph, lines, titled};

/// Less than this of a second per second is no part worth a name.
const LEAST: f64 = 0.005;
/// Cells left of the graph for its scale.
const SCALE: u16 = 9;

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

/// A part of the time.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Part {
    name: &'static str,
    s_per_s: f64,
    meaning: Meaning,
    letter: &'static str,
    /// Tells it from its neighbour where both have one colour.
    fill: &'static str,
}

/// ```text
/// ╭ Where the time goes ─────────────────────────────────────────────── 5.6 s/s ─╮
/// │ ███████████████████████████▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓████████████████████████████████ │
/// │ ■ working 2.0 (36 %)   ■ reads 1.4 (25 %)   ▓ locks 2.2 (39 %)                │
/// │ 2.2 s/s ▁▁▁▁▁▁▁▁▁▂▃▅▇█▇▅                                                      │
/// │       0 -2 min                                                            now │
/// ╰──────────────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let time = &picture.diagnosis.time;
    let right = format!("{} s/s of foreground time", short(time.foreground_s_per_s));
    let inside = if area.height >= 4 {
        titled("Where the time goes", &right, theme, frame, area)
    } else {
        // In line with what stands in boxes.
        let gap = 2.min(area.width / 2);
        Rect { x: area.x + gap, width: area.width - 2 * gap, ..area }
    };
    if inside.height == 0 || inside.width == 0 {
        return;
    }
    let parts = parts(time, theme);
    let width = usize::from(inside.width);
    let rows = [bar(&parts, time.foreground_s_per_s, width, theme), legend(&parts, time.foreground_s_per_s, width, theme)];
    lines(&rows, theme, frame, inside);
    if inside.height >= 5 {
        history(picture, theme, frame, Rect { y: inside.y + 2, height: inside.height - 2, ..inside });
    }
}

/// Work first, then what is waited for by how much, those of one colour beside each other.
fn parts(time: &Time, theme: &Theme) -> Vec<Part> {
    const FILLS: [&str; 3] = ["█", "▓", "▒"];
    let mut parts: Vec<(Option<Group>, Part)> = Vec::new();
    for row in time.states.iter().filter(|row| row.s_per_s >= LEAST) {
        let group = row.state.group();
        let (meaning, _, letter) = group.map_or((Meaning::Muted, "", "w"), drawn);
        parts.push((group, Part { name: row.state.short(), s_per_s: row.s_per_s, meaning, letter, fill: "█" }));
    }
    let of_group = |wanted: Option<Group>, all: &[(Option<Group>, Part)]| -> f64 {
        all.iter().filter(|(group, _)| *group == wanted).map(|(_, p)| p.s_per_s).sum()
    };
    let all = parts.clone();
    parts.sort_by(|a, b| {
        let work = a.0.is_some().cmp(&b.0.is_some());
        let groups = of_group(b.0, &all).total_cmp(&of_group(a.0, &all)).then(a.0.cmp(&b.0));
        work.then(groups).then(b.1.s_per_s.total_cmp(&a.1.s_per_s))
    });
    let mut before: Option<(ratatui::style::Style, usize)> = None;
    for (_, part) in &mut parts {
        let style = theme.style(part.meaning);
        let index = before.filter(|(last, _)| *last == style).map_or(0, |(_, index)| (index + 1) % FILLS.len());
        part.fill = FILLS[index];
        part.letter = if index % 2 == 1 { capital(part.letter) } else { part.letter };
        before = Some((style, index));
    }
    parts.into_iter().map(|(_, part)| part).collect()
}

/// Of two neighbours with one letter the second has it as a capital.
const fn capital(letter: &'static str) -> &'static str {
    match letter.as_bytes() {
        b"w" => "W",
        b"c" => "C",
        b"q" => "Q",
        b"m" => "M",
        b"i" => "I",
        b"p" => "P",
        b"d" => "D",
        _ => "O",
    }
}

/// The whole width is the foreground's time; each part is as long as its share.
fn bar(parts: &[Part], total: f64, width: usize, theme: &Theme) -> Line<'static> {
    if total <= 0.0 || parts.is_empty() {
        return Line::from(Span::styled("the foreground is idle", theme.style(Meaning::Muted)));
    }
    let mut spans = Vec::new();
    let (mut sum, mut drawn) = (0.0, 0usize);
    for part in parts {
        sum += part.s_per_s;
        let end = ((sum / total).min(1.0) * width as f64).round() as usize;
        let fill = if theme.ascii { part.letter } else { part.fill };
        spans.push(Span::styled(fill.repeat(end.saturating_sub(drawn)), theme.style(part.meaning)));
        drawn = drawn.max(end);
    }
    Line::from(spans)
}

/// What the parts are, the largest ones where not all fit.
fn legend(parts: &[Part], total: f64, width: usize, theme: &Theme) -> Line<'static> {
    const GAP: &str = "   ";
    let text = |p: &Part| format!(" {} {} ({:.0} %)", p.name, short(p.s_per_s), 100.0 * p.s_per_s / total.max(f64::MIN_POSITIVE));
    let mut shown: Vec<&Part> = parts.iter().collect();
    let needs = |shown: &[&Part]| shown.iter().map(|p| 1 + text(p).width() + GAP.len()).sum::<usize>();
    while shown.len() > 1 && needs(&shown) > width + GAP.len() {
        let least = shown.iter().enumerate().min_by(|a, b| a.1.s_per_s.total_cmp(&b.1.s_per_s)).map(|(n, _)| n);
        _ = least.map(|n| shown.remove(n));
    }
    let spans = shown.into_iter().flat_map(|p| {
        // A whole block would grow into the bar above it.
        let fill = match p.fill {
            _ if theme.ascii => p.letter,
            "█" => "■",
            fill => fill,
        };
        [Span::styled(fill, theme.style(p.meaning)), Span::styled(text(p), theme.style(Meaning::Text)), Span::raw(GAP)]
    });
    Line::from(spans.collect::<Vec<_>>())
}

/// What is waited for, over as long as is known; the scale at its left, the time below it.
fn history(picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let [scale, right] = Layout::horizontal([Constraint::Length(SCALE), Constraint::Min(1)]).areas(area);
    let [plot, axis] = Layout::vertical([Constraint::Min(1), Constraint::Length(1)]).areas(right);
    let rings: Vec<_> = groups(&picture.history).map(|(ring, m, _, letter)| (ring, theme.style(m), letter)).collect();
    let apart_s = apart(&picture.history);
    // The number of the newest point: a recording may have one each five seconds.
    let number = (picture.at.mono_ns as f64 / 1e9 / apart_s) as u64;
    let known = rings.iter().map(|(ring, _, _)| ring.len()).max().unwrap_or(0);
    let span = graph::Span::of(known, usize::from(plot.width));
    let top = graph::stacked(&rings, 0.2, (number, span), theme, frame, plot);
    let muted = theme.style(Meaning::Muted);
    let end = usize::from(SCALE) - 1;
    let figure = |text: String| Line::from(Span::styled(format!("{text:>end$}"), muted));
    let mut rows = vec![Line::default(); usize::from(area.height)];
    rows[0] = figure(format!("{} s/s", short(top)));
    if let Some(row) = rows.get_mut(1).filter(|_| plot.height > 2) {
        *row = figure("waiting".to_owned());
    }
    if let Some(last) = usize::from(plot.height).checked_sub(1).filter(|last| *last > 1) {
        rows[last] = figure("0".to_owned());
    }
    lines(&rows, theme, frame, scale);
    let back = |part: f64| ago(span.points() as f64 * apart_s * part);
    let (left, middle) = (back(1.0), back(0.5));
    let width = usize::from(axis.width);
    let half = (width / 2).saturating_sub(middle.width() / 2);
    let mut text = format!("{left:<half$}{middle}");
    text = format!("{text}{:>1$}", "now", width.saturating_sub(text.width()));
    lines(&[Line::from(Span::styled(text, muted))], theme, frame, axis);
}

/// Seconds between two points, to a half: looks come a little early or late.
fn apart(h: &History) -> f64 {
    let between = h.at_ms.front().zip(h.at_ms.back()).map_or(0, |(first, last)| last - first);
    let mean_s = between as f64 / 1e3 / h.at_ms.len().saturating_sub(1).max(1) as f64;
    ((mean_s * 2.0).round() / 2.0).max(0.5)
}

/// `-45 s`, `-2:30`.
fn ago(s: f64) -> String {
    let s = s.round() as u64;
    if s < 120 { format!("-{s} s") } else { format!("-{}:{:02}", s / 60, s % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ThemeFile, builtin_themes};
    use crate::detect::diagnosis::StateRow;
    use crate::detect::ledger::State;
    use crate::view::theme::{Depth, Targets};

    fn theme(depth: Depth, ascii: bool) -> Theme {
        let (name, text) = builtin_themes()[0];
        let targets = Targets { cpu: (70.0, 90.0), memory: (80.0, 95.0), disk: (80.0, 95.0) };
        Theme::new(ThemeFile::parse(name, text).unwrap(), depth, ascii, targets)
    }

    fn time(states: &[(State, f64)]) -> Time {
        let row = |(state, s_per_s): &(State, f64)| StateRow { state: *state, s_per_s: *s_per_s, modelled: false };
        Time {
            foreground_s_per_s: states.iter().map(|s| s.1).sum(),
            states: states.iter().map(row).collect(),
            productive_s_per_s: 0.0,
            unexplained_s_per_s: 0.0,
        }
    }

    #[test]
    fn the_bar_is_as_wide_as_the_time_whatever_is_rounded() {
        let time = time(&[
            (State::Working, 1.0),
            (State::CpuRunnable, 1.0),
            (State::PostgresLock, 0.98),
            (State::PostgresIoRead, 1.01),
            (State::IoWait, 0.001),
        ]);
        for depth in [Depth::True, Depth::None] {
            let theme = theme(depth, false);
            let parts = parts(&time, &theme);
            for width in [1, 7, 40, 117] {
                assert_eq!(bar(&parts, time.foreground_s_per_s, width, &theme).width(), width);
            }
            // Databases together are more than the run queue.
            assert_eq!(parts.iter().map(|p| p.name).collect::<Vec<_>>(), ["working", "reads", "locks", "run queue"]);
            assert!(parts[1].fill != parts[2].fill, "neighbours of one colour differ");
        }
        let plain = theme(Depth::None, true);
        assert_eq!(bar(&parts(&time, &plain), time.foreground_s_per_s, 8, &plain).to_string(), "wwddDDcc");
    }

    #[test]
    fn the_axis_tells_the_time_of_the_points_however_far_apart_they_are() {
        let at = |every_ms: i64| apart(&History { at_ms: (0..50).map(|n| n * every_ms).collect(), ..History::default() });
        assert_eq!((at(1003), at(4998), at(250), apart(&History::default())), (1.0, 5.0, 0.5, 0.5));
        assert_eq!((ago(55.0), ago(150.0), ago(441.0)), ("-55 s".into(), "-2:30".into(), "-7:21".into()));
    }

    #[test]
    fn a_legend_that_does_not_fit_names_the_largest() {
        let time = time(&[(State::Working, 1.0), (State::CpuRunnable, 0.2), (State::PostgresLock, 2.8)]);
        let theme = theme(Depth::True, false);
        let all = legend(&parts(&time, &theme), time.foreground_s_per_s, 80, &theme).to_string();
        assert_eq!(all.trim_end(), "■ working 1.0 (25 %)   ■ locks 2.8 (70 %)   ■ run queue 0.2 (5 %)");
        let few = legend(&parts(&time, &theme), time.foreground_s_per_s, 45, &theme).to_string();
        assert_eq!(few.trim_end(), "■ working 1.0 (25 %)   ■ locks 2.8 (70 %)");
    }
}
