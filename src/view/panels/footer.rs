//! The last line: the keys that count here, or what there is to tell.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use crate::app::App;
use crate::app::keymap::{Action, Context, Row};
use crate::app::tables::ServerView;
use crate::app::target::Target;
use crate::config::Meaning;
use crate::view::theme::Theme;
use crate::view::widgets::text::fit;

/// ```text
///  1 triage 2 host 6 diagnose ⏎ open c copy the fix i where … space freeze ? help q close …
/// ```
pub fn draw(app: &App, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let context = app.context();
    let line = if let Some(notice) = &app.notice {
        Line::from(Span::styled(format!(" {notice}"), theme.style(Meaning::Accent)))
    } else if let Some((_, reason)) = &app.muting {
        Line::from(vec![
            Span::styled(" mute because: ", theme.style(Meaning::Accent)),
            Span::styled(reason.clone(), theme.style(Meaning::Text)),
            Span::styled("_   such as `2h deploy under way`; default 1h", theme.style(Meaning::Muted)),
        ])
    } else if app.processes.filter.editing {
        Line::from(vec![
            Span::styled(" filter: ", theme.style(Meaning::Accent)),
            Span::styled(app.processes.filter.text.clone(), theme.style(Meaning::Text)),
            Span::styled(
                "_   words, or cpu>0.5 mem>1G state=D group~web port=80; Enter applies it, Esc clears it",
                theme.style(Meaning::Muted),
            ),
        ])
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

/// The keys that stand in the footer. Where it is narrow the last two, help and the way out, stay and those before them go.
fn shown(app: &App, context: Context, room: usize) -> Vec<&Row> {
    const STAY: usize = 2;
    let here = |c: Context| c == Context::Anywhere || c == context;
    let mut rows: Vec<&Row> = app.keymap.rows().iter().filter(|r| r.binding.footer && here(r.binding.context)).collect();
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
