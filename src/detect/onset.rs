//! When each suspect came up, and what others lost before that: a cause explains nothing that was there before it. Pure.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// A rule may need so long to be sure, and a server's statistics are read that seldom: what came up closer together came up together.
pub const TOGETHER_MS: i64 = 60_000;
/// What a finding lost is noted that often, for twice as long as that.
const NOTED_MS: i64 = 5_000;
/// A suspect that is back within this is the one that it was.
const FORGOTTEN_MS: i64 = 300_000;
/// Objects of a suspect that are looked at, and suspects that are remembered.
const NAMES: usize = 16;
const SUSPECTS: usize = 256;

/// Notes in a row that are missing at most: one that was gone for longer was another story.
const GAP_MS: i64 = 15_000;

/// Suspects and findings over the last minutes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Onsets {
    /// By source and object: whatever the finding is called.
    suspects: BTreeMap<String, Suspect>,
    /// What findings lost that nothing explained, by key, oldest first.
    tracks: BTreeMap<String, VecDeque<(i64, f64)>>,
    /// Since when each rule could judge, without a break, by `id|source`.
    judged: BTreeMap<String, i64>,
}

/// Who is suspected, by whom.
#[derive(Debug, Clone)]
pub(super) struct Suspected {
    /// What the finding blames.
    pub names: Vec<String>,
    /// The rule, as `id|source`.
    pub rule: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Suspect {
    since_ms: i64,
    seen_ms: i64,
    /// What findings had been losing well before it came up, by key, s/s.
    before: BTreeMap<String, f64>,
}

impl Onsets {
    /// Notes since when each rule could judge: `all` of them, as `id|source`, and whether it can now. What a rule says at last of what it
    /// could not see before says nothing of when that began.
    pub(super) fn watch(&mut self, all: impl Iterator<Item = (String, bool)>, now_ms: i64) {
        let mut judged = BTreeMap::new();
        for (rule, _) in all.filter(|(_, can)| *can) {
            let since_ms = self.judged.get(&rule).copied().unwrap_or(now_ms);
            judged.insert(rule, since_ms);
        }
        self.judged = judged;
    }

    /// Notes who is suspected at this evaluation, before anything is explained, and what each finding loses, by key.
    pub(super) fn see(&mut self, suspects: impl Iterator<Item = Suspected>, losing: &BTreeMap<&str, f64>, now_ms: i64) {
        self.suspects.retain(|_, s| now_ms - s.seen_ms < FORGOTTEN_MS);
        // What is less now, or gone, was not there all the time.
        for suspect in self.suspects.values_mut() {
            // One whose rule cannot judge now is not gone.
            let judged = |key: &str| self.judged.contains_key(&key.splitn(3, '|').take(2).collect::<Vec<_>>().join("|"));
            suspect.before.retain(|key, _| losing.contains_key(key.as_str()) || !judged(key));
            let less =
                |(key, level): (&String, &mut f64)| *level = losing.get(key.as_str()).map_or(*level, |now| level.min(*now));
            suspect.before.iter_mut().for_each(less);
        }
        let before = self.levels(now_ms);
        for Suspected { names, rule } in suspects {
            let watched = self.judged.get(&rule).is_some_and(|since| now_ms - since >= 2 * TOGETHER_MS);
            // Under another finding, or with other members, it is the same one.
            let before = || if watched { before.clone() } else { BTreeMap::new() };
            let new = || Suspect { since_ms: now_ms, seen_ms: now_ms, before: before() };
            let mut suspect = self.oldest(&names).cloned().unwrap_or_else(new);
            suspect.seen_ms = now_ms;
            for name in names.into_iter().take(NAMES) {
                if self.suspects.len() < SUSPECTS || self.suspects.contains_key(&name) {
                    self.suspects.insert(name, suspect.clone());
                }
            }
        }
    }

