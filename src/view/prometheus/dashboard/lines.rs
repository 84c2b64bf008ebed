//! Lines over time: dots of braille with axes; each series has a letter at its end and in the legend, so that it is told apart without colour.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Chart, Dataset, GraphType};

use super::answer::Answer;
use crate::config::Meaning;
use crate::model::dashboard::{Panel, show};
use crate::model::prometheus::Lines;
use crate::model::unit::seconds;
use crate::view::theme::Theme;
use crate::view::widgets::lines as paragraph;

/// Series that get a letter.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";
/// The colours of series, in turn.
const COLOURS: [Meaning; 6] = [Meaning::Cpu, Meaning::Io, Meaning::Memory, Meaning::Network, Meaning::Good, Meaning::Warning];
/// Labels of the legend at most, and its width.
const LEGEND: u16 = 34;

struct Series {
    name: String,
    unit: String,
    points: Vec<(f64, f64)>,
    last: Option<f64>,
    at_cursor: Option<f64>,
    /// Figures of all points, by what makes them.
    calcs: Vec<(String, f64)>,
    /// Not stacked with the others.
    apart: bool,
}

/// Draws them; `cursor`: the panel stands alone, with a cursor so many points before the end.
pub fn draw(panel: &Panel, answers: &[Answer<'_>], cursor: Option<usize>, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let begin_ms = answers.iter().map(|(l, ..)| l.begin_ms).min().unwrap_or(0);
    // In seconds since the first point: queries may have steps of their own.
    let step_s = answers.iter().map(|(l, ..)| l.step_s).min().unwrap_or(15).max(1);
    let end = |(l, ..): &Answer<'_>| {
        let points = l.all.iter().map(|l| l.points.len()).max().unwrap_or(1);
        offset(l, begin_ms) + points.saturating_sub(1) as f64 * l.step_s.max(1) as f64
    };
    let right = answers.iter().map(end).fold(step_s as f64, f64::max);
    let at = cursor.map(|back| (right - back as f64 * step_s as f64).max(0.0));
    let mut all = series(panel, answers, begin_ms, at);
    if panel.stacked {
        stack(&mut all);
    }
    let alone = cursor.is_some();
    let wide = area.width >= 60 && all.len() > 1 || alone;
    let [chart, beside] = match wide {
        true => Layout::horizontal([Constraint::Min(20), Constraint::Length(legend_width(&all, alone).min(area.width / 2))])
            .areas(area),
        false => [area, Rect::default()],
    };
    let ends = |pick: fn(f64, f64) -> f64, first: f64| {
        all.iter().flat_map(|s| &s.points).map(|(_, v)| *v).filter(|v| v.is_finite()).fold(first, pick)
    };
    let (mut low, mut high) = (ends(f64::min, f64::INFINITY), ends(f64::max, f64::NEG_INFINITY));
    if !low.is_finite() || !high.is_finite() {
        (low, high) = (0.0, 1.0);
    }
    low = panel.scale.0.unwrap_or(low.min(0.0)).min(low);
    high = panel.scale.1.filter(|m| *m > low).unwrap_or(high).max(high);
    if high <= low {
        high = low + low.abs().max(1.0);
    }
    let style = |n: usize| -> Style { theme.style(COLOURS[n % COLOURS.len()]) };
    let marker = if theme.ascii { Marker::Custom('*') } else { Marker::Braille };
    let mut sets: Vec<Dataset<'_>> = all
        .iter()
        .enumerate()
        .map(|(n, s)| Dataset::default().marker(marker).graph_type(GraphType::Line).style(style(n)).data(&s.points))
        .collect();
    let line = at.map(|at| [(at, low), (at, high)]);
    if let Some(line) = &line {
        sets.push(Dataset::default().marker(marker).graph_type(GraphType::Line).style(theme.style(Meaning::Muted)).data(line));
    }
    let muted = theme.style(Meaning::Muted);
    let label = |v: f64| Span::styled(show(&panel.unit, panel.decimals, v), muted);
    let time = |s: f64| Span::styled(clock(begin_ms + (s * 1e3) as i64, right), muted);
    let y = match chart.height {
        0..=5 => vec![label(low), label(high)],
        _ => vec![label(low), label(low + (high - low) / 2.0), label(high)],
    };
    let chart_ = Chart::new(sets)
        .x_axis(Axis::default().bounds([0.0, right]).style(muted).labels(vec![time(0.0), time(right / 2.0), time(right)]))
        .y_axis(Axis::default().bounds([low, high]).style(muted).labels(y))
        .legend_position(None);
    frame.render_widget(chart_, chart);
    letters(&all, (low, high), theme, frame, chart);
    if wide {
        list(panel, &all, (at.map(|at| clock(begin_ms + (at * 1e3) as i64, right)), answers), theme, frame, beside);
    } else if let [only] = all.as_slice()
        && area.width >= 24
    {
        // What there is only one of needs no list: its newest figure stands in the corner.
        let text = theme.text(&only.last.map_or_else(|| "-".to_owned(), |v| show(&only.unit, panel.decimals, v)));
        let width = (text.chars().count() as u16 + 1).min(area.width);
        let corner = Rect { x: area.right() - width, y: area.y, width, height: 1 };
        frame.render_widget(Line::from(Span::styled(text, theme.style(Meaning::Title))), corner);
    }
}

