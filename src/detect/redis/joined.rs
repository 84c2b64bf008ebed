//! How far a cause elsewhere on the host explains what a server of Redis on it loses.

use crate::detect::candidate::Candidate;
use crate::detect::ledger::State;
use crate::detect::verdict::Facts;
use crate::model::facts::{ProcFacts, RedisFacts};

/// The server that loses, with its process here.
fn loser<'a>(facts: &Facts<'a>, symptom: &Candidate) -> Option<(&'a RedisFacts, &'a ProcFacts)> {
    let r = facts.world.servers.redis.iter().find(|r| r.id == symptom.source && r.local())?;
    let id = r.instance.as_ref()?.process?;
    Some((r, facts.world.processes().iter().find(|p| p.id == id)?))
}

fn blames(cause: &Candidate, p: &ProcFacts) -> bool {
    let key = format!("process:{}", p.id);
    cause.subject.typed_key() == key || cause.subject.also.contains(&key)
}

/// Of the time in which its process had something to do, the part in which it stood and waited for what the cause takes: a command that
/// takes long on a CPU that others have is not a long command.
pub fn kept_waiting(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let Some((_, p)) = loser(facts, symptom).filter(|(_, p)| !blames(cause, p)) else { return 0.0 };
    let Some(actor) = facts.ledger.actors.iter().find(|a| a.id == p.id) else { return 0.0 };
    let waits: &[State] = match cause.id {
        "host.cpu.throttled" => &[State::CpuThrottled],
        id if id.starts_with("host.cpu.") => &[State::CpuRunnable],
        _ => &[State::IoWait, State::MemoryStalled],
    };
    let waited: f64 = waits.iter().map(|state| actor.in_state(*state)).sum();
    let worked = actor.in_state(State::Working);
    if waited > 0.0 { waited / (waited + worked) } else { 0.0 }
}

/// All of the wait for its flushes, where its process is seen to wait for a disk that others keep busy.
pub fn flushes_wait(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    const WAITS: f64 = 0.1;
    let Some((_, p)) = loser(facts, symptom).filter(|(_, p)| !blames(cause, p)) else { return 0.0 };
    if p.io_wait.is_some_and(|io| io >= WAITS) { 1.0 } else { 0.0 }
}

/// All that others wait for a disk which the cause's own server keeps busy with its flushes.
pub fn keeps_disk_busy(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let server = loser(facts, cause).map(|(_, p)| p);
    if server.is_some_and(|p| blames(symptom, p)) { 1.0 } else { 0.0 }
}
