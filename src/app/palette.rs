//! The command palette: every action by its words, for those whose keys one does not remember.

use super::keymap::{Action, Context, Key, Row};
use super::{App, Effect, Overlay, Screen};

impl App {
    /// The actions that count on this screen and hold every word that was typed.
    #[must_use]
    pub fn palette_rows(&self, text: &str) -> Vec<&Row> {
        let here = match self.screen {
            Screen::Triage => Context::Triage,
            Screen::Host => Context::Host,
            Screen::Server(_) => Context::Server,
            Screen::Diagnose => Context::Diagnose,
            Screen::Dashboard => Context::Dashboard,
        };
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        let counts = |r: &&Row| {
            let context = r.binding.context;
            (context == Context::Anywhere || context == here) && r.binding.action != Action::Palette
        };
        let holds = |r: &&Row| {
            let all = format!("{} {}", r.binding.name, r.binding.what).to_lowercase();
            words.iter().all(|word| all.contains(word.as_str()))
        };
        let mut rows: Vec<&Row> = self.keymap.rows().iter().filter(counts).filter(holds).collect();
        // Enter at once must not leave.
        rows.sort_by_key(|r| matches!(r.binding.action, Action::Quit | Action::Close | Action::Suspend));
        rows
    }

    /// One key of the palette: letters narrow, the arrows choose, Enter does it.
    pub(super) fn palette_key(&mut self, key: Key) -> Vec<Effect> {
        let Some(Overlay::Palette { text, index }) = self.overlays.last().cloned() else { return Vec::new() };
        let (mut text, mut index) = (text, index);
        let last = self.palette_rows(&text).len().saturating_sub(1);
        match key {
            Key::Char(c) if !c.is_control() => {
                text.push(c);
                index = 0;
            }
            Key::Backspace => {
                text.pop();
                index = 0;
            }
            Key::Up => index = index.saturating_sub(1),
            Key::Down | Key::Tab => index = (index + 1).min(last),
            Key::Esc => {
                self.overlays.pop();
                return Vec::new();
            }
            Key::Enter => {
                let action = self.palette_rows(&text).get(index).map(|r| r.binding.action);
                self.overlays.pop();
                return action.map_or_else(Vec::new, |action| self.act(action));
            }
            _ => {}
        }
        if let Some(open) = self.overlays.last_mut() {
            *open = Overlay::Palette { text, index };
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Msg;

    #[test]
    fn words_narrow_and_enter_acts() {
        let mut app = App::default();
        let mut press = |keys: &[Key]| keys.iter().flat_map(|k| app.update(Msg::Key(*k))).collect::<Vec<_>>();
        let typed: Vec<Key> = ":".chars().chain("redraw".chars()).map(Key::Char).chain([Key::Enter]).collect();
        assert_eq!(press(&typed), [Effect::Redraw]);
        // What is typed does not act, not even q.
        assert_eq!(press(&[Key::Char(':'), Key::Char('q'), Key::Esc]), []);
        assert_eq!(press(&[Key::Char(':'), Key::Char('z'), Key::Char('z'), Key::Enter]), []);
        assert!(app.overlays.is_empty());
    }
}
