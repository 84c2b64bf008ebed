//! The last line: the keys that count here, or what there is to tell.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::App;
use crate::app::keymap::Context;
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
            Span::styled("_   such as `2h deploy under way`; an hour without a time", theme.style(Meaning::Muted)),
        ])
    } else if context == Context::Editing {
        Line::from(vec![
            Span::styled(" filter: ", theme.style(Meaning::Accent)),
            Span::styled(app.processes.filter.clone(), theme.style(Meaning::Text)),
            Span::styled(
                "_   words, or cpu>0.5 mem>1G state=D group~web port=80; Enter keeps it, Esc clears it",
                theme.style(Meaning::Muted),
            ),
        ])
    } else {
        let here = |c: Context| c == Context::Anywhere || c == context;
        let rows = app.keymap.rows().iter().filter(|r| r.binding.footer && here(r.binding.context));
        let spans = rows.flat_map(|r| {
            [
                Span::styled(format!(" {} ", r.shown), theme.style(Meaning::Accent)),
                Span::styled(r.binding.what, theme.style(Meaning::Muted)),
            ]
        });
        Line::from(spans.collect::<Vec<_>>())
    };
    frame.render_widget(fit(&line, usize::from(area.width), theme), area);
}
