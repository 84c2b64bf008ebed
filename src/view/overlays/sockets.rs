//! Every peer with what is waited for, every listener with its requests and its queue, connects without an answer, ports.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::facts::{ListenerFacts, PeerFacts, ProcFacts};
use crate::model::host::ProcId;
use crate::model::service;
use crate::model::unit::{bytes, count, seconds, short};
use crate::view::theme::Theme;

/// Draws the table.
pub fn draw(picture: &Picture, scroll: usize, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = super::boxed::boxed("Sockets", "mean of the window; ? unknown", 132, theme, frame, area);
    let sockets = match &picture.facts.host.sockets {
        Ok(sockets) => sockets,
        Err(lack) => {
            let unknown = Line::from(Span::styled(format!(" ? {lack}"), theme.style(Meaning::Unknown)));
            return super::boxed::scrolled(&[unknown], 0, theme, frame, inside);
        }
    };
    let wide = inside.width >= 110;
    let headings = if wide {
        "WAITING     ?  OF  LONGEST  REPLY ms   RTT ms    REQ/s  RETRANS   UNSENT  PEER / OWNER"
    } else {
        "WAITING     ?  OF  LONGEST  REPLY ms  PEER / OWNER"
    };
    let mut rows = vec![head(headings, theme)];
    rows.extend(sockets.peers.iter().map(|link| peer(link, picture, wide, theme)));
    rows.push(Line::default());
    rows.push(head("IN FLIGHT    REQ/s    OPEN  NOT ACCEPTED  BACKLOG  LISTENER / OWNER", theme));
    rows.extend(sockets.listeners.iter().map(|listener| listener_line(listener, picture, theme)));
    if !sockets.connecting.is_empty() {
        rows.push(Line::default());
        rows.push(head("CONNECTS  RETRY  TO", theme));
        rows.extend(sockets.connecting.iter().map(|c| {
            let text = format!(" {:>8}  {:>5}  {}", short(c.waiting), short(c.again), c.peer);
            Line::from(Span::styled(text, theme.style(if c.again > 0.0 { Meaning::Warning } else { Meaning::Text })))
        }));
    }
    if !sockets.ports.is_empty() {
        rows.push(Line::default());
        rows.push(head("PORTS OPEN  CLOSING  FROM / TO / OWNER", theme));
        rows.extend(sockets.ports.iter().map(|p| {
            let (open, closing) = (count(p.open.into()), count(p.closing.into()));
            let text = format!(" {open:>10}  {closing:>7}  {} to {}{}", p.local, p.peer, whose(p.owner, picture));
            Line::from(Span::styled(text, theme.style(Meaning::Text)))
        }));
    }
    super::boxed::scrolled(&rows, scroll, theme, frame, inside);
}

fn head(text: &'static str, theme: &Theme) -> Line<'static> {
    Line::from(Span::styled(format!(" {text}"), theme.style(Meaning::Muted)))
}

fn whose(owner: Option<ProcId>, picture: &Picture) -> String {
    let process = owner.and_then(|id| picture.facts.processes().iter().find(|p| p.id == id));
    process.map_or_else(String::new, |p: &ProcFacts| format!("  {}", p.label()))
}

fn peer(link: &PeerFacts, picture: &Picture, wide: bool, theme: &Theme) -> Line<'static> {
    let service = service::by_port(link.peer.port()).map_or_else(String::new, |s| format!(" {s}"));
    let reply = link.reply_ms().map_or_else(|| "-".to_owned(), short);
    let longest = if link.longest_s > 0.0 { seconds(link.longest_s) } else { "-".to_owned() };
    let (unclear, window) = (short(link.unclear), link.window_limited_s_per_s);
    let closed = if window >= 0.05 { format!("  window-limited {} s/s", short(window)) } else { String::new() };
    let rest = format!(
        "{:>7}  {:>7}  {:>7}  {:>7}  ",
        short(link.rtt_ms),
        short(link.segments_per_s),
        short(link.retransmits_per_s),
        bytes(link.not_sent_bytes)
    );
    let text = format!(
        " {:>7} {unclear:>5} {:>3}  {longest:>7}  {reply:>8}  {}",
        short(link.waiting),
        link.sockets,
        if wide { rest.as_str() } else { "" }
    );
    let waits = link.waiting >= 1.0 && !link.local;
    Line::from(vec![
        Span::styled(text, theme.style(if waits { Meaning::Warning } else { Meaning::Text })),
        Span::styled(format!("{}{service}", link.peer), theme.style(if link.local { Meaning::Muted } else { Meaning::Network })),
        Span::styled(format!("{}{closed}", whose(link.owner, picture)), theme.style(Meaning::Muted)),
    ])
}

fn listener_line(listener: &ListenerFacts, picture: &Picture, theme: &Theme) -> Line<'static> {
    let full = listener.backlog > 0 && listener.queue_max >= listener.backlog;
    let text = format!(
        " {:>9}  {:>7}  {:>6}  {:>12}  {:>7}  ",
        short(listener.in_flight),
        short(listener.requests_per_s),
        count(f64::from(listener.accepted)),
        listener.queue_max,
        listener.backlog
    );
    Line::from(vec![
        Span::styled(text, theme.style(if full { Meaning::Warning } else { Meaning::Text })),
        Span::styled(listener.at.to_string(), theme.style(Meaning::Network)),
        Span::styled(whose(listener.owner, picture), theme.style(Meaning::Muted)),
    ])
}
