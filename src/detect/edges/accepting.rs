//! Which part of an accept queue is there because its service is held up itself. Pure.

use crate::detect::candidate::Candidate;
use crate::detect::ledger::{Actor, State};
use crate::detect::stands::port_key;
use crate::detect::verdict::Facts;
use crate::model::facts::ProcFacts;
use crate::model::subject::SubjectType;

/// A service that does its own work for more than this part of the time in which it has something to do would not do half as much again
/// without what holds it up: it may have more to do than it can.
const BUSY: f64 = 0.7;
/// The busiest thread of a service that is full has no time to wait for anybody.
const FULL: f64 = 0.95;

/// Of the connections that wait to be accepted, the part that would not if the service did not wait for what the cause takes. Busy for
/// the part r of the time in which it has something to do, it leaves r^2 / (1 - r) of them waiting by itself (M/M/1).
pub(super) fn held_up(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let Some(service) = Service::behind(facts, symptom).filter(|s| !s.full && !s.blamed_by(cause)) else { return 0.0 };
    let waited: f64 = cause.waits().map(|state| service.waits(facts, cause, state)).sum();
    // Nothing that the cause takes is waited for there, whatever else keeps the service.
    if waited <= 0.0 {
        return 0.0;
    }
    let worked = service.of(facts, State::Working, |_| true);
    let busy = worked / (worked + waited);
    if busy > BUSY {
        return 1.0 - busy;
    }
    let listeners = facts.world.host.sockets.iter().flat_map(|s| &s.listeners);
    let ours = listeners.filter(|l| port_key(l.at.port(), l.namespace) == symptom.subject.key);
    let queued: f64 = ours.map(|l| l.queued).sum();
    let alone = busy * busy / (1.0 - busy);
    if queued > 0.0 { (1.0 - alone / queued).clamp(0.0, 1.0) } else { 0.0 }
}

/// The program that listens there.
struct Service<'a> {
    members: Vec<&'a ProcFacts>,
    /// One of its threads is on a CPU all the time.
    full: bool,
}

impl<'a> Service<'a> {
    fn behind(facts: &Facts<'a>, symptom: &Candidate) -> Option<Self> {
        let pids = symptom.subject.also.iter().filter_map(|key| key.strip_prefix("process:"));
        let all = facts.world.processes();
        let owner = pids.filter_map(|id| all.iter().find(|p| id.split('@').next() == Some(&p.id.pid.to_string()))).next()?;
        let members: Vec<&ProcFacts> = all.iter().filter(|p| p.family == owner.family).collect();
        let full = members.iter().any(|p| p.hottest.is_some_and(|hottest| hottest >= FULL));
        Some(Self { members, full })
    }

    fn of(&self, facts: &Facts<'_>, state: State, counts: impl Fn(&Actor) -> bool) -> f64 {
        facts.ledger.sum(|a| self.members.iter().any(|p| p.id == a.id) && counts(a), |a| a.in_state(state))
    }

    /// What it waits in a state for that very cause: no more than the part of all such waits that the cause claims.
    fn waits(&self, facts: &Facts<'_>, cause: &Candidate, state: State) -> f64 {
        let all = facts.ledger.state(state);
        let share = if all > 0.0 { (cause.lost_in(state) / all).min(1.0) } else { 0.0 };
        // A group's limit holds up who stands in it.
        let held =
            |a: &Actor| state != State::CpuThrottled || a.throttled_by.as_ref().is_none_or(|g| g.shown() == cause.subject.key);
        let waits = share * self.of(facts, state, held);
        match state {
            // A peer is waited for by those who ask it; one thread may ask for many things at once, and does its own work meanwhile.
            State::PeerReply if !self.named_by(cause) => 0.0,
            State::PeerReply => waits.min(self.members.iter().map(|p| f64::from(p.threads.max(1))).sum()),
            _ => waits,
        }
    }

    fn named_by(&self, cause: &Candidate) -> bool {
        let key = |p: &&ProcFacts| format!("process:{}", p.id);
        self.members.iter().map(key).any(|key| cause.subject.typed_key() == key || cause.subject.also.contains(&key))
    }

    /// What it does itself it does not wait for. A peer's finding names who waits, not who is to blame.
    fn blamed_by(&self, cause: &Candidate) -> bool {
        cause.subject.kind != SubjectType::Peer && self.named_by(cause)
    }
}
