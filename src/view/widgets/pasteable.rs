//! A command broken into lines that can be selected and pasted as they are: where a shell or psql takes a new line.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::detect::command::Language;

use super::text::{hard_wrap, wrap};

/// Lines of at most `width` cells that mean the same; a comment behind a command comes on lines of its own.
#[must_use]
pub fn broken(text: &str, language: Language, width: usize) -> Vec<String> {
    let width = width.max(16);
    text.lines().flat_map(|line| one(line, language, width)).collect()
}

/// A note in that language, its sign before each line.
#[must_use]
pub fn note(text: &str, language: Language, width: usize) -> Vec<String> {
    let sign = language.note();
    let lines = text.lines().flat_map(|line| wrap(line, width.saturating_sub(sign.len() + 1)));
    lines.map(|line| format!("{sign} {line}")).collect()
}

fn one(line: &str, language: Language, width: usize) -> Vec<String> {
    if line.width() <= width {
        return vec![line.to_owned()];
    }
    let (code, comment) = match language {
        Language::Sql => split(line, sql_comment(line)),
        // What follows a here-document is its text.
        Language::Shell if line.contains("<<") => return hard_wrap(line, width),
        Language::Shell => split(line, shell_comment(line)),
        // A command a line, or a file's lines.
        Language::Redis | Language::Config => match line.strip_prefix('#') {
            Some(text) => return note(text.trim(), language, width),
            None => return hard_wrap(line, width),
        },
    };
    let mut out = match language {
        Language::Sql => sql(code, width),
        _ => shell(code, width),
    };
    out.extend(comment.into_iter().flat_map(|text| note(text.trim_start_matches(['#', '-', ' ']), language, width)));
    out
}

fn split(line: &str, at: Option<usize>) -> (&str, Option<&str>) {
    match at {
        Some(at) => (line[..at].trim_end(), Some(&line[at..])),
        None => (line, None),
    }
}

/// At blanks outside of literals, names in quotes and dollar quotes; a longer word is broken as a terminal does it.
fn sql(code: &str, width: usize) -> Vec<String> {
    let mut quote = None;
    let mut places = Vec::new();
    for (at, c) in code.char_indices() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            // Dollar quotes have names and nest: from there on it stays whole.
            (None, '$') if code[at + 1..].contains('$') => break,
            (None, ' ') => places.push(at),
            _ => {}
        }
    }
    let (mut out, mut start) = (Vec::new(), 0);
    while code[start..].width() > width {
        let of_here = || places.iter().copied().filter(|at| *at > start);
        let fits = of_here().take_while(|at| code[start..*at].width() <= width).last();
        let Some(at) = fits.or_else(|| of_here().next()) else { break };
        out.extend(hard_wrap(&code[start..at], width));
        // The blank is where it is broken.
        start = at + 1;
    }
    out.extend(hard_wrap(&code[start..], width).into_iter().filter(|line| !line.is_empty()));
    out
}

/// At blanks between words where there is one, else anywhere: a backslash continues the line; single quotes are closed before it and opened
/// again after it.
fn shell(code: &str, width: usize) -> Vec<String> {
    // Room for a quote, a blank and a backslash.
    let room = width - 2;
    let mut out: Vec<String> = Vec::new();
    let mut line = String::new();
    // Where the line may be broken.
    let mut blank: Option<usize> = None;
    let mut quotes = Quotes::default();
    for (at, c) in code.char_indices() {
        let rest = code[at..].width();
        if line.width() + rest > width && line.width() + c.width().unwrap_or(0) > room && !quotes.escaped {
            match blank.take() {
                Some(place) => {
                    let next = line.split_off(place + 1);
                    line.push('\\');
                    out.push(std::mem::replace(&mut line, next));
                }
                None => {
                    let (ends, begins) = if quotes.single { ("'\\", "'") } else { ("\\", "") };
                    out.push(std::mem::replace(&mut line, begins.to_owned()) + ends);
                }
            }
        }
        quotes.take(c);
        // Not at the beginning: an empty line is a command of its own.
        if c == ' ' && quotes.are_none() && !line.is_empty() {
            blank = Some(line.len());
        }
        line.push(c);
    }
    out.push(line);
    out
}

/// Where `--` begins a comment.
fn sql_comment(line: &str) -> Option<usize> {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '$') if line[at + 1..].contains('$') => return None,
            (None, '-') if before == '-' => return Some(at - 1),
            _ => {}
        }
        before = c;
    }
    None
}

