//! Provenance: for each figure of the selected finding the file, the formula and a command that shows it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::{App, Overlay, Screen};
use crate::config::Meaning;
use crate::detect::kinds::by_hand;
use crate::model::origin::{self, Origin};
use crate::view::theme::Theme;

/// What the card of a query shows.
const QUERY: [&str; 3] = ["postgres.statements", "postgres.activity", "postgres.plan"];

/// Draws the origins: of the finding on the triage screen, all of them elsewhere.
pub fn draw(app: &App, scroll: usize, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = super::boxed::boxed("Sources of the figures", "q close", 110, theme, frame, area);
    let mut rows: Vec<Line<'_>> = Vec::new();
    let finding = app.finding().filter(|_| app.screen != Screen::Host);
    let of_query = app.overlays.iter().any(|o| matches!(o, Overlay::Query { .. }));
    let chosen: Vec<&Origin> = match finding {
        _ if of_query => QUERY.iter().filter_map(|id| origin::find(id)).collect(),
        Some(f) => {
            let mut ids: Vec<&str> = f.evidence.iter().chain(&f.against).map(|e| e.origin.as_str()).collect();
            ids.dedup();
            ids.iter().filter_map(|id| origin::find(id)).collect()
        }
        None => origin::all().collect(),
    };
    let mut seen: Vec<&str> = Vec::new();
    for o in chosen {
        if seen.contains(&o.id) {
            continue;
        }
        seen.push(o.id);
        rows.push(Line::from(vec![
            Span::styled(format!(" {:<20} ", o.id), theme.style(Meaning::Title)),
            Span::styled(o.from, theme.style(Meaning::Text)),
        ]));
        rows.push(Line::from(Span::styled(format!("   {}", o.formula), theme.style(Meaning::Muted))));
        let command = app.shown().map_or_else(
            || o.command.to_owned(),
            |p| {
                // On a server's screen it is that server's, whatever is chosen elsewhere.
                let here = app.server().and_then(|view| view.of(&p.facts));
                by_hand(&p.facts, here.or(finding.map(|f| f.source.as_str())).unwrap_or("host"), o.command)
            },
        );
        rows.push(Line::from(Span::styled(format!("   $ {command}"), theme.style(Meaning::Accent))));
    }
    super::boxed::scrolled(&rows, scroll, theme, frame, inside);
}
