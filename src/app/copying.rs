//! What goes to the clipboard: the fix that is chosen, and one line for the chat. A fix that was taken is watched.

use crate::detect::finding::{Class, Finding, Fix};
use crate::model::unit::short;

use super::{App, Effect};

impl App {
    pub(super) fn copy_fix(&mut self) -> Vec<Effect> {
        match self.fix() {
            Some(fix) => {
                let doubtful = fix.preflight.iter().any(|p| !p.ok);
                let failed = if doubtful { ", one of whose checks FAILED (see its card)," } else { "" };
                // Which one: the order may have changed since it was looked at.
                let what = format!("{} fix \"{}\"{failed}", fix.command.language().word(), fix.title);
                let seconds = self.finding().map_or(0, |f| due_s(f, fix));
                let copy = Effect::Copy { text: fix.command.to_string(), what };
                let taken = self.finding().filter(|_| seconds > 0).map(|f| Effect::Taken { key: f.key.clone(), seconds });
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

/// Seconds until a fix of the finding should be seen to work: half a minute to paste it, and what it takes to look; 0 for one that waits for
/// a restart.
fn due_s(finding: &Finding, fix: &Fix) -> u32 {
    // Settings and catalogues are read once a minute.
    let look_s = if matches!(finding.class, Class::Live | Class::Error) { 60 } else { 180 };
    let restart = fix.preflight.iter().any(|p| !p.ok && p.what.contains("restart"));
    if restart { 0 } else { look_s + fix.takes_s.unwrap_or(0.0).clamp(0.0, 86_400.0) as u32 }
}

fn chat(f: &Finding) -> String {
    let cost = f.impact.benefit_s_per_s.map_or_else(String::new, |b| format!("{} waiting, ", short(b)));
    format!("{} {cost}{}", f.severity.word(), f.title)
}
