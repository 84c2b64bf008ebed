//! Text that an operator pastes, by the language that reads it. What came from outside enters a shell command as a
//! [`Word`] only, which every POSIX shell reads as exactly one argument; the type lets nothing else in.
//! What never lives here: which command helps (`detect::fix`, the rules), how names are quoted (`model::shell`,
//! `model::postgres::names`).

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::ops::Deref;

use serde::{Deserialize, Serialize, Serializer};

use crate::model::foreign::tamed;
use crate::model::shell::Word;

/// In which language the command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the contract's words")]
pub enum Language {
    Sql,
    Shell,
    Redis,
    Config,
}

impl Language {
    /// The sign before a note.
    #[must_use]
    pub const fn note(self) -> &'static str {
        match self {
            Self::Sql => "--",
            Self::Shell | Self::Redis | Self::Config => "#",
        }
    }

    /// In words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Shell => "shell",
            Self::Redis => "redis",
            Self::Config => "config",
        }
    }
}

/// A text to paste: one line of printable characters, and who reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    language: Language,
    text: String,
}

impl Command {
    /// A shell command. `template` is ours; each `{}` takes one of `parts`. Use the macro `sh!`, which counts them.
    #[must_use]
    pub fn shell(template: &'static str, parts: &[&dyn Part]) -> Self {
        let mut text = String::with_capacity(template.len() + 32);
        let mut parts = parts.iter();
        let mut quotes = Quotes::default();
        for (at, piece) in template.split("{}").enumerate() {
            if at > 0
                && let Some(part) = parts.next()
            {
                // A word brings its own quotes: between others they would mean nothing, and what it holds would run.
                if part.is_word() && quotes.open() {
                    debug_assert!(false, "a word between quotes: {template}");
                    return Self::note("this command cannot be written");
                }
                part.write(&mut text);
            }
            quotes.walk(piece);
            text.push_str(piece);
        }
        Self::new(Language::Shell, text)
    }

    /// SQL for psql; names stand in it as `identifier` and `literal` write them.
    #[must_use]
    pub fn sql(text: impl Into<String>) -> Self {
        Self::new(Language::Sql, text.into())
    }

    /// What a person reads and carries out somewhere else: configuration, an application. A comment to a shell; since some shells take none at
    /// a prompt, names stand in it as [`named`] writes them.
    #[must_use]
    pub fn note(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::new(Language::Config, if text.starts_with('#') { text } else { format!("# {text}") })
    }

    /// Text from outside, to be read: no shell sees anything in it.
    #[must_use]
    pub fn read_only(text: &str) -> Self {
        Self::note(named(text.as_bytes()))
    }

    /// From its parts as they stand in a document.
    #[must_use]
    pub fn new(language: Language, text: String) -> Self {
        // A second line would be a second command: whatever went wrong before, it ends here.
        let hidden = text.chars().any(char::is_control) || tamed(&text) != text;
        Self { language, text: if hidden { tamed(&text) } else { text } }
    }

    /// Several commands after each other.
    #[must_use]
    pub fn then(self, separator: &'static str, next: &Self) -> Self {
        Self::new(self.language, self.text + separator + &next.text)
    }

    /// True when there is nothing to run in it: comments alone.
    #[must_use]
    pub fn only_notes(&self) -> bool {
        let notes = |line: &str| line.is_empty() || line.starts_with(self.language.note());
        self.text.lines().map(str::trim).all(notes)
    }

    /// Who reads it.
    #[must_use]
    pub const fn language(&self) -> Language {
        self.language
    }
}

/// A name in a note: quoted as a shell would want it.
#[must_use]
pub fn named(raw: &[u8]) -> String {
    Word::quoted(raw).map_or_else(|| "(a name that cannot be passed to a shell)".to_owned(), |word| word.to_string())
}

