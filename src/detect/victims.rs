//! Which causes keep a stalled service waiting: by the time that its program, or a program here that it waits for, spends in what they claim.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::model::facts::Facts as World;
use crate::model::host::ProcId;
use crate::model::subject::SubjectType;
use crate::model::unit::Unit;

use super::candidate::Candidate;
use super::finding::{Class, Explains, Finding, Severity};
use super::kinds;
use super::ledger::{Ledger, State, inside};
use super::rules::{disk_errors, service_stalled};
use super::verdict::evidence;

/// A cause takes this of a service, s/s, or it is not that service's.
const TAKES: f64 = 0.1;
/// Requests that wait for a program here, mean, from which on it is one of those that a service waits for.
const WAITS: f64 = 0.5;

/// A stalled service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Victim {
    key: String,
    /// What may keep it waiting, by key.
    causes: BTreeSet<String>,
    /// It is late now, and nobody has muted that.
    counts: bool,
}

/// The stalled services with their causes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Victims(Vec<Victim>);

impl Victims {
    /// Looks for the causes of each stalled service; `muted`: it is not to be shown.
    pub fn of(world: &World, ledger: &Ledger, candidates: &[Candidate], muted: impl Fn(&str) -> bool) -> Self {
        let stalled = candidates.iter().filter(|c| c.id == service_stalled::ID);
        let causes = |service: &Candidate| {
            let programs = programs(world, service);
            let root = |c: &&Candidate| c.id != service_stalled::ID && c.explained_by.is_none();
            let holds = |c: &&Candidate| takes(world, ledger, c, &programs) || same_port(c, service);
            candidates.iter().filter(root).filter(holds).map(|c| c.key.clone()).collect()
        };
        let one = |service: &Candidate| Victim {
            key: service.key.clone(),
            causes: causes(service),
            counts: service.found.standing == Some(true) && !muted(&service.key),
        };
        Self(stalled.map(one).collect())
    }

    /// That cause keeps a stalled service waiting.
    pub fn has(&self, cause: &str) -> bool {
        self.0.iter().any(|v| v.counts && v.causes.contains(cause))
    }

    /// Puts each stalled service under the first of its causes that is raised, which names it as its victim. `findings` are in order.
    pub fn name(&self, findings: &mut [Finding]) {
        for Victim { key: service, causes, .. } in &self.0 {
            let Some(at) = findings.iter().position(|f| f.key == *service && f.severity != Severity::Info) else { continue };
            let Some(cause) = findings.iter().position(|f| causes.contains(&f.key) && f.raised()) else { continue };
            let (key, title) = (findings[cause].key.clone(), findings[at].title.clone());
            findings[at].explained_by = Some(key);
            findings[cause].explains.push(Explains { key: service.clone(), s_per_s: 0.0, share: 1.0 });
            let late = findings[at].evidence.first().map_or(0.0, |e| e.value);
            findings[cause].evidence.push(evidence(format!("its victim, {title}"), late, Unit::Count, None, "host.stands"));
        }
    }
}

/// The program of the service, and those on this host that it waits for, directly or not.
fn programs(world: &World, service: &Candidate) -> BTreeSet<ProcId> {
    const DEPTH: usize = 4;
    let family = |id: ProcId| world.processes().iter().find(|p| p.id == id).map_or(id, |p| p.family);
    let is_own = |p: &ProcId| service.subject.also.iter().any(|key| key.strip_prefix("process:") == Some(&p.to_string()));
    let mut found: BTreeSet<ProcId> = world.processes().iter().map(|p| p.family).filter(is_own).collect();
    let Ok(sockets) = &world.host.sockets else { return found };
    for _ in 0..DEPTH {
        let waits = |owner: Option<ProcId>| owner.is_some_and(|id| found.contains(&family(id)));
        let links = sockets.peers.iter().filter(|l| l.waiting >= WAITS && waits(l.owner));
        let serves = |peer: SocketAddr| {
            let listener = sockets.listeners.iter().find(|d| d.namespace == 0 && d.at.port() == peer.port());
            listener.and_then(|d| d.owner)
        };
        let next: Vec<ProcId> = links.filter_map(|l| if l.local { serves(l.peer) } else { l.here }).map(family).collect();
        found.extend(next);
    }
    found
}

