//! What a service usually does: requests a second and CPU time for each, by the port it listens on. Pure.

use std::collections::{BTreeMap, VecDeque};

use crate::model::facts::{Facts, ListenerFacts};
use crate::model::host::ProcId;

use super::learned::Learned;

/// Evaluations kept: two minutes at one a second.
const KEPT: usize = 120;
/// The newest are not "before": what grows is among them.
const NEWEST: usize = 15;
/// Evaluations that "before" needs.
const ENOUGH: usize = 20;
/// Fewer requests a second say nothing.
const LEAST_PER_S: f64 = 5.0;
/// Ports that are followed.
const PORTS: usize = 64;
/// Below this part of the usual a service misses requests; what a day's ebb takes away nobody sends later.
const GAP: f64 = 0.5;
/// What it missed is sent later within a minute or so, or not at all: a sixtieth of it is forgotten each second.
const OWED_S: f64 = 60.0;
/// From so many requests on that stand there, unaccepted, unread or for a second, they are held up.
const HELD_UP: f64 = 0.3;
/// Between two looks, at most.
const LONGEST_S: f64 = 30.0;

/// The medians of the minutes before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usual {
    /// Requests per second.
    pub rate: f64,
    /// CPU seconds per request.
    pub cost_s: f64,
}

impl Learned {
    /// Notes the rate and the cost of each busy service. Not while one is known to have grown: the old level is what it is
    /// compared with.
    pub fn learn_requests(&mut self, facts: &Facts) {
        let Ok(sockets) = &facts.host.sockets else { return };
        if facts.window_s < 1.0 {
            return;
        }
        for listener in sockets.listeners.iter().filter(|d| d.requests_per_s >= LEAST_PER_S) {
            let Some(cores) = listener.owner.and_then(|owner| family_cpu(facts, owner)) else { continue };
            let listener_key = listener_key(listener);
            if self.requests.len() >= PORTS && !self.requests.contains_key(&listener_key) {
                let listens = |known: &String| sockets.listeners.iter().any(|l| self::listener_key(l) == *known);
                self.requests.retain(|known, _| listens(known));
                if self.requests.len() >= PORTS {
                    continue;
                }
            }
            let ring = self.requests.entry(listener_key).or_default();
            if ring.len() == KEPT {
                ring.pop_front();
            }
            ring.push_back((listener.requests_per_s as f32, (cores / listener.requests_per_s) as f32));
        }
    }

    /// Notes what each busy service had less than usual while requests were held up there, and takes off what it had more since: clients
    /// that could not get through send later what they have not sent. One whose listener is gone had nothing.
    pub fn learn_missed(&mut self, facts: &Facts) {
        let Ok(sockets) = &facts.host.sockets else { return };
        let passed_s = (facts.at.wall_ms - self.missed_ms) as f64 / 1e3;
        self.missed_ms = facts.at.wall_ms;
        self.missed.retain(|key, _| self.requests.contains_key(key));
        if self.requests.is_empty() {
            return;
        }
        // The first look, a pause, a clock that was set: nobody knows what was missed meanwhile.
        if !(0.0..=LONGEST_S).contains(&passed_s) || facts.window_s < 1.0 {
            return;
        }
        let rows: BTreeMap<String, &ListenerFacts> = sockets.listeners.iter().map(|l| (listener_key(l), l)).collect();
        for (key, ring) in &self.requests {
            let row = rows.get(key);
            let rate = row.map_or(0.0, |l| l.requests_per_s);
            let before = f64::from(self.missed.get(key).copied().unwrap_or(0.0));
            let most = ring.iter().map(|(rate, _)| f64::from(*rate)).fold(0.0, f64::max);
            if before <= 0.0 && rate >= GAP * most {
                continue;
            }
            let Some(usual) = median(ring) else { continue };
            let held_up = row.is_none_or(|l| l.queued >= HELD_UP || l.unserved >= HELD_UP || l.older(1000.0) >= HELD_UP);
            let less = match usual.rate - rate {
                less if rate < GAP * usual.rate && held_up => less,
                less => less.min(0.0),
            };
            let missed = before * (1.0 - passed_s / OWED_S).max(0.0) + less * passed_s;
            self.missed.insert(key.clone(), missed.clamp(0.0, usual.rate * OWED_S) as f32);
        }
    }

