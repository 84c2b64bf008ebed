//! A line that is typed: the keys of a shell's line work in every one of them. Pure.

use super::keymap::Key;

/// Text with a cursor in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Input {
    /// What was typed.
    pub text: String,
    /// Characters behind the cursor.
    behind: usize,
}

impl Input {
    /// Takes a key that edits; false for one that does not.
    pub fn key(&mut self, key: Key) -> bool {
        let (mut before, behind) = self.halves();
        let mut after = behind.to_owned();
        match key {
            Key::Char(c) if !c.is_control() => before.push(c),
            Key::Backspace => _ = before.pop(),
            Key::Ctrl('u') => before.clear(),
            Key::Ctrl('w') => {
                before.truncate(before.trim_end().len());
                before.truncate(before.trim_end_matches(|c: char| !c.is_whitespace()).len());
            }
            Key::Left => after = before.pop().into_iter().chain(after.chars()).collect(),
            Key::Right => {
                let mut rest = after.chars();
                before.extend(rest.next());
                after = rest.collect();
            }
            Key::Home => after = std::mem::take(&mut before) + &after,
            Key::End => before += &std::mem::take(&mut after),
            _ => return false,
        }
        self.behind = after.chars().count();
        self.text = before + &after;
        true
    }

    /// What stands before the cursor, and behind it.
    #[must_use]
    pub fn halves(&self) -> (String, &str) {
        let at = self.text.char_indices().rev().take(self.behind).last().map_or(self.text.len(), |(at, _)| at);
        (self.text[..at].to_owned(), &self.text[at..])
    }

    /// Empty again.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_keys_of_a_shells_line() {
        let mut line = Input::default();
        "cpu>0.5 name~web".chars().for_each(|c| assert!(line.key(Key::Char(c))));
        line.key(Key::Ctrl('w'));
        assert_eq!(line.text, "cpu>0.5 ");
        for key in [Key::Home, Key::Char('é'), Key::Right, Key::Backspace, Key::End, Key::Char('x')] {
            line.key(key);
        }
        assert_eq!(line.text, "épu>0.5 x");
        for key in [Key::Left, Key::Left, Key::Left, Key::Ctrl('u')] {
            line.key(key);
        }
        assert_eq!(line.text, "5 x");
        assert!(!line.key(Key::Up) && !line.key(Key::Enter));
    }

    proptest! {
        #[test]
        fn any_keys_keep_the_cursor_within(keys in prop::collection::vec(0usize..11, 0..60)) {
            const KEYS: [Key; 11] = [
                Key::Char('日'), Key::Char(' '), Key::Char('\u{a0}'), Key::Char('\u{3000}'), Key::Backspace, Key::Ctrl('u'), Key::Ctrl('w'), Key::Left, Key::Right, Key::Home, Key::End,
            ];
            let mut line = Input::default();
            for key in keys {
                line.key(KEYS[key]);
                let (before, behind) = line.halves();
                prop_assert_eq!(before + behind, line.text.clone());
            }
        }
    }
}
