//! The verdict when it is not this host: who waits, for whom, and what to type next.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::detect::finding::Finding;
use crate::diagnose::Picture;
use crate::model::unit::short;
use crate::view::theme::Theme;
use crate::view::widgets::{bar, lines};

/// Id of the finding that this panel is for.
pub const ID: &str = "app.upstream.waiting";

/// Rows that it takes, with its box.
pub const ROWS: u16 = 5;

/// The finding when it stands first.
#[must_use]
pub fn first(picture: &Picture) -> Option<&Finding> {
    let root = picture.diagnosis.findings.iter().find(|f| f.raised());
    // A container of this host is no other host.
    let here = |f: &Finding| {
        let mut links = picture.facts.host.sockets.iter().flat_map(|s| &s.peers);
        links.any(|l| l.here.is_some() && l.peer.to_string() == f.subject.key)
    };
    root.filter(|f| f.id == ID && !here(f))
}

/// ```text
/// ╭ Verdict ──────────────────────────────────────────────────────────────────────── critical · score 3 ╮
/// │ ✖ critical  Not on this host: 37 of 41 requests in flight on :8080 wait for 10.0.2.5:5432           │
/// │   waiting for   10.0.2.5:5432 37.1 ▇▇▇▇▇▇▇ rtt 0.4 ms   10.0.9.9:443 2.2 ▏     lost here 0.1        │
/// │   next          ssh 10.0.2.5 -t perftop                                                             │
/// ╰─────────────────────────────────────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(finding: &Finding, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = super::verdict::framed(&picture.diagnosis, theme, frame, area);
    let style = theme.severity(finding.severity);
    let sign = (theme.sign(finding.severity), style);
    let mut rows = super::verdict::title(&finding.title, sign, usize::from(inside.width), theme);
    let next = finding.fixes.first().map_or("", |f| &*f.command);
    let next = Line::from(vec![
        Span::styled("  next          ", theme.style(Meaning::Muted)),
        Span::styled(next.to_owned(), theme.style(Meaning::Accent)),
    ]);
    // What to type next stands among the fixes as well: it gives way to a title of two lines.
    rows.extend([waiting(picture, theme), next]);
    lines(&rows, theme, frame, inside);
}

fn waiting(picture: &Picture, theme: &Theme) -> Line<'static> {
    const SHOWN: usize = 3;
    let ledger = &picture.ledger;
    let most = ledger.peers.first().map_or(1.0, |p| p.waiting.max(1e-9));
    let mut spans = vec![Span::styled("  waiting for   ", theme.style(Meaning::Muted))];
    for wait in ledger.peers.iter().take(SHOWN) {
        let links = picture.facts.host.sockets.iter().flat_map(|s| &s.peers).filter(|l| l.peer == wait.peer);
        let rtt = links.map(|l| l.rtt_ms).fold(f64::INFINITY, f64::min);
        let rtt = if rtt.is_finite() { format!(" rtt {} ms", short(rtt)) } else { String::new() };
        spans.push(Span::styled(wait.peer.to_string(), theme.style(Meaning::Text)));
        spans.push(Span::styled(format!(" {} ", short(wait.waiting)), theme.style(Meaning::Network)));
        spans.push(Span::styled(bar(wait.waiting / most, 6, theme).trim_end().to_owned(), theme.style(Meaning::Network)));
        spans.push(Span::styled(format!("{rtt}   "), theme.style(Meaning::Muted)));
    }
    let peers: f64 = ledger.peers.iter().map(|p| p.waiting - p.baseline).sum();
    let t = &picture.diagnosis.time;
    let here = (t.foreground_s_per_s - t.productive_s_per_s - peers).max(0.0);
    spans.push(Span::styled(format!("cpu, disk, memory here {}", short(here)), theme.style(Meaning::Muted)));
    Line::from(spans)
}
