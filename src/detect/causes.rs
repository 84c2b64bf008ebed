//! Causes: edges move seconds from a symptom to its cause by a measured fraction, and no second is claimed twice.

use std::collections::BTreeMap;

use crate::model::subject::Subject;

use super::finding::Explains;
use super::ledger::{Ledger, State, refault_share};
use super::verdict::{Facts, Found};

/// A rule's finding on its way to the list.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// `id|source|type:key`.
    pub key: String,
    /// The rule.
    pub id: &'static str,
    /// Source id.
    pub source: String,
    /// Who.
    pub subject: Subject,
    /// What the rule said.
    pub found: Found,
    /// Symptoms it explains.
    pub explains: Vec<Explains>,
    /// Key of what explains it.
    pub explained_by: Option<String>,
}

impl Candidate {
    /// Seconds per second it claims.
    #[must_use]
    pub fn lost(&self) -> f64 {
        self.found.lost()
    }
}

/// An edge between two findings: the fraction of the symptom's loss in `state` that the cause explains.
struct Edge {
    cause: &'static str,
    symptom: &'static str,
    state: State,
    fraction: fn(&Facts<'_>, &Candidate, &Candidate) -> f64,
}

/// The edges of the host. A contender explains its victims within its own finding: it is the finding's subject.
const EDGES: &[Edge] = &[
    // A memory shortage explains reads, by the share of them that are page cache read again (diagnosis e7).
    Edge {
        cause: "host.memory.reclaim",
        symptom: "host.io.saturated",
        state: State::IoWait,
        fraction: |f, _, _| refault_share(f.world).unwrap_or(0.0),
    },
    Edge {
        cause: "host.memory.reclaim",
        symptom: "host.io.throttled",
        state: State::IoWait,
        fraction: |f, _, _| refault_share(f.world).unwrap_or(0.0),
    },
    // A throttle explains a wait: the ledger gave the group's own waits to it; what it claims is not the device's (e10).
    Edge { cause: "host.io.throttled", symptom: "host.io.saturated", state: State::IoWait, fraction: throttled_part },
    // A throttle explains a run queue: the ledger splits the run delay, what remains is contention (e10).
    Edge { cause: "host.cpu.throttled", symptom: "host.cpu.contention", state: State::CpuRunnable, fraction: |_, _, _| 0.0 },
];

fn throttled_part(facts: &Facts<'_>, cause: &Candidate, _: &Candidate) -> f64 {
    let all = facts.ledger.state(State::IoWait);
    if all > 0.0 { (cause.lost() / all).min(1.0) } else { 0.0 }
}

/// Below this an edge is not credited (R1).
const WEAK: f64 = 0.2;
/// From this on a symptom stands under its cause (R2).
const EXPLAINED: f64 = 0.7;

/// Applies the edges, then takes care that the claims on each state do not exceed what the ledger holds.
pub fn resolve(facts: &Facts<'_>, candidates: &mut [Candidate]) {
    for edge in EDGES {
        let index = |id: &str| candidates.iter().position(|c| c.id == id && c.explained_by.is_none());
        let (Some(cause), Some(symptom)) = (index(edge.cause), index(edge.symptom)) else { continue };
        let fraction = (edge.fraction)(facts, &candidates[cause], &candidates[symptom]);
        if fraction < WEAK {
            continue;
        }
        let moved = take(&mut candidates[symptom], edge.state, fraction);
        let key = candidates[symptom].key.clone();
        // The cause has claimed its own part of the state already where the rule says so; only what is new is added.
        let claimed = candidates[cause].found.losses.iter().any(|(s, _)| *s == edge.state);
        if !claimed {
            candidates[cause].found.losses.push((edge.state, moved));
        }
        candidates[cause].explains.push(Explains { key, s_per_s: moved, share: fraction });
        if fraction >= EXPLAINED {
            candidates[symptom].explained_by = Some(candidates[cause].key.clone());
        }
    }
    cap(facts.ledger, candidates);
}

fn take(symptom: &mut Candidate, state: State, fraction: f64) -> f64 {
    let mut moved = 0.0;
    for (s, lost) in &mut symptom.found.losses {
        if *s == state {
            moved += *lost * fraction;
            *lost *= 1.0 - fraction;
        }
    }
    moved
}

/// Scales claims so that no state is claimed more than once; the clean part of the IO wait is nobody's loss.
fn cap(ledger: &Ledger, candidates: &mut [Candidate]) {
    let mut claimed: BTreeMap<State, f64> = BTreeMap::new();
    for (state, lost) in candidates.iter().flat_map(|c| &c.found.losses) {
        *claimed.entry(*state).or_default() += lost;
    }
    for (state, lost) in candidates.iter_mut().flat_map(|c| &mut c.found.losses) {
        let clean = match state {
            State::IoWait => ledger.clean_io,
            State::PeerReply => ledger.clean_peers,
            _ => 0.0,
        };
        let held = (ledger.state(*state) - clean).max(0.0);
        let sum = claimed.get(state).copied().unwrap_or(0.0);
        if sum > held {
            *lost *= held / sum;
        }
    }
}
