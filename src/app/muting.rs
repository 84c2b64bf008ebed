//! Muting a finding: a reason is typed, and how long.

use crate::model::foreign::Foreign;

use super::input::Input;
use super::keymap::Key;
use super::{App, Effect};

impl App {
    /// `2h deploy under way`: a duration in front, else an hour. Without a reason nothing is muted.
    pub(super) fn edit_reason(&mut self, key: Key) -> Vec<Effect> {
        let Some((finding, typed)) = &mut self.muting else { return Vec::new() };
        match key {
            Key::Esc => self.muting = None,
            Key::Enter => {
                let (finding, text) = (finding.clone(), typed.text.trim().to_owned());
                self.muting = None;
                let first = text.split_whitespace().next().unwrap_or_default();
                let given = crate::config::parse_duration(first).map(|ms| ms / 1000);
                let reason = given.map_or(text.as_str(), |_| text[first.len()..].trim()).to_owned();
                if reason.is_empty() {
                    self.notice = Some("not muted: give a reason, such as `2h deploy under way`".into());
                    return Vec::new();
                }
                let seconds = u32::try_from(given.unwrap_or(3600).clamp(1, 7 * 86_400)).unwrap_or(3600);
                return vec![Effect::Mute { key: finding, reason: Foreign::from(reason.as_str()).shown().to_owned(), seconds }];
            }
            key => _ = typed.key(key),
        }
        Vec::new()
    }

    /// Asks for a reason, or takes a mute back.
    pub(super) fn mute(&mut self) -> Vec<Effect> {
        let Some(finding) = self.finding() else {
            self.notice = Some("nothing to mute: no finding".into());
            return Vec::new();
        };
        let (key, muted) = (finding.key.clone(), finding.muted.is_some());
        if muted {
            return vec![Effect::Mute { key, reason: String::new(), seconds: 0 }];
        }
        self.muting = Some((key, Input::default()));
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Msg;

    #[test]
    fn a_mute_needs_a_reason_and_takes_a_duration() {
        let mut app = App { muting: Some(("k".into(), Input::default())), ..App::default() };
        let mut typed = |text: &str| {
            app.muting = Some(("k".into(), Input::default()));
            let keys: Vec<Key> = text.chars().map(Key::Char).chain([Key::Enter]).collect();
            keys.into_iter().flat_map(|key| app.update(Msg::Key(key))).collect::<Vec<_>>()
        };
        assert_eq!(typed(" "), []);
        let muted = |reason: &str, seconds| vec![Effect::Mute { key: "k".into(), reason: reason.into(), seconds }];
        assert_eq!(typed("deploy"), muted("deploy", 3600));
        assert_eq!(typed("2h a quiet q"), muted("a quiet q", 7200));
        assert_eq!(typed("5m"), []);
    }
}
