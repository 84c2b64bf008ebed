//! What is left of the selected resource: its readings, and where they lead.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Chart, Dataset, GraphType};

use crate::app::prometheus::capacity::{banner, meaning};
use crate::config::Meaning;
use crate::model::capacity::{Capacity, Left};
use crate::model::trend::{Eta, Outlook};
use crate::model::unit::seconds;
use crate::view::theme::Theme;
use crate::view::widgets::lines;

/// Rows below which there is no chart.
const CHART: u16 = 4;

/// ```text
///  readings of 14 d, one each 60 min; 41 queries, 80 KiB, 0.9 s
///  file system db3 /var: in 5 d (80 %: 4 d to 8 d)
/// 40G⡀                       ┊⢄
///    ⠈⠉⠒⠒⠤⠤⣀⣀              ┊ ⠈⠢⡀
///  0│           ⠉⠉⠒⠒⠤⠤⣀⣀⡀ ┊     ⠑⢄
/// ```
pub fn draw(capacity: &Capacity, selected: Option<&Left>, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let mut all: Vec<Line<'_>> = Vec::new();
    if let Some(left) = selected {
        let text = format!(" {}: {}", left.title(), left.outlook.says());
        all.push(Line::from(Span::styled(text, theme.style(meaning(left, capacity.limits_s)))));
    }
    let told = banner(capacity).into_iter().map(|(text, m)| Line::from(Span::styled(format!(" {text}"), theme.style(m))));
    all.extend(told);
    let drawn = selected.filter(|l| l.points.iter().flatten().count() > 1 && area.height >= 2 + CHART);
    let Some(left) = drawn else { return lines(&all, theme, frame, area) };
    all.truncate(2);
    let [words, graph] = Layout::vertical([Constraint::Length(2), Constraint::Min(CHART)]).areas(area);
    lines(&all, theme, frame, words);
    chart(capacity, left, theme, frame, graph);
}

fn chart(capacity: &Capacity, left: &Left, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let (span, step) = (capacity.span_s as f64, capacity.step_s as f64);
    let points: Vec<(f64, f64)> =
        left.points.iter().enumerate().filter_map(|(n, v)| Some((n as f64 * step - span, (*v)?))).collect();
    let eta = match left.outlook {
        Outlook::RunsOut(eta) => Some(eta),
        _ => None,
    };
    // The future takes half of the picture at most.
    let right = eta.map_or(span * 0.1, |Eta { late_s, .. }| late_s.min(span));
    let lead = |at_s: f64| vec![(0.0, left.left), (at_s, 0.0)];
    let (middle, early, late) = (eta.map(|e| lead(e.at_s)), eta.map(|e| lead(e.early_s)), eta.map(|e| lead(e.late_s)));
    let now = [(0.0, 0.0), (0.0, left.left.max(0.0))];
    let top = points.iter().map(|(_, v)| *v).fold(left.left, f64::max).max(f64::MIN_POSITIVE);
    let marker = if theme.ascii { Marker::Custom('*') } else { Marker::Braille };
    let set = |data, m: Meaning| Dataset::default().marker(marker).graph_type(GraphType::Line).style(theme.style(m)).data(data);
    let mut sets = vec![set(&now, Meaning::Muted)];
    sets.extend([&early, &late].into_iter().flatten().map(|data| set(data, Meaning::Muted)));
    sets.extend(middle.iter().map(|data| set(data, meaning(left, capacity.limits_s))));
    sets.push(set(&points, Meaning::Io));
    let muted = theme.style(Meaning::Muted);
    let word = |text: String| Span::styled(theme.text(&text), muted);
    let x = vec![word(format!("{} ago", seconds(span))), word(format!("in {}", seconds(right)))];
    let y = vec![word(left.unit.show(0.0)), word(left.unit.show(top))];
    let chart = Chart::new(sets)
        .x_axis(Axis::default().bounds([-span, right]).style(muted).labels(x))
        .y_axis(Axis::default().bounds([0.0, top]).style(muted).labels(y))
        .legend_position(None);
    frame.render_widget(chart, area);
}
