//! A filter that is typed above a table. Pure.

use super::input::Input;
use super::keymap::Key;

/// Its text, and whether it is being typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// What a row must hold.
    pub input: Input,
    /// Keys are letters of it.
    pub editing: bool,
}

impl Filter {
    /// What a row must hold.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.input.text
    }

    /// Takes a key; true when it was finished with Enter.
    pub fn key(&mut self, key: Key) -> bool {
        match key {
            Key::Enter => self.editing = false,
            Key::Esc => {
                self.editing = false;
                self.input.clear();
            }
            key => _ = self.input.key(key),
        }
        key == Key::Enter
    }
}
