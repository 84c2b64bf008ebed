//! The command palette: every action by its words, for those whose keys one does not remember.

use super::keymap::{Action, Context, Key, Row};
use super::tables::ServerView;
use super::{App, Effect, Overlay};

/// Other words for it: what people type who do not know ours.
const fn also(action: Action) -> &'static str {
    match action {
        Action::CopyFix => "kill end terminate cancel session clipboard yank index vacuum renice",
        Action::Plan => "explain analyze index",
        Action::TryIndex => "hypothetical index",
        Action::Host => "processes top cpu memory disk network cgroups",
        Action::Fleet => "hosts all other machines",
        Action::Filter => "search find grep",
        Action::Quit | Action::Close => "exit leave",
        Action::Messages => "dmesg kernel log oom journal",
        Action::Sockets => "connections netstat ss listen",
        Action::Cleared => "fine healthy checked",
        Action::KernelThreads => "kworker kthreads system",
        Action::NextTheme => "light dark contrast colours colors appearance",
        Action::Record => "save write capture incident report",
        Action::Weigh => "priority foreground background nice",
        Action::Mute => "silence ignore acknowledge snooze hide",
        Action::Provenance => "source formula where from",
        Action::ChatLine => "share slack message",
        Action::Time => "history past graph yesterday replay",
        Action::Shape => "tree groups cgroups users",
        Action::Diagnose => "flowchart questions guide why",
        Action::Freeze => "pause hold stop",
        _ => "",
    }
}

/// What the tables of a server's screen are called.
fn words_of(view: &ServerView) -> String {
    view.tabs().iter().map(|tab| tab.word).collect::<Vec<_>>().join(" ")
}

/// The letters stand in the text, in that order.
fn in_order(letters: &str, text: &str) -> bool {
    let mut rest = text.chars();
    letters.chars().all(|letter| rest.any(|c| c == letter))
}

impl App {
    /// The actions that count on this screen and hold every word that was typed.
    #[must_use]
    pub fn palette_rows(&self, text: &str) -> Vec<&Row> {
        let here = self.screen.context();
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        let counts = |r: &&Row| {
            let context = r.binding.context;
            (context == Context::Anywhere || context == here) && r.binding.action != Action::Palette
        };
        // A server's screen is found by its tables.
        let tables = |action| match action {
            Action::Server(kind) => self.servers.iter().find(|v| v.kind() == kind).map(words_of).unwrap_or_default(),
            _ => String::new(),
        };
        let all = |r: &Row| {
            let action = r.binding.action;
            format!("{} {} {} {}", r.binding.name, r.binding.what, also(action), tables(action)).to_lowercase()
        };
        let holds = |r: &&Row| words.iter().all(|word| all(r).contains(word.as_str()));
        let mut rows: Vec<&Row> = self.keymap.rows().iter().filter(counts).filter(holds).collect();
        if rows.is_empty() {
            // Letters in that order: `cpfx` is copy_fix.
            let near = |r: &&Row| words.iter().all(|word| in_order(word, &all(r)));
            rows = self.keymap.rows().iter().filter(counts).filter(near).collect();
        }
        // Enter at once must not leave.
        rows.sort_by_key(|r| matches!(r.binding.action, Action::Quit | Action::Close | Action::Suspend));
        rows
    }

    /// To the table of the server's screen that a word names.
    fn turn_to(&mut self, text: &str, own: &str) {
        let Some(view) = self.server_mut() else { return };
        let names = |word: &str| view.tabs().iter().position(|tab| tab.word.to_lowercase().starts_with(&word.to_lowercase()));
        let words = text.split_whitespace().filter(|word| !own.contains(&word.to_lowercase()) && word.len() > 2);
        if let Some(tab) = words.filter_map(names).next() {
            (view.tab, view.selected) = (tab, None);
        }
    }

    /// One key of the palette: letters narrow, the arrows choose, Enter does it.
    pub(super) fn palette_key(&mut self, key: Key) -> Vec<Effect> {
        let Some(Overlay::Palette { mut input, mut index }) = self.overlays.last().cloned() else { return Vec::new() };
        let last = self.palette_rows(&input.text).len().saturating_sub(1);
        match key {
            Key::Up => index = index.saturating_sub(1),
            Key::Down | Key::Tab => index = (index + 1).min(last),
            Key::Esc => {
                self.overlays.pop();
                return Vec::new();
            }
            Key::Enter => {
                let row = self.palette_rows(&input.text).get(index).map(|r| r.binding);
                let action = row.map(|b| b.action);
                self.overlays.pop();
                let effects = action.map_or_else(Vec::new, |action| self.act(action));
                if matches!(action, Some(Action::Server(_))) {
                    // A word of the screen's own names no table of it.
                    let own = row.map_or_else(String::new, |b| format!("{} {}", b.name, b.what).to_lowercase());
                    self.turn_to(&input.text, &own);
                }
                return effects;
            }
            key => {
                if input.key(key) {
                    index = 0;
                }
            }
        }
        if let Some(open) = self.overlays.last_mut() {
            *open = Overlay::Palette { input, index };
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

    #[test]
    fn other_words_and_letters_in_order_find_it_too() {
        let app = App::default();
        let first = |text: &str| app.palette_rows(text).first().map(|r| r.binding.action);
        assert_eq!(first("kill"), Some(Action::CopyFix));
        assert!(matches!(first("locks"), Some(Action::Server(_))));
        assert_eq!(first("dmesg"), Some(Action::Messages));
        assert_eq!(first("silence"), Some(Action::Mute));
        assert_eq!(first("theme"), Some(Action::NextTheme));
        assert_eq!(first("cpyfx"), Some(Action::CopyFix));
        assert_eq!(first("qqq"), None);
        let mut app = App::default();
        ":locks".chars().map(Key::Char).chain([Key::Enter]).for_each(|key| _ = app.update(crate::app::Msg::Key(key)));
        assert_eq!(app.server().map(|view| view.open().word), Some("Locks"));
    }
}
