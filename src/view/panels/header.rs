//! The first line: who, which servers, when, live or frozen, own cost.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use crate::app::App;
use crate::app::keymap::Action;
use crate::config::Meaning;
use crate::diagnose::{Mode, Picture, RecordingState};
use crate::model::facts::quota_cores;
use crate::model::source::{SourceKind, SourceState};
use crate::model::unit::{bytes, short};
use crate::view::theme::Theme;
use crate::view::widgets;

/// Columns that our own cost takes at most: what is shown does not hang on its digits.
const OWN: usize = 22;

/// ```text
///  db3 LOCAL 8 cpu 32 GiB  postgres:5432 not watched      03:12:07 ▶ live  self 0.4 % 14 MB
/// ```
pub fn draw(app: &App, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let width = usize::from(area.width);
    // Where it is narrow the machine and our own cost give way to the servers: whether all of them are read is what matters.
    let parts = [(true, true), (true, false), (false, true), (false, false)];
    let used = |spans: &[Span<'_>]| spans.iter().map(|s| s.content.width()).sum::<usize>();
    let bare = used(&right(app, picture, false, theme));
    let fits = |(machine, own): &(bool, bool)| {
        let cost = if *own && matches!(picture.mode, Mode::Live) { OWN } else { 0 };
        used(&left(picture, *machine, theme)) + bare + cost < width
    };
    let (machine, own) = parts.into_iter().find(fits).unwrap_or((false, false));
    let (left, right) = (left(picture, machine, theme), right(app, picture, own, theme));
    let mut line = widgets::text::fit(&Line::from(left), width.saturating_sub(used(&right) + 1), theme);
    let gap = width.saturating_sub(line.width() + used(&right));
    line.spans.push(Span::raw(" ".repeat(gap)));
    line.spans.extend(right);
    frame.render_widget(line, area);
}

/// The host, the servers.
fn left(picture: &Picture, machine: bool, theme: &Theme) -> Vec<Span<'static>> {
    let d = &picture.diagnosis;
    let mut left = vec![Span::styled(format!(" {} ", d.host.name), theme.style(Meaning::Title))];
    if machine {
        left.push(Span::styled(format!("{} {}", cpus(picture), bytes(d.host.memory_bytes as f64)), theme.style(Meaning::Muted)));
        left.extend(d.host.inside.iter().map(|inside| Span::styled(format!(" in a {inside}"), theme.style(Meaning::Muted))));
    }
    for source in d.sources.iter().filter(|s| s.kind != SourceKind::Host || s.state != SourceState::Ok) {
        let (meaning, word) = match source.state {
            SourceState::Ok => (Meaning::Good, theme.pick("✔", "ok")),
            SourceState::Degraded => (Meaning::Warning, "partly seen"),
            SourceState::Denied => (Meaning::Warning, "denied"),
            SourceState::NotWatched => (Meaning::Unknown, "not watched"),
            SourceState::Unreachable => (Meaning::Critical, "unreachable"),
        };
        left.push(Span::styled(format!("   {} ", source.id), theme.style(Meaning::Text)));
        left.push(Span::styled(word, theme.style(meaning)));
    }
    left
}

/// The CPUs, and how much of them a container may use.
fn cpus(picture: &Picture) -> String {
    let all = picture.diagnosis.host.cpus;
    let groups = picture.facts.host.cgroups.as_deref().unwrap_or_default();
    match quota_cores(groups).filter(|quota| *quota < f64::from(all)) {
        Some(quota) => format!("{} of {all} cpu", short(quota)),
        None => format!("{all} cpu"),
    }
}

/// What is recorded and weighed, the time, live or not, what perftop itself costs.
fn right(app: &App, picture: &Picture, own: bool, theme: &Theme) -> Vec<Span<'static>> {
    let clock = picture.diagnosis.at.get(11..19).unwrap_or_default().to_owned() + "Z";
    let mut spans = Vec::new();
    let recording = picture.recording.as_ref().map(|r| match r.state {
        RecordingState::Opening | RecordingState::Running | RecordingState::Sealing if r.missing > 0 => {
            ("rec: samples missing  ", Meaning::Warning)
        }
        RecordingState::Opening | RecordingState::Running => ("rec  ", Meaning::Accent),
        RecordingState::Sealing => ("sealing  ", Meaning::Accent),
        RecordingState::Failed { .. } => ("rec stopped  ", Meaning::Critical),
        RecordingState::Ended => ("", Meaning::Muted),
    });
    spans.extend(recording.map(|(word, meaning)| Span::styled(word, theme.style(meaning))));
    let weighed = &picture.facts.weighed.0;
    if let Some((name, weight)) = weighed.iter().next() {
        let more = if weighed.len() > 1 { format!(" +{}", weighed.len() - 1) } else { String::new() };
        spans.push(Span::styled(format!("{name} weight {}{more}  ", short(*weight)), theme.style(Meaning::Warning)));
    }
    if picture.diagnosis.provisional {
        spans.push(Span::styled("provisional  ", theme.style(Meaning::Unknown)));
    }
    spans.push(Span::styled(format!("{clock} "), theme.style(Meaning::Text)));
    match (&app.frozen, picture.mode) {
        (Some(frozen), _) => {
            let newest = app.picture.as_ref().map_or(frozen.at.mono_ns, |p| p.at.mono_ns);
            let age = newest.saturating_sub(frozen.at.mono_ns) / 1_000_000_000;
            spans.push(Span::styled(format!("FROZEN for {age} s "), theme.style(Meaning::Critical)));
        }
        (None, Mode::Live) => {
            spans.push(Span::styled(format!("{} live ", theme.pick("▶", ">")), theme.style(Meaning::Good)));
            if own {
                let cost = format!(" self {} % {}", short(picture.own.cpu * 100.0), bytes(picture.own.rss_bytes as f64));
                spans.push(Span::styled(cost, theme.style(Meaning::Muted)));
            }
        }
        (None, Mode::Replay { paused, ended, speed_percent }) => {
            let now = app.keymap.first(Action::Close);
            let word = match (ended, paused) {
                _ if app.visiting => format!("{} the past, {now} to now ", theme.pick("◀", "<")),
                (true, _) => "end of recording ".to_owned(),
                (false, true) => "replay paused ".to_owned(),
                (false, false) => format!("replay {}x ", short(f64::from(speed_percent) / 100.0)),
            };
            spans.push(Span::styled(word, theme.style(Meaning::Accent)));
        }
    }
    spans
}
