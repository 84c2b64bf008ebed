//! Which part of an accept queue is there because its service waits itself. Pure.

use crate::detect::candidate::Candidate;
use crate::detect::ledger::State;
use crate::detect::stands::port_key;
use crate::detect::verdict::Facts;

/// Of the connections that wait to be accepted, the part that would not if the service did not wait for what the cause takes. Busy for
/// the part r of the time in which it has something to do, it leaves r^2 / (1 - r) of them waiting by itself (M/M/1).
pub(super) fn waits_itself(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let owner = |key: &String| facts.world.processes().iter().find(|p| format!("process:{}", p.id) == *key);
    let Some(family) = symptom.subject.also.iter().find_map(owner).map(|p| p.family) else { return 0.0 };
    let of = |state: State| facts.ledger.sum(|a| a.family == family, |a| a.in_state(state));
    let waited: f64 = cause.waits().map(of).sum();
    // Nothing that the cause takes is waited for there, whatever else keeps the service.
    if waited <= 0.0 {
        return 0.0;
    }
    let busy = of(State::Working) / (of(State::Working) + waited);
    let alone = busy * busy / (1.0 - busy).max(1e-9);
    let listeners = facts.world.host.sockets.iter().flat_map(|s| &s.listeners);
    let ours = listeners.filter(|l| port_key(l.at.port(), l.namespace) == symptom.subject.key);
    let queued: f64 = ours.map(|l| l.queued).sum();
    if queued > 0.0 { (1.0 - alone / queued).clamp(0.0, 1.0) } else { 0.0 }
}
