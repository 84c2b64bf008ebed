//! CPU: shares, cores, load, run queue.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::unit::{count, short};
use crate::view::theme::Theme;
use crate::view::widgets::{bar, graph, lines, titled};

/// ```text
/// ╭ CPU 71 % ──────────────────────╮
/// │ user 60 sys 11 steal 0 iowait 3 │
/// │ load 2.1 1.4 0.9   run queue 4  │
/// │ 0 ████████ 98   1 ████ 44       │
/// ╰────────────────────────────────╯
/// ```
pub fn draw(picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let host = &picture.facts.host;
    let load = host
        .load
        .as_ref()
        .map_or_else(|lack| format!("load: {lack}"), |l| format!("load {} {} {}", short(l.one), short(l.five), short(l.fifteen)));
    let cpu = match &host.cpu {
        Ok(cpu) => cpu,
        Err(lack) => {
            let inside = titled("CPU", "", theme, frame, area);
            let unknown = Line::from(Span::styled(format!("? {lack}"), theme.style(Meaning::Unknown)));
            return lines(&[Line::from(Span::styled(load, theme.style(Meaning::Text))), unknown], theme, frame, inside);
        }
    };
    let right = match cpu.own {
        Some(own) => format!("{} of {}", short(own.used), short(own.of)),
        None => format!("{} online", cpu.cores.len()),
    };
    let inside = titled(&format!("CPU {:.0} %", cpu.seen_busy() * 100.0), &right, theme, frame, area);
    let percent = |v: f64| format!("{:.0}", v * 100.0);
    let queue = cpu.run_queue.map_or_else(|| "?".to_owned(), |q| format!("{q:.0}"));
    let rate = |v: Option<f64>| v.map_or_else(|| "?".to_owned(), count);
    let text = theme.style(Meaning::Text);
    let width = usize::from(inside.width);
    let machine = if cpu.own.is_some() { format!("machine {}: ", percent(cpu.busy)) } else { String::new() };
    let mut rows = vec![
        Line::from(Span::styled(
            format!(
                "{machine}user {} sys {} steal {} wait {}",
                percent(cpu.user),
                percent(cpu.system),
                percent(cpu.steal),
                percent(cpu.iowait)
            ),
            text,
        )),
        Line::from(Span::styled(format!("{load}  run queue {queue}"), text)),
        Line::from(Span::styled(
            format!("switches {}/s forks {}/s", rate(cpu.switches_per_s), rate(cpu.forks_per_s)),
            theme.style(Meaning::Muted),
        )),
    ];
    let second = picture.at.mono_ns / 1_000_000_000;
    let spark = graph::spark(&picture.history.cpu_busy_percent, width, 100.0, second, theme);
    rows.push(Line::from(Span::styled(spark, theme.style(Meaning::Cpu))));
    rows.extend(cores(cpu, width, theme));
    lines(&rows, theme, frame, inside);
}

fn cores(cpu: &crate::model::facts::CpuFacts, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    const CELL: usize = 14;
    let per_row = (width / CELL).max(1);
    let cell = |core: &crate::model::facts::CoreFacts| match core.busy {
        Some(busy) => {
            let text = format!("{:>3} {} {:>3.0} ", core.number, bar(busy, 5, theme), busy * 100.0);
            Span::styled(text, theme.level(busy * 100.0, theme.targets.cpu))
        }
        None => Span::styled(format!("{:>3}   ?       ", core.number), theme.style(Meaning::Unknown)),
    };
    cpu.cores.chunks(per_row).map(|row| Line::from(row.iter().map(cell).collect::<Vec<_>>())).collect()
}
