//! A question of the flowchart and its answer.

use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use crate::config::Meaning;
use crate::diagnose::chart::{Answer, Node};
use crate::view::theme::Theme;

use super::text::cut;

/// The colour of an answer.
#[must_use]
pub const fn colour(answer: Answer) -> Meaning {
    match answer {
        Answer::Yes => Meaning::Warning,
        Answer::No => Meaning::Good,
        Answer::Unknown => Meaning::Unknown,
    }
}

/// A question and its answer at both ends of a line; `here`: one stands at it.
#[must_use]
pub fn row(node: &Node, here: bool, width: usize, theme: &Theme) -> Line<'static> {
    let word = if node.answer == Answer::Yes { "YES" } else { node.answer.word() };
    let word = if node.by_hand { format!("{word}, by hand") } else { word.to_owned() };
    let mark = if here { theme.pick("▸", ">") } else { " " };
    let question = cut(&format!("  {mark} {}", node.question.text), width.saturating_sub(word.width() + 3), theme);
    let gap = width.saturating_sub(question.width() + word.width() + 1);
    let meaning = if here { Meaning::Title } else { Meaning::Text };
    Line::from(vec![
        Span::styled(question, theme.style(meaning)),
        Span::raw(" ".repeat(gap)),
        Span::styled(word, theme.style(colour(node.answer))),
    ])
}
