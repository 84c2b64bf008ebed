//! A filter that is typed above a table. Pure.

use super::keymap::Key;

/// Its text, and whether it is being typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// What a row must hold.
    pub text: String,
    /// Keys are letters of it.
    pub editing: bool,
}

impl Filter {
    /// Takes a key; true when it was finished with Enter.
    pub fn key(&mut self, key: Key) -> bool {
        match key {
            Key::Char(c) if !c.is_control() => self.text.push(c),
            Key::Backspace => _ = self.text.pop(),
            Key::Enter => self.editing = false,
            Key::Esc => {
                self.editing = false;
                self.text.clear();
            }
            _ => {}
        }
        key == Key::Enter
    }
}
