//! Network interfaces and TCP.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::facts::InterfaceFacts;
use crate::model::unit::{bytes, count, short};
use crate::view::theme::Theme;
use crate::view::widgets::text::{cut, packed};
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
    let width = usize::from(inside.width);
    let line = |text: String, meaning| Line::from(Span::styled(text, theme.style(meaning)));
    let tcp: Vec<Line<'_>> = match &host.tcp {
        Ok(t) => {
            let rate = |v: Option<f64>| v.map_or_else(|| "?".to_owned(), |v| format!("{}/s", short(v)));
            let established = t.established.map_or_else(|| "?".to_owned(), |n| n.to_string());
            let figures = [
                format!("tcp {established} open"),
                format!("retransmits {}", rate(t.retransmits_per_s)),
                format!("time-outs {}", rate(t.timeouts_per_s)),
                format!("overflows {}", rate(t.listen_overflows_per_s)),
            ];
            packed(&figures, width).into_iter().map(|text| line(text, Meaning::Text)).collect()
        }
        Err(lack) => vec![line(format!("tcp ? {lack}"), Meaning::Unknown)],
    };
    let mut rows: Vec<Line<'_>> = Vec::new();
    match &host.interfaces {
        Ok(interfaces) => {
            let mut shown: Vec<_> = interfaces.iter().collect();
            shown.sort_by(|a, b| (b.rx_bytes_per_s + b.tx_bytes_per_s).total_cmp(&(a.rx_bytes_per_s + a.tx_bytes_per_s)));
            if width < WIDE {
                rows.push(line(format!("{:<6}{:>9}{:>9}", "", "in/s", "out/s"), Meaning::Muted));
            }
            let (physical, others): (Vec<&InterfaceFacts>, Vec<&InterfaceFacts>) = shown.into_iter().partition(|i| i.physical);
            let shown = |i: &InterfaceFacts, meaning| {
                let bad = format!("  bad packets {}/s", count(i.bad_packets_per_s));
                let bad = (i.bad_packets_per_s > 0.0).then(|| line(bad, Meaning::Warning));
                std::iter::once(line(interface(i, width, theme), meaning)).chain(bad)
            };
            rows.extend(physical.into_iter().flat_map(|i| shown(i, Meaning::Network)));
            rows.extend(tcp);
            // What is only within the host comes last.
            rows.extend(others.into_iter().flat_map(|i| shown(i, Meaning::Muted)));
        }
        Err(lack) => {
            rows.push(line(format!("? {lack}"), Meaning::Unknown));
            rows.extend(tcp);
        }
    }
    lines(&rows, theme, frame, inside);
}

/// Cells from which on an interface has room for words and its utilisation.
const WIDE: usize = 46;

fn interface(i: &InterfaceFacts, width: usize, theme: &Theme) -> String {
    let (received, sent) = (bytes(i.rx_bytes_per_s), bytes(i.tx_bytes_per_s));
    if width < WIDE {
        return format!("{:<6}{received:>9}{sent:>9}", cut(i.name.shown(), 6, theme));
    }
    let util = i.util.map_or_else(String::new, |u| format!("  {:.0} %", u * 100.0));
    format!("{:<8} in {received:>9}/s out {sent:>9}/s{util}", cut(i.name.shown(), 8, theme))
}
