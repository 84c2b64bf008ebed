//! A dashboard: its variables, and its panels in their places.

mod answer;
mod figures;
mod lines;
mod place;
mod report;
mod table;

use answer::{Answer, title};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use crate::app::keymap::Action;
use crate::app::{App, DashboardView};
use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::dashboard::{Panel, PanelKind, Source};
use crate::model::seen::Lack;
use crate::model::unit::seconds;
use crate::view::theme::Theme;
use crate::view::widgets::{lines as paragraph, titled};

/// ```text
///  Node Exporter  job=node instance=db3  last 60 min
/// ╭ CPU busy ──────╮╭ Load ──────────╮╭ Memory ────────────────────────╮
/// │      71 %      ││      2.4       ││ 8 GiB ⣀⡠⠤⠒⠉                     │
/// ╰────────────────╯╰────────────────╯╰────────────────────────────────╯
/// ```
pub fn draw(app: &App, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let Some(view) = app.board() else {
        let inside = titled("Dashboards", "", theme, frame, area);
        let text = "no dashboards: perftop --dashboard FILE";
        return paragraph(&[Line::from(Span::styled(text, theme.style(Meaning::Muted)))], theme, frame, inside);
    };
    let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    frame.render_widget(heading(app, view, theme), head);
    let source = app.board_source();
    if view.report {
        return report::draw(view, picture, source.as_deref(), theme, frame, body);
    }
    let draw_one = |panel: &Panel, place: Rect, selected: bool, frame: &mut Frame<'_>| {
        one(view, picture, source.as_deref(), (panel, selected), theme, frame, place);
    };
    if view.alone.is_some() {
        if let Some(panel) = view.panel() {
            draw_one(panel, body, false, frame);
        }
        return;
    }
    for (at, rect) in place::places(&view.dashboard.panels, view.selected, body) {
        draw_one(&view.dashboard.panels[at], rect, at == view.selected, frame);
    }
}

fn heading(app: &App, view: &DashboardView, theme: &Theme) -> Line<'static> {
    let several =
        if app.dashboards.len() > 1 { format!(" ({} of {})", app.dashboard + 1, app.dashboards.len()) } else { String::new() };
    let mut spans = vec![Span::styled(theme.text(&format!(" {}{several}  ", view.dashboard.title)), theme.style(Meaning::Title))];
    // A data source is none to choose: there is one here.
    let asked = |(_, v): &(usize, &crate::model::dashboard::Variable)| v.source != Source::Datasource && !v.hidden;
    for (at, v) in view.dashboard.variables.iter().enumerate().filter(asked) {
        let style = theme.style(if at == view.variable { Meaning::Info } else { Meaning::Muted });
        let mark = if at == view.variable { theme.pick("▸", ">") } else { "" };
        let text = format!("{mark}{}={} ", crate::model::foreign::tamed(&v.name), view.shown(&v.name));
        spans.push(Span::styled(theme.text(&text), style));
    }
    let key = |action: Action| app.key_of(action);
    let next = if app.dashboards.len() > 1 { format!(" · {} next", key(Action::Dashboards)) } else { String::new() };
    let keys = format!(
        " last {}   {} {} time · {} {} variables · {} report{next}",
        seconds(view.span_s as f64),
        key(Action::Faster),
        key(Action::Slower),
        key(Action::NextVariable),
        key(Action::NextValue),
        key(Action::Report)
    );
    spans.push(Span::styled(theme.text(&keys), theme.style(Meaning::Muted)));
    Line::from(spans)
}

fn one(
    view: &DashboardView,
    picture: &Picture,
    source: Option<&str>,
    (panel, selected): (&Panel, bool),
    theme: &Theme,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let title = title(view, panel);
    if panel.kind == PanelKind::Row {
        let text = format!("{} {}", theme.pick("▾", "v"), theme.text(&title));
        return frame.render_widget(Line::from(Span::styled(text, theme.style(Meaning::Title))), area);
    }
    let mark = if selected { theme.pick("▸", ">") } else { "" };
    let note = |text: String, meaning: Meaning, frame: &mut Frame<'_>, inside: Rect| {
        paragraph(&[Line::from(Span::styled(text, theme.style(meaning)))], theme, frame, inside);
    };
    // Some of its queries may have no answer while others are drawn.
    let asked: Vec<_> =
        (0..panel.targets.len()).map(|at| source.and_then(|source| view.lines(picture, source, panel, at))).collect();
    let failed: Vec<(&str, &Lack)> =
        panel.targets.iter().zip(&asked).filter_map(|(t, a)| Some((t.id.as_str(), a.as_ref()?.as_ref().err()?))).collect();
    let some_failed = if failed.len() == panel.targets.len() { None } else { failed.first() };
    let room = usize::from(area.width) > title.chars().count() + 36;
    let missing = some_failed.map_or_else(String::new, |(letter, _)| match room {
        true => format!("? query {letter} has no answer"),
        false => format!("? {letter}"),
    });
    let inside = titled(&format!("{mark}{title}"), &missing, theme, frame, area);
    match panel.kind {
        PanelKind::Text => {
            let rows: Vec<Line<'_>> = panel.text.lines().map(|l| Line::from(l.to_owned())).collect();
            return paragraph(&rows, theme, frame, inside);
        }
        PanelKind::LeftOut => {
            return note(panel.text.clone(), Meaning::Muted, frame, inside);
        }
        _ => {}
    }
    if source.is_none() {
        return note("no Prometheus answers".into(), Meaning::Muted, frame, inside);
    }
    let answers: Vec<Answer<'_>> = asked
        .iter()
        .zip(&panel.targets)
        .filter_map(|(a, t)| Some((*a.as_ref()?.as_ref().ok()?, t.legend.as_str(), t.id.as_str())))
        .collect();
    if answers.iter().all(|(lines, ..)| lines.all.is_empty()) {
        return match failed.first() {
            Some((_, lack)) => note(format!("? {lack}"), Meaning::Warning, frame, inside),
            None if answers.is_empty() => note(theme.pick("…", "...").to_owned(), Meaning::Muted, frame, inside),
            None => note("no series".into(), Meaning::Muted, frame, inside),
        };
    }
    if answers.iter().flat_map(|(l, ..)| &l.all).all(|l| l.native) {
        return note("native histograms cannot be drawn; a quantile of them can".into(), Meaning::Muted, frame, inside);
    }
    match panel.kind {
        PanelKind::Stat => figures::stat(panel, &answers, theme, frame, inside),
        PanelKind::Gauge | PanelKind::Bars => figures::bars(panel, &answers, theme, frame, inside),
        PanelKind::Table => table::draw(panel, &answers, theme, frame, inside),
        PanelKind::Heatmap => figures::heat(panel, &answers, theme, frame, inside),
        _ => lines::draw(panel, &answers, view.alone, theme, frame, inside),
    }
}
