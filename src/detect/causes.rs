//! Causes: edges move seconds from a symptom to its cause by a measured fraction, and no second is claimed twice.

use std::collections::BTreeMap;

use super::candidate::Candidate;
use super::edges::{EDGES, EDGES_TO_REST, Edge, is_symptom};
use super::finding::Explains;
use super::ledger::{Ledger, State};
use super::onset::{Onsets, Suspected};
use super::trails::Trails;
use super::verdict::{Facts, evidence};
use crate::model::unit::Unit;

/// Below this an edge is not credited (R1).
const WEAK: f64 = 0.2;
/// From this on what contradicts an edge is said, s/s.
const SAID: f64 = 0.05;
/// From this on a symptom stands under its cause (R2).
const EXPLAINED: f64 = 0.7;

/// Applies the edges, then takes care that the claims on each state do not exceed what the ledger holds. What each candidate lost before
/// anything was moved, s/s.
pub fn resolve(facts: &Facts<'_>, candidates: &mut [Candidate], onsets: &Onsets) -> Vec<f64> {
    let whole = apply_all(facts, candidates, EDGES, onsets);
    cap(facts.ledger, candidates);
    whole
}

/// The same for what was judged by what all others left: it claims no more than that.
pub fn resolve_rest(facts: &Facts<'_>, candidates: &mut [Candidate], onsets: &Onsets) {
    apply_all(facts, candidates, EDGES_TO_REST, onsets);
}

/// Notes who is suspected, before anything is explained.
pub fn see(candidates: &[Candidate], onsets: &mut Onsets, now_ms: i64) {
    let losing = || candidates.iter().filter(|c| c.lost() > 0.0);
    let suspects = losing().map(|c| Suspected { names: c.blames(), rule: format!("{}|{}", c.id, c.source) });
    onsets.see(suspects, &losing().map(|c| (c.key.as_str(), c.lost())).collect(), now_ms);
}

/// Notes what is left to those that something may explain.
pub fn note(candidates: &[Candidate], onsets: &mut Onsets, now_ms: i64) {
    let left = candidates.iter().filter(|c| c.explained_by.is_none() && c.lost() > 0.0 && is_symptom(c.id));
    onsets.note(left.map(|c| (c.key.as_str(), c.lost())), now_ms);
}

/// Notes what stands under a cause, and what has lost its cause: while what piled up behind it is worked off that is said, and nobody is
/// woken. `whole`: what each lost before anything was moved.
pub fn follow(candidates: &mut [Candidate], whole: &[f64], trails: &mut Trails, now_ms: i64) {
    let here: Vec<String> = candidates.iter().map(|c| c.key.clone()).collect();
    for (c, lost) in candidates.iter_mut().zip(whole).filter(|(c, _)| c.explained_by.is_none()) {
        let left = trails.left(&c.key, *lost, now_ms, |cause| here.iter().any(|key| key == cause));
        let Some((label, since)) = left else { continue };
        c.found.never_critical = true;
        let claim = format!("since its cause ended ({label}); what piled up behind it is draining");
        c.found.evidence.push(evidence(claim, since, Unit::Seconds, None, "judge.onset"));
    }
    for (c, lost) in candidates.iter().zip(whole) {
        let cause = c.explained_by.as_deref().and_then(|key| candidates.iter().find(|c| c.key == key));
        if let Some(cause) = cause {
            trails.stands(&c.key, (&cause.key, &cause.subject.label), *lost, now_ms);
        }
    }
}

fn apply_all(facts: &Facts<'_>, candidates: &mut [Candidate], edges: &[Edge], onsets: &Onsets) -> Vec<f64> {
    let whole: Vec<f64> = candidates.iter().map(Candidate::lost).collect();
    for edge in edges {
        for (cause, symptom) in edge.causes.iter().flat_map(|cause| edge.symptoms.iter().map(move |symptom| (cause, symptom))) {
            apply(facts, candidates, edge, (cause, symptom), &Order { onsets, whole: &whole });
        }
    }
    whole
}

/// Who came first.
struct Order<'a> {
    onsets: &'a Onsets,
    /// What each candidate loses before anything is moved.
    whole: &'a [f64],
}

impl Order<'_> {
    /// The part of the symptom that is younger than the cause; 1 where nothing speaks against it.
    fn since(&self, cause: &Candidate, symptom: &Candidate, at: usize) -> f64 {
        match self.onsets.before(&cause.blames(), &symptom.key) {
            before if before > 0.0 => (1.0 - before / self.whole[at].max(1e-9)).max(0.0),
            _ => 1.0,
        }
    }
}

