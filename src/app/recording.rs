//! Recording from the screen: begin, end, and what the operator is told of it.

use crate::diagnose::{Mode, Picture, Recording, RecordingState};
use crate::model::foreign::Foreign;
use crate::model::shell::Word;

use super::keymap::Action;
use super::{App, Effect};

impl App {
    /// Starts a recording that is named by host and time, or ends the one under way.
    pub(super) fn record(&mut self) -> Vec<Effect> {
        let Some(picture) = self.picture.clone() else { return Vec::new() };
        if picture.mode != Mode::Live {
            self.notice = Some("this is already a recording; only the live screen can be recorded".into());
            return Vec::new();
        }
        let state = picture.recording.as_ref().map(|r| &r.state);
        let running = matches!(state, Some(RecordingState::Opening | RecordingState::Running));
        // What was asked a moment ago may not be in the picture yet.
        if self.recording.unwrap_or(running) {
            self.recording = Some(false);
            return vec![Effect::StopRecording];
        }
        self.recording = Some(true);
        let plain = |text: &str, also: fn(char) -> bool| -> String {
            text.chars().filter(|c| c.is_ascii_alphanumeric() || also(*c)).collect()
        };
        let host = plain(&picture.diagnosis.host.name, |c| c == '-' || c == '_');
        let at = plain(&picture.diagnosis.at, |_| false);
        vec![Effect::Record(format!("perftop-{host}-{at}.perftop"))]
    }

    /// What a picture of now brings, whether it is shown or not: for the journal, and of a recording under way.
    pub(super) fn of_now(&mut self, picture: &Picture) -> Vec<Effect> {
        if picture.mode != Mode::Live {
            return Vec::new();
        }
        let mut effects = self.note(picture);
        if picture.recording != self.recorded {
            self.recorded.clone_from(&picture.recording);
            self.recording = None;
            let told = picture.recording.as_ref().and_then(|r| self.told(r));
            self.notice = told.or(self.notice.take());
            let ended = picture.recording.as_ref().filter(|r| r.state == RecordingState::Ended);
            effects.extend(ended.map(|r| Effect::Tell(r.path.clone())));
        }
        effects
    }

    /// What the operator must know of a recording. The command can be pasted as it is.
    fn told(&self, recording: &Recording) -> Option<String> {
        let path = Word::quoted(recording.path.raw()).map_or_else(|| recording.path.shown().to_owned(), |path| path.to_string());
        let missing = match recording.missing {
            0 => String::new(),
            n => format!("; {n} samples lost, the disk did not keep up"),
        };
        match &recording.state {
            RecordingState::Opening | RecordingState::Sealing => None,
            RecordingState::Running => Some(format!("recording to {path}; {} stops it{missing}", self.key_of(Action::Record))),
            RecordingState::Ended => Some(format!("recorded{missing}; its report follows; perftop replay {path}")),
            RecordingState::Failed { why, .. } => Some(format!("recording stopped: {}", Foreign::from(why.as_str()).shown())),
        }
    }
}
