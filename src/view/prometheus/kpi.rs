//! How key figures stand, and the last hour of the selected one.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::prometheus::kpis::{banner, meaning};
use crate::config::Meaning;
use crate::detect::kpi::standing;
use crate::model::kpi::{Kpis, Measured};
use crate::view::theme::Theme;
use crate::view::widgets::graph::glyphs;
use crate::view::widgets::lines;

/// ```text
///  16 key figures: 1 critical, 0 warning, 3 missed, 6 good, 6 not known
///  API latency, p99 ▂▂▂▂▂▂▂▅▅█████
///  31 queries, 210 KiB, 0.4 s
/// ```
pub fn draw(kpis: &Kpis, selected: Option<&Measured>, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let told = banner(kpis).into_iter().map(|(text, m)| Line::from(Span::styled(format!(" {text}"), theme.style(m))));
    let mut all: Vec<Line<'_>> = told.collect();
    if let Some(m) = selected.filter(|m| m.now().is_some()) {
        // Of an open bucket its lower end is all that is known.
        let figures: Vec<Option<f64>> =
            m.points.iter().map(|p| p.map(|(low, high)| if high.is_finite() { high } else { low })).collect();
        let top = figures.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
        let line = vec![
            Span::styled(format!(" {:<27} ", m.kpi.says), theme.style(Meaning::Muted)),
            Span::styled(glyphs(&figures, top, theme), theme.style(meaning(&standing(m)))),
            Span::styled(theme.text(&format!("  up to {}", m.kpi.unit.show(top))), theme.style(Meaning::Muted)),
        ];
        all.insert(1, Line::from(line));
    }
    lines(&all, theme, frame, area);
}
