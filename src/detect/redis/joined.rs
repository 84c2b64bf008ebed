//! How far a cause elsewhere on the host explains what a server of Redis on it loses.

use crate::detect::candidate::Candidate;
use crate::detect::ledger::{State, inside};
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
    let waited: f64 = cause.waits().map(|state| actor.in_state(state)).sum();
    let worked = actor.in_state(State::Working);
    if waited > 0.0 { waited / (waited + worked) } else { 0.0 }
}

/// All of the wait for its flushes, where its process is seen to wait for a disk and the cause is about that process: a group that it
/// stands in, the device under its files.
pub fn flushes_wait(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    const WAITS: f64 = 0.1;
    let Some((r, p)) = loser(facts, symptom).filter(|(_, p)| !blames(cause, p)) else { return 0.0 };
    let own = match cause.id {
        "host.io.throttled" => {
            facts.world.host.cgroups.iter().flatten().any(|g| g.path.shown() == cause.subject.key && inside(p, g))
        }
        _ => under(facts, r).is_some_and(|device| {
            let key = format!("device:{device}");
            cause.subject.typed_key() == key || cause.subject.also.contains(&key)
        }),
    };
    if own && p.io_wait.is_some_and(|io| io >= WAITS) { 1.0 } else { 0.0 }
}

/// The device under the directory of its files; none where that is not known for certain.
fn under(facts: &Facts<'_>, r: &RedisFacts) -> Option<String> {
    let disks: Vec<&str> = facts.world.host.disks.iter().flatten().filter(|d| d.leaf).map(|d| d.name.shown()).collect();
    if let [only] = disks[..] {
        return Some(only.to_owned());
    }
    let dir = r.setting("dir")?;
    let mounts = facts.world.host.filesystems.iter().flat_map(|all| all.iter());
    let holds =
        |mount: &str| dir.strip_prefix(mount).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || mount == "/");
    let mount = mounts.filter(|fs| holds(fs.mount.shown())).max_by_key(|fs| fs.mount.raw().len())?;
    let source = mount.source.shown().strip_prefix("/dev/")?;
    disks.contains(&source).then(|| source.to_owned())
}

/// All that others wait for a disk which the cause's own server keeps busy with its flushes.
pub fn keeps_disk_busy(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let server = loser(facts, cause).map(|(_, p)| p);
    if server.is_some_and(|p| blames(symptom, p)) { 1.0 } else { 0.0 }
}
