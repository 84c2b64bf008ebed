//! The ranked list: causes with their symptoms below them, then what was cleared and what could not be seen.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use crate::app::App;
use crate::app::keymap::Action;
use crate::app::target::Target;
use crate::config::Meaning;
use crate::detect::diagnosis::{Diagnosis, Status};
use crate::detect::finding::{Finding, Muted, Severity};
use crate::detect::headline::whose;
use crate::detect::memory::{Outcome, Resolved};
use crate::detect::rule::brief;
use crate::diagnose::Picture;
use crate::model::unit::{seconds, short};
use crate::view::theme::Theme;
use crate::view::widgets::text::{cut, wrap};
use crate::view::widgets::{cleared, lines, titled, within};

/// ```text
/// ╭ Causes ──────────────────────────────── s/s, of all ─╮
/// │▸1 ✖ stress-ng takes 1.9 of 2 CPUs: 4.2       4.2  75 % │
/// │     waiting for a CPU                                 │
/// │     ├ disk vda 97 % busy                              │
/// │   ✓ Memory            9  no OOM kill in the window    │
/// │   ? PostgreSQL        3  not watched                  │
/// ╰───────────────────────────────────────────────────────╯
/// ```
pub fn draw(app: &App, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = titled("Causes", HEAD, theme, frame, area);
    let shown: Vec<Line<'_>> = rows(app, picture, theme, inside).into_iter().map(|(line, _)| line).collect();
    lines(&shown, theme, frame, inside);
}

/// What the figures at the right are.
const HEAD: &str = "s/s   of all";
/// Cells before a title, and of the figures behind it.
const BEFORE: usize = 5;
const FIGURES: usize = 13;
/// Lines that a title may take where there is room.
const TITLE: usize = 2;

/// The finding that stands there.
pub fn pointed(app: &App, picture: &Picture, theme: &Theme, area: Rect, (x, y): (u16, u16)) -> Option<Target> {
    let inside = within(area);
    let row = usize::from(y.checked_sub(inside.y).filter(|_| inside.contains((x, y).into()))?);
    rows(app, picture, theme, inside).into_iter().nth(row)?.1.map(Target::Finding)
}

/// The rows in sight, each with the key of the finding that it belongs to.
fn rows<'a>(app: &App, picture: &'a Picture, theme: &Theme, inside: Rect) -> Vec<(Line<'a>, Option<String>)> {
    let d = &picture.diagnosis;
    let (width, height) = (usize::from(inside.width), usize::from(inside.height));
    let selected = app.finding().map(|f| f.key.as_str());
    let mut rows: Vec<(Line<'a>, Option<String>)> = Vec::new();
    let mut at = 0;
    for f in d.findings.iter().filter(|f| f.explained_by.is_none()) {
        let here = Some(f.key.as_str()) == selected;
        rows.extend(
            cause(d, f, (width, if height >= 6 { TITLE } else { 1 }), here, theme).map(|line| (line, Some(f.key.clone()))),
        );
        if here {
            at = rows.len();
        }
        let symptoms: Vec<&Finding> = d.findings.iter().filter(|s| s.explained_by.as_deref() == Some(f.key.as_str())).collect();
        for (i, s) in symptoms.iter().enumerate() {
            let branch = if i + 1 == symptoms.len() { theme.pick("╰", "`") } else { theme.pick("├", "|") };
            let here = Some(s.key.as_str()) == selected;
            let mark = if here { theme.pick("▸", ">") } else { " " };
            let text = cut(&format!("{:1$}{branch} {2}", "", BEFORE - 1, s.title), width.saturating_sub(1), theme);
            let line = Line::from(vec![
                Span::styled(mark, theme.style(Meaning::Accent)),
                Span::styled(text, theme.style(if here { Meaning::Text } else { Meaning::Muted })),
            ]);
            rows.push((if here { line.style(theme.style(Meaning::Selected)) } else { line }, Some(s.key.clone())));
            if here {
                at = rows.len();
            }
        }
    }
    if d.findings.is_empty() {
        // What is open, or was not seen, is not well for that.
        let says = match d.verdict.status {
            Status::Healthy => "nothing is wrong",
            _ if d.provisional => "looking: rates need a second sample",
            _ => "no cause found",
        };
        rows.push((Line::from(Span::styled(says, theme.style(Meaning::Muted))), None));
    }
    rows.extend(d.resolved.iter().map(|r| (resolved(r, theme), None)));
    let key = app.key_of(Action::Cleared);
    let left = height.saturating_sub(rows.len());
    rows.extend(cleared::counted(d, (width, left), key, theme).into_iter().map(|line| (line, None)));
    // The selected row stays in sight.
    let skip = at.saturating_sub(height);
    rows.split_off(skip.min(rows.len()))
}

/// Whether what was done worked: measured, beside what was predicted.
fn resolved(r: &Resolved, theme: &Theme) -> Line<'static> {
    let id = r.key.split('|').next().unwrap_or_default();
    let (sign, meaning) = match r.outcome {
        Outcome::Resolved => (theme.pick("✓", "+"), Meaning::Good),
        Outcome::WentAway | Outcome::LoadWentAway => ("-", Meaning::Muted),
        Outcome::NotResolved => (theme.pick("✖", "X"), Meaning::Warning),
    };
    let word = r.outcome.word();
    // The figures first: what is cut is the end of a name.
    let (figures, predicted) = if r.before > 0.0 {
        (format!(" {} -> {}", short(r.before), short(r.after)), format!(" ({} predicted)", short(r.predicted)))
    } else {
        (String::new(), String::new())
    };
    let id = brief(id);
    Line::from(Span::styled(format!("{sign} {word}{figures}: {id}{predicted}"), theme.style(meaning)))
}

