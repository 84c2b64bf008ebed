//! When each suspect came up, and what others lost before that: a cause explains nothing that was there before it. Pure.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// A rule may need so long to be sure, and a server's statistics are read that seldom: what came up closer together came up together.
pub const TOGETHER_MS: i64 = 30_000;
/// What a finding lost is noted that often, for twice as long as that.
const NOTED_MS: i64 = 5_000;
/// A suspect that is back within this is the one that it was.
const FORGOTTEN_MS: i64 = 300_000;
/// Objects of a suspect that are looked at, and suspects that are remembered.
const NAMES: usize = 16;
const SUSPECTS: usize = 256;

/// Suspects and findings over the last minutes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Onsets {
    /// By source and object: whatever the finding is called.
    suspects: BTreeMap<String, Suspect>,
    /// What findings lost that nothing explained, by key, oldest first.
    tracks: BTreeMap<String, VecDeque<(i64, f64)>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Suspect {
    since_ms: i64,
    seen_ms: i64,
    /// What findings had been losing well before it came up, by key, s/s.
    before: BTreeMap<String, f64>,
}

impl Onsets {
    /// Notes who is suspected at this evaluation, before anything is explained: of each what it blames. What is there while `young` was
    /// there when we came.
    pub(super) fn see(&mut self, suspects: impl Iterator<Item = Vec<String>>, young: bool, now_ms: i64) {
        self.suspects.retain(|_, s| now_ms - s.seen_ms < FORGOTTEN_MS);
        let before = if young { BTreeMap::new() } else { self.levels(now_ms) };
        for names in suspects {
            // Under another finding, or with other members, it is the same one.
            let new = || Suspect { since_ms: now_ms, seen_ms: now_ms, before: before.clone() };
            let mut suspect = self.oldest(&names).cloned().unwrap_or_else(new);
            suspect.seen_ms = now_ms;
            for name in names.into_iter().take(NAMES) {
                if self.suspects.len() < SUSPECTS || self.suspects.contains_key(&name) {
                    self.suspects.insert(name, suspect.clone());
                }
            }
        }
    }

    fn oldest(&self, names: &[String]) -> Option<&Suspect> {
        names.iter().take(NAMES).filter_map(|name| self.suspects.get(name)).min_by_key(|s| s.since_ms)
    }

    /// Notes what each finding loses once all is explained, by key.
    pub(super) fn note<'a>(&mut self, losses: impl Iterator<Item = (&'a str, f64)>, now_ms: i64) {
        for (key, lost) in losses {
            let track = self.tracks.entry(key.to_owned()).or_default();
            if track.back().is_none_or(|(at, _)| now_ms - at >= NOTED_MS) {
                track.push_back((now_ms, lost));
            }
        }
        for track in self.tracks.values_mut() {
            while track.front().is_some_and(|(at, _)| now_ms - at > 2 * TOGETHER_MS) {
                track.pop_front();
            }
        }
        self.tracks.retain(|_, track| !track.is_empty());
    }

    /// What each finding lost at least, all the time from a minute to half a minute ago.
    fn levels(&self, now_ms: i64) -> BTreeMap<String, f64> {
        const ENOUGH: usize = 3;
        let level = |track: &VecDeque<(i64, f64)>| {
            let old: Vec<f64> = track.iter().filter(|(at, _)| now_ms - at >= TOGETHER_MS).map(|(_, lost)| *lost).collect();
            (old.len() >= ENOUGH).then(|| old.into_iter().fold(f64::INFINITY, f64::min))
        };
        self.tracks.iter().filter_map(|(key, track)| Some((key.clone(), level(track)?))).collect()
    }

    /// What the symptom of that key had been losing well before a cause that blames these came up, s/s; 0 where it was not there, or
    /// nobody watched.
    #[must_use]
    pub(super) fn before(&self, blames: &[String], symptom: &str) -> f64 {
        self.oldest(blames).and_then(|s| s.before.get(symptom)).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of a story: of each second who is suspected, and what the disk loses that nothing explains.
    fn story(seconds: i64, at: impl Fn(i64) -> (Vec<&'static str>, Option<f64>)) -> Onsets {
        let mut onsets = Onsets::default();
        for second in 0..seconds {
            let (suspects, lost) = at(second);
            onsets.see(suspects.into_iter().map(|name| vec![name.to_owned()]), second < 3, second * 1000);
            onsets.note(lost.iter().map(|lost| ("disk", *lost)), second * 1000);
        }
        onsets
    }

    fn before(onsets: &Onsets) -> f64 {
        onsets.before(&["a".to_owned()], "disk")
    }

    #[test]
    fn what_was_there_before_the_cause_is_not_its_own() {
        let late = |from: i64| {
            let at = move |second| if second < from { (vec!["disk"], Some(3.0)) } else { (vec!["disk", "a"], Some(5.0)) };
            story(130, at)
        };
        assert_eq!(before(&late(100)), 3.0);
        assert_eq!(before(&late(20)), 0.0, "together, as far as anyone can tell");
        assert_eq!(before(&late(0)), 0.0, "both were there");
    }

    #[test]
    fn a_cause_that_flickers_keeps_its_onset() {
        let at = |second| (if (60..100).contains(&second) { vec!["disk"] } else { vec!["disk", "a"] }, Some(5.0));
        assert_eq!(before(&story(130, at)), 0.0);
    }

    #[test]
    fn one_of_several_objects_is_enough_to_know_a_suspect_again() {
        let mut onsets = story(40, |_| (vec!["a"], Some(5.0)));
        onsets.see(std::iter::once(vec!["b".to_owned(), "a".to_owned()]), false, 90_000);
        assert_eq!(onsets.before(&["b".to_owned()], "disk"), 0.0);
        onsets.see(std::iter::once(vec!["c".to_owned()]), false, 91_000);
        assert_eq!(onsets.before(&["c".to_owned()], "disk"), 5.0);
    }

    #[test]
    fn what_another_cause_explained_then_is_not_held_against_this_one() {
        let at = |second| if second < 100 { (vec!["b", "disk"], None) } else { (vec!["a", "disk"], Some(5.0)) };
        assert_eq!(before(&story(130, at)), 0.0);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut onsets = Onsets::default();
        for second in 0..400 {
            let keys: Vec<String> = (0..3).map(|i| format!("{second}.{i}")).collect();
            onsets.see(keys.iter().map(|key| vec![key.clone()]), false, second * 1000);
            onsets.note(keys.iter().map(|key| (key.as_str(), 1.0)), second * 1000);
        }
        assert!(onsets.suspects.len() <= SUSPECTS, "{}", onsets.suspects.len());
        assert!(onsets.tracks.len() <= 3 * 62, "{}", onsets.tracks.len());
    }
}
