//! Diagnose (6): the way through the flowchart, with the figure behind each answer.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::detect::rules;
use crate::diagnose::Picture;
use crate::diagnose::flow::{Answer, Step};
use crate::view::theme::Theme;
use crate::view::widgets::{lines, titled};

/// ```text
/// ╭ Diagnosis, question by question ─────────────────────────────╮
/// │  1 Did the kernel kill a process for memory?            no    │
/// │    no OOM kill in the window                                  │
/// │  5 Is the run queue the largest wait?                   YES   │
/// │  → host.cpu.contention: foreground threads wait for a CPU     │
/// ╰──────────────────────────────────────────────────────────────╯
/// ```
pub fn draw(picture: &Picture, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let inside = titled("Diagnosis, question by question", "", theme, frame, area);
    let width = usize::from(inside.width);
    let (height, steps) = (usize::from(inside.height), || picture.flow.iter().enumerate());
    let whole = |short: bool| steps().flat_map(|(at, step)| rows(at + 1, step, short, width, theme)).collect::<Vec<_>>();
    let mut all = whole(false);
    if all.len() > height {
        // Where there is no room for all of it, a plain no needs no reason; and the end of the way is what matters.
        all = whole(true);
    }
    let cut = all.len().saturating_sub(height.saturating_sub(1));
    if all.len() > height {
        all.drain(..cut);
        let before = format!("    {} {cut} lines before", theme.pick("…", "~"));
        all.insert(0, Line::from(Span::styled(before, theme.style(Meaning::Muted))));
    }
    lines(&all, theme, frame, inside);
}

/// One step, by its place on the way.
fn rows(place: usize, step: &Step, short: bool, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let (word, meaning) = match step.answer {
        Answer::Yes => ("YES", Meaning::Warning),
        Answer::No => ("no", Meaning::Good),
        Answer::Unknown => ("unknown", Meaning::Unknown),
    };
    let question = format!(" {place:>2} {}", step.text);
    let gap = width.saturating_sub(question.chars().count() + 9);
    let mut rows = vec![Line::from(vec![
        Span::styled(question, theme.style(Meaning::Text)),
        Span::raw(" ".repeat(gap)),
        Span::styled(word, theme.style(meaning)),
    ])];
    if !short || step.answer != Answer::No {
        rows.push(Line::from(Span::styled(format!("    {}", step.because), theme.style(Meaning::Muted))));
    }
    if step.answer == Answer::Unknown {
        rows.push(Line::from(Span::styled(format!("    by hand: {}", step.by_hand), theme.style(Meaning::Accent))));
    }
    if let Some(leaf) = step.leaf {
        let says = rules::find(leaf).map_or_else(|| leaf.to_owned(), |rule| format!("{leaf}: {}", rule.says));
        rows.push(Line::from(Span::styled(format!("  {} {says}", theme.pick("→", "->")), theme.style(Meaning::Title))));
    }
    rows
}
