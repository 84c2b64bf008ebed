//! The journal: what was found, which fixes were copied, and what became of it, so that it is known the next time. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::foreign::tamed;

/// One line of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, wall clock ms.
    pub at_ms: i64,
    /// What happened.
    pub what: Happened,
    /// Id of the finding.
    pub id: String,
    /// Its source.
    pub source: String,
    /// Whom it blames, as [`stem`] has it.
    pub subject: String,
    /// Its title, or that of the fix.
    pub title: String,
    /// Seconds per second that were gained, where it ended.
    #[serde(default)]
    pub gained: f64,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// It was found.
    Found,
    /// A fix of it was copied.
    Copied,
    /// It was resolved after a fix was copied.
    Resolved,
    /// A fix was copied, and it is still there.
    NotResolved,
    /// It ended by itself.
    Ended,
}

/// What stays of a subject from one time to the next: a program without its pid, an object by its name.
#[must_use]
pub fn stem(label: &str) -> String {
    label.split(" (pid").next().unwrap_or(label).to_owned()
}

/// What is found again sooner is the same, ms.
const SAME_MS: i64 = 60_000;

/// What is known from before, by finding, source and subject.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    known: BTreeMap<(String, String, String), Before>,
}

/// What is known of one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Before {
    /// How often it was found.
    pub times: u32,
    /// When it was found last, wall clock ms.
    pub last_ms: i64,
    /// The fix that helped last, and what it gained, s/s.
    pub helped: Option<(String, f64)>,
    /// A fix that was copied and did not help.
    pub failed: Option<String>,
    /// The fix that was copied last, until it is known whether it helped.
    copied: Option<String>,
}

impl Past {
    /// From the lines of a journal; what is no line of it is passed over.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut past = Self::default();
        text.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok()).for_each(|entry| past.add(&entry));
        past
    }

    /// Adds what happened.
    pub fn add(&mut self, entry: &Entry) {
        let key = (entry.id.clone(), entry.source.clone(), entry.subject.clone());
        let before = self.known.entry(key).or_default();
        match entry.what {
            Happened::Found => {
                // Two screens that saw the same note it twice.
                let again = before.times > 0 && entry.at_ms.saturating_sub(before.last_ms).abs() < SAME_MS;
                before.times = before.times.saturating_add(u32::from(!again));
                before.last_ms = before.last_ms.max(entry.at_ms);
            }
            // What comes from a file is text.
            Happened::Copied => before.copied = Some(tamed(&entry.title)),
            Happened::Resolved => {
                if let Some(fix) = before.copied.take() {
                    before.failed = before.failed.take().filter(|failed| *failed != fix);
                    before.helped = Some((fix, entry.gained));
                }
            }
            Happened::NotResolved => before.failed = before.copied.take().or(before.failed.take()),
            Happened::Ended => before.copied = None,
        }
    }

    /// What is known of a finding, by its id, its source and the label of its subject.
    #[must_use]
    pub fn of_finding(&self, id: &str, source: &str, label: &str) -> Option<&Before> {
        self.of(&(id.to_owned(), source.to_owned(), stem(label)))
    }

    /// The same by id, source and stem.
    #[must_use]
    pub fn of(&self, of: &(String, String, String)) -> Option<&Before> {
        self.known.get(of).filter(|before| before.times > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at_ms: i64, what: Happened, title: &str, gained: f64) -> String {
        let (id, source) = ("host.cpu.contention".into(), "host".into());
        let entry = Entry { at_ms, what, id, source, subject: "dd".into(), title: title.into(), gained };
        serde_json::to_string(&entry).unwrap() + "\n"
    }

    #[test]
    fn what_helped_is_known_the_next_time() {
        let text = line(1, Happened::Found, "dd takes", 0.0)
            + &line(2, Happened::Copied, "Pause it", 0.0)
            + "torn {\n"
            + &line(3, Happened::Resolved, "dd takes", 4.1)
            + &line(90_000, Happened::Found, "dd takes", 0.0);
        let past = Past::read(&text);
        let before = past.of_finding("host.cpu.contention", "host", "dd (pid 4242)").unwrap();
        assert_eq!((before.times, before.last_ms, before.helped.clone()), (2, 90_000, Some(("Pause it".into(), 4.1))));
        assert_eq!(past.of_finding("host.cpu.contention", "host", "cc1 (pid 7)"), None);
        assert_eq!(past.of_finding("host.cpu.contention", "postgres:5432", "dd"), None, "another server's is another");
        let failed = Past::read(
            &(text + &line(90_010, Happened::Copied, "Lower it", 0.0) + &line(90_011, Happened::NotResolved, "", 0.0)),
        );
        let before = failed.of_finding("host.cpu.contention", "host", "dd").unwrap();
        assert_eq!(before.failed.as_deref(), Some("Lower it"));
        assert!(before.helped.is_some(), "what helped once is still known");
    }

    #[test]
    fn what_ended_by_itself_speaks_for_no_fix() {
        let text = line(1, Happened::Found, "", 0.0)
            + &line(2, Happened::Copied, "Pause it", 0.0)
            + &line(3, Happened::Ended, "", 0.0)
            + &line(4, Happened::Resolved, "", 1.0);
        assert_eq!(Past::read(&text).of_finding("host.cpu.contention", "host", "dd").unwrap().helped, None);
    }

    #[test]
    fn a_program_is_the_same_with_another_pid() {
        assert_eq!(stem("dd (pid 4242 and its children)"), "dd");
        assert_eq!(stem("public.orders(customer_id)"), "public.orders(customer_id)");
    }
}
