//! What goes to the clipboard: the fix that is chosen, and one line for the chat. A fix that was taken is watched.

use crate::detect::finding::Finding;
use crate::model::unit::short;

use super::{App, Effect};

impl App {
    pub(super) fn copy_fix(&mut self) -> Vec<Effect> {
        match self.fix() {
            Some(fix) => {
                let doubtful = fix.preflight.iter().any(|p| !p.ok);
                let failed = if doubtful { ", one of whose checks FAILED (see its card)," } else { "" };
                let what = format!("{} fix \"{}\"{failed}", fix.language.word(), fix.title);
                // Half a minute to paste it and half a minute to see it work.
                let seconds = 60 + fix.takes_s.unwrap_or(0.0).clamp(0.0, 86_400.0) as u32;
                let copy = Effect::Copy { text: fix.command.clone(), what };
                let taken = self.finding().map(|f| Effect::Taken { key: f.key.clone(), seconds });
                std::iter::once(copy).chain(taken).collect()
            }
            None => {
                self.notice = Some("nothing to copy: this finding has no fix".into());
                Vec::new()
            }
        }
    }

    pub(super) fn chat_line(&mut self) -> Vec<Effect> {
        let Some(picture) = self.shown() else { return Vec::new() };
        let d = &picture.diagnosis;
        let worst = self.finding().map_or_else(|| d.health.status.word().to_owned(), chat);
        vec![Effect::Copy { text: format!("perftop {} {}: {worst}", d.host.name, d.at), what: "line".into() }]
    }
}

fn chat(f: &Finding) -> String {
    let cost = f.impact.benefit_s_per_s.map_or_else(String::new, |b| format!("{} waiting, ", short(b)));
    format!("{} {cost}{}", f.severity.word(), f.title)
}
