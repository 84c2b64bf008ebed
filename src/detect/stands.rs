//! Pending requests at the listening ports of this host: now, and their baseline. Pure.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::model::facts::{Facts, ListenerFacts};
use crate::model::host::{Ages, ProcId};

/// A request of this age is noticed by whoever waits for it, ms.
const NOTICED_MS: f64 = 1_000.0;
/// Evaluations kept: three minutes at one a second.
const KEPT: usize = 180;
/// The newest are not "before": a fault of a moment ago is among them.
const NEWEST: usize = 5;
/// Evaluations that "before" needs.
const ENOUGH: usize = 5;
/// Ports that are followed.
const PORTS: usize = 64;

/// A port of a network namespace, all listeners of one program together. Counts are means over the window.
#[derive(Debug, Clone, PartialEq)]
pub struct ListeningPort {
    /// The namespace; 0 is perftop's own.
    pub namespace: u64,
    /// The port.
    pub port: u16,
    /// The program that listens, by the process that all of it was forked from.
    pub family: Option<ProcId>,
    /// Answers per second.
    pub answers_per_s: f64,
    /// Requests in flight.
    pub in_flight: f64,
    /// Of them those that are a second old.
    pub noticed: f64,
    /// Of them those that were not even read, or their connection not accepted.
    pub unserved: f64,
    ages: Ages,
    rounds: f64,
}

impl ListeningPort {
    fn of(facts: &Facts, row: &ListenerFacts) -> Option<Self> {
        let family = |id: ProcId| facts.processes().iter().find(|p| p.id == id).map_or(id, |p| p.family);
        Some(Self {
            namespace: row.namespace,
            port: row.at.port(),
            family: row.owner.map(family),
            answers_per_s: row.answers_per_s,
            in_flight: row.older(0.0),
            noticed: row.older(NOTICED_MS),
            unserved: row.unserved,
            ages: row.ages?,
            rounds: row.rounds,
        })
    }

    fn add(&mut self, other: &Self) {
        self.answers_per_s += other.answers_per_s;
        self.in_flight += other.in_flight;
        self.noticed += other.noticed;
        self.unserved += other.unserved;
        self.ages.merge(&other.ages);
    }

    /// Requests in flight that are certainly as old as `ms`, mean.
    #[must_use]
    pub fn older(&self, ms: f64) -> f64 {
        f64::from(self.ages.older(ms)) / self.rounds.max(1.0)
    }

    /// A port where that stood at one dump, for tests.
    #[cfg(test)]
    pub fn seen(answers_per_s: f64, ages: [u32; 10], unserved: f64) -> Self {
        let ages = Ages(ages);
        Self {
            namespace: 0,
            port: 8080,
            family: Some(ProcId { pid: 7, start: 1 }),
            answers_per_s,
            in_flight: f64::from(ages.total()),
            noticed: f64::from(ages.older(NOTICED_MS)),
            unserved,
            ages,
            rounds: 1.0,
        }
    }

    /// The name of its place.
    #[must_use]
    pub fn key(&self) -> String {
        port_key(self.port, self.namespace)
    }

    /// Where its past is kept: a program that was restarted is another one.
    fn place(&self) -> String {
        let family = self.family.map_or_else(String::new, |id| id.to_string());
        format!("{} {family}", self.key())
    }
}

/// A port, and its namespace where that is another one.
#[must_use]
pub fn port_key(port: u16, namespace: u64) -> String {
    if namespace == 0 { port.to_string() } else { format!("{port}@{namespace}") }
}

/// The ports of this host with a connection; `None` where the ages of requests were not recorded.
#[must_use]
pub fn listeners(facts: &Facts) -> Option<Vec<ListeningPort>> {
    let rows = &facts.host.sockets.as_ref().ok()?.listeners;
    let mut listeners: Vec<ListeningPort> = Vec::new();
    for row in rows.iter().filter(|row| row.accepted > 0 || row.queued > 0.0 || row.answers_per_s > 0.0) {
        let listener = ListeningPort::of(facts, row)?;
        match listeners
            .iter_mut()
            .find(|d| (d.namespace, d.port, d.family) == (listener.namespace, listener.port, listener.family))
        {
            Some(known) => known.add(&listener),
            None => listeners.push(listener),
        }
    }
    Some(listeners)
}

/// What was seen at one port, newest last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Past {
    ring: VecDeque<Moment>,
    /// Evaluations for which it has been held and answered nearly as often as before: in the end that is how it works now.
    late: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Moment {
    answers_per_s: f32,
    noticed: f32,
    unserved: f32,
    /// Nine of ten requests in flight were younger than this, ms; `None` without any.
    below_ms: Option<f32>,
}

/// What usually stands at a port.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usual {
    /// Answers per second, median.
    pub answers_per_s: f64,
    /// Requests in flight of a second or more: what nine of ten moments did not exceed.
    pub noticed: f64,
    /// Requests that were not even read or accepted for a second, likewise.
    pub unserved: f64,
    /// Nine of ten requests in flight are younger than this, in nine of ten moments, ms; infinite where they stand for minutes.
    pub below_ms: f64,
}

/// What stood at each port.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stands(BTreeMap<String, Past>);

impl Stands {
    /// Notes what stands at each port, but for those of `held`: what a stalled one is held against is the time before.
    pub fn learn(&mut self, facts: &Facts, held: &dyn Fn(&ListeningPort) -> bool) {
        let Some(listeners) = listeners(facts).filter(|_| facts.window_s >= 1.0) else { return };
        for listener in &listeners {
            let place = listener.place();
            if self.0.len() >= PORTS && !self.0.contains_key(&place) {
                self.0.retain(|known, _| listeners.iter().any(|d| d.place() == *known));
                if self.0.len() >= PORTS {
                    continue;
                }
            }
            self.learn_listener(listener, held(listener));
        }
    }

