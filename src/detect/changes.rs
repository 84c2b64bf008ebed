//! What is remembered of what changed: settings of servers, and what their clients do now. Pure.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// What was there when we came came up at a time that nobody saw.
pub const LATELY_MS: i64 = 900_000;
/// Changes that are remembered, and names of programs.
const KEPT: usize = 64;
const PROGRAMS: usize = 2_048;
/// Settings and statements are read that seldom, at most.
const SETTINGS_MS: i64 = 60_000;
const STATEMENTS_MS: i64 = 20_000;

/// What is remembered of what changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Changes {
    /// Settings of each server as they were read last.
    settings: BTreeMap<String, BTreeMap<String, String>>,
    /// What no figure dates by itself, oldest first.
    log: VecDeque<Change>,
    /// When a program was seen first, by its name, and last.
    programs: BTreeMap<String, (i64, i64)>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Wall clock, ms.
    pub at_ms: i64,
    /// Source id.
    pub source: String,
    /// In words.
    pub says: String,
    /// It may have happened so much earlier: readings are seldom.
    #[serde(default)]
    pub late_ms: i64,
}

impl Changes {
    /// Notes what a server's settings are now, and what its clients do that they did not before.
    pub(super) fn note(&mut self, source: &str, settings: BTreeMap<String, String>, came: Vec<String>, now_ms: i64) {
        let change = |says, late_ms| Change { at_ms: now_ms, source: source.to_owned(), says, late_ms };
        let new = came.into_iter().filter(|says| !self.log.iter().any(|c| c.source == source && c.says == *says));
        let new: Vec<Change> = new.map(|says| change(says, STATEMENTS_MS)).collect();
        self.log.extend(new);
        if !settings.is_empty() {
            let others = differences(self.settings.get(source), &settings);
            self.log.extend(others.into_iter().map(|says| change(says, SETTINGS_MS)));
            self.settings.insert(source.to_owned(), settings);
        }
        self.log.retain(|c| now_ms - c.at_ms < LATELY_MS);
        while self.log.len() > KEPT {
            self.log.pop_front();
        }
    }

    /// The clock was set: what was dated by the old one moves along.
    pub(super) fn clock_set(&mut self, by_ms: i64) {
        self.log.iter_mut().for_each(|change| change.at_ms += by_ms);
        self.programs.values_mut().for_each(|(first_ms, last_ms)| {
            *first_ms += by_ms;
            *last_ms += by_ms;
        });
    }

    /// Forgets servers that are not watched any more.
    pub(super) fn keep(&mut self, watched: &[&str]) {
        self.settings.retain(|source, _| watched.contains(&source.as_str()));
    }

    /// Notes the programs that are there, by name.
    pub(super) fn run<'a>(&mut self, names: impl Iterator<Item = &'a str>, now_ms: i64) {
        for name in names {
            let room = self.programs.len() < PROGRAMS;
            match self.programs.get_mut(name) {
                Some((_, last)) => *last = now_ms,
                None if room => _ = self.programs.insert(name.to_owned(), (now_ms, now_ms)),
                None => {}
            }
        }
        self.programs.retain(|_, (_, last)| now_ms - *last < LATELY_MS);
    }

    /// A program of that name was there well before one that started then.
    pub(super) fn ran(&self, name: &str, started_ms: i64) -> bool {
        const SLACK_MS: i64 = 5_000;
        self.programs.get(name).is_some_and(|(first, _)| *first < started_ms - SLACK_MS)
    }

    /// Those of the last quarter of an hour, oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Change> {
        self.log.iter()
    }
}

/// One line for each setting that is another one now. A server that tells only what is not its default may tell more, or less.
fn differences(before: Option<&BTreeMap<String, String>>, now: &BTreeMap<String, String>) -> Vec<String> {
    let Some(before) = before else { return Vec::new() };
    let changed = now.iter().filter_map(|(name, value)| match before.get(name) {
        Some(old) if old == value => None,
        Some(old) => Some(format!("{name} {old} -> {value}")),
        None => Some(format!("{name} -> {value}")),
    });
    let gone = before.keys().filter(|name| !now.contains_key(*name)).map(|name| format!("{name} -> its default"));
    changed.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_come_and_go_are_changes_and_the_first_reading_is_none() {
        let map =
            |rows: &[(&str, &str)]| rows.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>();
        let mut changes = Changes::default();
        let mut says = |rows: &[(&str, &str)], came: &[&str]| {
            let before = changes.log.len();
            changes.note("a", map(rows), came.iter().map(|c| (*c).to_owned()).collect(), 0);
            changes.log.iter().skip(before).map(|c| c.says.clone()).collect::<Vec<_>>()
        };
        assert!(says(&[("a", "1"), ("b", "2")], &[]).is_empty());
        // Not read this time.
        assert!(says(&[], &[]).is_empty());
        assert_eq!(
            says(&[("a", "3"), ("c", "4")], &["a new statement"]),
            ["a new statement", "a 1 -> 3", "c -> 4", "b -> its default"]
        );
        assert!(says(&[("a", "3"), ("c", "4")], &["a new statement"]).is_empty(), "once");
    }
}