/// Where `#` begins a comment: at the beginning of a word, outside of quotes.
fn shell_comment(line: &str) -> Option<usize> {
    let (mut quotes, mut word) = (Quotes::default(), false);
    for (at, c) in line.char_indices() {
        if c == '#' && !word && !quotes.escaped && quotes.are_none() {
            return Some(at);
        }
        quotes.take(c);
        word = !matches!(c, ' ' | ';' | '(' | '&' | '|');
    }
    None
}

/// What is open in a line of shell: a substitution in double quotes has quotes of its own.
#[derive(Default)]
struct Quotes {
    single: bool,
    escaped: bool,
    /// From the outside in: double quotes, or a substitution with so many parentheses open.
    open: Vec<Option<u32>>,
    before: char,
}

impl Quotes {
    fn are_none(&self) -> bool {
        !self.single && !self.open.contains(&None)
    }

    fn take(&mut self, c: char) {
        let double = self.open.last() == Some(&None);
        match c {
            _ if self.escaped => self.escaped = false,
            '\'' if !double => self.single = !self.single,
            _ if self.single => {}
            '\\' => self.escaped = true,
            '"' if double => _ = self.open.pop(),
            '"' => self.open.push(None),
            '(' if self.before == '$' => self.open.push(Some(0)),
            '(' if !double => {
                if let Some(Some(deep)) = self.open.last_mut() {
                    *deep += 1;
                }
            }
            ')' if !double => match self.open.last_mut() {
                Some(Some(0)) => _ = self.open.pop(),
                Some(Some(deep)) => *deep -= 1,
                _ => {}
            },
            _ => {}
        }
        self.before = if self.escaped { ' ' } else { c };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fits(lines: &[String], width: usize) -> bool {
        lines.iter().all(|line| line.width() <= width)
    }

    #[test]
    fn sql_is_broken_at_blanks_and_never_in_a_literal() {
        let text =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction' -- ends it at once";
        let lines = broken(text, Language::Sql, 34);
        assert_eq!(
            lines,
            [
                "SELECT pg_terminate_backend(pid)",
                "FROM pg_stat_activity WHERE state",
                "= 'idle in transaction'",
                "-- ends it at once"
            ]
        );
    }

    #[test]
    fn a_comment_behind_a_command_never_becomes_one() {
        let text =
            "find /var -xdev -printf '%h\\n' | sort | uniq -c | sort -rn | head   # what would go; reboot if nothing else helps";
        let lines = broken(text, Language::Shell, 60);
        assert!(fits(&lines, 60), "{lines:?}");
        let comment = lines.iter().position(|l| l.starts_with('#')).unwrap();
        assert!(comment > 0 && lines[comment..].iter().all(|l| l.starts_with("# ")), "{lines:?}");
        assert!(!lines[comment - 1].ends_with('\\'), "{lines:?}");
        // What only looks like one is none.
        assert_eq!(shell_comment("echo ${p#*:} '# no' \"# no\" a#b \\# c"), None);
        assert!(note("a long note that says what undoes it", Language::Sql, 16).iter().all(|l| l.starts_with("-- ")));
    }

    #[test]
    fn a_word_that_is_longer_than_the_screen_goes_on_behind_a_backslash() {
        for word in ["a".repeat(50), format!("'{}'", "b c".repeat(20)), format!("\"{}\"", "${d}".repeat(12))] {
            for width in 16..70 {
                let text = format!("cmd {word} end");
                let lines = broken(&text, Language::Shell, width);
                assert!(fits(&lines, width), "{lines:?}");
                // As a shell reads it.
                assert_eq!(lines.join("\n").replace("'\\\n'", "").replace("\\\n", ""), text, "{lines:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_broken_reads_the_same(
            words in prop::collection::vec("[a-z]{1,30}|'[a-z ]{0,30}'|\"[a-z $]{0,30}\"|[a-z]\\\\ [a-z]", 1..12),
            width in 16usize..60,
        ) {
            let text = words.join(" ");
            let lines = broken(&text, Language::Shell, width);
            prop_assert!(fits(&lines, width), "{lines:?}");
            prop_assert_eq!(lines.join("\n").replace("'\\\n'", "").replace("\\\n", ""), text);
        }
    }
}
