//! Text from outside: raw bytes that address the object, and the form that is safe to show.
//! What never lives here: quoting for a language (`detect::fix`), masking of secrets (`model::mask`).

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Text that came from outside (a process name, a path, a mount point).
///
/// `raw` is what the kernel or server said, byte for byte; [`Foreign::shown`] makes control characters, bidi
/// marks and broken UTF-8 visible and is injective: two different raws never look the same.
/// Binary formats keep `raw`; human-readable ones (JSON) write the shown form. Copies share the bytes: of thousands of
/// processes every sweep of the window holds the names.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Foreign {
    raw: Arc<[u8]>,
    /// `None` while the raw bytes can be shown as they are, which is nearly always.
    shown: Option<Arc<str>>,
}

impl Foreign {
    /// Takes the bytes as they came.
    #[must_use]
    pub fn new(raw: &[u8]) -> Self {
        let shown = match escape(raw) {
            Cow::Borrowed(_) => None,
            Cow::Owned(text) => Some(text.into()),
        };
        Self { raw: raw.into(), shown }
    }

    /// The bytes that address the object; for collectors and for fixes, never for the screen.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The form for screen, JSON, logs and messages.
    #[must_use]
    pub fn shown(&self) -> &str {
        match &self.shown {
            Some(text) => text,
            None => std::str::from_utf8(&self.raw).unwrap_or_default(),
        }
    }

    /// True when there is no byte at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }
}

/// Text that should hold nothing hidden, with anything that is replaced: for strings that came through a recording.
#[must_use]
pub fn tamed(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect()
}

/// True for characters that move the cursor, reorder text or do not show at all.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

fn escape(raw: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(raw)
        && !text.chars().any(|c| c == '\\' || is_hidden(c))
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(raw.len() + 8);
    for chunk in raw.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                c if c.is_ascii_control() => _ = write!(out, "\\x{:02x}", u32::from(c)),
                c if is_hidden(c) => _ = write!(out, "\\u{{{:x}}}", u32::from(c)),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            _ = write!(out, "\\x{byte:02x}");
        }
    }
    Cow::Owned(out)
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown())
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl From<&str> for Foreign {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes())
    }
}

impl Serialize for Foreign {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.shown())
        } else {
            serializer.serialize_bytes(&self.raw)
        }
    }
}

impl<'de> Deserialize<'de> for Foreign {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> de::Visitor<'de> for Bytes {
            type Value = Foreign;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes or a string")
            }
            fn visit_bytes<E: de::Error>(self, v: &[u8]) -> Result<Foreign, E> {
                Ok(Foreign::new(v))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Foreign, E> {
                Ok(Foreign::new(v.as_bytes()))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Foreign, A::Error> {
                let mut raw = Vec::new();
                while let Some(byte) = seq.next_element::<u8>()? {
                    raw.push(byte);
                }
                Ok(Foreign::new(&raw))
            }
        }
        if deserializer.is_human_readable() { deserializer.deserialize_str(Bytes) } else { deserializer.deserialize_bytes(Bytes) }
    }
}

/// A value that must not leave the process: no `Serialize`, nothing in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Private<T>(T);

impl<T> Private<T> {
    /// Locks a value in.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Hands the value out; every caller stands behind a key press of the operator.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Private(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_bidi_and_broken_bytes_become_visible() {
        let shown = |raw: &[u8]| Foreign::new(raw).shown().to_owned();
        assert_eq!(shown(b"evil\x1b]52;c;AAAA\x07"), "evil\\x1b]52;c;AAAA\\x07");
        assert_eq!(shown("a\u{202e}b".as_bytes()), "a\\u{202e}b");
        assert_eq!(shown(b"\xff\\"), "\\xff\\\\");
        assert_eq!(shown("größe 日本".as_bytes()), "größe 日本");
        assert_eq!(shown("\u{85}".as_bytes()), "\\u{85}");
    }

    proptest! {
        #[test]
        fn shown_is_injective_and_safe(a: Vec<u8>, b: Vec<u8>) {
            let (x, y) = (Foreign::new(&a), Foreign::new(&b));
            prop_assert_eq!(a == b, x.shown() == y.shown());
            prop_assert!(!x.shown().chars().any(is_hidden));
        }

        #[test]
        fn recording_keeps_every_byte(raw: Vec<u8>) {
            let before = Foreign::new(&raw);
            let bytes = rmp_serde::to_vec_named(&before).unwrap();
            prop_assert_eq!(rmp_serde::from_slice::<Foreign>(&bytes).unwrap(), before);
        }
    }
}
