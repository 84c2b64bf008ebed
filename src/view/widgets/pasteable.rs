//! A command broken into lines that can be selected and pasted as they are: where a shell or psql takes a new line.

use unicode_width::UnicodeWidthStr;

use crate::detect::command::Language;

use super::text::hard_wrap;

/// Lines of at most `width` cells, where the language has a place to break; a word that is longer is broken as a terminal does it.
#[must_use]
pub fn broken(text: &str, language: Language, width: usize) -> Vec<String> {
    let (allowed, ends): (fn(&str) -> Vec<usize>, &str) = match language {
        Language::Sql => (sql, ""),
        Language::Shell => (shell, " \\"),
        // A command a line, or a file's lines.
        Language::Redis | Language::Config => return text.lines().flat_map(|line| hard_wrap(line, width)).collect(),
    };
    text.lines().flat_map(|line| one(line, &allowed(line), ends, width)).collect()
}

fn one(line: &str, allowed: &[usize], ends: &str, width: usize) -> Vec<String> {
    let room = width.saturating_sub(ends.width()).max(1);
    let (mut out, mut start) = (Vec::new(), 0);
    while line[start..].width() > width {
        let fits = |at: &&usize| line[start..**at].width() <= room;
        // The last place that fits, else the first one there is.
        let of_here = allowed.iter().filter(|at| **at > start);
        let Some(at) = of_here.clone().take_while(fits).last().or_else(|| of_here.clone().next()).copied() else { break };
        out.extend(hard_wrap(&format!("{}{ends}", &line[start..at]), width));
        // The blank is where it is broken.
        start = at + 1;
    }
    out.extend(hard_wrap(&line[start..], width));
    out
}

/// Blanks outside of literals, names in quotes and comments.
fn sql(line: &str) -> Vec<usize> {
    let mut quote = None;
    let mut places = Vec::new();
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            // Dollar quotes have names and nest: a line with one stays whole from there on, and so does a comment.
            (None, '$') if line[at + 1..].contains('$') => break,
            (None, '-') if before == '-' => {
                return if at < 2 { Vec::new() } else { places };
            }
            (None, ' ') => places.push(at),
            _ => {}
        }
        before = c;
    }
    places
}

/// Blanks outside of single quotes and comments: a backslash goes on in the next line. Nothing behind a here-document.
fn shell(line: &str) -> Vec<usize> {
    if line.contains("<<") || line.trim_start().starts_with('#') {
        return Vec::new();
    }
    let (mut quoted, mut double, mut escaped) = (false, false, false);
    let mut places = Vec::new();
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if !quoted => escaped = true,
            '\'' if !double => quoted = !quoted,
            '"' if !quoted => double = !double,
            // Two blanks in a double quote would become one and a half: only between words.
            ' ' if !quoted && !double => places.push(at),
            _ => {}
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sql_is_broken_at_blanks_and_never_in_a_literal() {
        let text = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'";
        let lines = broken(text, Language::Sql, 34);
        assert_eq!(lines[0], "SELECT pg_terminate_backend(pid)");
        assert!(lines.iter().all(|l| l.width() <= 34) && lines[2] == "= 'idle in transaction'", "{lines:?}");
        // What cannot be broken is longer than the screen, as in any terminal.
        let words = |lines: &[String]| lines.join(" ").split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&lines), words(&[text.to_owned()]));
    }

    #[test]
    fn a_shell_goes_on_behind_a_backslash() {
        let text = "for p in 1:2 3:4; do kill -STOP \"${p%:*}\" 'a b'; done";
        let lines = broken(text, Language::Shell, 24);
        assert!(lines[..lines.len() - 1].iter().all(|l| l.ends_with(" \\")), "{lines:?}");
        // As the shell reads it.
        assert_eq!(lines.join("\n").replace("\\\n", ""), text);
    }

    proptest! {
        /// Bash reads the same words.
        #[test]
        fn what_is_broken_reads_the_same(words in prop::collection::vec("[a-z]{1,9}|'[a-z ]{0,9}'|\"[a-z ]{0,9}\"", 1..12), width in 16usize..60) {
            let text = words.join(" ");
            let lines = broken(&text, Language::Shell, width).join("\n");
            prop_assert_eq!(lines.replace("\\\n", ""), text);
        }
    }
}
