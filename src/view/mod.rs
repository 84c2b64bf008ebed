//! Drawing: `draw(&App, &Theme, &mut Frame)`. Reads, never writes, knows no clock.

mod graph;
pub mod layout;
pub mod overlays;
pub mod panels;
mod postgres;
mod prometheus;
mod redis;
pub mod screens;
pub mod svg;
pub mod theme;
pub mod widgets;

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::app::target::Target;
use crate::app::{App, Screen};

use self::theme::Theme;

/// Draws the whole screen: header, screen, footer, and what lies on top.
///
/// ```text
///  db3 LOCAL 8 cpu 32 GiB   host ✔                          03:12:07 ▶ live   self 0.4 % 14 MB
/// ╭ Verdict ─────────────────────────────────────────────────────────────────────────────────╮
/// │ ✖ 4.2 waiting (75 % of all request time)  …                                              │
/// ╰──────────────────────────────────────────────────────────────────────────────────────────╯
///   the screen
///  1 triage 2 host 6 diagnose ⏎ open c copy the fix i where the figures come from …
/// ```
pub fn draw(app: &App, theme: &Theme, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width == 0 || area.height == 0 {
        return;
    }
    let Some(picture) = app.shown() else {
        return overlays::waiting(theme, frame, area, app.notice.as_deref());
    };
    if let Some(crate::app::Overlay::CopyView { scroll }) = app.overlays.last() {
        return overlays::copy_view(app, *scroll, frame, area);
    }
    let rows = rows(app, area);
    panels::header::draw(app, picture, theme, frame, rows.header);
    match app.screen {
        Screen::Triage => screens::triage::draw(app, picture, theme, frame, rows.body),
        Screen::Host => screens::host::draw(app, picture, theme, frame, rows.body),
        Screen::Server(_) => screens::server::draw(app, picture, theme, frame, rows.body),
        Screen::Diagnose => screens::diagnose::draw(app, picture, theme, frame, rows.body),
        Screen::Dashboard => screens::dashboard::draw(app, picture, theme, frame, rows.body),
    }
    panels::footer::draw(app, theme, frame, rows.footer);
    panels::tour::draw(app, theme, frame, rows.tour);
    for overlay in &app.overlays {
        overlays::draw(app, picture, overlay, theme, frame, rows.body);
    }
    if theme.ascii {
        spell(theme, frame);
    }
}

/// Where header, body and footer stand, and a tour between them.
fn rows(app: &App, area: Rect) -> layout::FrameRows {
    layout::frame(area, panels::tour::rows(app, area))
}

/// Axes, table headings and whatever else draws by itself know nothing of terminals with ASCII only.
fn spell(theme: &Theme, frame: &mut Frame<'_>) {
    for cell in frame.buffer_mut().content.iter_mut().filter(|cell| !cell.symbol().is_ascii()) {
        // There is room for one letter; an escaped one says nothing by its first.
        let plain = theme.text(cell.symbol());
        cell.set_symbol(plain.get(..1).filter(|first| *first != "\\").unwrap_or("?"));
    }
}

/// What stands at that place of the screen, if it can be pressed.
#[must_use]
pub fn pointed(app: &App, theme: &Theme, area: Rect, at: (u16, u16)) -> Option<Target> {
    let picture = app.shown()?;
    let rows = rows(app, area);
    if rows.footer.contains(at.into()) {
        return panels::footer::pointed(app, rows.footer, at.0);
    }
    if !app.overlays.is_empty() {
        return None;
    }
    match app.screen {
        Screen::Triage => panels::causes::pointed(app, picture, theme, layout::triage(rows.body).causes, at),
        Screen::Host => panels::processes::pointed(app, picture, layout::host(rows.body).processes, at),
        Screen::Server(_) => panels::table::pointed(app.server()?, picture, screens::server::places(rows.body).1, at),
        Screen::Diagnose | Screen::Dashboard => None,
    }
}
