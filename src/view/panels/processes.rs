//! The process table.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::App;
use crate::app::processes::{COLUMNS, Column, ProcessView, Row, Shape};
use crate::app::target::Target;
use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::facts::ProcFacts;
use crate::model::unit::{bytes, short};
use crate::view::theme::Theme;
use crate::view::widgets::{lines, titled, within};

/// ```text
/// ╭ Processes 84 ──────────────────────────────────── by CPU · / filter ─╮
/// │ PID      CPU   RUNQ  IOWAIT READ/s   WRITE/s  RSS      THR FG  COMMAND │
/// │ 4242     1.9    0.4     0   0 B/s    0 B/s    12 MiB     1 0.2 stress-ng│
/// ╰──────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(app: &App, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    if let Err(lack) = &picture.facts.host.processes {
        let inside = titled("Processes", "", theme, frame, area);
        let unknown = Line::from(Span::styled(format!("? {lack}"), theme.style(Meaning::Unknown)));
        return lines(&[unknown], theme, frame, inside);
    }
    let view = &app.processes;
    let shown = view.rows(&picture.facts);
    let filter = if view.filter.text().is_empty() {
        String::new()
    } else {
        match view.wrong() {
            Some(_) => format!(", all: \"{}\" is not a filter", view.filter.text()),
            None => format!(" matching \"{}\"", view.filter.text()),
        }
    };
    let count = shown.iter().filter(|r| r.process().is_some()).count();
    let oldest = shown.iter().filter_map(Row::process).map(|p| p.age_s).fold(0.0, f64::max);
    let age = if oldest >= 2.0 { format!(" · rows up to {} s old", short(oldest)) } else { String::new() };
    let sort = COLUMNS.iter().find(|c| c.0 == view.sort).map_or("", |c| c.1);
    let title = format!("Processes {count}{filter}");
    let arrow = if view.ascending { theme.pick("↑", "^") } else { theme.pick("↓", "v") };
    let shape = match view.shape {
        Shape::Flat => "",
        Shape::Tree => "tree, ",
        Shape::Groups => "groups, ",
    };
    let kernel = if view.kernel { "" } else { "without kernel threads, " };
    let inside = titled(&title, &format!("{kernel}{shape}by {sort} {arrow}{age}"), theme, frame, area);
    let columns = columns(usize::from(inside.width));
    let mut rows = vec![heading(&columns, view.sort, theme)];
    let room = usize::from(inside.height).saturating_sub(1);
    for shown in shown.iter().skip(skipped(view, &shown, room)).take(room) {
        let (line, id) = match shown {
            Row::Process { process, depth } => (row(process, *depth, &columns, theme), Some(process.id)),
            Row::Group { label, members } => (group(label, members, &columns, theme), None),
        };
        let selected = id.is_some() && id == view.selected;
        rows.push(if selected { line.style(theme.style(Meaning::Selected)) } else { line });
    }
    if shown.is_empty() {
        let says = if view.filter.text().is_empty() { "no process is seen" } else { "nothing matches; Esc shows all" };
        rows.push(Line::from(Span::styled(says, theme.style(Meaning::Muted))));
    }
    lines(&rows, theme, frame, inside);
}

