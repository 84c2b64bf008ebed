//! One figure of each series: large, as bars, as a field of heat.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::answer::{self, Answer};
use crate::config::Meaning;
use crate::model::dashboard::{Panel, legend, show};
use crate::model::prometheus::Line as Series;
use crate::view::theme::Theme;
use crate::view::widgets::{graph, lines as paragraph};

/// The style that a colour's name stands for.
fn style(panel: &Panel, value: f64, theme: &Theme) -> Style {
    theme.style(panel.colour(value).map_or(Meaning::Text, meaning))
}

/// What a colour means: by its hue, else by its name.
fn meaning(colour: &str) -> Meaning {
    match rgb(colour) {
        Some((r, g, b)) if r > b && r > g && g < 0.5 * r => Meaning::Critical,
        Some((r, g, b)) if r >= g && g > b => Meaning::Warning,
        Some((r, g, b)) if g > r && g > b => Meaning::Good,
        Some(_) => Meaning::Info,
        None if colour.contains("red") => Meaning::Critical,
        None if colour.contains("orange") || colour.contains("yellow") => Meaning::Warning,
        None if colour.contains("green") => Meaning::Good,
        None if colour.contains("blue") || colour.contains("purple") => Meaning::Info,
        None => Meaning::Text,
    }
}

/// `#rrggbb`, `rgb(r, g, b)`, `rgba(r, g, b, a)`.
fn rgb(colour: &str) -> Option<(f64, f64, f64)> {
    let parts: Vec<f64> = match colour.strip_prefix('#') {
        Some(hex) => (0..3).filter_map(|n| u8::from_str_radix(hex.get(n * 2..n * 2 + 2)?, 16).ok()).map(f64::from).collect(),
        None => colour.split_once('(')?.1.split([',', ')']).filter_map(|part| part.trim().parse().ok()).collect(),
    };
    match parts[..] {
        [r, g, b, ..] => Some((r, g, b)),
        _ => None,
    }
}

fn text(panel: &Panel, unit: &str, value: Option<f64>) -> String {
    let Some(value) = value else { return "-".into() };
    let written = [format!("{value}"), format!("{value:.0}")];
    let word = written.iter().find_map(|w| panel.words.get(w));
    word.cloned().unwrap_or_else(|| show(unit, panel.decimals, value))
}

/// The figure of a series.
struct Figure {
    name: String,
    value: Option<f64>,
    text: String,
    points: Vec<Option<f64>>,
}

/// The figures of all series.
fn all(panel: &Panel, answers: &[Answer<'_>]) -> Vec<Figure> {
    let one = |(lines, pattern, letter): &Answer<'_>| -> Vec<Figure> {
        let figure = |l: &Series| {
            let name = panel.name_of(pattern, &l.labels, letter);
            let (value, unit) = (l.figure(&panel.calc), panel.unit_of(&name, letter));
            let text = text(panel, unit, value);
            let name = panel.called(&name, letter).map_or(name.clone(), ToOwned::to_owned);
            Figure { text, name, value, points: l.points.clone() }
        };
        lines.all.iter().map(figure).collect()
    };
    answers.iter().flat_map(one).collect()
}

