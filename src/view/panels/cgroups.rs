//! Control groups that have a limit or were held back.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::facts::CgroupFacts;
use crate::model::unit::{bytes, short};
use crate::view::theme::Theme;
use crate::view::widgets::text::packed;
use crate::view::widgets::{lines, titled};

/// ```text
/// ╭ Control groups ────────────────────────────╮
/// │ /web.slice  cpu 0.2 throttled 94 %          │
/// │ /db         mem 900 MiB of 1.0 GiB          │
/// ╰────────────────────────────────────────────╯
/// ```
pub fn draw(picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = titled("Control groups", "with limits", theme, frame, area);
    let width = usize::from(inside.width);
    let groups = match &picture.facts.host.cgroups {
        Ok(groups) => groups,
        Err(lack) => {
            let unknown = Line::from(Span::styled(format!("? {lack}"), theme.style(Meaning::Unknown)));
            return lines(&[unknown], theme, frame, inside);
        }
    };
    let mut limited: Vec<&CgroupFacts> = groups.iter().filter(|g| !describe(g).is_empty()).collect();
    limited
        .sort_by(|a, b| b.throttled_share.unwrap_or(0.0).total_cmp(&a.throttled_share.unwrap_or(0.0)).then(a.path.cmp(&b.path)));
    let mut rows: Vec<Line<'_>> = limited
        .iter()
        .flat_map(|g| {
            let bad = g.throttled_share.is_some_and(|s| s > 0.05) || g.oom_kills.is_some_and(|k| k > 0);
            let name =
                Line::from(Span::styled(g.path.to_string(), theme.style(if bad { Meaning::Warning } else { Meaning::Text })));
            let figures = packed(&describe(g), width.saturating_sub(2)).into_iter();
            let figures = figures.map(|text| Line::from(Span::styled(format!("  {text}"), theme.style(Meaning::Muted))));
            std::iter::once(name).chain(figures)
        })
        .collect();
    if rows.is_empty() {
        let text = format!("none of {} has a limit", groups.len());
        rows.push(Line::from(Span::styled(text, theme.style(Meaning::Muted))));
    }
    lines(&rows, theme, frame, inside);
}

fn describe(g: &CgroupFacts) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(quota) = g.quota_cores {
        let throttled = g.throttled_share.map_or_else(String::new, |s| format!(", throttled {:.0} %", s * 100.0));
        parts.push(format!("cpu {}{throttled}", short(quota)));
    }
    if let Some(limit) = g.memory_limit_bytes {
        let current = g.memory_bytes.map_or_else(|| "?".to_owned(), |b| bytes(b as f64));
        parts.push(format!("mem {current} of {}", bytes(limit as f64)));
    }
    for limit in &g.io_limits {
        parts.push(format!("io {} {}", limit.what, crate::model::unit::count(limit.per_s as f64)));
    }
    if let Some(kills) = g.oom_kills.filter(|k| *k > 0) {
        parts.push(format!("{kills} OOM kills"));
    }
    parts
}
