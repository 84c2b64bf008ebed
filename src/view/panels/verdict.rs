//! The verdict: one line that says what is wrong, what it costs, who is to blame.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::detect::diagnosis::{Diagnosis, Status};
use crate::detect::finding::Known;
use crate::diagnose::Picture;
use crate::view::theme::Theme;
use crate::view::widgets::{lines, titled};

/// ```text
/// ╭ Verdict ────────────────────────────────────────────────── critical · score 25 ─╮
/// │ ✖ 4.2 waiting (75 % of all request time)  Missing index on orders(customer_id)   │
/// ╰──────────────────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let d = &picture.diagnosis;
    let (word, score) = d.standing();
    let score = score.map_or_else(String::new, |s| format!(" · score {s:.0}"));
    let right = format!("{}{score}", word);
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
    let v = &d.verdict;
    let finding = v.key.as_ref().and_then(|key| d.findings.iter().find(|f| f.key == *key));
    let Some(f) = finding else {
        let (sign, meaning) = match v.status {
            Status::Healthy => (theme.pick("✓", "ok"), Meaning::Good),
            _ => ("?", Meaning::Unknown),
        };
        let text = Span::styled(v.says.as_str(), theme.style(Meaning::Text));
        return Line::from(vec![Span::styled(format!(" {sign} "), theme.style(meaning)), text]);
    };
    let style = theme.severity(f.severity);
    let cost = v.cost.as_deref().map_or_else(String::new, |cost| {
        let cost = if width < ROOM { cost.split(" (").next().unwrap_or(cost) } else { cost };
        format!("{cost}  ")
    });
    let least = if f.since.known == Known::AtLeast { "at least " } else { "" };
    Line::from(vec![
        Span::styled(format!(" {} {}  ", theme.sign(f.severity), f.severity.word()), style),
        Span::styled(cost, style),
        Span::styled(v.says.as_str(), theme.style(Meaning::Text)),
        Span::styled(format!("  {least}since {}Z", f.since.at.get(11..19).unwrap_or_default()), theme.style(Meaning::Muted)),
    ])
}