/// A figure, and how it came to it.
pub fn stat(panel: &Panel, answers: &[Answer<'_>], theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let all = all(panel, answers);
    let mut rows: Vec<Line<'_>> = Vec::new();
    let room = usize::from(area.height);
    let (shown, left) = answer::room(answers, all.len(), room);
    for Figure { name, value, text, points } in all.iter().take(shown.max(1)) {
        let figure = Span::styled(format!(" {text} "), value.map_or(theme.style(Meaning::Muted), |v| style(panel, v, theme)));
        let label = if all.len() > 1 { Span::styled(name.clone(), theme.style(Meaning::Muted)) } else { Span::raw("") };
        rows.push(Line::from(vec![figure, label]));
        if all.len() == 1 && room > 1 && points.len() > 2 {
            let width = usize::from(area.width);
            let points = squeezed(points, width);
            let top = points.iter().flatten().copied().fold(1e-12, f64::max);
            rows.push(Line::from(Span::styled(graph::glyphs(&points, top, theme), theme.style(Meaning::Muted))));
        }
    }
    rows.extend(left.map(|left| more(left, theme)));
    paragraph(&rows, theme, frame, area);
}

/// All of the points in so many columns: the mean of those that fall into one.
fn squeezed(points: &[Option<f64>], width: usize) -> Vec<Option<f64>> {
    let n = points.len();
    if n <= width || width == 0 {
        return points.to_vec();
    }
    let column = |c: usize| {
        let known: Vec<f64> = points[c * n / width..(c + 1) * n / width].iter().flatten().copied().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    (0..width).map(column).collect()
}

/// What has no room.
fn more(left: usize, theme: &Theme) -> Line<'static> {
    Line::from(Span::styled(format!(" and {left} more"), theme.style(Meaning::Muted)))
}

/// A bar for each series, against the scale.
pub fn bars(panel: &Panel, answers: &[Answer<'_>], theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let all = all(panel, answers);
    let points = || all.iter().flat_map(|f| &f.points).flatten().copied();
    let low = panel.scale.0.unwrap_or_else(|| points().fold(0.0, f64::min));
    // Without an end of its own the scale ends with the highest that was seen.
    let most = points().chain(all.iter().filter_map(|f| f.value)).fold(f64::NEG_INFINITY, f64::max);
    let whole = match panel.unit.as_str() {
        "percent" => Some(100.0),
        "percentunit" => Some(1.0),
        _ => None,
    };
    let high = panel.scale.1.or(whole).unwrap_or(most).max(low + 1e-12);
    let width = usize::from(area.width);
    // The figure first, then the name, and the bar in what is left.
    let figure = all.iter().map(|f| f.text.chars().count()).max().unwrap_or(0) + 2;
    let longest = all.iter().map(|f| f.name.chars().count()).max().unwrap_or(0);
    let names = if all.len() > 1 { longest.min(width.saturating_sub(figure) / 2) } else { 0 };
    let room = width.saturating_sub(names + 1 + figure);
    let row = |Figure { name, value, text, .. }: &Figure| {
        let share = value.map_or(0.0, |v| ((v - low) / (high - low)).clamp(0.0, 1.0));
        let full = (share * room as f64).round() as usize;
        let bar = theme.pick("█", "#").repeat(full) + &theme.pick("░", ".").repeat(room.saturating_sub(full));
        let name: String = name.chars().take(names).collect();
        Line::from(vec![
            Span::styled(format!("{name:<names$} "), theme.style(Meaning::Muted)),
            Span::styled(bar, value.map_or(theme.style(Meaning::Muted), |v| style(panel, v, theme))),
            Span::raw(format!(" {text}")),
        ])
    };
    let (shown, left) = answer::room(answers, all.len(), usize::from(area.height));
    let rows: Vec<Line<'_>> = all.iter().take(shown.max(1)).map(row).chain(left.map(|left| more(left, theme))).collect();
    paragraph(&rows, theme, frame, area);
}

/// Buckets over time: a line each, the darker the more. Cumulative counts (`le`) are taken apart.
pub fn heat(panel: &Panel, answers: &[Answer<'_>], theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let mut buckets: Vec<(f64, String, Vec<Option<f64>>)> = answers
        .iter()
        .flat_map(|(lines, pattern, _)| lines.all.iter().map(move |l| (l, *pattern)))
        .map(|(l, pattern)| {
            let le = l.labels.iter().find(|(n, _)| n == "le").map_or("", |(_, v)| v.as_str());
            let name = if le.is_empty() { legend(pattern, &l.labels) } else { le.to_owned() };
            (le.parse().unwrap_or(f64::NAN), name, l.points.clone())
        })
        .collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    if buckets.iter().all(|(le, ..)| !le.is_nan()) {
        for at in (1..buckets.len()).rev() {
            let below = buckets[at - 1].2.clone();
            for (own, below) in buckets[at].2.iter_mut().zip(below) {
                *own = own.zip(below).map(|(own, below)| (own - below).max(0.0));
            }
        }
    }
    let top = buckets.iter().flat_map(|(_, _, p)| p).flatten().copied().fold(1e-12, f64::max);
    let shades = if theme.ascii { [" ", ".", ":", "+", "#"] } else { [" ", "░", "▒", "▓", "█"] };
    let width = usize::from(area.width).saturating_sub(10);
    let row = |(_, name, points): &(f64, String, Vec<Option<f64>>)| {
        let from = points.len().saturating_sub(width);
        let shade =
            |v: &Option<f64>| v.map_or(" ", |v| shades[if v > 0.0 { ((v / top * 4.0).ceil() as usize).clamp(1, 4) } else { 0 }]);
        let text: String = points[from..].iter().map(shade).collect();
        let name = name.parse::<f64>().map_or_else(|_| name.clone(), |le| show(&panel.unit, panel.decimals, le));
        Line::from(vec![
            Span::styled(format!("{name:>9.9} "), theme.style(Meaning::Muted)),
            Span::styled(text, theme.style(Meaning::Cpu)),
        ])
    };
    let rows: Vec<Line<'_>> = buckets.iter().rev().take(usize::from(area.height)).map(row).collect();
    paragraph(&rows, theme, frame, area);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_mean_what_they_look_like() {
        for (colour, is) in [
            ("#d44a3a", Meaning::Critical),
            ("#F2495C", Meaning::Critical),
            ("rgba(245, 54, 54, 0.9)", Meaning::Critical),
            ("dark-red", Meaning::Critical),
            ("#EAB839", Meaning::Warning),
            ("rgba(237, 129, 40, 0.89)", Meaning::Warning),
            ("semi-dark-orange", Meaning::Warning),
            ("#299c46", Meaning::Good),
            ("rgba(50, 172, 45, 0.97)", Meaning::Good),
            ("#5794F2", Meaning::Info),
            ("text", Meaning::Text),
            ("#zz", Meaning::Text),
        ] {
            assert_eq!(meaning(colour), is, "{colour}");
        }
    }
}