/// Until when, and why.
fn muted(m: &Muted) -> String {
    format!("muted until {}Z ({}): ", m.until.get(11..16).unwrap_or_default(), m.reason)
}

/// A cause: its title, and at the right what it costs and its share of all.
fn cause<'a>(
    d: &Diagnosis,
    f: &'a Finding,
    (width, most): (usize, usize),
    selected: bool,
    theme: &Theme,
) -> impl Iterator<Item = Line<'a>> {
    let mark = if selected { theme.pick("▸", ">") } else { " " };
    let rank = f.rank.map_or_else(|| " ".to_owned(), |r| r.to_string());
    // As in a table of results: those that nobody can tell apart.
    let tied = if d.findings.iter().any(|o| f.tied(o)) { "=" } else { " " };
    let style = theme.severity(f.severity);
    let muted = f.muted.as_ref().map_or_else(String::new, muted);
    let title = format!("{muted}{}{}", whose(&d.sources, &f.source), f.title);
    let room = width.saturating_sub(BEFORE + FIGURES);
    let mut wrapped = wrap(&title, room);
    if wrapped.len() > most {
        let rest = wrapped.split_off(most - 1).join(" ");
        wrapped.push(cut(&rest, room, theme));
    }
    let text = theme.style(if f.muted.is_some() { Meaning::Muted } else { Meaning::Text });
    let line = move |(n, words): (usize, String), sign: &str, figure: &str| {
        let gap = " ".repeat((room + 8).saturating_sub(words.width() + 8));
        let mut spans = if n == 0 {
            vec![
                Span::styled(format!("{mark}{rank}{tied}"), theme.style(Meaning::Accent)),
                Span::styled(format!("{sign} "), style),
            ]
        } else {
            vec![Span::raw(" ".repeat(BEFORE))]
        };
        spans.push(Span::styled(words, text));
        if n == 0 {
            spans.extend([Span::raw(gap), Span::styled(format!("{figure:>FIGURES$}"), style)]);
        }
        let line = Line::from(spans);
        if selected { line.style(theme.style(Meaning::Selected)) } else { line }
    };
    let (sign, figure) = (theme.sign(f.severity), figure(f));
    let lines: Vec<Line<'a>> = wrapped.into_iter().enumerate().map(|row| line(row, sign, &figure)).collect();
    lines.into_iter()
}

/// What it costs, or when it will.
fn figure(f: &Finding) -> String {
    // What nobody explains costs nobody's seconds: its figure stands in the title.
    let benefit = f.impact.benefit_s_per_s.filter(|_| f.id != crate::detect::rules::unexplained::ID);
    // A program's own waiting gives nobody anything back; what it costs stands in its title as well.
    match (benefit.filter(|b| *b >= 0.005), f.impact.eta_s, f.severity) {
        (Some(b), _, _) => {
            let share = f.impact.share.map_or_else(String::new, |share| format!("{:.0} %", share * 100.0));
            format!("{} {share:>6}", short(b))
        }
        (None, Some(eta), _) => format!("in {}", seconds(eta)),
        (None, None, Severity::Info) => "info".to_owned(),
        (None, None, _) => if f.ended { "ended" } else { "now" }.to_owned(),
    }
}
