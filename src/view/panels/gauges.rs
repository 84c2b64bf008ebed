//! One small box per resource: a figure and the last minutes.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::history::Ring;
use crate::model::unit::{bytes, short};
use crate::view::theme::Theme;
use crate::view::widgets::{graph, lines, titled};

struct Gauge<'a> {
    name: &'static str,
    figure: String,
    ring: &'a Ring,
    top: f64,
    style: Style,
}

/// ```text
/// ╭ CPU 71 % ─╮╭ Memory 62 % ╮╭ Disk 97 % ╮╭ Net 40 MiB/s ╮
/// │    ▂▅█    ││             ││   ▃▇█     ││              │
/// │ ▂▃▅███    ││ ▇▇▇▇▇▇▇     ││ ▇▇███     ││ ▁▁▂▁         │
/// ╰───────────╯╰─────────────╯╰───────────╯╰──────────────╯
/// ```
/// Without rows for a shape there is one line of figures.
pub fn draw(picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    const SHAPE: u16 = 4;
    let gauges = gauges(picture, theme);
    if area.height < SHAPE {
        let spans = gauges.iter().flat_map(|g| {
            [Span::styled(format!(" {} ", g.name), theme.style(Meaning::Muted)), Span::styled(format!("{}  ", g.figure), g.style)]
        });
        return lines(&[Line::from(spans.collect::<Vec<_>>())], theme, frame, area);
    }
    let places = Layout::horizontal(gauges.iter().map(|_| Constraint::Fill(1))).split(area);
    let second = picture.at.mono_ns / 1_000_000_000;
    for (gauge, place) in gauges.iter().zip(places.iter()) {
        let inside = titled(&format!("{} {}", gauge.name, gauge.figure), "", theme, frame, *place);
        let span = graph::Span::of(gauge.ring.len(), usize::from(inside.width));
        graph::stacked(&[(gauge.ring, gauge.style, "#")], gauge.top, (second, span), theme, frame, inside);
    }
}

fn gauges<'a>(picture: &'a Picture, theme: &Theme) -> Vec<Gauge<'a>> {
    let (h, host) = (&*picture.history, &picture.facts.host);
    let newest = |ring: &Ring| ring.last(1).next().flatten();
    let percent = |ring: &Ring| newest(ring).map_or_else(|| "?".to_owned(), |v| format!("{} %", short(v)));
    let most = |ring: &Ring| ring.last(usize::MAX).flatten().fold(1.0, f64::max);
    let level = |ring: &Ring, limits| theme.level(newest(ring).unwrap_or(0.0), limits);
    let net = newest(&h.net_bytes_per_s).map_or_else(|| "?".to_owned(), |v| format!("{}/s", bytes(v)));
    let disk = newest(&h.disk_bytes_per_s).map_or_else(|| "?".to_owned(), |v| format!("{}/s", bytes(v)));
    // Before the second sample the kernel's own averages are there already.
    let psi = |ring: &Ring, now: &crate::model::seen::Seen<crate::model::facts::Psi>| match (newest(ring), now) {
        (Some(v), _) => format!("{} %", short(v)),
        (None, Ok(p)) => format!("{} % avg10", short(p.averages[0])),
        (None, Err(_)) => "off".to_owned(),
    };
    vec![
        Gauge {
            name: "CPU",
            figure: percent(&h.cpu_busy_percent),
            ring: &h.cpu_busy_percent,
            top: 100.0,
            style: level(&h.cpu_busy_percent, theme.targets.cpu),
        },
        Gauge {
            name: "PSI cpu",
            figure: psi(&h.psi_cpu_percent, &host.psi.cpu),
            ring: &h.psi_cpu_percent,
            top: 100.0,
            style: theme.style(Meaning::Cpu),
        },
        Gauge {
            name: "Memory",
            figure: percent(&h.memory_used_percent),
            ring: &h.memory_used_percent,
            top: 100.0,
            style: level(&h.memory_used_percent, theme.targets.memory),
        },
        Gauge {
            name: "Disk",
            figure: disk,
            ring: &h.disk_bytes_per_s,
            top: most(&h.disk_bytes_per_s),
            style: theme.style(Meaning::Io),
        },
        Gauge {
            name: "PSI io",
            figure: psi(&h.psi_io_percent, &host.psi.io),
            ring: &h.psi_io_percent,
            top: 100.0,
            style: theme.style(Meaning::Io),
        },
        Gauge {
            name: "Net",
            figure: net,
            ring: &h.net_bytes_per_s,
            top: most(&h.net_bytes_per_s),
            style: theme.style(Meaning::Network),
        },
    ]
}
