//! Text that an operator pastes, by the language that reads it. What came from outside enters a shell command as a
//! [`Word`] only, which every POSIX shell reads as exactly one argument; the type lets nothing else in.
//! What never lives here: which command helps (`detect::fix`, the rules), how names are quoted (`model::shell`,
//! `model::postgres::names`).

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::ops::Deref;

use serde::{Serialize, Serializer};

use crate::model::foreign::tamed;
use crate::model::shell::Word;

use super::finding::Language;

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
        for (at, piece) in template.split("{}").enumerate() {
            if at > 0
                && let Some(part) = parts.next()
            {
                part.write(&mut text);
            }
            text.push_str(piece);
        }
        Self::new(Language::Shell, text)
    }

    /// SQL for psql; names stand in it as `identifier` and `literal` write them.
    #[must_use]
    pub fn sql(text: impl Into<String>) -> Self {
        Self::new(Language::Sql, text.into())
    }

    /// What a person reads and carries out somewhere else: configuration, an application. Whatever names it holds, a shell takes it for a
    /// comment; one that begins with `--` psql does as well.
    #[must_use]
    pub fn note(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::new(Language::Config, if text.starts_with('#') { text } else { format!("# {text}") })
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

    /// Who reads it.
    #[must_use]
    pub const fn language(&self) -> Language {
        self.language
    }
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

/// What may stand in a shell command: quoted words, numbers, addresses, other commands, and text that was written here.
pub trait Part {
    /// Appends it.
    fn write(&self, out: &mut String);
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
plain_parts!(u8, u16, u32, u64, i32, i64, usize, IpAddr, Word, Command, &'static str);

impl<T: Part + ?Sized> Part for &T {
    fn write(&self, out: &mut String) {
        (**self).write(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_line_whatever_it_was_given() {
        assert_eq!(&*sh!("df -h {}; echo {}", Word::quoted(b"/mnt/a b").unwrap(), 3u64), "df -h '/mnt/a b'; echo 3");
        let forged = Command::note("# a\nrm -rf /");
        assert!(!forged.contains('\n'), "{forged}");
    }
}
