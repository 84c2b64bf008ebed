//! The ranked list: causes with their symptoms below them, then what was cleared and what could not be seen.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::App;
use crate::app::target::Target;
use crate::config::Meaning;
use crate::detect::diagnosis::Diagnosis;
use crate::detect::finding::{Finding, Muted, Severity};
use crate::detect::headline::whose;
use crate::detect::memory::{Outcome, Resolved};
use crate::diagnose::Picture;
use crate::model::unit::{seconds, short};
use crate::view::theme::Theme;
use crate::view::widgets::{bar, lines, titled, within};

/// ```text
/// ╭ Bottlenecks ───────────────────────────────────────╮
/// │▸1 ✖ ▇▇▇▇▇▇▇▇ 4.2  stress-ng takes 1.9 of 2 CPUs …   │
/// │     ├ disk vda 97 % busy                            │
/// │   ✓ checked, fine: host.memory.oom, host.disk.full  │
/// │   ? unknown: postgres.* → perftop doctor            │
/// ╰────────────────────────────────────────────────────╯
/// ```
pub fn draw(app: &App, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = titled("Bottlenecks", "", theme, frame, area);
    let shown: Vec<Line<'_>> = rows(app, picture, theme, inside).into_iter().map(|(line, _)| line).collect();
    lines(&shown, theme, frame, inside);
}

/// The finding that stands there.
pub fn pointed(app: &App, picture: &Picture, theme: &Theme, area: Rect, (x, y): (u16, u16)) -> Option<Target> {
    let inside = within(area);
    let row = usize::from(y.checked_sub(inside.y).filter(|_| inside.contains((x, y).into()))?);
    rows(app, picture, theme, inside).into_iter().nth(row)?.1.map(Target::Finding)
}

/// The rows in sight, each with the key of the finding that it belongs to.
fn rows<'a>(app: &App, picture: &'a Picture, theme: &Theme, inside: Rect) -> Vec<(Line<'a>, Option<String>)> {
    let d = &picture.diagnosis;
    let selected = app.finding().map(|f| f.key.as_str());
    let most = d.findings.iter().filter_map(|f| f.impact.benefit_s_per_s).fold(0.1, f64::max);
    let mut rows: Vec<(Line<'a>, Option<String>)> = Vec::new();
    let plain = |text: String, meaning| (Line::from(Span::styled(text, theme.style(meaning))), None);
    let mut at = 0;
    for f in d.findings.iter().filter(|f| f.explained_by.is_none()) {
        if Some(f.key.as_str()) == selected {
            at = rows.len();
        }
        rows.push((row(d, f, most, Some(f.key.as_str()) == selected, theme), Some(f.key.clone())));
        let symptoms: Vec<&Finding> = d.findings.iter().filter(|s| s.explained_by.as_deref() == Some(f.key.as_str())).collect();
        for (i, s) in symptoms.iter().enumerate() {
            let branch = if i + 1 == symptoms.len() { theme.pick("╰", "`") } else { theme.pick("├", "|") };
            let line = Line::from(Span::styled(format!("     {branch} {}", s.title), theme.style(Meaning::Muted)));
            rows.push((line, Some(s.key.clone())));
        }
    }
    let ids: Vec<&str> = d.cleared.iter().map(|c| c.id.as_str()).filter(|id| !id.starts_with("source.")).collect();
    if d.findings.is_empty() {
        rows.push(plain("   nothing found".into(), Meaning::Muted));
    }
    rows.extend(d.resolved.iter().map(|r| (resolved(r, theme), None)));
    rows.extend(cleared(&ids, usize::from(inside.width), theme).into_iter().map(|line| (line, None)));
    for u in &d.unknown {
        let text = format!("   ? unknown: {}: {}", u.id, u.because);
        rows.push(plain(text, Meaning::Unknown));
    }
    // The selected row stays in sight.
    let skip = (at + 2).saturating_sub(usize::from(inside.height));
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
    let id = id.strip_prefix("host.").unwrap_or(id);
    Line::from(Span::styled(format!("   {sign} {word}{figures}: {id}{predicted}"), theme.style(meaning)))
}

fn cleared(ids: &[&str], width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let mut out = Vec::new();
    let mut text = String::from("   ✓ checked, fine:");
    for id in ids {
        let short = id.strip_prefix("host.").unwrap_or(id);
        if text.len() + short.len() + 2 > width {
            out.push(Line::from(Span::styled(theme.text(&text), theme.style(Meaning::Good))));
            text = "            ".into();
        }
        text.push(' ');
        text.push_str(short);
    }
    if !ids.is_empty() {
        out.push(Line::from(Span::styled(theme.text(&text), theme.style(Meaning::Good))));
    }
    out
}

/// Until when, and why.
fn muted(m: &Muted) -> String {
    format!("muted until {}Z ({}): ", m.until.get(11..16).unwrap_or_default(), m.reason)
}

fn row<'a>(d: &Diagnosis, f: &'a Finding, most: f64, selected: bool, theme: &Theme) -> Line<'a> {
    let mark = if selected { theme.pick("▸", ">") } else { " " };
    let rank = f.rank.map_or_else(|| " ".to_owned(), |r| r.to_string());
    // As in a table of results: those that nobody can tell apart.
    let tied = if d.findings.iter().any(|o| f.tied(o)) { "=" } else { " " };
    let style = theme.severity(f.severity);
    // What nobody explains costs nobody's seconds: its figure stands in the title.
    let benefit = f.impact.benefit_s_per_s.filter(|_| f.id != crate::detect::rules::unexplained::ID);
    // A program's own waiting gives nobody anything back; what it costs stands in its title as well.
    let figure = match (benefit.filter(|b| *b >= 0.005), f.impact.eta_s, f.severity) {
        (Some(b), _, _) => format!("{} {:>4}  ", bar(b / most, 6, theme), short(b)),
        (None, Some(eta), _) => format!("in {:<9} ", seconds(eta)),
        (None, None, Severity::Info) => format!("{:<13}", "info"),
        (None, None, _) => format!("{:<13}", if f.ended { "ended" } else { "now" }),
    };
    let mut line = Line::from(vec![
        Span::styled(format!("{mark}{rank}{tied}"), theme.style(Meaning::Accent)),
        Span::styled(format!("{} ", theme.sign(f.severity)), style),
        Span::styled(figure, style),
        Span::styled(f.muted.as_ref().map_or_else(String::new, muted), theme.style(Meaning::Muted)),
        Span::styled(whose(&d.sources, &f.source), theme.style(Meaning::Muted)),
        Span::styled(f.title.as_str(), theme.style(if f.muted.is_some() { Meaning::Muted } else { Meaning::Text })),
    ]);
    if selected {
        line = line.style(theme.style(Meaning::Selected));
    }
    line
}