impl Deref for Command {
    type Target = str;
    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// A shell command from a template of ours and its parts: `sh!("df -h {}", mount)`. A template with another number of `{}` than
/// parts does not compile.
macro_rules! sh {
    ($template:literal $(, $part:expr)* $(,)?) => {{
        const { assert!($crate::detect::command::holes($template) == <[&str]>::len(&[$(stringify!($part)),*])) }
        $crate::detect::command::Command::shell($template, &[$(&$part as &dyn $crate::detect::command::Part),*])
    }};
}

pub(crate) use sh;

/// How many `{}` a template has.
#[must_use]
pub const fn holes(template: &str) -> usize {
    let bytes = template.as_bytes();
    let (mut at, mut found) = (0, 0);
    while at + 1 < bytes.len() {
        if bytes[at] == b'{' && bytes[at + 1] == b'}' {
            found += 1;
            at += 1;
        }
        at += 1;
    }
    found
}

/// The quotes that are open at a place in a template. Inside `$(…)` quoting starts afresh.
#[derive(Default)]
struct Quotes(Vec<char>);

impl Quotes {
    fn open(&self) -> bool {
        matches!(self.0.last(), Some('"' | '\''))
    }

    fn walk(&mut self, piece: &str) {
        let mut chars = piece.chars().peekable();
        while let Some(c) = chars.next() {
            match (self.0.last(), c) {
                (Some('\''), '\'') | (Some('"'), '"') | (Some('('), ')') => _ = self.0.pop(),
                (Some('\''), _) => {}
                (_, '\\') => _ = chars.next(),
                (Some('"'), '$') | (_, '$') if chars.peek() == Some(&'(') => {
                    _ = chars.next();
                    self.0.push('(');
                }
                (Some('"'), _) => {}
                (_, '\'' | '"') => self.0.push(c),
                _ => {}
            }
        }
    }
}

/// What may stand in a shell command: quoted words, numbers, addresses, other commands, and text that was written here.
pub trait Part {
    /// Appends it.
    fn write(&self, out: &mut String);

    /// It brings quotes of its own.
    fn is_word(&self) -> bool {
        false
    }
}

macro_rules! plain_parts {
    ($($kind:ty),*) => {$(
        impl Part for $kind {
            fn write(&self, out: &mut String) {
                _ = write!(out, "{self}");
            }
        }
    )*};
}

// `&'static str`: a text that was made at run time has no place here.
plain_parts!(u8, u16, u32, u64, i32, i64, usize, IpAddr, &'static str);

impl<T: Part + ?Sized> Part for &T {
    fn write(&self, out: &mut String) {
        (**self).write(out);
    }

    fn is_word(&self) -> bool {
        (**self).is_word()
    }
}

macro_rules! quoted_parts {
    ($($kind:ty),*) => {$(
        impl Part for $kind {
            fn write(&self, out: &mut String) {
                _ = write!(out, "{self}");
            }

            fn is_word(&self) -> bool {
                true
            }
        }
    )*};
}

quoted_parts!(Word, Command);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_never_stands_between_quotes() {
        let mut quotes = Quotes::default();
        for (piece, open) in
            [("echo ", false), ("\"x ", true), ("$(cat ", false), (")", true), ("\" a'", true), ("\"b'", false), ("\\\"", false)]
        {
            quotes.walk(piece);
            assert_eq!(quotes.open(), open, "{piece}");
        }
        let word = Word::quoted(b"a $(touch PWNED)").unwrap();
        assert_eq!(&*sh!("ps \"$(cat {})\"", word), "ps \"$(cat 'a $(touch PWNED)')\"");
        assert!(std::panic::catch_unwind(|| sh!("ps \"{}\"", word)).is_err(), "refused where it is tested");
    }

    #[test]
    fn a_command_is_one_line_whatever_it_was_given() {
        assert_eq!(&*sh!("df -h {}; echo {}", Word::quoted(b"/mnt/a b").unwrap(), 3u64), "df -h '/mnt/a b'; echo 3");
        let forged = Command::note("# a\nrm -rf /");
        assert!(!forged.contains('\n'), "{forged}");
    }
}
