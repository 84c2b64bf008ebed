//! What the kernel said in the last ten minutes that matters to a diagnosis, newest first.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::diagnose::Picture;
use crate::model::host::MessageKind;
use crate::model::unit::seconds;
use crate::view::theme::Theme;
use crate::view::widgets::text::wrap;

/// Draws the messages, or why there are none.
pub fn draw(picture: &Picture, scroll: usize, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = super::boxed::boxed("Kernel messages, last 10 minutes", "q close", 110, theme, frame, area);
    let one = |text: &str, meaning| vec![Line::from(Span::styled(format!(" {text}"), theme.style(meaning)))];
    let now_us = picture.at.mono_ns / 1000;
    let rows = match &picture.facts.host.messages {
        None => one("? /dev/kmsg cannot be read -> sudo perftop", Meaning::Unknown),
        Some(all) if all.is_empty() => one("nothing relevant: no IO errors, hung tasks, OOM kills, full tables", Meaning::Good),
        Some(all) => all
            .iter()
            .rev()
            .flat_map(|m| {
                let age = seconds(now_us.saturating_sub(m.at_us) as f64 / 1e6);
                let text = format!("{age} ago  {}: {}", word(m.kind), m.text);
                let wrapped = wrap(&text, usize::from(inside.width).saturating_sub(2));
                wrapped.into_iter().map(|line| Line::from(Span::styled(format!(" {line}"), theme.style(Meaning::Warning))))
            })
            .collect(),
    };
    super::boxed::scrolled(&rows, scroll, theme, frame, inside);
}

const fn word(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::IoError => "IO error",
        MessageKind::FsError => "file system error",
        MessageKind::HungTask => "hung task",
        MessageKind::OomKill => "OOM kill",
        MessageKind::TableFull => "table full",
        MessageKind::NeighbourFull => "neighbours",
        MessageKind::SynFlood => "SYN flood",
    }
}
