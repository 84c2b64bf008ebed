//! A kind of server of which nothing can be shown: why, and the way in.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::source::{SourceKind, SourceState, SourceStatus};
use crate::view::theme::Theme;

use super::text::wrap;
use super::{lines, titled};

/// What such a server is called, and how one is named that does not run here.
pub struct Absent {
    /// Its kind.
    pub kind: SourceKind,
    /// In words.
    pub name: &'static str,
    /// On the command line.
    pub named_by: &'static str,
}

/// ```text
/// ╭ Active sessions ────────────────────────────────────────────────────────╮
/// │ postgres:5432 refuses perftop: no pg_hba.conf entry for host "10.0.0.7" │
/// │   the way in: psql -c 'CREATE ROLE perftop LOGIN; …'                    │
/// ╰─────────────────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(title: &str, absent: &Absent, picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = titled(title, "", theme, frame, area);
    let width = usize::from(inside.width);
    let mut rows: Vec<(String, Meaning)> = Vec::new();
    let mut say = |text: &str, meaning, indent: usize| {
        let wrapped = wrap(&theme.text(text), width.saturating_sub(indent));
        rows.extend(wrapped.into_iter().map(|line| (format!("{:indent$}{line}", ""), meaning)));
    };
    for source in picture.diagnosis.sources.iter().filter(|s| s.kind == absent.kind) {
        let (text, meaning) = stands(source);
        say(&text, meaning, 0);
        if let Some(way_in) = &source.way_in {
            say(&format!("the way in: {way_in}"), Meaning::Text, 2);
        }
    }
    if picture.diagnosis.sources.iter().all(|s| s.kind != absent.kind) {
        // Where processes were not looked at, or not for servers, nobody knows.
        let none = match &picture.facts.host.processes {
            Ok(_) => format!("No {} was found here, and none was named.", absent.name),
            Err(lack) => format!("Whether a {} runs here is not known: {lack}.", absent.name),
        };
        say(&none, Meaning::Text, 0);
        say(&format!("To watch one elsewhere: {}", absent.named_by), Meaning::Muted, 0);
    }
    let shown: Vec<Line<'_>> =
        rows.into_iter().map(|(text, meaning)| Line::from(Span::styled(text, theme.style(meaning)))).collect();
    lines(&shown, theme, frame, inside);
}

fn stands(source: &SourceStatus) -> (String, Meaning) {
    let (says, meaning) = match source.state {
        SourceState::Ok => ("answers; its first figures come in a second", Meaning::Muted),
        SourceState::Degraded => ("is seen in part", Meaning::Warning),
        SourceState::Denied => ("refuses perftop", Meaning::Warning),
        SourceState::NotWatched => ("is not watched", Meaning::Unknown),
        SourceState::Unreachable => ("does not answer", Meaning::Critical),
    };
    let why = source.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    (format!("{} {says}{why}", source.id), meaning)
}
