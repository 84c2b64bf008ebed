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
