//! The last line: the keys that count here, or what there is to tell.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use crate::app::keymap::{Action, Context, Row};
use crate::app::tables::ServerView;
use crate::app::target::Target;
use crate::app::{App, Overlay};
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
        let spans = shown(app, context, usize::from(area.width)).into_iter().flat_map(|r| {
            [
                Span::styled(format!(" {} ", r.shown), theme.style(Meaning::Accent)),
                Span::styled(what(app, r), theme.style(Meaning::Muted)),
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

/// The keys that stand in the footer. Where it is narrow the last two, help and the way out, stay and those before them go.
fn shown(app: &App, context: Context, room: usize) -> Vec<&Row> {
    const STAY: usize = 2;
    let here = |c: Context| c == Context::Anywhere || c == context;
    let mut rows: Vec<&Row> = match app.overlays.last() {
        Some(overlay) => {
            on_top(overlay).iter().filter_map(|a| app.keymap.rows().iter().find(|r| r.binding.action == *a)).collect()
        }
        // A plan is a server's.
        None => {
            let plan = |r: &&Row| r.binding.action != Action::Plan || context == Context::Server;
            app.keymap.rows().iter().filter(|r| r.binding.footer && here(r.binding.context)).filter(plan).collect()
        }
    };
    while rows.len() > STAY && rows.iter().map(|r| width(app, r)).sum::<usize>() > room {
        rows.remove(rows.len() - STAY - 1);
    }
    rows
}

/// What a key does here: a server's screen may have something of its own to ask for.
fn what(app: &App, row: &Row) -> &'static str {
    let more = app.server().and_then(ServerView::more).filter(|_| row.binding.action == Action::Plan);
    more.map_or(row.binding.what, |more| more.what)
}

fn width(app: &App, row: &Row) -> usize {
    format!(" {} {}", row.shown, what(app, row)).width()
}

/// The key that stands there.
pub fn pointed(app: &App, area: Rect, x: u16) -> Option<Target> {
    if app.notice.is_some() || app.context() == Context::Editing {
        return None;
    }
    let mut left = usize::from(x.checked_sub(area.x)?);
    shown(app, app.context(), usize::from(area.width)).into_iter().find_map(|row| {
        let width = width(app, row);
        let hit = left < width;
        left = left.saturating_sub(width);
        hit.then_some(Target::Action(row.binding.action))
    })
}
