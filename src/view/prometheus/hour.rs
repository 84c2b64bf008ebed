//! The last hour of the objective that is selected, else of the first: requests, the share that failed against its factors, quantiles.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{capacity, kpi};
use crate::app::prometheus::fleet::banner;
use crate::app::prometheus::rows::{bar, state};
use crate::app::prometheus::{CAPACITY, FLEET, KPIS, NEEDS};
use crate::app::tables::ServerView;
use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::prometheus::{Counted, Quantile};
use crate::model::source::SourceKind;
use crate::model::unit::{count, seconds, short};
use crate::view::theme::Theme;
use crate::view::widgets::absent::{self, Absent};
use crate::view::widgets::{lines, titled};

/// What is said where there is none.
const ABSENT: Absent =
    Absent { kind: SourceKind::Prometheus, name: "Prometheus", named_by: "perftop --prometheus http://HOST:9090" };

/// ```text
/// ╭ checkout 99.9 % ─────────────────── prometheus:main Prometheus 2.42.0 ╮
/// │ budget        41 % ▓▓▓▓▓░░░░░░░  spent in 19 h                         │
/// │ requests/s    120  ▂▃▅▇█▇▅▃▂                                           │
/// │ failed       1.5 % ▁▁▁▁▁▇██   14x the pace                             │
/// │ p50 p95 p99   100 to 250 ms · 250 to 500 ms · 1 s and more             │
/// ╰────────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(view: &ServerView, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    if area.height < 3 {
        return;
    }
    let server = view.of(&picture.facts);
    let Some(p) = picture.facts.servers.prometheus.iter().find(|p| Some(p.id.as_str()) == server) else {
        return absent::draw("Objectives", &ABSENT, picture, theme, frame, area);
    };
    let who = p.instance.as_ref().map_or_else(String::new, |i| format!("{} {}", i.flavour.name(), i.version.shown()));
    let lost = picture.diagnosis.sources.iter().find(|s| s.id == p.id).and_then(|s| s.why.as_deref());
    let heading = format!("{} {who}{}", p.id, lost.map_or_else(String::new, |why| format!(" · {why}")));
    if view.tab == FLEET {
        let inside = titled("Fleet", &heading, theme, frame, area);
        let all: Vec<Line<'_>> = match &p.fleet {
            Ok(fleet) => {
                banner(fleet).into_iter().map(|(text, m)| Line::from(Span::styled(format!(" {text}"), theme.style(m)))).collect()
            }
            Err(lack) => vec![Line::from(Span::styled(format!(" ? {lack}"), theme.style(Meaning::Muted)))],
        };
        return lines(&all, theme, frame, inside);
    }
    if view.tab == CAPACITY || view.tab == NEEDS {
        let inside = titled("Capacity", &heading, theme, frame, area);
        return match &p.capacity {
            Ok(found) => {
                let selected = found.left.iter().find(|l| Some(l.key()) == view.selected).or(found.left.first());
                capacity::draw(found, selected.filter(|_| view.tab == CAPACITY), theme, frame, inside);
            }
            Err(lack) => {
                lines(&[Line::from(Span::styled(format!(" ? {lack}"), theme.style(Meaning::Muted)))], theme, frame, inside)
            }
        };
    }
    if view.tab == KPIS {
        let inside = titled("Key figures", &heading, theme, frame, area);
        return match &p.kpis {
            Ok(found) => {
                let selected = found.all.iter().find(|m| Some(&m.kpi.name) == view.selected.as_ref());
                kpi::draw(found, selected.or(found.all.first()), theme, frame, inside);
            }
            Err(lack) => {
                lines(&[Line::from(Span::styled(format!(" ? {lack}"), theme.style(Meaning::Muted)))], theme, frame, inside)
            }
        };
    }
    let rows = view.rows(&picture.facts);
    let selected = view.selected.as_ref().or(rows.first().map(|r| &r.key));
    let shown = p.counted.iter().find(|c| Some(&c.objective.name) == selected).or(p.counted.first());
    let Some(counted) = shown else {
        let inside = titled("Objectives", &heading, theme, frame, area);
        let text = "no objectives yet: write [objectives.NAME] into the configuration (`perftop config example` shows how)";
        return lines(&[Line::from(Span::styled(text, theme.style(Meaning::Muted)))], theme, frame, inside);
    };
    let o = &counted.objective;
    let title = format!("{} {} %", o.name, o.percent());
    let inside = titled(&title, &heading, theme, frame, area);
    let width = usize::from(inside.width).saturating_sub(28);
    let all = rows_of(counted, width, theme);
    lines(&all, theme, frame, inside);
}

fn rows_of(counted: &Counted, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let muted = |text: String| Span::styled(text, theme.style(Meaning::Muted));
    let (state, meaning) = state(counted);
    let line = |label: &str, figure: String, tail: Vec<Span<'static>>| {
        let mut spans = vec![muted(format!(" {label:<15}")), Span::styled(format!("{figure:>10} "), theme.style(Meaning::Text))];
        spans.extend(tail);
        Line::from(spans)
    };
    let left = counted.left().map(|(left, _)| left);
    let budget = left.map_or_else(String::new, |l| theme.text(&bar(l, width.min(24))));
    let mut all = vec![line(
        "budget left",
        left.map_or_else(|| "?".to_owned(), |l| format!("{} %", short(l * 100.0))),
        vec![Span::styled(budget, theme.style(meaning)), Span::styled(format!("  {state}"), theme.style(meaning))],
    )];
    let rates: Vec<Option<f64>> = counted.recent.iter().map(|p| p.per_s.map(f64::from)).collect();
    let failed: Vec<Option<f64>> = counted.recent.iter().map(|p| p.failed.map(f64::from)).collect();
    // What ended minutes ago is not the present.
    let newest = |v: &[Option<f64>]| v.iter().rev().take(3).find_map(|v| *v);
    let top = |v: &[Option<f64>]| v.iter().flatten().copied().fold(1e-9, f64::max);
    let peak = top(&rates);
    let figure = newest(&rates).map_or_else(|| "?".to_owned(), count);
    all.push(line("requests/s", figure, vec![Span::styled(spark(&rates, peak, width, theme), theme.style(Meaning::Cpu))]));
    let worst = top(&failed).max(counted.objective.allowance());
    let share = newest(&failed).map_or_else(|| "?".to_owned(), |f| format!("{} %", short(f * 100.0)));
    let pace = newest(&failed).map_or_else(String::new, |f| format!("  burn rate {}x", short(f / counted.objective.allowance())));
    all.push(line(
        "failed",
        share,
        vec![Span::styled(spark(&failed, worst, width.min(60), theme), theme.style(meaning)), muted(pace)],
    ));
    if !counted.quantiles.is_empty() {
        let text = |q: &Quantile| match q.high_s.is_finite() {
            true => format!("p{} {} to {}", short(q.of * 100.0), seconds(q.low_s), seconds(q.high_s)),
            false => format!("p{} {} and more", short(q.of * 100.0), seconds(q.low_s)),
        };
        let all_of: Vec<String> = counted.quantiles.iter().map(text).collect();
        all.push(Line::from(vec![muted(format!(" {:<15}", "quantiles")), Span::raw(all_of.join(" · "))]));
    }
    all
}

fn spark(points: &[Option<f64>], top: f64, width: usize, theme: &Theme) -> String {
    let from = points.len().saturating_sub(width);
    crate::view::widgets::graph::glyphs(&points[from..], top, theme)
}
