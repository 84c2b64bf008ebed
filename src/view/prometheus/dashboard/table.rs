//! A table: a row for each series, its labels and its figures, joined where several queries have the same labels.

use std::collections::BTreeMap;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::answer::Answer;
use crate::config::Meaning;
use crate::model::dashboard::{Panel, show};
use crate::view::theme::Theme;
use crate::view::widgets::lines as paragraph;

/// Draws it.
pub fn draw(panel: &Panel, answers: &[Answer<'_>], theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let hidden = |name: &str| {
        name.starts_with("__") || panel.columns.hidden.iter().any(|h| h == name) || panel.has(name, "", |o| o.hidden)
    };
    let mut rows: BTreeMap<Vec<(String, String)>, Vec<Option<f64>>> = BTreeMap::new();
    let count = answers.len();
    for (at, (lines, ..)) in answers.iter().enumerate() {
        for line in &lines.all {
            let own: Vec<(String, String)> = line.labels.iter().filter(|(n, _)| !hidden(n)).cloned().collect();
            let figures = rows.entry(own).or_insert_with(|| vec![None; count]);
            figures[at] = line.figure("last");
        }
    }
    let mut names: Vec<String> = rows.keys().flatten().map(|(n, _)| n.clone()).collect();
    names.sort();
    names.dedup();
    let renamed = |name: &str| {
        let own = panel.columns.renamed.get(name).map(String::as_str).or_else(|| panel.called(name, ""));
        own.unwrap_or(name).to_owned()
    };
    // By the answers: a query may have none.
    let letter = |at: usize| answers.get(at).map_or("", |(_, _, letter)| *letter);
    let value = |at: usize| {
        let names = [format!("Value #{}", letter(at)), "Value".to_owned()];
        let own = |n: &String| panel.columns.renamed.get(n).map(String::as_str).or_else(|| panel.called(n, letter(at)));
        names.iter().find_map(own).map(ToOwned::to_owned)
    };
    let shown: Vec<usize> = (0..count).filter(|at| !hidden(&format!("Value #{}", letter(*at)))).collect();
    let figures_of = |figures: &[Option<f64>]| -> Vec<String> {
        let unit = |at: usize| panel.unit_of(&value(at).unwrap_or_else(|| format!("Value #{}", letter(at))), letter(at));
        shown.iter().map(|at| figures[*at].map_or_else(|| "-".to_owned(), |v| show(unit(*at), panel.decimals, v))).collect()
    };
    // The largest first, as far as there is room.
    let mut all: Vec<_> = rows.into_iter().collect();
    all.sort_by(|a, b| {
        b.1.first()
            .copied()
            .flatten()
            .unwrap_or(f64::NEG_INFINITY)
            .total_cmp(&a.1.first().copied().flatten().unwrap_or(f64::NEG_INFINITY))
    });
    let cell =
        |row: &[(String, String)], name: &str| row.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str()).to_owned();
    let width_of = |name: &str| {
        all.iter().map(|(r, _)| cell(r, name).chars().count()).chain([renamed(name).chars().count()]).max().unwrap_or(1).min(30)
    };
    const FIGURE: usize = 12;
    let head: String = names.iter().map(|n| format!("{:<w$.w$} ", renamed(n), w = width_of(n))).collect::<String>()
        + &shown
            .iter()
            .map(|at| {
                format!(
                    "{:>FIGURE$.FIGURE$} ",
                    value(*at).unwrap_or_else(|| if count > 1 { format!("Value #{}", letter(*at)) } else { "Value".into() })
                )
            })
            .collect::<String>();
    let mut out = vec![Line::from(Span::styled(format!(" {head}"), theme.style(Meaning::Title)))];
    // Rows of several queries are joined: of each as many are cut as it has too many.
    let cut: usize = answers.iter().map(|(l, ..)| l.found.saturating_sub(l.all.len())).max().unwrap_or(0);
    let room = usize::from(area.height).saturating_sub(1);
    let fits = all.len() <= room && cut == 0;
    for (row, figures) in all.iter().take(if fits { room } else { room.saturating_sub(1).max(1) }) {
        let labels: String = names.iter().map(|n| format!("{:<w$.w$} ", cell(row, n), w = width_of(n))).collect();
        let figures: String = figures_of(figures).into_iter().map(|f| format!("{f:>FIGURE$} ")).collect();
        out.push(Line::from(format!(" {labels}{figures}")));
    }
    if !fits && room > 1 {
        let left = all.len() + cut - (room - 1).min(all.len());
        out.push(Line::from(Span::styled(format!(" and {left} more"), theme.style(Meaning::Muted))));
    }
    paragraph(&out, theme, frame, area);
}