    /// Answers per second of the programs that were forked from these, now and usually, where all of their ports are known and none
    /// answers later than it did. `None` otherwise.
    #[must_use]
    pub fn as_quick_as_usual(&self, facts: &Facts, families: &[ProcId]) -> Option<(f64, f64)> {
        let all = listeners(facts)?;
        let theirs = all.iter().filter(|port| port.family.is_some_and(|family| families.contains(&family)));
        let each = theirs.map(|port| {
            let usual = self.usual(port)?;
            let later = port.ages.most_are_below_ms().is_some_and(|ms| ms > usual.below_ms);
            (!later).then_some((port.answers_per_s, usual.answers_per_s))
        });
        let each: Vec<(f64, f64)> = each.collect::<Option<_>>()?;
        (!each.is_empty()).then(|| each.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1)))
    }

    fn learn_listener(&mut self, listener: &ListeningPort, held: bool) {
        /// Ten minutes at one evaluation a second.
        const GOES_ON: u32 = 600;
        let usual = self.usual(listener);
        let past = self.0.entry(listener.place()).or_default();
        if held {
            // One that stands still is held against the time before for as long as it takes.
            past.late += u32::from(usual.is_some_and(|u| listener.answers_per_s * 2.0 >= u.answers_per_s));
            if past.late < GOES_ON {
                return;
            }
        } else {
            past.late = 0;
        }
        if past.ring.len() == KEPT {
            past.ring.pop_front();
        }
        past.ring.push_back(Moment {
            answers_per_s: listener.answers_per_s as f32,
            noticed: listener.noticed as f32,
            unserved: listener.unserved as f32,
            below_ms: listener.ages.most_are_below_ms().map(|ms| ms as f32),
        });
    }

    /// What usually stands at that port; `None` until it was seen long enough, with requests.
    #[must_use]
    pub fn usual(&self, listener: &ListeningPort) -> Option<Usual> {
        let past = self.0.get(&listener.place())?;
        let before: Vec<Moment> = past.ring.iter().copied().take(past.ring.len().saturating_sub(NEWEST)).collect();
        if before.len() < ENOUGH {
            return None;
        }
        let quantile = |part: &dyn Fn(&Moment) -> Option<f32>, of_ten: usize| {
            let mut sorted: Vec<f32> = before.iter().filter_map(part).collect();
            sorted.sort_by(f32::total_cmp);
            sorted.get((sorted.len() * of_ten / 10).min(sorted.len().saturating_sub(1))).copied().map(f64::from)
        };
        let answers_per_s = quantile(&|m| Some(m.answers_per_s), 5)?;
        let below_ms = quantile(&|m| m.below_ms, 9);
        // Where nothing was asked nobody knows how long an answer takes.
        (answers_per_s > 0.0 || below_ms.is_some()).then_some(())?;
        Some(Usual {
            answers_per_s,
            noticed: quantile(&|m| Some(m.noticed), 9)?,
            unserved: quantile(&|m| Some(m.unserved), 9)?,
            below_ms: below_ms.unwrap_or(0.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(moments: &[(f32, Option<f32>)]) -> Stands {
        let moment = |(answers_per_s, below_ms): &(f32, Option<f32>)| Moment {
            answers_per_s: *answers_per_s,
            noticed: 0.0,
            unserved: 0.0,
            below_ms: *below_ms,
        };
        let past = Past { ring: moments.iter().map(moment).collect(), late: 0 };
        Stands([(ListeningPort::seen(0.0, [0; 10], 0.0).place(), past)].into())
    }

    #[test]
    fn usual_is_what_was_before_the_newest_moments_and_of_the_same_program() {
        let now = ListeningPort::seen(100.0, [0; 10], 0.0);
        let mut moments = vec![(100.0, Some(10.0)); ENOUGH];
        moments.extend([(2.0, Some(10_000.0)); NEWEST]);
        let usual = learned(&moments).usual(&now).unwrap();
        assert_eq!((usual.answers_per_s, usual.below_ms), (100.0, 10.0));
        assert_eq!(learned(&moments[1..]).usual(&now), None, "too short");
        let restarted = ListeningPort { family: Some(ProcId { pid: 8, start: 9 }), ..now.clone() };
        assert_eq!(learned(&moments).usual(&restarted), None);
        assert_eq!(learned(&[(0.0, None); 30]).usual(&now), None, "nobody asked anything");
    }

    #[test]
    fn what_is_held_is_not_learned_but_for_one_that_answers_for_ten_minutes() {
        let hangs = ListeningPort::seen(0.0, [0, 0, 0, 0, 0, 3, 0, 0, 0, 0], 3.0);
        let mut first = Stands::default();
        (0..2_000).for_each(|_| first.learn_listener(&hangs, true));
        assert_eq!(first.usual(&hangs), None, "it hung before anyone looked");
        let quick = ListeningPort::seen(100.0, [5, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0.0);
        let mut before = Stands::default();
        (0..30).for_each(|_| before.learn_listener(&quick, false));
        (0..2_000).for_each(|_| before.learn_listener(&hangs, true));
        assert_eq!(before.usual(&hangs).unwrap().answers_per_s, 100.0, "it answers nobody");
        // After a deploy that brought long polls it answers as often as before.
        let polls = ListeningPort::seen(90.0, [5, 0, 0, 0, 0, 0, 0, 0, 9, 0], 0.0);
        (0..590).for_each(|_| before.learn_listener(&polls, true));
        assert_eq!(before.usual(&polls).unwrap().below_ms, 10.0);
        (0..600).for_each(|_| before.learn_listener(&polls, true));
        assert!(before.usual(&polls).unwrap().below_ms > 10_000.0);
    }
}
