//! Which part of an accept queue is there because its service is held up itself. Pure.

use crate::detect::candidate::Candidate;
use crate::detect::ledger::{Actor, State};
use crate::detect::stands::port_key;
use crate::detect::verdict::Facts;
use crate::model::facts::ProcFacts;
use crate::model::host::ProcId;
use crate::model::subject::SubjectType;

/// A service that does its own work for more than this part of the time in which it has something to do would not do half as much again
/// without what holds it up: it may have more to do than it can.
const BUSY: f64 = 0.7;
/// The busiest thread of a service that is full has no time to wait for anybody.
const FULL: f64 = 0.95;

/// Of the connections that wait to be accepted, the part that would not if the service did not wait for what the cause takes. Busy for
/// the part r of the time in which it has something to do, it leaves r^2 / (1 - r) of them waiting by itself (M/M/1).
pub(super) fn held_up(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let mut listeners = facts.world.host.sockets.iter().flat_map(|s| &s.listeners);
    let Some(listener) = listeners.find(|l| port_key(l.at.port(), l.namespace) == symptom.subject.key) else { return 0.0 };
    let service = listener.owner.and_then(|owner| Service::of(facts, owner));
    let Some(service) = service.filter(|s| !s.full && !s.blamed_by(cause)) else { return 0.0 };
    let waited: f64 = cause.waits().map(|state| service.waits(facts, cause, state)).sum();
    // Nothing that the cause takes is waited for there, whatever else keeps the service.
    if waited <= 0.0 {
        return 0.0;
    }
    let worked = service.time(facts, State::Working, |_| true);
    let busy = worked / (worked + waited);
    if busy > BUSY {
        return 1.0 - busy;
    }
    let alone = busy * busy / (1.0 - busy);
    if listener.queued > 0.0 { (1.0 - alone / listener.queued).clamp(0.0, 1.0) } else { 0.0 }
}

/// The program that listens there.
struct Service<'a> {
    members: Vec<&'a ProcFacts>,
    /// One of its threads is on a CPU all the time.
    full: bool,
}

impl<'a> Service<'a> {
    fn of(facts: &Facts<'a>, owner: ProcId) -> Option<Self> {
        let all = facts.world.processes();
        let family = all.iter().find(|p| p.id == owner)?.family;
        let members: Vec<&ProcFacts> = all.iter().filter(|p| p.family == family).collect();
        let full = members.iter().any(|p| p.hottest.is_some_and(|hottest| hottest >= FULL));
        Some(Self { members, full })
    }

    /// Its seconds in a state, s/s.
    fn time(&self, facts: &Facts<'_>, state: State, counts: impl Fn(&Actor) -> bool) -> f64 {
        facts.ledger.sum(|a| self.members.iter().any(|p| p.id == a.id) && counts(a), |a| a.in_state(state))
    }

    /// What it waits in a state for that very cause: no more than the part of all such waits that the cause claims.
    fn waits(&self, facts: &Facts<'_>, cause: &Candidate, state: State) -> f64 {
        let all = facts.ledger.state(state);
        let share = if all > 0.0 { (cause.lost_in(state) / all).min(1.0) } else { 0.0 };
        // A group's limit holds up who stands in it.
        let held =
            |a: &Actor| state != State::CpuThrottled || a.throttled_by.as_ref().is_none_or(|g| g.shown() == cause.subject.key);
        let waits = share * self.time(facts, state, held);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Bench;
    use crate::detect::bench::host::{process, service};
    use crate::detect::bench::sockets::{listener, sockets};
    use crate::detect::finding::Class;
    use crate::detect::kinds::KINDS;
    use crate::detect::learned::Learned;
    use crate::detect::verdict::Found;
    use crate::model::facts::ListenerFacts;
    use crate::model::subject::Subject;

    fn candidate(id: &'static str, subject: Subject, losses: Vec<(State, f64)>) -> Candidate {
        let found = Found { losses, ..Found::new(Class::Live, id) };
        Candidate { key: id.into(), id, source: "host".into(), subject, found, explains: Vec::new(), explained_by: None }
    }

    /// A service that works and waits for a CPU so much each second, with twenty that wait for its accept; what of them a hog explains that
    /// claims that part of all run delay, or, where it is `own`, the service itself.
    fn explained(works: f64, waits: f64, claims: f64, own: bool) -> f64 {
        let api = ProcFacts { cpu: Some(works), hottest: Some(works), runnable: Some(waits), ..service(100, "api", 8080) };
        let (hog, blamed) = (process(200, "sh"), if own { api.id } else { process(200, "sh").id });
        let row = ListenerFacts { queued: 20.0, backlog: 20, queue_max: 20, ..listener(api.id, 8080) };
        let bench = Bench::quiet().running(vec![api, hog]).on(|host| host.sockets = Ok(sockets(vec![row], Vec::new())));
        let ((world, ledger), learned) = (bench.measured(), Learned::default());
        let facts = Facts { world, ledger: &ledger, learned: &learned, kinds: KINDS };
        let culprit = Subject::new(SubjectType::Process, blamed.to_string(), "culprit");
        let losses = vec![(State::CpuRunnable, claims * ledger.state(State::CpuRunnable))];
        let queue = candidate("queue", Subject::new(SubjectType::Port, port_key(8080, 0), ":8080"), Vec::new());
        held_up(&facts, State::NetworkAccept, &candidate("hog", culprit, losses), &queue)
    }

    #[test]
    fn a_queue_is_the_hogs_where_the_service_could_have_done_without() {
        assert!(explained(0.2, 0.6, 1.0, false) > 0.95);
        // It has more to do than it can, and waits a little as well: a light hog takes no more than what it took.
        assert!((explained(0.8, 0.1, 1.0, false) - 0.111).abs() < 0.01);
        assert_eq!(explained(0.96, 0.3, 1.0, false), 0.0, "full by itself");
        assert_eq!(explained(0.2, 0.0, 1.0, false), 0.0, "it waits for something else");
        assert_eq!(explained(0.2, 0.6, 1.0, true), 0.0, "for itself");
        // Others take the CPU too.
        assert!((explained(0.2, 0.6, 0.1, false) - (1.0 - 0.769)).abs() < 0.01);
    }
}
