//! Triage (1): the verdict, where the time goes, the causes, why, what to do.

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::app::App;
use crate::diagnose::Picture;
use crate::view::theme::Theme;
use crate::view::{layout, panels};

/// ```text
/// ╭ Verdict ───────────────────────────────────────╮
/// ╭ Where the time goes ───────────────────────────╮
/// ╭ Causes ──────────────────╮╭ Why ───────────────╮
/// │                          │╰────────────────────╯
/// │                          │╭ Fix ───────────────╮
/// ╰──────────────────────────╯╰────────────────────╯
/// ╭ CPU ─╮╭ PSI ─╮╭ Memory ─╮╭ Disk ─╮╭ Net ───────╮
/// ```
/// Where nothing is wrong, what was ruled out stands in the place of why and fix.
pub fn draw(app: &App, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let t = layout::triage(area);
    match panels::elsewhere::first(picture).filter(|_| t.verdict.height >= panels::elsewhere::ROWS) {
        Some(finding) => panels::elsewhere::draw(finding, picture, theme, frame, t.verdict),
        None => panels::verdict::draw(app, picture, theme, frame, t.verdict),
    }
    panels::spent::draw(picture, theme, frame, t.spent);
    panels::causes::draw(app, picture, theme, frame, t.causes);
    if app.finding().is_none() && t.right.height > 0 {
        panels::why::draw(app, picture, theme, frame, t.right);
    } else {
        panels::why::draw(app, picture, theme, frame, t.why);
        panels::fix::draw(app, theme, frame, t.fix);
    }
    panels::gauges::draw(picture, theme, frame, t.gauges);
}
