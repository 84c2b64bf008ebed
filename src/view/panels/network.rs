//! Network interfaces and TCP.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::unit::{bytes, count, short};
use crate::view::theme::Theme;
use crate::view::widgets::{lines, titled};

/// ```text
/// ╭ Network ───────────────────────────────╮
/// │ eth0   in 40 MiB/s out 2 MiB/s bad 0/s  │
/// │ tcp 212 established retrans 0/s         │
/// ╰────────────────────────────────────────╯
/// ```
pub fn draw(picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = titled("Network", "", theme, frame, area);
    let host = &picture.facts.host;
    let mut rows = Vec::new();
    rows.push(match &host.tcp {
        Ok(t) => {
            let rate = |v: Option<f64>| v.map_or_else(|| "?".to_owned(), |v| format!("{}/s", short(v)));
            let established = t.established.map_or_else(|| "?".to_owned(), |n| n.to_string());
            let text = format!(
                "tcp {established} open, retransmits {} timeouts {} overflows {}",
                rate(t.retransmits_per_s),
                rate(t.timeouts_per_s),
                rate(t.listen_overflows_per_s)
            );
            Line::from(Span::styled(text, theme.style(Meaning::Text)))
        }
        Err(lack) => Line::from(Span::styled(format!("tcp ? {lack}"), theme.style(Meaning::Unknown))),
    });
    match &host.interfaces {
        Ok(interfaces) => {
            let mut shown: Vec<_> = interfaces.iter().collect();
            shown.sort_by(|a, b| {
                b.physical
                    .cmp(&a.physical)
                    .then((b.rx_bytes_per_s + b.tx_bytes_per_s).total_cmp(&(a.rx_bytes_per_s + a.tx_bytes_per_s)))
            });
            rows.extend(shown.iter().map(|i| {
                let util = i.util.map_or_else(String::new, |u| format!(" {:.0} %", u * 100.0));
                let bad =
                    if i.bad_packets_per_s > 0.0 { format!(" bad {}/s", count(i.bad_packets_per_s)) } else { String::new() };
                let text = format!(
                    "{:<8} in {:>9}/s out {:>9}/s{util}{bad}",
                    i.name.shown(),
                    bytes(i.rx_bytes_per_s),
                    bytes(i.tx_bytes_per_s)
                );
                Line::from(Span::styled(text, theme.style(if i.physical { Meaning::Network } else { Meaning::Muted })))
            }));
        }
        Err(lack) => rows.push(Line::from(Span::styled(format!("? {lack}"), theme.style(Meaning::Unknown)))),
    }
    lines(&rows, theme, frame, inside);
}
