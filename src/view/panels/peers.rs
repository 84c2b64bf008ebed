//! Whom processes here wait for, and the listeners with their requests and queues.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::facts::{ListenerFacts, PeerFacts};
use crate::model::service;
use crate::model::unit::{count, short};
use crate::view::theme::Theme;
use crate::view::widgets::{lines, titled};

/// ```text
/// ╭ Peers ────────────────────────────── 212 sockets ╮
/// │ :8080          41 in flight, 200 open             │
/// │ 10.0.2.5:5432  37.1 wait of 40, rtt 0.4 ms        │
/// ╰───────────────────────────────────────────────────╯
/// ```
pub fn draw(picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let sockets = match &picture.facts.host.sockets {
        Ok(sockets) => sockets,
        Err(lack) => {
            let inside = titled("Peers", "", theme, frame, area);
            let unknown = Line::from(Span::styled(format!("? {lack}"), theme.style(Meaning::Unknown)));
            return lines(&[unknown], theme, frame, inside);
        }
    };
    let right = format!("{} sockets", count(f64::from(sockets.established)));
    let inside = titled("Peers", &right, theme, frame, area);
    let listeners = sockets.listeners.iter().filter(|l| l.accepted > 0 || l.queue_max > 0);
    let (mut far, near): (Vec<&PeerFacts>, Vec<&PeerFacts>) = sockets.peers.iter().partition(|l| !l.local);
    far.extend(near);
    let half = usize::from(inside.height).div_ceil(2);
    let mut rows: Vec<Line<'_>> = listeners.take(half.max(1)).map(|listener| listener_line(listener, theme)).collect();
    rows.extend(far.iter().map(|link| peer(link, theme)));
    if rows.is_empty() {
        rows.push(Line::from(Span::styled("no TCP connection is open", theme.style(Meaning::Muted))));
    }
    lines(&rows, theme, frame, inside);
}

fn listener_line(listener: &ListenerFacts, theme: &Theme) -> Line<'static> {
    let full = listener.backlog > 0 && listener.queue_max >= listener.backlog;
    let queue = match listener.queue_max {
        0 => String::new(),
        n => format!(", {n} of {} not accepted", listener.backlog),
    };
    Line::from(vec![
        Span::styled(format!("{:<18} ", format!(":{}", listener.at.port())), theme.style(Meaning::Text)),
        Span::styled(
            format!("{} in flight, {} open{queue}", short(listener.in_flight), count(f64::from(listener.accepted))),
            theme.style(if full { Meaning::Warning } else { Meaning::Muted }),
        ),
    ])
}

fn peer(link: &PeerFacts, theme: &Theme) -> Line<'static> {
    let service = service::by_port(link.peer.port()).map_or_else(String::new, |s| format!(" {s}"));
    let unclear = if link.unclear >= 0.05 { format!(" ?{}", short(link.unclear)) } else { String::new() };
    let resends =
        if link.retransmits_per_s > 0.0 { format!(" retrans {}/s", short(link.retransmits_per_s)) } else { String::new() };
    Line::from(vec![
        Span::styled(
            format!("{:<18} ", format!("{}{service}", link.peer)),
            theme.style(if link.local { Meaning::Muted } else { Meaning::Network }),
        ),
        Span::styled(
            format!("{} wait of {}{unclear}, rtt {} ms{resends}", short(link.waiting), link.sockets, short(link.rtt_ms)),
            theme.style(if link.waiting >= 1.0 && !link.local { Meaning::Warning } else { Meaning::Muted }),
        ),
    ])
}