    /// The clock was set: what was dated by the old one moves along.
    pub(super) fn clock_set(&mut self, by_ms: i64) {
        for suspect in self.suspects.values_mut() {
            suspect.since_ms += by_ms;
            suspect.seen_ms += by_ms;
        }
        self.tracks.values_mut().flatten().for_each(|(at_ms, _)| *at_ms += by_ms);
        self.judged.values_mut().for_each(|since_ms| *since_ms += by_ms);
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

    /// What each finding lost at least, in all of the last two minutes.
    fn levels(&self, now_ms: i64) -> BTreeMap<String, f64> {
        let level = |track: &VecDeque<(i64, f64)>| {
            let (first, last) = (track.front()?.0, track.back()?.0);
            let gaps = track.iter().zip(track.iter().skip(1)).any(|(a, b)| b.0 - a.0 > GAP_MS);
            let all = now_ms - first >= 2 * TOGETHER_MS - GAP_MS && now_ms - last <= GAP_MS && !gaps;
            all.then(|| track.iter().map(|(_, lost)| *lost).fold(f64::INFINITY, f64::min))
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

    /// Seconds of a story: of each second who is suspected, and what the disk loses that nothing explains. The rule can judge from `can` on.
    fn story(seconds: i64, can: i64, at: impl Fn(i64) -> (Vec<&'static str>, Option<f64>)) -> Onsets {
        let mut onsets = Onsets::default();
        for second in 0..seconds {
            let (suspects, lost) = at(second);
            let named = |name: &str| Suspected { names: vec![name.to_owned()], rule: "rule|host".into() };
            let losing = lost.iter().map(|lost| ("rule|host|disk", *lost)).collect();
            onsets.watch(std::iter::once(("rule|host".to_owned(), second >= can)), second * 1000);
            onsets.see(suspects.into_iter().map(named), &losing, second * 1000);
            onsets.note(lost.iter().map(|lost| ("rule|host|disk", *lost)), second * 1000);
        }
        onsets
    }

    fn before(onsets: &Onsets) -> f64 {
        onsets.before(&["a".to_owned()], "rule|host|disk")
    }

    fn late(from: i64, can: i64) -> Onsets {
        story(260, can, move |second| if second < from { (vec!["b"], Some(3.0)) } else { (vec!["b", "a"], Some(5.0)) })
    }

    #[test]
    fn what_was_there_before_the_cause_is_not_its_own() {
        assert_eq!(before(&late(200, 0)), 3.0);
        assert_eq!(before(&late(60, 0)), 0.0, "together, as far as anyone can tell");
        assert_eq!(before(&late(0, 0)), 0.0, "both were there");
    }

    #[test]
    fn what_could_not_be_seen_before_may_have_begun_at_any_time() {
        assert_eq!(before(&late(200, 190)), 0.0);
    }

    #[test]
    fn a_cause_that_flickers_keeps_its_onset() {
        let at = |second| (if (150..200).contains(&second) { vec!["b"] } else { vec!["b", "a"] }, Some(5.0));
        assert_eq!(before(&story(260, 0, at)), 0.0);
    }

    #[test]
    fn one_of_several_objects_is_enough_to_know_a_suspect_again() {
        let mut onsets = story(200, 0, |_| (vec!["a"], Some(5.0)));
        let mut see = |names: &[&str], now_ms| {
            let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            let suspected = Suspected { names: names.clone(), rule: "rule|host".into() };
            onsets.see(std::iter::once(suspected), &BTreeMap::from([("rule|host|disk", 5.0)]), now_ms);
            onsets.before(&names[..1], "rule|host|disk")
        };
        assert_eq!(see(&["b", "a"], 200_000), 0.0);
        assert_eq!(see(&["c"], 201_000), 5.0);
    }

    #[test]
    fn what_another_cause_explained_then_is_not_held_against_this_one() {
        let at = |second| if second < 200 { (vec!["b"], None) } else { (vec!["a"], Some(5.0)) };
        assert_eq!(before(&story(260, 0, at)), 0.0);
    }

    #[test]
    fn what_was_gone_meanwhile_or_is_less_now_counts_no_more() {
        let gone = |second| match second {
            0..170 => (vec![], Some(5.0)),
            170..195 => (vec![], None),
            _ => (vec!["a"], Some(5.0)),
        };
        assert_eq!(before(&story(260, 0, gone)), 0.0);
        let less =
            |second| if second < 200 { (vec![], Some(3.0)) } else { (vec!["a"], Some(if second < 230 { 5.0 } else { 1.0 })) };
        assert_eq!(before(&story(260, 0, less)), 1.0);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut onsets = Onsets::default();
        for second in 0..400 {
            let keys: Vec<String> = (0..3).map(|i| format!("{second}.{i}")).collect();
            let suspects = keys.iter().map(|key| Suspected { names: vec![key.clone()], rule: "rule|host".into() });
            onsets.see(suspects, &BTreeMap::new(), second * 1000);
            onsets.note(keys.iter().map(|key| (key.as_str(), 1.0)), second * 1000);
        }
        assert!(onsets.suspects.len() <= SUSPECTS, "{}", onsets.suspects.len());
        assert!(onsets.tracks.len() <= 3 * 122, "{}", onsets.tracks.len());
    }
}
