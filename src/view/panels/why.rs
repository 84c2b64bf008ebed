//! Why: the figures for and against the selected finding, each with its origin.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::App;
use crate::config::Meaning;
use crate::detect::finding::{Evidence, Finding};
use crate::diagnose::Picture;
use crate::model::journal::Before;
use crate::model::unit::short;
use crate::view::theme::Theme;
use crate::view::widgets::text::{cut, wrap};
use crate::view::widgets::{cleared, lines, titled};

/// ```text
/// ╭ Why ──────────────────────────────────────────────────── confidence 0.9 ─╮
/// │ foreground waits for a CPU      0.4 s/s  threshold 0.05 s/s host.schedstat │
/// │ against: held back by a quota   0 s/s                   host.cgroup.cpu   │
/// ╰──────────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(app: &App, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let Some(f) = app.finding() else {
        let inside = titled("What was ruled out", "", theme, frame, area);
        let rows = cleared::all(&picture.diagnosis, usize::from(inside.width), theme);
        return lines(&rows, theme, frame, inside);
    };
    let inside = titled("Why", &format!("confidence {}", short(f.confidence)), theme, frame, area);
    let d = &picture.diagnosis;
    // What the verdict says need not be said again.
    let said = d.verdict.key.as_ref() == Some(&f.key);
    let width = usize::from(inside.width);
    let title = if said { Vec::new() } else { wrap(&f.title, width) };
    let mut all: Vec<Line<'_>> =
        title.into_iter().map(|text| Line::from(Span::styled(text, theme.style(Meaning::Title)))).collect();
    all.extend(rows(f, (app.before(f), &d.findings), width, theme));
    lines(&all, theme, frame, inside);
}

fn rows(f: &Finding, (before, all): (Option<&Before>, &[Finding]), width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let mut rows = Vec::new();
    let server = if f.source == "host" { String::new() } else { format!(" on {}", f.source) };
    let blame = format!("Source: {} {}{server}", f.subject.kind.word(), f.subject.label);
    rows.push(Line::from(Span::styled(blame, theme.style(Meaning::Muted))));
    let known = before.map(|before| wrap(&seen_before(before), width)).unwrap_or_default();
    rows.extend(known.into_iter().map(|text| Line::from(Span::styled(text, theme.style(Meaning::Accent)))));
    rows.extend(f.evidence.iter().map(|e| evidence(e, "", width, theme)));
    rows.extend(f.against.iter().map(|e| evidence(e, "against? ", width, theme)));
    rows.extend(related(f, all, width, theme));
    rows
}

/// `seen twice before, last on 3 Nov 02:10Z; "Pause it" took 4.1 s/s off`.
fn seen_before(before: &Before) -> String {
    let last = jiff::Timestamp::from_millisecond(before.last_ms).unwrap_or_default().strftime("%-d %b %H:%MZ");
    let times = match before.times {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    };
    let helped = before.helped.as_ref().map(|(fix, gained)| match gained {
        gained if *gained >= 0.05 => format!("; \"{fix}\" took {} s/s off", short(*gained)),
        _ => format!("; \"{fix}\" resolved it"),
    });
    let failed = before.failed.as_ref().map(|fix| format!("; \"{fix}\" did not help"));
    format!("seen {times} before, last on {last}{}{}", helped.unwrap_or_default(), failed.unwrap_or_default())
}

/// What it explains and when that came up, and what costs as much.
fn related(f: &Finding, all: &[Finding], width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let title = |key: &str| all.iter().find(|o| o.key == key);
    let explained = f.explains.iter().filter_map(|e| Some((e, title(&e.key)?))).map(|(e, symptom)| {
        let came = f.came(symptom).map_or_else(String::new, |came| format!(" (began {came})"));
        format!("explains {} s/s of: {}{came}", short(e.s_per_s), symptom.title)
    });
    let tied = all.iter().filter(|o| f.tied(o)).map(|o| format!("costs as much, within what can be measured: {}", o.title));
    let line = |text: String| Line::from(Span::styled(cut(&text, width, theme), theme.style(Meaning::Muted)));
    explained.chain(tied).map(line).collect()
}

fn evidence(e: &Evidence, prefix: &str, width: usize, theme: &Theme) -> Line<'static> {
    let over = prefix.is_empty() && e.limit.is_some_and(|l| e.value >= l);
    let limit = e.held_against();
    // Where there is little room the origin gives way: `i` shows it.
    const ORIGIN: usize = 24;
    let with_origin = width >= 92;
    let claim_width = width.saturating_sub(1 + 10 + 20 + if with_origin { ORIGIN } else { 0 }).max(12);
    let claim = cut(&format!("{prefix}{}", e.claim), claim_width, theme);
    let meaning = if prefix.is_empty() { Meaning::Text } else { Meaning::Muted };
    Line::from(vec![
        Span::styled(format!("{claim:<claim_width$} "), theme.style(meaning)),
        Span::styled(format!("{:>9} ", e.unit.show(e.value)), theme.style(if over { Meaning::Warning } else { Meaning::Accent })),
        Span::styled(format!("{limit:<19} "), theme.style(Meaning::Muted)),
        Span::styled(if with_origin { e.origin.clone() } else { String::new() }, theme.style(Meaning::Muted)),
    ])
}
