//! Triage (1): the verdict, the causes, why, what to do.

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::app::App;
use crate::diagnose::Picture;
use crate::view::theme::Theme;
use crate::view::{layout, panels};

/// ```text
/// ╭ Verdict ───────────────────────────────────────╮
/// ╭ Bottlenecks ─────────────╮╭ Why ───────────────╮
/// │                          │╰────────────────────╯
/// │                          │╭ Fix ───────────────╮
/// ╰──────────────────────────╯╰────────────────────╯
/// ╭ Waiting, last 5 min ───────────────────────────╮
/// ╭ CPU ─╮╭ PSI ─╮╭ Memory ─╮╭ Disk ─╮╭ Net ───────╮
/// ```
pub fn draw(app: &App, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let elsewhere = panels::elsewhere::first(picture).filter(|_| area.height >= 12);
    let t = places(picture, area);
    match elsewhere {
        Some(finding) => panels::elsewhere::draw(finding, picture, theme, frame, t.verdict),
        None => panels::verdict::draw(picture, theme, frame, t.verdict),
    }
    panels::bottlenecks::draw(app, picture, theme, frame, t.bottlenecks);
    panels::why::draw(app, picture, theme, frame, t.why);
    panels::fix::draw(app, theme, frame, t.fix);
    panels::waiting::draw(picture, theme, frame, t.waiting);
    panels::gauges::draw(picture, theme, frame, t.gauges);
}

/// Where its panels stand.
#[must_use]
pub fn places(picture: &Picture, area: Rect) -> layout::Triage {
    let elsewhere = panels::elsewhere::first(picture).is_some() && area.height >= 12;
    layout::triage(area, if elsewhere { panels::elsewhere::ROWS } else { 3 })
}
