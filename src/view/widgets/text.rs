//! Lines that fit, and lines that wrap by words.

use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::app::input::Input;
use crate::config::Meaning;
use crate::view::theme::Theme;

/// The line cut to `width` cells, with a mark where it was cut.
#[must_use]
pub fn fit(line: &Line<'_>, width: usize, theme: &Theme) -> Line<'static> {
    let mut left = width;
    let mut spans = Vec::new();
    let whole = line.width() <= width;
    for span in &line.spans {
        let content = theme.text(&span.content);
        let text = if whole && !theme.ascii { content } else { cut(&content, left, theme) };
        left = left.saturating_sub(text.width());
        spans.push(Span::styled(text, span.style));
        if left == 0 {
            break;
        }
    }
    let mut fitted = Line::from(spans);
    fitted.style = line.style;
    fitted
}

/// Text cut to `width` cells, the last one a mark when something was cut.
#[must_use]
pub fn cut(text: &str, width: usize, theme: &Theme) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mark = theme.pick("…", "~");
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w + 1 > width {
            break;
        }
        out.push(c);
        used += w;
    }
    if width > 0 {
        out.push_str(mark);
    }
    out
}

/// Text broken into lines of at most `width` cells, by words where there are any.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_inclusive(' ') {
        if line.width() + word.trim_end().width() > width && !line.is_empty() {
            lines.push(line.trim_end().to_owned());
            line = String::new();
        }
        if word.width() <= width {
            line.push_str(word);
            continue;
        }
        for c in word.chars() {
            if line.width() + c.width().unwrap_or(0) > width {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    if !line.is_empty() {
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// Text in lines of at most `width` cells; those after the first stand below its indentation.
#[must_use]
pub fn paragraph(text: &str, meaning: Meaning, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let body = text.trim_start_matches(' ');
    let indent = (text.len() - body.len()).min(width / 2);
    let line = |l: String| Line::from(Span::styled(theme.text(&format!("{}{l}", " ".repeat(indent))), theme.style(meaning)));
    wrap(body, width.saturating_sub(indent)).into_iter().map(line).collect()
}

/// Text broken at exactly `width` cells, every character kept: what is selected across lines is the very text.
#[must_use]
pub fn hard_wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w > width.max(1) && used > 0 {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            line.push(c);
        }
        used += w;
    }
    lines
}

/// A line that is typed into, with its cursor; `hint` stands behind it.
#[must_use]
pub fn typed(prompt: &str, input: &Input, hint: &str, theme: &Theme) -> Line<'static> {
    let (before, behind) = input.halves();
    let cursor = theme.pick("▏", "_");
    Line::from(vec![
        Span::styled(prompt.to_owned(), theme.style(Meaning::Accent)),
        Span::styled(format!("{before}{cursor}{behind}"), theme.style(Meaning::Text)),
        Span::styled(hint.to_owned(), theme.style(Meaning::Muted)),
    ])
}

/// Figures in lines of at most `width` cells, two blanks between them; none is torn.
#[must_use]
pub fn packed(figures: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for figure in figures {
        match lines.last_mut().filter(|line| line.width() + 2 + figure.width() <= width) {
            Some(line) => *line = format!("{line}  {figure}"),
            None => lines.push(figure.clone()),
        }
    }
    lines
}

/// `left` and `right` at both ends of `width` cells.
#[must_use]
pub fn ends(left: &str, right: &str, width: usize) -> String {
    let gap = width.saturating_sub(left.width() + right.width()).max(1);
    format!("{left}{}{right}", " ".repeat(gap))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn figures_are_packed_and_never_torn() {
        let figures = ["user 99", "sys 1", "steal 0", "wait 0"].map(ToOwned::to_owned);
        assert_eq!(packed(&figures, 24), ["user 99  sys 1  steal 0", "wait 0"]);
        assert_eq!(packed(&figures, 3).len(), 4);
    }

    proptest! {
        #[test]
        fn wrapped_lines_fit_and_lose_nothing(text in "[a-z /=日]{0,120}", width in 8usize..60) {
            let lines = wrap(&text, width);
            prop_assert!(lines.iter().all(|l| l.width() <= width));
            let hard = hard_wrap(&text, width);
            prop_assert!(hard.iter().all(|l| l.width() <= width));
            prop_assert_eq!(hard.concat(), text.clone());
            let squeeze = |s: &str| s.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(squeeze(&lines.concat()), squeeze(&text));
        }
    }
}
