//! Connections that wait at unix sockets: what usually does. Pure.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::model::facts::{Facts, QueueFacts};

/// Evaluations kept: three minutes at one a second.
const KEPT: u64 = 180;
/// The newest are not "before".
const NEWEST: u64 = 5;
/// Evaluations that "before" needs.
const ENOUGH: u64 = 5;
/// Evaluations for which what is held is compared with the time before: ten minutes at one a second.
const GOES_ON: u64 = 600;
/// Sockets that are followed.
const SOCKETS: usize = 32;

/// What was seen of all of them. A socket is seen only while a connection waits at it: in any other sample its queue was empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Queues {
    /// Evaluations so far.
    looks: u64,
    /// By path: the evaluation, and how many waited.
    seen: BTreeMap<String, VecDeque<(u64, f32)>>,
    /// Those that are held.
    held: BTreeMap<String, Hold>,
}

/// Since when one is held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Hold {
    /// The evaluation.
    since: u64,
    /// Evaluations in which its service used the CPU meanwhile: one that works on and on works like that now. One that does nothing is held
    /// for as long as that lasts.
    worked: u64,
}

/// CPUs from which on a service works.
const WORKS: f64 = 0.05;

fn works(facts: &Facts, queue: &QueueFacts) -> bool {
    let family = facts.processes().iter().find(|p| Some(p.id) == queue.owner).map(|p| p.family);
    let cpu: f64 = facts.processes().iter().filter(|p| Some(p.family) == family).filter_map(|p| p.cpu).sum();
    family.is_some() && cpu >= WORKS
}

impl Queues {
    /// Notes what waits, but for what is `held`: it is compared with the time before.
    pub fn learn(&mut self, facts: &Facts, held: &dyn Fn(&str) -> bool) {
        let Ok(sockets) = &facts.host.sockets else { return };
        self.looks += 1;
        let looks = self.looks;
        let oldest = looks.saturating_sub(KEPT);
        self.held.retain(|path, _| held(path));
        for queue in &sockets.queues {
            let path = queue.path.shown();
            if held(path) {
                let hold = self.held.entry(path.to_owned()).or_insert(Hold { since: looks, worked: 0 });
                hold.worked += u64::from(works(facts, queue));
                if hold.worked < GOES_ON {
                    continue;
                }
            }
            if self.seen.len() < SOCKETS || self.seen.contains_key(path) {
                self.seen.entry(path.to_owned()).or_default().push_back((self.looks, queue.queued as f32));
            }
        }
        self.seen.retain(|path, ring| {
            ring.retain(|(look, _)| *look > oldest || self.held.contains_key(path));
            !ring.is_empty()
        });
    }

    /// How many usually wait there: what nine of ten samples did not exceed; `None` until there were enough.
    #[must_use]
    pub fn usual(&self, path: &str) -> Option<f64> {
        // What is held is compared with the time before it was found, however long ago that is.
        let until = self.held.get(path).filter(|hold| hold.worked < GOES_ON).map_or(self.looks, |hold| hold.since);
        let newest = until.saturating_sub(NEWEST);
        let all = newest.min(KEPT);
        if all < ENOUGH {
            return None;
        }
        let ring = self.seen.get(path);
        let mut before: Vec<f32> = ring.into_iter().flatten().filter(|(look, _)| *look <= newest).map(|(_, n)| *n).collect();
        before.sort_by(f32::total_cmp);
        // Samples that did not see it found its queue empty.
        let empty = all.saturating_sub(before.len() as u64);
        let at = (all * 9 / 10).checked_sub(empty);
        let found = at.and_then(|at| before.get(usize::try_from(at).ok()?.min(before.len().saturating_sub(1))));
        Some(found.copied().map_or(0.0, f64::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_was_never_seen_was_empty() {
        let mut queues = Queues { looks: 9, ..Queues::default() };
        assert_eq!(queues.usual("/run/app.sock"), None, "too early");
        queues.looks = 20;
        assert_eq!(queues.usual("/run/app.sock"), Some(0.0));
        let always = (1..=20).map(|look| (look, 3.0)).collect();
        queues.seen.insert("/run/stale.sock".to_owned(), always);
        assert_eq!(queues.usual("/run/stale.sock"), Some(3.0), "a client that nobody ever took");
        let lately = (16..=20).map(|look| (look, 9.0)).collect();
        queues.seen.insert("/run/app.sock".to_owned(), lately);
        assert_eq!(queues.usual("/run/app.sock"), Some(0.0), "the newest are not before");
        queues.looks = 60;
        assert_eq!(queues.usual("/run/app.sock"), Some(0.0), "seldom");
        queues.seen.insert("/run/app.sock".to_owned(), (16..=60).map(|look| (look, 9.0)).collect());
        assert_eq!(queues.usual("/run/app.sock"), Some(9.0), "by now it is as usual");
        queues.looks = 5_000;
        queues.held.insert("/run/app.sock".to_owned(), Hold { since: 20, worked: 0 });
        assert_eq!(queues.usual("/run/app.sock"), Some(0.0), "held for an hour, and nobody is accepted");
        queues.looks = 60;
        queues.held.insert("/run/app.sock".to_owned(), Hold { since: 20, worked: GOES_ON });
        assert_eq!(queues.usual("/run/app.sock"), Some(9.0), "ten minutes of work: that is how it works now");
    }
}
