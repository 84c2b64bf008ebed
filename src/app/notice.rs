//! The line above the footer: how long it stands. Pure.

use crate::model::counter::Stamp;

use super::App;

/// It is read in so many seconds.
const READ_S: f64 = 10.0;

impl App {
    /// A message that was read hides the keys no more.
    pub(super) fn forget_notice(&mut self, at: Stamp) {
        self.noticed = match (self.notice.as_ref(), self.noticed.take()) {
            (None, _) => None,
            (Some(now), Some((said, since))) if *now == said => {
                if at.seconds_since(&since).is_none_or(|s| s > READ_S) {
                    self.notice = None;
                }
                Some((said, since))
            }
            (Some(now), _) => Some((now.clone(), at)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_goes_when_it_was_read_and_a_new_one_stands_anew() {
        let at = |s: u64| Stamp { wall_ms: 0, mono_ns: s * 1_000_000_000, boot_ns: s * 1_000_000_000 };
        let mut app = App { notice: Some("copied".into()), ..App::default() };
        for (second, there) in [(1, true), (11, true), (12, false)] {
            app.forget_notice(at(second));
            assert_eq!(app.notice.is_some(), there, "{second}");
        }
        app.notice = Some("copied".into());
        app.forget_notice(at(13));
        app.notice = Some("another".into());
        app.forget_notice(at(20));
        app.forget_notice(at(29));
        assert!(app.notice.is_some());
    }
}
