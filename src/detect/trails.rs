//! What is left of a finding when its cause has gone: the work that piled up behind it is done first. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// So long after its cause was seen last a finding that does not grow is the rest of it: the window of an evaluation, and as much again to
/// catch up.
const REST_MS: i64 = 10_000;
/// What is left may waver by so much without growing.
const WAVERS: f64 = 1.05;

/// Which finding stood under which cause lately, by key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Trails(BTreeMap<String, Trail>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Trail {
    /// What the cause's subject is called.
    label: String,
    /// When it was explained last, wall clock ms.
    at_ms: i64,
    /// What was lost then, all of it, s/s.
    lost: f64,
}

impl Trails {
    /// Notes that a finding stands under a cause now, by its key, what the cause's subject is called, and all that is lost.
    pub(super) fn stands(&mut self, key: &str, label: &str, lost: f64, now_ms: i64) {
        self.0.insert(key.to_owned(), Trail { label: label.to_owned(), at_ms: now_ms, lost });
    }

    /// Of a finding that stands under nothing now: what its cause was called, and since when that is gone or explains less, s; as long as
    /// it is young and what is left has not grown.
    pub(super) fn left(&mut self, key: &str, lost: f64, now_ms: i64) -> Option<(String, f64)> {
        self.0.retain(|_, trail| (0..=REST_MS).contains(&(now_ms - trail.at_ms)));
        let trail = self.0.get(key)?;
        if lost > trail.lost * WAVERS {
            self.0.remove(key);
            return None;
        }
        Some((trail.label.clone(), (now_ms - trail.at_ms) as f64 / 1e3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue behind a hog until the second 0, then what it loses each second without it; whether it may wake somebody, each second.
    fn after(losses: &[f64]) -> Vec<bool> {
        let mut trails = Trails::default();
        trails.stands("queue", "hog", 10.0, 1_000_000);
        let second = |(n, lost): (usize, &f64)| trails.left("queue", *lost, 1_001_000 + 1000 * n as i64).is_none();
        losses.iter().enumerate().map(second).collect()
    }

    #[test]
    fn what_piled_up_behind_a_cause_that_ended_wakes_nobody_while_it_is_worked_off() {
        assert_eq!(after(&[10.0, 8.0, 3.0]), [false; 3]);
        // It grows without the cause: so that was not it.
        assert_eq!(after(&[10.0, 11.0, 9.0]), [false, true, true]);
        // After ten seconds it is nobody's rest.
        let long = after(&[10.0; 12]);
        assert_eq!(long.iter().filter(|wakes| !**wakes).count(), 10);
        let mut trails = Trails::default();
        trails.stands("queue", "hog", 10.0, 1_000_000);
        assert_eq!(trails.left("another", 1.0, 1_001_000), None);
        assert_eq!(trails.left("queue", 1.0, 999_000), None, "a clock that was set back");
    }
}
