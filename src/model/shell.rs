//! Words as a shell and as `redis-cli` read them, from their raw bytes. Pure.
//! What never lives here: names in SQL (`model::postgres::names`), the commands (`detect`).

use std::fmt::{self, Write as _};

/// One argument, as every POSIX shell reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(String);

impl Word {
    /// Quotes bytes as one argument in printable ASCII: bare where no shell sees anything in it, else `'…'`, else `"$(printf '…\012…')"`.
    /// `None` for what no such word can say: a zero byte, or a newline at the end, which the substitution would strip.
    #[must_use]
    pub fn quoted(raw: &[u8]) -> Option<Self> {
        let bare = |b: &u8| b.is_ascii_alphanumeric() || b"/._-:@%+,".contains(b);
        if raw.contains(&0) || raw.ends_with(b"\n") {
            return None;
        }
        if !raw.is_empty() && raw.iter().all(bare) {
            return Some(Self(String::from_utf8_lossy(raw).into_owned()));
        }
        // `!` is history to an interactive shell, in some even between quotes.
        if raw.iter().all(|b| (0x20..0x7f).contains(b) && *b != b'!') {
            return Some(Self(format!("'{}'", String::from_utf8_lossy(raw).replace('\'', r"'\''"))));
        }
        let mut out = String::from("\"$(printf '");
        // A format that begins with `-` would be an option.
        let literal = |at: usize, b: &u8| (bare(b) && *b != b'%' && (at > 0 || *b != b'-')) || b" =".contains(b);
        for (at, b) in raw.iter().enumerate() {
            match b {
                // As an octal escape it would be a conversion to those shells that unescape first.
                b'%' => out.push_str("%%"),
                b if literal(at, b) => out.push(char::from(*b)),
                b => _ = write!(out, "\\{b:03o}"),
            }
        }
        out.push_str("')\"");
        Some(Self(out))
    }

    /// The same where it stands for itself: `-rf` would be an option, so that none is made of it.
    #[must_use]
    pub fn operand(raw: &[u8]) -> Option<Self> {
        if raw.starts_with(b"-") || raw.is_empty() { None } else { Self::quoted(raw) }
    }

    /// A file or directory below another one.
    #[must_use]
    pub fn path(parts: &[&[u8]]) -> Option<Self> {
        Self::operand(&parts.concat())
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One argument as `redis-cli` reads it: `"…"` with `\xHH` for what cannot be shown.
#[must_use]
pub fn redis_word(raw: &[u8]) -> String {
    let bare = |b: &u8| b.is_ascii_alphanumeric() || b"/._-:@%+,".contains(b);
    if !raw.is_empty() && raw.iter().all(bare) {
        return String::from_utf8_lossy(raw).into_owned();
    }
    let mut out = String::from("\"");
    for b in raw {
        match b {
            b'"' | b'\\' => out.extend(['\\', char::from(*b)]),
            0x20..0x7f => out.push(char::from(*b)),
            _ => _ = write!(out, "\\x{b:02x}"),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(raw: &[u8]) -> String {
        Word::quoted(raw).unwrap().to_string()
    }

    #[test]
    fn words_are_readable_where_they_can_be() {
        assert_eq!(quoted(b"/sys/fs/cgroup/a-b.slice"), "/sys/fs/cgroup/a-b.slice");
        assert_eq!(quoted(b"it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted(b"a\n'; touch PWNED #"), r#""$(printf 'a\012\047\073 touch PWNED \043')""#);
        assert_eq!(quoted(b"100%\x1b"), r#""$(printf '100%%\033')""#);
        assert_eq!(quoted(b"-v\x01"), r#""$(printf '\055v\001')""#);
        assert_eq!(quoted(b"what!"), r#""$(printf 'what\041')""#);
        assert_eq!(quoted(b""), "''");
        assert_eq!((Word::quoted(b"a\n"), Word::quoted(b"a\0b"), Word::operand(b"-rf")), (None, None, None));
        assert_eq!(redis_word(b"a \"b\"\n"), r#""a \"b\"\x0a""#);
    }
}
