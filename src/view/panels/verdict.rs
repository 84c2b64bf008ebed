//! The verdict: what is wrong, whole; what it costs and since when; what to do.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use crate::app::App;
use crate::app::keymap::Action;
use crate::config::Meaning;
use crate::detect::diagnosis::{Diagnosis, Status};
use crate::detect::finding::{Finding, Known};
use crate::diagnose::Picture;
use crate::view::theme::Theme;
use crate::view::widgets::text::{cut, ends, wrap};
use crate::view::widgets::{lines, titled};

/// Lines that a title may take.
const TITLE: usize = 2;
/// Cells from which on a fix is worth beginning.
const FIX: usize = 30;
/// What stands before a title, and below it.
const INDENT: usize = 2;

/// ```text
/// ╭ Verdict ────────────────────────────────────────────────── critical · score 25 ─╮
/// │ ✖ Missing index on orders(customer_id): `SELECT …` scans 4.0M rows to return 1,  │
/// │   8 times a second                                                               │
/// │   4.2 waiting (75 % of all request time), since 02:51:07Z · c copies: Build it   │
/// ╰──────────────────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(app: &App, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let d = &picture.diagnosis;
    let inside = framed(d, theme, frame, area);
    let rows = match of(d) {
        Some(f) => raised(app, d, f, usize::from(inside.width), theme),
        None => calm(app, d, usize::from(inside.width), theme),
    };
    // Where there is room for one line only, it is what is wrong.
    lines(&rows, theme, frame, inside);
}

/// The box of a verdict, with its word and score; gives its inside. Where there is no room for a box there is none.
pub fn framed(d: &Diagnosis, theme: &Theme, frame: &mut Frame<'_>, area: Rect) -> Rect {
    if area.height < 3 {
        return area;
    }
    let (word, score) = d.standing();
    let score = score.map_or_else(String::new, |s| format!(" · score {s:.0}"));
    titled("Verdict", &format!("{word}{score}"), theme, frame, area)
}

/// The finding that the verdict speaks of.
fn of(d: &Diagnosis) -> Option<&Finding> {
    let key = d.verdict.key.as_ref()?;
    d.findings.iter().find(|f| f.key == *key)
}

fn raised(app: &App, d: &Diagnosis, f: &Finding, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let style = theme.severity(f.severity);
    let mut rows = title(&d.verdict.says, (theme.sign(f.severity), style), width, theme);
    let least = if f.since.known == Known::AtLeast { "at least " } else { "" };
    let cost = d.verdict.cost.as_ref().map_or_else(String::new, |cost| format!("{cost}, "));
    let cost = format!("{} · {cost}{least}since {}Z", f.severity.word(), f.since.at.get(11..19).unwrap_or_default());
    // The key copies the fix of what is selected.
    let selected = app.finding().is_some_and(|chosen| chosen.key == f.key);
    let fix = f.fixes.first().filter(|_| selected).map(|fix| format!("{} copies: {}", app.key_of(Action::CopyFix), fix.title));
    let cost = Span::styled(format!("{}{cost}", " ".repeat(INDENT)), style);
    let fix = fix.map(|fix| Span::styled(fix, theme.style(Meaning::Accent)));
    match fix {
        // On a line of its own where the title left one.
        Some(fix) if rows.len() < TITLE => {
            rows.push(Line::from(cost));
            rows.push(Line::from(vec![Span::raw(" ".repeat(INDENT)), fix]));
        }
        // Else what fits beside the cost; the panel of fixes has the rest.
        Some(fix) if cost.width() + FIX <= width => {
            let fix = cut(&fix.content, width - cost.width() - 3, theme);
            let gap = width - cost.width() - fix.width();
            rows.push(Line::from(vec![cost, Span::raw(" ".repeat(gap)), Span::styled(fix, theme.style(Meaning::Accent))]));
        }
        _ => rows.push(Line::from(cost)),
    }
    rows
}

/// Nothing is raised: what is so, and what was looked at.
fn calm(app: &App, d: &Diagnosis, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let sign = match d.verdict.status {
        Status::Healthy => (theme.pick("✓", "ok"), theme.style(Meaning::Good)),
        _ => ("?", theme.style(Meaning::Unknown)),
    };
    let mut rows = title(&d.verdict.says, sign, width, theme);
    let sources = d.sources.len();
    let unknown = match d.unknown.len() {
        0 => String::new(),
        n => format!(", {n} could not be made"),
    };
    let of = if sources == 1 { "the host".to_owned() } else { format!("{sources} sources") };
    let looked = format!("{}{} checks of {of} found nothing{unknown}", " ".repeat(INDENT), d.checks().count());
    let key = format!("{} lists them", app.key_of(Action::Cleared));
    rows.push(Line::from(Span::styled(ends(&looked, &key, width), theme.style(Meaning::Muted))));
    rows
}

/// A title, whole over two lines, behind its sign.
pub(super) fn title(says: &str, (sign, style): (&str, ratatui::style::Style), width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let sign = format!("{sign:<INDENT$}");
    let indent = sign.chars().count();
    let wrapped = wrap(says, width.saturating_sub(indent));
    // What does not fit stays one line, which is cut with a mark.
    let rest = wrapped.get(TITLE - 1..).map(|rest| rest.join(" ")).filter(|rest| !rest.is_empty());
    let shown = wrapped.iter().take(TITLE - 1).cloned().chain(rest);
    let line = |(n, text): (usize, String)| {
        let before = if n == 0 { sign.clone() } else { " ".repeat(indent) };
        Line::from(vec![Span::styled(before, style), Span::styled(text, theme.style(Meaning::Title))])
    };
    shown.enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ThemeFile, builtin_themes};
    use crate::view::theme::{Depth, Targets};

    #[test]
    fn a_title_is_whole_over_two_lines_and_its_end_is_cut_with_a_mark() {
        let (name, text) = builtin_themes()[0];
        let targets = Targets { cpu: (70.0, 90.0), memory: (80.0, 95.0), disk: (80.0, 95.0) };
        let theme = Theme::new(ThemeFile::parse(name, text).unwrap(), Depth::True, false, targets);
        let rows = |says: &str| -> Vec<String> {
            let all = title(says, ("✖", theme.style(Meaning::Critical)), 22, &theme);
            all.iter().map(|l| crate::view::widgets::text::fit(l, 22, &theme).to_string()).collect()
        };
        assert_eq!(rows("one line"), ["✖ one line"]);
        assert_eq!(rows("a title that needs two lines"), ["✖ a title that needs", "  two lines"]);
        assert_eq!(rows("a title that needs three lines, of which the last is cut")[1], "  three lines, of whi…");
    }
}
