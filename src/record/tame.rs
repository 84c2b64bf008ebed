//! A recording is text from outside: every string in what a record holds is tamed before it becomes a value, whatever field it is
//! for, so that no new field can be forgotten. Bytes (`Foreign`) keep their own way: their shown form is safe.
//! What never lives here: which values are plausible (`model`).

use std::borrow::Cow;

use crate::model::foreign::tamed;

/// MessagePack with its strings tamed, to the last byte; `None` for what is no MessagePack, be it behind a value that would decode.
#[must_use]
pub fn strings(payload: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut out: Option<Vec<u8>> = None;
    let mut at = 0;
    while at < payload.len() {
        let token = Token::at(payload, at)?;
        let whole = &payload[at..at + token.head + token.body];
        let text = token.text.then(|| String::from_utf8_lossy(&whole[token.head..]));
        // In text of ASCII only controls are hidden; nearly all strings are names of fields.
        let harmless = |text: &str| text.bytes().all(|b| (0x20..0x7f).contains(&b)) || tamed(text) == text;
        match text.filter(|text| !harmless(text)) {
            Some(text) => {
                let out = out.get_or_insert_with(|| payload[..at].to_vec());
                let safe = tamed(&text);
                out.push(0xdb);
                out.extend_from_slice(&u32::try_from(safe.len()).unwrap_or(0).to_be_bytes());
                out.extend_from_slice(safe.as_bytes());
            }
            None => {
                if let Some(out) = &mut out {
                    out.extend_from_slice(whole);
                }
            }
        }
        at += whole.len();
    }
    Some(out.map_or(Cow::Borrowed(payload), Cow::Owned))
}

/// One token: containers are only their heads, what they hold follows as tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Bytes of its head.
    pub head: usize,
    /// Bytes behind it.
    pub body: usize,
    /// A string.
    pub text: bool,
    /// Bytes that are no string.
    pub bytes: bool,
}

impl Token {
    /// The token that begins there; `None` for none, or where the end is missing.
    #[must_use]
    pub fn at(payload: &[u8], at: usize) -> Option<Self> {
        let first = *payload.get(at)?;
        let number = |size: usize| -> Option<usize> {
            let digits = payload.get(at + 1..at + 1 + size)?;
            Some(digits.iter().fold(0, |n, b| n << 8 | usize::from(*b)))
        };
        let (head, body) = match first {
            0xa0..=0xbf => (1, usize::from(first & 0x1f)),
            0xc4 | 0xd9 => (2, number(1)?),
            0xc5 | 0xda => (3, number(2)?),
            0xc6 | 0xdb => (5, number(4)?),
            0xc7 => (3, number(1)?),
            0xc8 => (4, number(2)?),
            0xc9 => (6, number(4)?),
            0xcc | 0xd0 => (2, 0),
            0xcd | 0xd1 | 0xdc | 0xde => (3, 0),
            0xca | 0xce | 0xd2 | 0xdd | 0xdf => (5, 0),
            0xcb | 0xcf | 0xd3 => (9, 0),
            0xd4..=0xd8 => (2, 1 << (first - 0xd4)),
            0xc1 => return None,
            _ => (1, 0),
        };
        let text = matches!(first, 0xa0..=0xbf | 0xd9..=0xdb);
        let bytes = matches!(first, 0xc4..=0xc6);
        (at + head + body <= payload.len()).then_some(Self { head, body, text, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Held = BTreeMap<String, (Vec<String>, Option<i64>, f64, Vec<u8>)>;

    proptest! {
        #[test]
        fn whatever_stands_in_a_string_is_tamed_and_the_rest_stays(
            texts in proptest::collection::btree_map(any::<String>(), any::<(Vec<String>, Option<i64>, f64, Vec<u8>)>(), 0..6)
        ) {
            let bytes = rmp_serde::to_vec_named(&texts).unwrap();
            let read: Held = rmp_serde::from_slice(&strings(&bytes).unwrap()).unwrap();
            let expected = texts.into_iter().map(|(k, (v, n, f, b))| (tamed(&k), (v.iter().map(|t| tamed(t)).collect(), n, f, b)));
            let expected: Held = expected.collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            _ = strings(&bytes);
        }

        /// A byte behind a sample must not let its strings through.
        #[test]
        fn what_follows_a_value_does_not_hide_it(text: String, behind: u8) {
            let mut bytes = rmp_serde::to_vec_named(&text).unwrap();
            bytes.push(behind);
            if let Some(tame) = strings(&bytes) {
                prop_assert_eq!(rmp_serde::from_slice::<String>(&tame).unwrap(), tamed(&text));
            }
        }
    }
}
