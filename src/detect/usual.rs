//! What a service usually does: requests a second and CPU time for each, by the port it listens on. Pure.

use std::collections::VecDeque;

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
/// What it missed is sent later for as many evaluations, or not at all.
const CATCHES_UP: f64 = 60.0;

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

    /// Notes what each busy service had less than usual, and takes off what it had more since: clients that could not get through send
    /// later what they have not sent. One that is gone had nothing.
    pub fn learn_missed(&mut self, facts: &Facts) {
        let Ok(sockets) = &facts.host.sockets else { return };
        self.missed.retain(|key, _| self.requests.contains_key(key));
        for (key, ring) in &self.requests {
            let rate = sockets.listeners.iter().filter(|l| listener_key(l) == *key).map(|l| l.requests_per_s).sum::<f64>();
            let before = f64::from(self.missed.get(key).copied().unwrap_or(0.0));
            let most = ring.iter().map(|(rate, _)| f64::from(*rate)).fold(0.0, f64::max);
            if before <= 0.0 && rate >= GAP * most {
                continue;
            }
            let Some(usual) = median(ring) else { continue };
            let less = usual.rate - rate;
            // Between the two it neither misses nor catches up.
            let missed = if rate < GAP * usual.rate { before + less } else { before + less.min(0.0) };
            let faded = missed - usual.rate / CATCHES_UP;
            self.missed.insert(key.clone(), faded.clamp(0.0, usual.rate * CATCHES_UP) as f32);
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

    /// A hundred requests a second for a minute, then what each second brings.
    fn missed_after(rates: &[f64]) -> f64 {
        use crate::detect::bench::Bench;
        use crate::detect::bench::host::service;
        use crate::detect::bench::sockets::{listener, sockets};
        let api = || ListenerFacts { ..listener(service(100, "api", 8080).id, 8080) };
        let mut learned = Learned::default();
        learned.requests.insert(listener_key(&api()), std::iter::repeat_n((100.0, 0.002), 60).collect());
        for rate in rates {
            let row = ListenerFacts { requests_per_s: *rate, ..api() };
            let world = Bench::quiet().on(|host| host.sockets = Ok(sockets(vec![row], Vec::new())));
            learned.learn_missed(world.measured().0);
        }
        learned.missed(&api())
    }

    #[test]
    fn what_a_service_missed_is_owed_until_it_was_had_or_a_minute_has_passed() {
        assert_eq!(missed_after(&[100.0, 90.0, 60.0]), 0.0, "an ebb");
        let gap = [0.0; 10];
        assert!(missed_after(&gap) > 900.0);
        let caught_up: Vec<f64> = gap.into_iter().chain([200.0; 10]).collect();
        assert_eq!(missed_after(&caught_up), 0.0);
        let after: Vec<f64> = gap.into_iter().chain([100.0; 20]).collect();
        assert!(missed_after(&after) > 800.0);
        let long: Vec<f64> = std::iter::repeat_n(0.0, 600).chain([100.0]).collect();
        assert!(missed_after(&long) < 6001.0, "what is away for long does not wait");
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