/// Rows above those in sight: the selected one stays in it.
fn skipped(view: &ProcessView, shown: &[Row<'_>], room: usize) -> usize {
    let at = view.selected.and_then(|id| shown.iter().position(|r| r.process().is_some_and(|p| p.id == id)));
    at.map_or(0, |at| (at + 1).saturating_sub(room))
}

/// The process or the heading that stands there.
pub fn pointed(app: &App, picture: &Picture, area: Rect, (x, y): (u16, u16)) -> Option<Target> {
    let inside = within(area);
    let row = usize::from(y.checked_sub(inside.y).filter(|_| inside.contains((x, y).into()))?);
    let Some(below) = row.checked_sub(1) else {
        let mut left = usize::from(x - inside.x);
        let hit = columns(usize::from(inside.width)).into_iter().find(|(_, _, width)| {
            let width = if *width == 0 { usize::MAX } else { usize::from(*width) };
            let hit = left < width;
            left = left.saturating_sub(width);
            hit
        });
        return hit.map(|(column, _, _)| Target::Heading(column));
    };
    let shown = app.processes.rows(&picture.facts);
    let skip = skipped(&app.processes, &shown, usize::from(inside.height).saturating_sub(1));
    shown.get(skip + below)?.process().map(|p| Target::Process(p.id))
}

type Columns = Vec<(Column, &'static str, u16)>;

/// In a narrow terminal the less telling columns go first.
fn columns(width: usize) -> Columns {
    let leaves = |c: Column| match c {
        Column::Threads | Column::Weight if width < 90 => false,
        Column::Read | Column::Write if width < 70 => false,
        Column::IoWait | Column::Memory if width < 50 => false,
        _ => true,
    };
    COLUMNS.iter().filter(|c| leaves(c.0)).map(|c| (c.0, c.1, c.2)).collect()
}

fn heading(columns: &Columns, sort: Column, theme: &Theme) -> Line<'static> {
    let spans = columns.iter().map(|(column, name, width)| {
        let meaning = if *column == sort { Meaning::Accent } else { Meaning::Muted };
        let text = if *column == Column::Name { format!(" {name}") } else { format!("{name:>w$}", w = usize::from(*width)) };
        Span::styled(text, theme.style(meaning))
    });
    Line::from(spans.collect::<Vec<_>>())
}

/// The sums of a group; what cannot be summed up stays empty.
fn group(label: &str, members: &[&ProcFacts], columns: &Columns, theme: &Theme) -> Line<'static> {
    let known = |part: &dyn Fn(&ProcFacts) -> Option<f64>| members.iter().filter_map(|p| part(p)).reduce(|a, b| a + b);
    let figure = |part: &dyn Fn(&ProcFacts) -> Option<f64>| known(part).map_or_else(|| "?".to_owned(), short);
    let size = |part: &dyn Fn(&ProcFacts) -> Option<f64>| known(part).map_or_else(|| "?".to_owned(), bytes);
    let spans = columns.iter().map(|(column, _, width)| {
        let text = match column {
            Column::Pid => format!("{}x", members.len()),
            Column::Cpu => figure(&|p| p.cpu),
            Column::Runnable => figure(&|p| p.runnable),
            Column::IoWait => figure(&|p| p.io_wait),
            Column::Read => size(&|p| p.read_bytes_per_s),
            Column::Write => size(&|p| p.write_bytes_per_s),
            Column::Memory => size(&|p| Some(p.rss_bytes as f64)),
            Column::Threads => figure(&|p| Some(f64::from(p.threads))),
            Column::Weight => String::new(),
            Column::Name => return Span::styled(format!(" {label}"), theme.style(Meaning::Title)),
        };
        Span::styled(format!("{text:>w$}", w = usize::from(*width)), theme.style(Meaning::Title))
    });
    Line::from(spans.collect::<Vec<_>>())
}

fn row(p: &ProcFacts, depth: usize, columns: &Columns, theme: &Theme) -> Line<'static> {
    let figure = |v: Option<f64>| v.map_or_else(|| "?".to_owned(), |v| if v < 0.005 { "0".to_owned() } else { short(v) });
    let size = |v: Option<f64>| v.map_or_else(|| "?".to_owned(), bytes);
    let spans = columns.iter().map(|(column, _, width)| {
        let (text, meaning) = match column {
            Column::Pid => (p.id.pid.to_string(), Meaning::Muted),
            Column::Cpu => (figure(p.cpu), Meaning::Cpu),
            Column::Runnable => (figure(p.runnable), Meaning::Warning),
            Column::IoWait => (figure(p.io_wait), Meaning::Io),
            Column::Read => (size(p.read_bytes_per_s), Meaning::Text),
            Column::Write => (size(p.write_bytes_per_s), Meaning::Text),
            Column::Memory => (bytes(p.rss_bytes as f64), Meaning::Memory),
            Column::Threads => (p.threads.to_string(), Meaning::Muted),
            Column::Weight => (format!("{}{}", p.weight.value, if p.weight.known { "" } else { "?" }), Meaning::Muted),
            Column::Name => return name(p, depth, theme),
        };
        Span::styled(format!("{text:>w$}", w = usize::from(*width)), theme.style(meaning))
    });
    Line::from(spans.collect::<Vec<_>>())
}

fn name(p: &ProcFacts, depth: usize, theme: &Theme) -> Span<'static> {
    let indent = "  ".repeat(depth);
    let command = p.command.as_ref().filter(|c| !c.is_empty());
    let text = match command {
        Some(command) => format!(" {indent}{command}"),
        None if p.kernel => format!(" {indent}[{}]", p.name),
        None => format!(" {indent}{}", p.name),
    };
    Span::styled(text, theme.style(if p.kernel { Meaning::Muted } else { Meaning::Text }))
}
