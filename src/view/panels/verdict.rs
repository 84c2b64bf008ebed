//! The verdict: one line that says what is wrong, what it costs, who is to blame.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::detect::diagnosis::{Diagnosis, Status};
use crate::detect::finding::{Finding, Known};
use crate::detect::rank::IDLE;
use crate::diagnose::Picture;
use crate::model::unit::{seconds, short};
use crate::view::theme::Theme;
use crate::view::widgets::{lines, titled};

/// ```text
/// ╭ Verdict ────────────────────────────────────────────────── critical · score 25 ─╮
/// │ ✖ 4.2 waiting (75 % of all request time)  Missing index on orders(customer_id)   │
/// ╰──────────────────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let d = &picture.diagnosis;
    let score = d.health.score.map_or_else(String::new, |s| format!(" · score {s:.0}"));
    let right = format!("{}{score}", d.health.status.word());
    let line = line_within(d, area.width, theme);
    if area.height < 3 {
        return lines(&[line], theme, frame, area);
    }
    let inside = titled("Verdict", &right, theme, frame, area);
    lines(&[line], theme, frame, inside);
}

/// The verdict as one line.
#[must_use]
pub fn line<'a>(d: &'a Diagnosis, theme: &Theme) -> Line<'a> {
    line_within(d, u16::MAX, theme)
}

/// The same; where there is little room the share gives way to who and what.
fn line_within<'a>(d: &'a Diagnosis, width: u16, theme: &Theme) -> Line<'a> {
    const ROOM: u16 = 100;
    let root = d.findings.iter().find(|f| f.raised());
    if let Some(f) = root {
        return raised(f, width >= ROOM, theme);
    }
    let t = &d.time;
    // Most of the time waits, and no finding says for what: one that has just ended, or is muted, or nobody knows.
    let unsaid = t.foreground_s_per_s - t.productive_s_per_s;
    let mostly = t.foreground_s_per_s >= IDLE && unsaid >= 0.3 && unsaid >= 0.5 * t.foreground_s_per_s;
    let (sign, meaning) = match d.health.status {
        Status::Unknown => ("?", Meaning::Unknown),
        _ if mostly => ("?", Meaning::Unknown),
        _ => (theme.pick("✓", "ok"), Meaning::Good),
    };
    let muted = d.findings.iter().filter(|f| f.muted.is_some()).count();
    let text = if d.provisional && d.window_s == 0.0 {
        "looking: the first figures are the kernel's own averages, the verdict follows in a second".to_owned()
    } else if d.health.status == Status::Unknown {
        "No bottleneck was found on this host, and not everything could be seen".to_owned()
    } else if t.foreground_s_per_s < IDLE {
        "This host is idle: nobody waits for it".to_owned()
    } else if mostly && muted > 0 {
        format!("{muted} muted: {} of {} s/s wait", short(unsaid), short(t.foreground_s_per_s))
    } else if mostly {
        let of = short(t.foreground_s_per_s);
        format!("{} of {of} s/s wait for no cause worth naming, or for one that has just ended", short(unsaid))
    } else {
        let waits = t.foreground_s_per_s - t.productive_s_per_s;
        let share = 100.0 * t.productive_s_per_s / t.foreground_s_per_s;
        let rest =
            if waits >= 0.05 { format!(", {} s/s of waits have no cause worth naming", short(waits)) } else { String::new() };
        format!("No bottleneck on this host: {share:.0} % of the foreground time is productive{rest}")
    };
    Line::from(vec![Span::styled(format!(" {sign} "), theme.style(meaning)), Span::styled(text, theme.style(Meaning::Text))])
}

fn raised<'a>(f: &'a Finding, wide: bool, theme: &Theme) -> Line<'a> {
    let style = theme.severity(f.severity);
    let cost = match (f.impact.benefit_s_per_s, f.impact.share, f.impact.eta_s) {
        (Some(b), Some(_), _) if !wide => format!("{} waiting  ", short(b)),
        (Some(b), Some(s), _) => format!("{} waiting ({:.0} % of all request time)  ", short(b), (s * 100.0).max(0.0).abs()),
        (_, _, Some(eta)) => format!("in {}  ", seconds(eta)),
        _ => String::new(),
    };
    let least = if f.since.known == Known::AtLeast { "at least " } else { "" };
    let since = format!("  {least}since {}Z", f.since.at.get(11..19).unwrap_or_default());
    let ended = if f.ended { " (ended)" } else { "" };
    Line::from(vec![
        Span::styled(format!(" {} {}  ", theme.sign(f.severity), f.severity.word()), style),
        Span::styled(cost, style),
        Span::styled(f.title.as_str(), theme.style(Meaning::Text)),
        Span::styled(format!("{ended}{since}"), theme.style(Meaning::Muted)),
    ])
}