/// The cause claims time that those programs spend where it is, or is of a server that they are.
fn takes(world: &World, ledger: &Ledger, cause: &Candidate, programs: &BTreeSet<ProcId>) -> bool {
    let server = world.servers.here().find(|s| s.id == cause.source).and_then(|s| s.root);
    let served = server.is_some_and(|root| programs.contains(&root));
    let own = |state| ledger.sum(|a| programs.contains(&a.family), |a| a.in_state(state));
    let spent = |state| own(state) >= TAKES && hits(world, ledger, cause, programs);
    match cause.found.class {
        Class::Live => {
            cause.lost() >= TAKES && served || cause.found.losses.iter().any(|(state, lost)| *lost >= TAKES && spent(*state))
        }
        // A device that does not read stops whoever reads.
        Class::Error if cause.id == disk_errors::ID => spent(State::IoWait) || spent(State::TaskBlocked),
        Class::Error => served && kinds::refuses(cause.id),
        Class::Risk | Class::Hygiene | Class::Outcome => false,
    }
}

/// What the cause is about, one group or one peer, is what those programs stand in or ask: others lose by other ones.
fn hits(world: &World, ledger: &Ledger, cause: &Candidate, programs: &BTreeSet<ProcId>) -> bool {
    let members = || world.processes().iter().filter(|p| programs.contains(&p.family));
    match cause.subject.kind {
        SubjectType::Cgroup => {
            let mut groups = world.host.cgroups.iter().flatten().filter(|g| g.path.shown() == cause.subject.key);
            groups.any(|group| members().any(|p| inside(p, group)))
        }
        SubjectType::Peer => {
            let asks = |id: &ProcId| members().any(|p| p.id == *id);
            // Of one address, or of one port there.
            let about = |peer: &SocketAddr| [peer.to_string(), format!("{}:*", peer.ip())].contains(&cause.subject.key);
            ledger.peers.iter().filter(|w| about(&w.peer)).any(|w| w.owners.iter().any(asks))
        }
        _ => true,
    }
}

/// Both are about one port of this host.
fn same_port(cause: &Candidate, service: &Candidate) -> bool {
    cause.subject.kind == service.subject.kind && cause.subject.key == service.subject.key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Bench;
    use crate::detect::bench::host::{cgroup, inside, service};
    use crate::detect::bench::sockets::{peer, sockets};
    use crate::detect::verdict::Found;
    use crate::model::subject::Subject;

    fn cause(kind: SubjectType, key: &str) -> Candidate {
        Candidate {
            key: format!("x|host|{key}"),
            id: "host.cpu.throttled",
            source: "host".into(),
            subject: Subject::new(kind, key, key),
            found: Found::new(Class::Live, "x"),
            explains: Vec::new(),
            explained_by: None,
        }
    }

    /// Another group that is throttled, another peer that is late: they take nothing from this service, however much both lose.
    #[test]
    fn a_cause_hits_whom_it_is_about() {
        let api = service(100, "api", 8080);
        let bench = Bench::quiet()
            .running(vec![inside("/api", api.clone()), inside("/batch", service(200, "batch", 9090))])
            .grouped(vec![cgroup("/api"), cgroup("/batch")])
            .on(|host| host.sockets = Ok(sockets(Vec::new(), vec![peer(api.id, 5.0)])));
        let (world, ledger) = bench.measured();
        let programs = BTreeSet::from([api.id]);
        let hit = |kind, key: &str| hits(world, &ledger, &cause(kind, key), &programs);
        assert!(hit(SubjectType::Cgroup, "/api") && !hit(SubjectType::Cgroup, "/batch"));
        assert!(hit(SubjectType::Peer, "192.0.2.5:9000") && hit(SubjectType::Peer, "192.0.2.5:*"));
        assert!(!hit(SubjectType::Peer, "192.0.2.6:9000") && !hit(SubjectType::Peer, "192.0.2.5:9001"));
        assert!(hit(SubjectType::Process, "200@1200"), "who takes the CPU takes it from all");
    }
}
