//! What goes to the clipboard: the fix that is chosen, and one line for the chat. A fix that was taken is watched.

use crate::detect::finding::{Class, Finding, Fix};
use crate::model::subject::{SubjectType, split_finding_key};
use crate::model::unit::short;

use super::pasted::pasted;
use super::tables::Copied;
use super::{App, Effect, Overlay};

/// What the line for the chat is called.
pub(super) const LINE: &str = "line";

impl App {
    /// The list ranks itself each second; what the eye is on stays: the chosen finding while it is there, be it about another culprit; the
    /// first one, unless a more severe one comes up.
    pub(super) fn hold_selection(&mut self) {
        let all = self.findings();
        let held = self.selected.as_ref().and_then(|key| {
            let same = all.iter().find(|f| f.key == *key);
            // A finding that goes on with another culprit names the old one.
            let (id, source, kind, subject) = split_finding_key(key)?;
            let old = format!("{kind}:{subject}");
            same.or_else(|| all.iter().find(|f| f.id == id && f.source == source && f.subject.also.contains(&old)))
        });
        // An open card stays that of its finding, or says that it is gone.
        let card = self.overlays.iter().any(|o| matches!(o, Overlay::Fix { .. }));
        if held.is_none() && card {
            return;
        }
        let Some(first) = all.first() else {
            (self.selected, self.chosen) = (None, false);
            return;
        };
        let (key, chosen) = match held {
            Some(held) if self.chosen || held.severity <= first.severity => (&held.key, self.chosen),
            _ => (&first.key, false),
        };
        (self.selected, self.chosen) = (Some(key.clone()), chosen);
    }

    /// What `c` copies: on a server's screen what its table says of the selected row, else the fix of the finding.
    pub(super) fn copy_row_or_fix(&mut self) -> Vec<Effect> {
        let card = matches!(self.overlays.last(), Some(Overlay::Card { .. }));
        let Some(view) = self.server().filter(|_| card || self.overlays.is_empty()) else { return self.copy_fix() };
        let Some(picture) = self.shown() else { return Vec::new() };
        match view.copy(&picture.facts) {
            Ok(Copied { text, what }) => return vec![Effect::Copy { text, what }],
            Err(nothing) => {
                let of_row = view.of(&picture.facts).zip(view.selected.as_deref()).and_then(|(server, row)| {
                    let query = view.query(&picture.facts).map(|(_, id)| id);
                    let mut all = self.findings().iter().filter(|f| f.source == server && !f.fixes.is_empty());
                    all.find(|f| is_about(f, row, query)).map(|f| f.key.clone())
                });
                // What is found about the row has a fix, whatever the table knows.
                if let Some(key) = of_row {
                    (self.selected, self.chosen) = (Some(key), true);
                    return self.copy_fix();
                }
                self.notice = Some(nothing.into());
            }
        }
        Vec::new()
    }

    fn copy_fix(&mut self) -> Vec<Effect> {
        match self.fix() {
            Some(fix) => {
                let doubtful = fix.preflight.iter().any(|p| !p.ok);
                let failed = if doubtful { ", a preflight check FAILED (see the fix card)" } else { "" };
                // Which one, and for which server: the order may have changed since it was shown.
                let what = format!("{} [{}]{failed}", fix.title, fix.target);
                let seconds = self.finding().map_or(0, |f| due_s(f, fix));
                let copy = Effect::Copy { text: pasted(fix), what };
                // What only says something changes nothing.
                let does = !fix.command.only_notes();
                let taken = self.finding().filter(|_| seconds > 0 && does).map(|f| Effect::Taken { key: f.key.clone(), seconds });
                let noted = self.note_copy();
                std::iter::once(copy).chain(taken).chain(noted).collect()
            }
            None => {
                let gone = self.finding().is_none();
                let nothing =
                    if gone { "nothing to copy: this finding has ended" } else { "nothing to copy: this finding has no fix" };
                self.notice = Some(nothing.into());
                Vec::new()
            }
        }
    }

    pub(super) fn chat_line(&mut self) -> Vec<Effect> {
        let Some(picture) = self.shown() else { return Vec::new() };
        let d = &picture.diagnosis;
        let worst = self.finding().map_or_else(|| d.standing().0.to_owned(), chat);
        vec![Effect::Copy { text: format!("perftop {} {}: {worst}", d.host.name, d.at), what: LINE.into() }]
    }
}

/// The finding is about the object of that row, or about the query behind it; not about a session that happens to run it, which its fix
/// may end.
fn is_about(finding: &Finding, row: &str, query: Option<i64>) -> bool {
    let subject = &finding.subject;
    let query = query.filter(|_| subject.kind != SubjectType::Backend);
    let mut objects =
        std::iter::once(subject.key.as_str()).chain(subject.also.iter().filter_map(|key| Some(key.split_once(':')?.1)));
    objects
        .any(|object| object == row || query.is_some_and(|id| object.rsplit_once('/').is_some_and(|(_, q)| q == id.to_string())))
}

/// Seconds until a fix of the finding should be seen to work: half a minute to paste it, and the time to sample; 0 for one that
/// waits for a restart or for new sessions.
fn due_s(finding: &Finding, fix: &Fix) -> u32 {
    // Settings and catalogues are read once a minute.
    let look_s = if matches!(finding.class, Class::Live | Class::Error) { 60 } else { 180 };
    if fix.waits { 0 } else { look_s + fix.takes_s.unwrap_or(0.0).clamp(0.0, 86_400.0) as u32 }
}

fn chat(f: &Finding) -> String {
    let cost = f.impact.benefit_s_per_s.map_or_else(String::new, |b| format!("{} waiting, ", short(b)));
    format!("{} {cost}{}", f.severity.word(), f.title)
}
