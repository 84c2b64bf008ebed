//! A key, and how it is written in the configuration.

/// A key as the terminal sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named by what is printed on them")]
pub enum Key {
    Char(char),
    Ctrl(char),
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Esc,
    Backspace,
    Tab,
    F(u8),
}

impl Key {
    /// A key as the configuration writes it: `c`, `G`, `ctrl-f`, `F5`, `space`, `up`, `pgdn`, `enter` …
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut letters = text.chars();
        if let (Some(c), None) = (letters.next(), letters.next()) {
            return (!c.is_control()).then_some(Self::Char(c));
        }
        let lower = text.to_ascii_lowercase();
        if let Some(rest) = lower.strip_prefix("ctrl-") {
            let mut letters = rest.chars();
            return match (letters.next(), letters.next()) {
                (Some(c), None) if c.is_ascii_alphabetic() => Some(Self::Ctrl(c)),
                _ => None,
            };
        }
        if let Some(n) = lower.strip_prefix('f').and_then(|n| n.parse::<u8>().ok()) {
            return (1..=12).contains(&n).then_some(Self::F(n));
        }
        NAMED.iter().find(|(name, _)| *name == lower).map(|(_, key)| *key)
    }

    /// The name that [`Key::parse`] takes.
    #[must_use]
    pub fn shown(self) -> String {
        match self {
            Self::Char(' ') => "space".to_owned(),
            Self::Char(c) => c.to_string(),
            Self::Ctrl(c) => format!("Ctrl-{}", c.to_ascii_uppercase()),
            Self::F(n) => format!("F{n}"),
            other => NAMED.iter().find(|(_, key)| *key == other).map_or("", |(name, _)| name).to_owned(),
        }
    }
}

const NAMED: &[(&str, Key)] = &[
    ("space", Key::Char(' ')),
    ("up", Key::Up),
    ("down", Key::Down),
    ("left", Key::Left),
    ("right", Key::Right),
    ("pgup", Key::PageUp),
    ("pgdn", Key::PageDown),
    ("home", Key::Home),
    ("end", Key::End),
    ("enter", Key::Enter),
    ("esc", Key::Esc),
    ("backspace", Key::Backspace),
    ("tab", Key::Tab),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_reads_back_as_it_is_written() {
        for key in super::super::keymap::bindings().flat_map(|b| b.keys) {
            assert_eq!(Key::parse(&key.shown()), Some(*key), "{key:?}");
        }
        for wrong in ["", "cc", "ctrl-", "ctrl-1", "F0", "F13", "\x1b", "meta-x"] {
            assert_eq!(Key::parse(wrong), None, "{wrong:?}");
        }
    }
}
