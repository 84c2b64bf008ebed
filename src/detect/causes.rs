//! Causes: edges move seconds from a symptom to its cause by a measured fraction, and no second is claimed twice.

use std::collections::BTreeMap;

use super::candidate::Candidate;
use super::edges::{EDGES, EDGES_TO_REST, Edge};
use super::finding::Explains;
use super::ledger::{Ledger, State};
use super::verdict::Facts;

/// Below this an edge is not credited (R1).
const WEAK: f64 = 0.2;
/// From this on a symptom stands under its cause (R2).
const EXPLAINED: f64 = 0.7;

/// Applies the edges, then takes care that the claims on each state do not exceed what the ledger holds.
pub fn resolve(facts: &Facts<'_>, candidates: &mut [Candidate]) {
    apply_all(facts, candidates, EDGES);
    cap(facts.ledger, candidates);
}

/// The same for what was judged by what all others left: it claims no more than that.
pub fn resolve_rest(facts: &Facts<'_>, candidates: &mut [Candidate]) {
    apply_all(facts, candidates, EDGES_TO_REST);
}

fn apply_all(facts: &Facts<'_>, candidates: &mut [Candidate], edges: &[Edge]) {
    for edge in edges {
        for (cause, symptom) in edge.causes.iter().flat_map(|cause| edge.symptoms.iter().map(move |symptom| (cause, symptom))) {
            apply(facts, candidates, edge, cause, symptom);
        }
    }
}

/// One edge between two rules: to each symptom the cause that explains most of it.
fn apply(facts: &Facts<'_>, candidates: &mut [Candidate], edge: &Edge, cause: &str, symptom: &str) {
    let symptoms: Vec<usize> = (0..candidates.len()).filter(|at| candidates[*at].id == symptom).collect();
    for symptom in symptoms {
        // One that is explained already gives its other states to the same cause only.
        let by = candidates[symptom].explained_by.clone();
        let root = |c: &Candidate| c.id == cause && c.explained_by.is_none() && by.as_ref().is_none_or(|key| *key == c.key);
        let causes = (0..candidates.len()).filter(|at| root(&candidates[*at]));
        let with = causes.map(|at| (at, (edge.fraction)(facts, edge.state, &candidates[at], &candidates[symptom])));
        let best = with.filter(|(_, fraction)| *fraction >= WEAK).max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((cause, fraction)) = best {
            explain(candidates, edge, cause, symptom, fraction);
        }
    }
}

/// Moves that fraction of the symptom's seconds to the cause.
fn explain(candidates: &mut [Candidate], edge: &Edge, cause: usize, symptom: usize, fraction: f64) {
    let moved = take(&mut candidates[symptom], edge.state, fraction);
    let key = candidates[symptom].key.clone();
    // The cause has claimed its own part of the state already where the rule says so; only what is new is added.
    match candidates[cause].found.losses.iter_mut().find(|(s, _)| *s == edge.state) {
        Some((_, claimed)) if edge.adds => *claimed += moved,
        Some((_, claimed)) => *claimed = claimed.max(moved),
        None => candidates[cause].found.losses.push((edge.state, moved)),
    }
    match candidates[cause].explains.iter_mut().find(|e| e.key == key) {
        Some(known) => known.s_per_s += moved,
        None => candidates[cause].explains.push(Explains { key, s_per_s: moved, share: fraction }),
    }
    if fraction >= EXPLAINED {
        candidates[symptom].explained_by = Some(candidates[cause].key.clone());
    }
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

/// Scales claims so that no state is claimed more than once. The baseline share of a state is nobody's loss, but for the waste of
/// a query: work that need not be done at all.
fn cap(ledger: &Ledger, candidates: &mut [Candidate]) {
    let claimed = |candidates: &[Candidate], waste: bool| {
        let mut sums: BTreeMap<State, f64> = BTreeMap::new();
        for (state, lost) in candidates.iter().filter(|c| c.found.waste == waste).flat_map(|c| &c.found.losses) {
            *sums.entry(*state).or_default() += lost;
        }
        sums
    };
    let others = claimed(candidates, false);
    for (state, lost) in candidates.iter_mut().filter(|c| !c.found.waste).flat_map(|c| &mut c.found.losses) {
        let held = (ledger.state(*state) - ledger.baseline(*state)).max(0.0);
        let sum = others.get(state).copied().unwrap_or(0.0);
        if sum > held {
            *lost *= held / sum;
        }
    }
    let (others, wasted) = (claimed(candidates, false), claimed(candidates, true));
    for (state, lost) in candidates.iter_mut().flat_map(|c| &mut c.found.losses) {
        let of = |sums: &BTreeMap<State, f64>| sums.get(state).copied().unwrap_or(0.0);
        let (held, sum) = (ledger.state(*state), of(&others) + of(&wasted));
        if sum > held && sum > 0.0 {
            *lost *= held / sum;
        }
    }
}
