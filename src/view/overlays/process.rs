//! One process with its own waits, its limits and its threads.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::App;
use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::demand::{Demand, Detail, ProcessDetail};
use crate::model::facts::ProcFacts;
use crate::model::host::ProcId;
use crate::model::unit::{bytes, short};
use crate::view::theme::Theme;
use crate::view::widgets::bar;
use crate::view::widgets::text::wrap;

/// Draws the process, or says that it is gone.
pub fn draw(app: &App, picture: &Picture, id: ProcId, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let process = app.process(id);
    let title = process.map_or_else(|| format!("pid {}", id.pid), ProcFacts::label);
    let inside = super::boxed::boxed(&title, "q close", 100, theme, frame, area);
    let width = usize::from(inside.width);
    let mut rows = match process {
        Some(p) => facts(p, width, theme),
        None => vec![Line::from(Span::styled(" it has ended", theme.style(Meaning::Unknown)))],
    };
    match picture.details.get(&Demand::ProcessDetail { id }) {
        Some(Ok(Detail::Process(detail))) => rows.extend(details(detail, theme)),
        Some(Err(lack)) => rows.push(Line::from(Span::styled(format!(" details: ? {lack}"), theme.style(Meaning::Unknown)))),
        Some(Ok(Detail::Server(_))) | None => {
            rows.push(Line::from(Span::styled(" details: requested, or not recorded", theme.style(Meaning::Muted))))
        }
    }
    super::boxed::scrolled(&rows, 0, theme, frame, inside);
}

fn facts(p: &ProcFacts, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let text = theme.style(Meaning::Text);
    let muted = theme.style(Meaning::Muted);
    let command = p.command.as_ref().map_or_else(String::new, |c| c.shown().to_owned());
    let mut rows: Vec<Line<'static>> = wrap(&command, width.saturating_sub(2))
        .into_iter()
        .take(3)
        .map(|l| Line::from(Span::styled(format!(" {l}"), text)))
        .collect();
    let uid = p.uid.map_or_else(|| "?".to_owned(), |u| u.to_string());
    let line = format!(
        " state {}  parent {}  uid {uid}  nice {}  threads {}  rss {}",
        p.state,
        p.ppid,
        p.nice,
        p.threads,
        bytes(p.rss_bytes as f64)
    );
    rows.push(Line::from(Span::styled(line, text)));
    rows.push(Line::from(Span::styled(format!(" weight {}: {}", short(p.weight.value), p.weight.why), muted)));
    for group in p.cgroups.iter() {
        rows.push(Line::from(Span::styled(format!(" cgroup {:?} {}", group.controller, group.path), muted)));
    }
    rows.push(Line::default());
    let times = [
        ("on a CPU", p.cpu, Meaning::Cpu),
        ("waits for a CPU", p.runnable, Meaning::Warning),
        ("waits for IO", p.io_wait, Meaning::Io),
    ];
    let most = times.iter().filter_map(|t| t.1).fold(1.0, f64::max);
    rows.extend(times.iter().map(|(name, value, meaning)| match value {
        Some(v) => Line::from(vec![
            Span::styled(format!(" {name:<16} {:>7} s/s ", short(*v)), text),
            Span::styled(bar(v / most, 30, theme), theme.style(*meaning)),
        ]),
        None => Line::from(Span::styled(format!(" {name:<16}       ? not known yet"), theme.style(Meaning::Unknown))),
    }));
    rows.push(Line::default());
    rows
}

fn details(d: &ProcessDetail, theme: &Theme) -> Vec<Line<'static>> {
    let or = |v: Option<u64>| v.map_or_else(|| "?".to_owned(), |v| v.to_string());
    let size = |v: Option<u64>| v.map_or_else(|| "?".to_owned(), |v| bytes(v as f64));
    let switches = d.switches.map_or_else(|| "?".to_owned(), |(v, n)| format!("{v} voluntary, {n} forced"));
    let line = format!(
        " open files {} of {}   swapped {}   peak rss {}",
        or(d.open_files),
        or(d.open_files_limit),
        size(d.swap_bytes),
        size(d.peak_rss_bytes)
    );
    let mut rows = vec![
        Line::from(Span::styled(line, theme.style(Meaning::Text))),
        Line::from(Span::styled(format!(" context switches {switches}"), theme.style(Meaning::Muted))),
        Line::from(Span::styled("     TID S  ran s  waited s  sleeps in             name", theme.style(Meaning::Muted))),
    ];
    rows.extend(d.threads.iter().map(|t| {
        let wchan = t.wchan.as_ref().map_or("", |w| w.shown());
        let line = format!(
            "{:>8} {} {:>6} {:>9}  {wchan:<20}  {}",
            t.tid,
            t.state,
            short(t.run_ns as f64 / 1e9),
            short(t.wait_ns as f64 / 1e9),
            t.name
        );
        Line::from(Span::styled(line, theme.style(Meaning::Text)))
    }));
    rows
}