    /// Requests that the service behind that listener missed and has not had since.
    #[must_use]
    pub fn missed(&self, listener: &ListenerFacts) -> f64 {
        self.missed.get(&listener_key(listener)).copied().map_or(0.0, f64::from)
    }

    /// What the service behind that listener did in the minutes before; `None` until it was seen long enough.
    #[must_use]
    pub fn usual(&self, listener: &ListenerFacts) -> Option<Usual> {
        median(self.requests.get(&listener_key(listener))?)
    }
}

/// A listener by its namespace and address: containers use the same ports.
fn listener_key(listener: &ListenerFacts) -> String {
    format!("{} {}", listener.namespace, listener.at)
}

fn median(ring: &VecDeque<(f32, f32)>) -> Option<Usual> {
    let before: Vec<(f32, f32)> = ring.iter().copied().take(ring.len().saturating_sub(NEWEST)).collect();
    if before.len() < ENOUGH {
        return None;
    }
    let of = |part: fn(&(f32, f32)) -> f32| {
        let mut sorted: Vec<f32> = before.iter().map(part).collect();
        sorted.sort_by(f32::total_cmp);
        f64::from(sorted[sorted.len() / 2])
    };
    Some(Usual { rate: of(|r| r.0), cost_s: of(|r| r.1) })
}

/// CPUs that a process and all forked from it use; `None` when it is not seen.
fn family_cpu(facts: &Facts, owner: ProcId) -> Option<f64> {
    let root = facts.processes().iter().find(|p| p.id == owner)?.family;
    Some(facts.processes().iter().filter(|p| p.family == root).filter_map(|p| p.cpu).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred requests a second for a minute, then what each second brings: requests, and how many stand unread.
    fn missed_after(seconds: &[(f64, f64)]) -> f64 {
        use crate::detect::bench::Bench;
        use crate::detect::bench::host::service;
        use crate::detect::bench::sockets::{listener, sockets};
        let api = || ListenerFacts { ..listener(service(100, "api", 8080).id, 8080) };
        let mut learned = Learned { missed_ms: 1_000_000, ..Learned::default() };
        learned.requests.insert(listener_key(&api()), std::iter::repeat_n((100.0, 0.002), 60).collect());
        for (n, (rate, unserved)) in seconds.iter().enumerate() {
            let row = ListenerFacts { requests_per_s: *rate, unserved: *unserved, ..api() };
            let mut world = Bench::quiet().on(|host| host.sockets = Ok(sockets(vec![row], Vec::new()))).measured().0.clone();
            world.at.wall_ms = 1_001_000 + 1000 * n as i64;
            learned.learn_missed(&world);
        }
        learned.missed(&api())
    }

    #[test]
    fn what_a_service_missed_is_owed_until_it_was_had_or_is_forgotten() {
        assert_eq!(missed_after(&[(100.0, 0.0), (90.0, 3.0), (60.0, 3.0)]), 0.0, "hardly less");
        assert_eq!(missed_after(&[(0.0, 0.0); 10]), 0.0, "nobody stands there: nobody asked");
        let gap = [(0.0, 3.0); 10];
        let then = |seconds: &[(f64, f64)]| missed_after(&[&gap, seconds].concat());
        assert!((900.0..1000.0).contains(&then(&[])));
        assert_eq!(then(&[(200.0, 0.0); 10]), 0.0, "caught up");
        assert!((600.0..700.0).contains(&then(&[(100.0, 0.0); 20])));
        assert!(then(&[(100.0, 0.0); 240]) < 20.0, "long ago");
        let long = missed_after(&[(0.0, 3.0); 600]);
        assert!((2_000.0..=6_000.0).contains(&long), "{long}: what is away for long does not all come back");
    }

    #[test]
    fn what_just_grew_is_not_the_usual() {
        let mut ring: VecDeque<(f32, f32)> = std::iter::repeat_n((100.0, 0.002), ENOUGH - 1).collect();
        assert_eq!(median(&ring), None);
        ring.push_back((100.0, 0.002));
        ring.extend(std::iter::repeat_n((300.0, 0.004), NEWEST));
        let usual = median(&ring).unwrap();
        assert!((usual.rate - 100.0).abs() < 1e-3 && (usual.cost_s - 0.002).abs() < 1e-6);
    }
}
