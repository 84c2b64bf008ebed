//! CPU: shares, cores, load, run queue.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::facts::{CoreFacts, CpuFacts};
use crate::model::unit::{count, short};
use crate::view::theme::Theme;
use crate::view::widgets::text::packed;
use crate::view::widgets::{bar, graph, lines, titled};

/// ```text
/// ╭ CPU 71 % ──────────────────────╮
/// │ user 60  sys 11  steal 0       │
/// │ wait 3  run queue 4            │
/// │ cores ▁▃█▇▁▁▁▂                 │
/// │ load 2.1 1.4 0.9               │
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
    let width = usize::from(inside.width);
    let machine = if cpu.own.is_some() { format!("machine {}: ", percent(cpu.busy)) } else { String::new() };
    let shares = [
        format!("{machine}user {}", percent(cpu.user)),
        format!("sys {}", percent(cpu.system)),
        format!("steal {}", percent(cpu.steal)),
        format!("wait {}", percent(cpu.iowait)),
        format!("run queue {queue}"),
    ];
    let rates = [format!("switches {}/s", rate(cpu.switches_per_s)), format!("forks {}/s", rate(cpu.forks_per_s))];
    let line = |text: String, meaning| Line::from(Span::styled(text, theme.style(meaning)));
    let mut rows: Vec<Line<'_>> = packed(&shares, width).into_iter().map(|text| line(text, Meaning::Text)).collect();
    rows.extend(cores(cpu, (width, usize::from(inside.height).saturating_sub(rows.len())), theme));
    rows.push(line(load, Meaning::Text));
    rows.extend(packed(&rates, width).into_iter().map(|text| line(text, Meaning::Muted)));
    lines(&rows, theme, frame, inside);
    // What is left shows how it was.
    let used = rows.len() as u16;
    if inside.height > used {
        let rest = Rect { y: inside.y + used, height: inside.height - used, ..inside };
        let second = picture.at.mono_ns / 1_000_000_000;
        let ring = [(&picture.history.cpu_busy_percent, theme.style(Meaning::Cpu), "#")];
        graph::stacked(&ring, 100.0, (second, graph::Span::whole(width)), theme, frame, rest);
    }
}

/// All of them: with bars where there is room, else a sign each.
fn cores(cpu: &CpuFacts, (width, rows): (usize, usize), theme: &Theme) -> Vec<Line<'static>> {
    const CELL: usize = 14;
    let per_row = (width / CELL).max(1);
    if cpu.cores.len().div_ceil(per_row) * 2 > rows {
        return signs(cpu, width, theme);
    }
    let cell = |core: &CoreFacts| match core.busy {
        Some(busy) => {
            let text = format!("{:>3} {} {:>3.0} ", core.number, bar(busy, 5, theme), busy * 100.0);
            Span::styled(text, theme.level(busy * 100.0, theme.targets.cpu))
        }
        None => Span::styled(format!("{:>3}   ?       ", core.number), theme.style(Meaning::Unknown)),
    };
    cpu.cores.chunks(per_row).map(|row| Line::from(row.iter().map(cell).collect::<Vec<_>>())).collect()
}

fn signs(cpu: &CpuFacts, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    const HEAD: &str = "cores ";
    let sign = |core: &CoreFacts| match core.busy {
        // An idle one is there as well.
        Some(busy) => {
            let text = graph::glyphs(&[Some(busy.max(0.07) * 100.0)], 100.0, theme);
            Span::styled(text, theme.level(busy * 100.0, theme.targets.cpu))
        }
        None => Span::styled("?", theme.style(Meaning::Unknown)),
    };
    let row = |(n, cores): (usize, &[CoreFacts])| {
        let head = if n == 0 { HEAD.to_owned() } else { " ".repeat(HEAD.len()) };
        let head = Span::styled(head, theme.style(Meaning::Muted));
        Line::from(std::iter::once(head).chain(cores.iter().map(sign)).collect::<Vec<_>>())
    };
    cpu.cores.chunks(width.saturating_sub(HEAD.len()).max(1)).enumerate().map(row).collect()
}
