//! What is left of a finding when its cause has gone: the work that piled up behind it is done first. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// So long after its cause was seen last a finding that does not grow is the rest of it: the window of an evaluation, and as much again to
/// catch up.
const REST_MS: i64 = 10_000;
/// What is left may waver by so much without growing.
const WAVERS: f64 = 1.05;
/// Once the window holds nothing of the cause any more it is to be less than so much of it.
const WINDOW_MS: i64 = 5_000;
const FALLS: f64 = 0.8;

/// Which finding stood under which cause lately, by key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Trails(BTreeMap<String, Trail>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Trail {
    /// The cause's key, and what its subject is called.
    cause: String,
    label: String,
    /// When it was explained last, wall clock ms.
    at_ms: i64,
    /// What was lost then, all of it, s/s.
    lost: f64,
}

impl Trails {
    /// Notes that a finding stands under a cause now, each by its key; what the cause's subject is called, and all that the finding loses.
    pub(super) fn stands(&mut self, key: &str, (cause, label): (&str, &str), lost: f64, now_ms: i64) {
        self.0.insert(key.to_owned(), Trail { cause: cause.to_owned(), label: label.to_owned(), at_ms: now_ms, lost });
    }

    /// The clock was set: what was dated by the old one moves along.
    pub(super) fn clock_set(&mut self, by_ms: i64) {
        self.0.values_mut().for_each(|trail| trail.at_ms += by_ms);
    }

    /// Of a finding that stands under nothing now and loses `lost`: what its cause was called, and since when that is gone, s. Not where
    /// `here` says that the cause is still there, nor where what is left has grown, or has not fallen within the window of an evaluation.
    pub(super) fn left(&mut self, key: &str, lost: f64, now_ms: i64, here: impl Fn(&str) -> bool) -> Option<(String, f64)> {
        self.0.retain(|_, trail| (0..=REST_MS).contains(&(now_ms - trail.at_ms)));
        let trail = self.0.get(key)?;
        let since_ms = now_ms - trail.at_ms;
        let most = trail.lost * if since_ms <= WINDOW_MS { WAVERS } else { FALLS };
        if here(&trail.cause) || lost > most {
            self.0.remove(key);
            return None;
        }
        Some((trail.label.clone(), since_ms as f64 / 1e3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue behind a hog until the second 0, then what it loses each second without it; whether it may wake somebody, each second.
    fn after(stays: bool, losses: &[f64]) -> Vec<bool> {
        let mut trails = Trails::default();
        trails.stands("queue", ("hog", "sh"), 10.0, 1_000_000);
        let second = |(n, lost): (usize, &f64)| trails.left("queue", *lost, 1_001_000 + 1000 * n as i64, |_| stays).is_none();
        losses.iter().enumerate().map(second).collect()
    }

    #[test]
    fn what_piled_up_behind_a_cause_that_ended_wakes_nobody_while_it_is_worked_off() {
        assert_eq!(after(false, &[10.0, 8.0, 3.0]), [false; 3]);
        // It grows without the cause: so that was not it. Nor was it where the queue stands as long as it was.
        assert_eq!(after(false, &[10.0, 11.0, 9.0]), [false, true, true]);
        assert_eq!(after(false, &[10.0; 7]), [false, false, false, false, false, true, true]);
        // After ten seconds it is nobody's rest.
        let long = after(false, &[5.0; 12]);
        assert_eq!(long.iter().filter(|wakes| !**wakes).count(), 10);
        // The cause is there, and does not explain it any more.
        assert_eq!(after(true, &[10.0, 8.0]), [true; 2]);
        let mut trails = Trails::default();
        trails.stands("queue", ("hog", "sh"), 10.0, 1_000_000);
        assert_eq!(trails.left("another", 1.0, 1_001_000, |_| false), None);
        assert_eq!(trails.left("queue", 1.0, 999_000, |_| false), None, "a clock that was set back");
    }
}