/// The width of the list of names: as wide as they are where the panel stands alone.
fn legend_width(all: &[Series], alone: bool) -> u16 {
    const FIGURE: usize = 16;
    const CALC: usize = 18;
    let widest = all.iter().map(|s| s.name.chars().count() + s.calcs.len() * CALC + FIGURE).max().unwrap_or(0);
    if alone { u16::try_from(widest).unwrap_or(u16::MAX).max(LEGEND) } else { LEGEND }
}

/// Seconds from the first point of all to that of an answer.
fn offset(lines: &Lines, begin_ms: i64) -> f64 {
    (lines.begin_ms - begin_ms) as f64 / 1e3
}

fn series(panel: &Panel, answers: &[Answer<'_>], begin_ms: i64, at: Option<f64>) -> Vec<Series> {
    let mut all = Vec::new();
    for (lines, pattern, letter) in answers {
        let (off, step) = (offset(lines, begin_ms), lines.step_s.max(1) as f64);
        for line in &lines.all {
            let points = line.points.iter().enumerate().filter_map(|(n, v)| Some((off + n as f64 * step, (*v)?)));
            let place = at.map(|at| (at - off) / step).filter(|place| *place > -0.5).map(|place| place.round() as usize);
            let name = panel.name_of(pattern, &line.labels, letter);
            if panel.has(&name, letter, |o| o.hidden) {
                continue;
            }
            let sign = if panel.has(&name, letter, |o| o.below) { -1.0 } else { 1.0 };
            let calcs = panel.calcs.iter().filter_map(|calc| Some((calc.as_str(), line.figure(calc)?)));
            all.push(Series {
                unit: panel.unit_of(&name, letter).to_owned(),
                calcs: calcs.map(|(calc, v)| (calc.to_owned(), v)).collect(),
                apart: panel.has(&name, letter, |o| o.apart),
                name: panel.called(&name, letter).map_or(name.clone(), ToOwned::to_owned),
                points: points.map(|(x, v)| (x, v * sign)).collect(),
                last: line.figure("last"),
                at_cursor: place.and_then(|place| line.points.get(place).copied().flatten()),
            });
        }
    }
    all
}

/// Each upon those before it.
fn stack(all: &mut [Series]) {
    // What is below the axis is stacked downwards.
    let mut below: std::collections::BTreeMap<(u64, bool), f64> = std::collections::BTreeMap::new();
    for s in all.iter_mut().filter(|s| !s.apart) {
        for (x, v) in &mut s.points {
            let base = below.entry((*x as u64, *v < 0.0)).or_insert(0.0);
            *base += *v;
            *v = *base;
        }
    }
}

/// A letter at the end of each series.
fn letters(all: &[Series], (low, high): (f64, f64), theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    if all.len() < 2 || area.height < 4 {
        return;
    }
    let inner = f64::from(area.height.saturating_sub(3).max(1));
    for (n, s) in all.iter().enumerate().take(LETTERS.len()) {
        let Some((_, v)) = s.points.last() else { continue };
        let up = ((v - low) / (high - low) * inner).clamp(0.0, inner).round() as u16;
        let y = (area.bottom().saturating_sub(3)).saturating_sub(up).max(area.y);
        if let Some(cell) = frame.buffer_mut().cell_mut((area.right().saturating_sub(1), y)) {
            cell.set_symbol(&LETTERS[n..=n]).set_style(theme.style(COLOURS[n % COLOURS.len()]));
        }
    }
}

/// The names with their figures: at the cursor, else the newest.
fn list(
    panel: &Panel,
    all: &[Series],
    (cursor, answers): (Option<String>, &[Answer<'_>]),
    theme: &Theme,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let mut rows: Vec<Line<'_>> = Vec::new();
    if let Some(at) = &cursor {
        rows.push(Line::from(Span::styled(format!(" at {at}"), theme.style(Meaning::Title))));
    }
    let room = usize::from(area.height).saturating_sub(rows.len());
    let width = usize::from(area.width).saturating_sub(14);
    for (n, s) in all.iter().enumerate() {
        if n + 1 >= room && all.len() > room {
            let found: usize = answers.iter().map(|(l, ..)| l.found).sum();
            rows.push(Line::from(Span::styled(format!(" and {} more", found - n), theme.style(Meaning::Muted))));
            break;
        }
        let value = if cursor.is_some() { s.at_cursor } else { s.last };
        let letter = LETTERS.get(n..=n).unwrap_or(" ");
        let calcs: Vec<String> =
            s.calcs.iter().map(|(calc, v)| format!("{calc} {}", show(&s.unit, panel.decimals, *v))).collect();
        // Where there is room, what the whole time made of it.
        let calcs = if cursor.is_some() && !calcs.is_empty() { format!("  {}", calcs.join("  ")) } else { String::new() };
        let name = fit(&s.name, width.saturating_sub(calcs.chars().count()).max(12)) + &calcs;
        let figure = value.map_or_else(|| "-".to_owned(), |v| show(&s.unit, panel.decimals, v));
        rows.push(Line::from(vec![
            Span::styled(format!(" {letter} "), theme.style(COLOURS[n % COLOURS.len()])),
            Span::raw(format!("{figure:>9} ")),
            Span::styled(name, theme.style(Meaning::Muted)),
        ]));
    }
    paragraph(&rows, theme, frame, area);
}

/// A name in so many columns: what begins alike ends differently.
fn fit(name: &str, width: usize) -> String {
    let n = name.chars().count();
    if n <= width {
        return name.to_owned();
    }
    let head = width.saturating_sub(1) / 3;
    let tail = width.saturating_sub(1 + head);
    name.chars().take(head).chain(['…']).chain(name.chars().skip(n - tail)).collect()
}

/// The time of day, UTC as everywhere on the screen; the day as well where more than one is in sight.
fn clock(ms: i64, span_s: f64) -> String {
    let form = if span_s > 86_400.0 { "%m-%d %H:%M" } else { "%H:%M" };
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| seconds(ms as f64 / 1e3), |at| at.strftime(form).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::prometheus::Line as Told;

    #[test]
    fn queries_of_different_steps_stand_at_their_times() {
        let lines = |step_s: u64, points: Vec<Option<f64>>| Lines {
            begin_ms: 1_000_000,
            step_s,
            all: vec![Told { points, ..Told::default() }],
            found: 1,
        };
        let (fine, coarse) = (lines(20, vec![Some(1.0); 7]), lines(60, vec![Some(5.0), None, Some(7.0)]));
        let all = series(&Panel::default(), &[(&fine, "", "A"), (&coarse, "", "B")], 1_000_000, Some(120.0));
        assert_eq!((all[0].points.last(), all[1].points.last()), (Some(&(120.0, 1.0)), Some(&(120.0, 7.0))));
        assert_eq!((all[0].at_cursor, all[1].at_cursor), (Some(1.0), Some(7.0)));
        assert_eq!((clock(1_795_980_000_000, 3_600.0).len(), clock(1_795_980_000_000, 604_800.0).len()), (5, 11));
    }
}
