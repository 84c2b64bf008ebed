//! What is known from before, and what is noted for the next time: what was found, which fix was copied, what became of it. Of what is now only.

use std::collections::BTreeMap;

use crate::detect::finding::Finding;
use crate::detect::memory::Outcome;
use crate::diagnose::{Mode, Picture};
use crate::model::counter::Stamp;
use crate::model::journal::{Before, Entry, Happened, Past, stem};

use super::{App, Effect};

/// Evaluations for which a finding must stand to be noted.
const STANDS: u32 = 3;
/// A finding that comes back after this is noted as a new one: seconds in which somebody looked, and at least so many looks.
const CALM_S: f64 = 60.0;
const CALM_LOOKS: u32 = 3;
/// Between two looks that are further apart nobody knows what was: a screen that was stopped, a machine that slept.
const LOOKS_S: f64 = 10.0;

/// What is known, and what is noted of this session.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Journal {
    past: Past,
    /// When the picture before was taken.
    last: Option<Stamp>,
    standing: BTreeMap<Of, Standing>,
    /// As which of them a finding is known, by its key: one that goes on with another subject is the same.
    known_as: BTreeMap<String, Of>,
}

/// Id, source, and whom it blames.
type Of = (String, String, String);

/// A finding that stands, or stood a moment ago.
#[derive(Debug, Clone, Default, PartialEq)]
struct Standing {
    /// For how many evaluations.
    looks: u32,
    /// For how long and how many looks it has been gone.
    gone: (f64, u32),
    /// As what it is noted: whom it blamed when it had stood for long enough. At first a victim may be named.
    noted: Option<Of>,
    /// What was known of that when it came up.
    before: Option<Before>,
    /// It ended, at that moment.
    ended: Option<String>,
}

fn of(f: &Finding) -> Of {
    (f.id.clone(), f.source.clone(), stem(&f.subject.label))
}

impl Journal {
    /// What is known from before.
    #[must_use]
    pub fn new(past: Past) -> Self {
        Self { past, ..Self::default() }
    }

    /// As what a finding is known.
    fn whose(&self, f: &Finding) -> Of {
        let before = f.subject.also.iter().map(|old| format!("{}|{}|{old}", f.id, f.source));
        std::iter::once(f.key.clone()).chain(before).find_map(|key| self.known_as.get(&key).cloned()).unwrap_or_else(|| of(f))
    }

    fn add(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        entries.iter().for_each(|entry| self.past.add(entry));
        entries
    }

    /// What a picture of now adds.
    pub fn see(&mut self, picture: &Picture) -> Vec<Entry> {
        let at_ms = picture.at.wall_ms;
        let mut entries = Vec::new();
        let entry = |of: &Of, what, title: &str, gained| {
            let (id, source, subject) = of.clone();
            Entry { at_ms, what, id, source, subject, title: title.to_owned(), gained }
        };
        let since = self.last.replace(picture.at);
        let dt = since.and_then(|before| picture.at.seconds_since(&before)).unwrap_or(0.0).min(LOOKS_S);
        self.standing.values_mut().for_each(|s| s.gone = (s.gone.0 + dt, s.gone.1.saturating_add(1)));
        self.standing.retain(|_, s| s.gone.0 <= CALM_S || s.gone.1 <= CALM_LOOKS);
        self.known_as.retain(|_, of| self.standing.contains_key(of));
        for f in picture.diagnosis.findings.iter().filter(|f| f.raised() && !f.id.starts_with("source.")) {
            let whose = self.whose(f);
            self.known_as.insert(f.key.clone(), whose.clone());
            let standing = self.standing.entry(whose).or_default();
            (standing.looks, standing.gone) = (standing.looks.saturating_add(1), (0.0, 0));
            if standing.noted.is_none() {
                standing.before = self.past.of(&of(f)).cloned();
            }
            if standing.looks == STANDS {
                entries.push(entry(&of(f), Happened::Found, &f.title, 0.0));
                standing.noted = Some(of(f));
            }
        }
        for r in &picture.diagnosis.resolved {
            let Some(standing) = self.known_as.get(&r.key).and_then(|of| self.standing.get_mut(of)) else { continue };
            let Some(of) = standing.noted.clone() else { continue };
            if standing.ended.as_ref() == Some(&r.at) {
                continue;
            }
            standing.ended = Some(r.at.clone());
            let what = match r.outcome {
                Outcome::Resolved => Happened::Resolved,
                Outcome::NotResolved => Happened::NotResolved,
                Outcome::WentAway | Outcome::LoadWentAway => Happened::Ended,
            };
            entries.push(entry(&of, what, "", (r.before - r.after).max(0.0)));
        }
        self.add(entries)
    }
}

fn effects(entries: Vec<Entry>) -> Vec<Effect> {
    if entries.is_empty() { Vec::new() } else { vec![Effect::Note(entries)] }
}

impl App {
    /// What is known of the finding from before it came up this time.
    #[must_use]
    pub fn before(&self, finding: &Finding) -> Option<&Before> {
        self.journal.standing.get(&self.journal.whose(finding))?.before.as_ref()
    }

    /// What a picture of now adds to the journal.
    pub(super) fn note(&mut self, picture: &Picture) -> Vec<Effect> {
        effects(self.journal.see(picture))
    }

    /// That a fix of the selected finding was copied.
    pub(super) fn note_copy(&mut self) -> Vec<Effect> {
        let Some((picture, (finding, fix))) = self.shown().zip(self.finding().zip(self.fix())) else { return Vec::new() };
        // What only looks cures nothing.
        if picture.mode != Mode::Live || fix.only_looks() {
            return Vec::new();
        }
        let standing = self.journal.standing.get(&self.journal.whose(finding));
        let (id, source, subject) = standing.and_then(|s| s.noted.clone()).unwrap_or_else(|| of(finding));
        let (at_ms, title) = (picture.at.wall_ms, fix.title.clone());
        effects(self.journal.add(vec![Entry { at_ms, what: Happened::Copied, id, source, subject, title, gained: 0.0 }]))
    }
}
