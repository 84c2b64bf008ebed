//! The last line: the keys that count here, or what there is to tell.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use crate::app::keymap::{Action, Context, Row};
use crate::app::tables::ServerView;
use crate::app::target::Target;
use crate::app::{App, Overlay, Screen};
use crate::config::Meaning;
use crate::view::theme::Theme;
use crate::view::widgets::text::{fit, typed};

/// ```text
///  1 triage 2 host 6 diagnose ⏎ open c copy the fix i where … space freeze ? help q close …
/// ```
pub fn draw(app: &App, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let context = app.context();
    let line = if let Some((_, reason)) = &app.muting {
        typed(" mute because: ", reason, "   such as `2h deploy under way`; default 1h", theme)
    } else if app.processes.filter.editing {
        let hint = "   words, or cpu>0.5 mem>1G state=D group~web port=80; Enter applies it, Esc clears it";
        typed(" filter: ", &app.processes.filter.input, hint, theme)
    } else if let Some(view) = app.server().filter(|view| view.filter.editing) {
        typed(" filter: ", &view.filter.input, "   words that a row must hold; Enter applies it, Esc clears it", theme)
    } else if let Some(notice) = &app.notice {
        Line::from(Span::styled(format!(" {notice}"), theme.style(Meaning::Accent)))
    } else {
        let spans = shown(app, context, usize::from(area.width)).into_iter().flat_map(|(r, what)| {
            let gap = if what.is_empty() { "" } else { " " };
            [
                Span::styled(format!(" {}{gap}", r.shown), theme.style(Meaning::Accent)),
                Span::styled(what, theme.style(Meaning::Muted)),
            ]
        });
        Line::from(spans.collect::<Vec<_>>())
    };
    frame.render_widget(fit(&line, usize::from(area.width), theme), area);
}

/// What can be done where something lies on top, in that order.
const fn on_top(overlay: &Overlay) -> &'static [Action] {
    use Action as A;
    match overlay {
        Overlay::Fix { .. } => &[A::CopyFix, A::NextFix, A::CopyView, A::Provenance, A::Down, A::Help, A::Close],
        Overlay::Query { .. } => &[A::Plan, A::TryIndex, A::CopyFix, A::Provenance, A::Down, A::Help, A::Close],
        Overlay::Card { .. } | Overlay::Process { .. } => &[A::CopyFix, A::Provenance, A::Down, A::Help, A::Close],
        Overlay::Time { .. } => {
            &[A::Earlier, A::Later, A::IncidentBefore, A::IncidentAfter, A::PageUp, A::PageDown, A::Open, A::Help, A::Close]
        }
        Overlay::Palette { .. } => &[A::Down, A::Open, A::Back],
        Overlay::Help { .. }
        | Overlay::Provenance { .. }
        | Overlay::Sockets { .. }
        | Overlay::Cleared { .. }
        | Overlay::Messages { .. }
        | Overlay::CopyView { .. } => &[A::Up, A::Down, A::PageDown, A::Bottom, A::Help, A::Close],
    }
}

/// A key in the footer and what is written beside it.
type Shown<'a> = (&'a Row, &'static str);

/// From so many columns on the screens are called by their names.
const NAMES_FROM: usize = 100;

/// The keys that stand in the footer. Where it is too narrow for the key that copies, screens go by their digits alone. Help and the
/// way out, the last two, always stay, and those before them go.
fn shown<'a>(app: &'a App, context: Context, room: usize) -> Vec<Shown<'a>> {
    const STAY: usize = 2;
    let cut = |mut rows: Vec<Shown<'a>>| {
        while rows.len() > STAY && rows.iter().map(|r| width(*r)).sum::<usize>() > room {
            rows.remove(rows.len() - STAY - 1);
        }
        rows
    };
    let here = |c: Context| c == Context::Anywhere || c == context;
    if let Some(overlay) = app.overlays.last() {
        let row = |action: &Action| app.keymap.rows().iter().find(|r| r.binding.action == *action);
        return cut(on_top(overlay).iter().filter_map(row).map(|r| (r, what(app, r))).collect());
    }
    // A plan is a server's.
    let plan = |r: &&Row| r.binding.action != Action::Plan || context == Context::Server;
    let rows: Vec<&Row> = app.keymap.rows().iter().filter(|r| r.binding.footer && here(r.binding.context)).filter(plan).collect();
    let named = cut(rows.iter().map(|r| (*r, what(app, r))).collect());
    if room >= NAMES_FROM || named.len() == rows.len() || named.iter().any(|(r, _)| r.binding.action == Action::CopyFix) {
        return named;
    }
    let digit = |r: &Row| if leads_elsewhere(app.screen, r.binding.action) { "" } else { what(app, r) };
    cut(rows.iter().map(|r| (*r, digit(r))).collect())
}

/// Whether a key opens a screen that is not the one that is open.
fn leads_elsewhere(open: Screen, action: Action) -> bool {
    let to = match action {
        Action::Triage => Screen::Triage,
        Action::Host => Screen::Host,
        Action::Server(kind) => Screen::Server(kind),
        Action::Diagnose => Screen::Diagnose,
        Action::Fleet | Action::Dashboards => Screen::Dashboard,
        _ => return false,
    };
    to != open
}

/// What a key does here: a server's screen may have something of its own to ask for.
fn what(app: &App, row: &Row) -> &'static str {
    let more = app.server().and_then(ServerView::more).filter(|_| row.binding.action == Action::Plan);
    more.map_or(row.binding.what, |more| more.what)
}

/// ` c copy fix`, or ` 4` where there is no word.
fn width((row, what): Shown<'_>) -> usize {
    1 + row.shown.width() + if what.is_empty() { 0 } else { 1 + what.width() }
}

/// The key that stands there.
pub fn pointed(app: &App, area: Rect, x: u16) -> Option<Target> {
    if app.notice.is_some() || app.context() == Context::Editing {
        return None;
    }
    let mut left = usize::from(x.checked_sub(area.x)?);
    shown(app, app.context(), usize::from(area.width)).into_iter().find_map(|key| {
        let width = width(key);
        let hit = left < width;
        left = left.saturating_sub(width);
        hit.then_some(Target::Action(key.0.binding.action))
    })
}