/// One edge between two rules: to each symptom the cause that explains most of it.
fn apply(facts: &Facts<'_>, candidates: &mut [Candidate], edge: &Edge, (cause, symptom): (&str, &str), order: &Order<'_>) {
    let symptoms: Vec<usize> = (0..candidates.len()).filter(|at| candidates[*at].id == symptom).collect();
    for symptom in symptoms {
        // One that is explained already gives its other states to the same cause only.
        let by = candidates[symptom].explained_by.clone();
        let root = |c: &Candidate| c.id == cause && c.explained_by.is_none() && by.as_ref().is_none_or(|key| *key == c.key);
        let causes = (0..candidates.len()).filter(|at| root(&candidates[*at]));
        let with = causes.map(|at| (at, (edge.fraction)(facts, edge.state, &candidates[at], &candidates[symptom])));
        let best = with.filter(|(_, fraction)| *fraction >= WEAK).max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((cause, fraction)) = best else { continue };
        let since = order.since(&candidates[cause], &candidates[symptom], symptom);
        if since < fraction && (1.0 - since) * order.whole[symptom] >= SAID {
            contradict(candidates, cause, symptom, (1.0 - since) * order.whole[symptom]);
        }
        if fraction.min(since) >= WEAK {
            explain(candidates, edge, cause, symptom, fraction.min(since));
        }
    }
}

/// Says once that the symptom lost so much before the cause came up.
fn contradict(candidates: &mut [Candidate], cause: usize, symptom: usize, before: f64) {
    let claim = format!("was lost before anything was wrong with {}", candidates[cause].subject.label);
    let against = &mut candidates[symptom].found.against;
    if against.iter().all(|e| e.claim != claim) {
        against.push(evidence(claim, before, Unit::SecondsPerSecond, None, "judge.onset"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Bench;
    use crate::detect::finding::Class;
    use crate::detect::kinds::KINDS;
    use crate::detect::verdict::Found;
    use crate::model::subject::{Subject, SubjectType};

    fn candidate(id: &'static str, object: &str, lost: f64) -> Candidate {
        let subject = Subject::new(SubjectType::Process, object, object);
        let mut found = Found::new(Class::Live, id);
        found.losses = vec![(State::IoWait, lost)];
        let key = format!("{id}|host|process:{object}");
        Candidate { key, id, source: "host".into(), subject, found, explains: Vec::new(), explained_by: None }
    }

    /// A disk is slow by 3 s/s for minutes; then, from that second on, a program writes at the dirty limit, and it is 5: what the disk keeps
    /// of them, what the program explains, and what is said against that.
    fn story(from: i64) -> (f64, f64, Vec<String>) {
        let bench = Bench::quiet();
        let (world, ledger) = bench.measured();
        let learned = crate::detect::learned::Learned::default();
        let facts = Facts { world, ledger: &ledger, learned: &learned, kinds: KINDS };
        let mut onsets = Onsets::default();
        let mut last = Vec::new();
        for second in 0..200 {
            last = vec![candidate("host.io.saturated", "disk", if second < from { 3.0 } else { 5.0 })];
            last.extend((second >= from).then(|| candidate("host.io.dirty_throttling", "dd", 5.0)));
            onsets.watch(
                ["host.io.saturated|host", "host.io.dirty_throttling|host"].map(|r| (r.to_owned(), true)).into_iter(),
                second * 1000,
            );
            see(&last, &mut onsets, second * 1000);
            apply_all(&facts, &mut last, EDGES, &onsets);
            note(&last, &mut onsets, second * 1000);
        }
        let explains = last[1].explains.iter().map(|e| e.s_per_s).sum();
        (last[0].lost(), explains, last[0].found.against.iter().map(|e| e.claim.clone()).collect())
    }

    #[test]
    fn what_was_lost_before_the_cause_came_up_stays_with_the_symptom() {
        let (kept, explains, against) = story(190);
        assert!((kept - 3.0).abs() < 1e-9 && (explains - 2.0).abs() < 1e-9, "{kept} {explains}");
        assert_eq!(against, ["was lost before anything was wrong with dd"]);
        // Both were there as soon as anyone looked.
        assert_eq!(story(0), (0.0, 5.0, Vec::new()));
    }
}
