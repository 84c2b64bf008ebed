//! Who waits for a reply of a peer, and how much of it someone feels. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;

use crate::model::facts::{Facts, PeerFacts, ProcFacts};
use crate::model::host::ProcId;
use crate::model::service::NAMES;

use super::actor::PeerWait;
use super::pools::is_pooler;

/// What a device and a peer take when they are not loaded.
pub struct Baseline<'a> {
    /// Share of the IO wait, 0..1.
    pub io: f64,
    /// Milliseconds of a reply of that peer.
    pub reply_ms: &'a dyn Fn(&PeerFacts) -> f64,
}

/// Waits for peers: other hosts, and programs of this one as far as they do nothing that is counted meanwhile.
pub(super) struct PeerWaits {
    pub(super) rows: Vec<PeerWait>,
    by_owner: HashMap<Option<ProcId>, f64>,
}

/// A link that someone waits for, how much, and who serves it, where that is a program of this host.
struct Waited<'a> {
    link: &'a PeerFacts,
    waiting: f64,
    server: Option<ProcId>,
}

impl PeerWaits {
    /// `known`: addresses and processes of servers whose sessions are seen themselves.
    pub(super) fn of(facts: &Facts, baseline: &Baseline<'_>, known: (&HashSet<SocketAddr>, &HashSet<ProcId>)) -> Self {
        let mut by_peer: BTreeMap<SocketAddr, PeerWait> = BTreeMap::new();
        let mut by_owner: HashMap<Option<ProcId>, f64> = HashMap::new();
        let processes: HashMap<ProcId, &ProcFacts> = facts.processes().iter().map(|p| (p.id, p)).collect();
        let mut seen: Vec<Waited<'_>> = Vec::new();
        if let Ok(sockets) = &facts.host.sockets {
            for link in sockets.peers.iter().filter(|l| !known.0.contains(&l.peer)) {
                let server = sockets.server_of(link);
                let process = link.owner.and_then(|id| processes.get(&id).copied());
                if link.local && !answers_late(process, server, &processes, known.1) {
                    continue;
                }
                let waiting = if poll(facts, link) { 0.0 } else { counted(link, process) };
                // A process that was not read within the window is no actor, and its waits are nobody's.
                if waiting > 0.0 && (link.owner.is_none() || process.is_some_and(|p| p.cpu.is_some())) {
                    seen.push(Waited { link, waiting, server });
                }
            }
        }
        let mut inner = Inner::of(&seen, facts, &processes);
        for one in seen {
            let waiting = one.waiting - inner.take(&one, &processes);
            if waiting <= 0.0 {
                continue;
            }
            let link = one.link;
            let usual = (baseline.reply_ms)(link);
            let share = match link.reply_ms() {
                Some(ms) => (usual / ms.max(1e-9)).min(1.0),
                // Less than one a second: no figure; it is held against what is usual where that is known.
                None => f64::from(u8::from(usual.is_infinite())),
            };
            let empty = PeerWait { peer: link.peer, waiting: 0.0, baseline: 0.0, owners: Vec::new() };
            let row = by_peer.entry(link.peer).or_insert(empty);
            row.waiting += waiting;
            row.baseline += waiting * share;
            row.owners.extend(link.owner);
            *by_owner.entry(link.owner).or_default() += waiting;
        }
        let mut rows: Vec<PeerWait> = by_peer.into_values().collect();
        rows.sort_by(|a, b| b.waiting.total_cmp(&a.waiting).then(a.peer.cmp(&b.peer)));
        Self { rows, by_owner }
    }

    pub(super) fn of_process(&self, id: ProcId) -> f64 {
        self.by_owner.get(&Some(id)).copied().unwrap_or(0.0)
    }

    pub(super) fn of_nobody_known(&self) -> f64 {
        self.by_owner.get(&None).copied().unwrap_or(0.0)
    }
}

/// A program of this host that answers a server here and does nothing meanwhile that perftop counts: no work, no run queue, no disk. What such
/// a one takes beyond its usual time it sleeps, or waits for a lock of its own. One that is busy, or held up, has that time itself, and those
/// who queue behind that wait for it; what a server that is watched does is said by its sessions, what a pooler does by its queue.
fn answers_late(
    asker: Option<&ProcFacts>,
    server: Option<ProcId>,
    processes: &HashMap<ProcId, &ProcFacts>,
    told: &HashSet<ProcId>,
) -> bool {
    const IDLE: f64 = 0.5;
    let Some(server) = server.filter(|id| !told.contains(id)).and_then(|id| processes.get(&id)) else { return false };
    let own = |p: &ProcFacts| p.cpu.unwrap_or(0.0) + p.runnable.unwrap_or(0.0) + p.io_wait.unwrap_or(0.0);
    let busiest = processes.values().filter(|p| p.family == server.family).map(|p| own(p)).fold(0.0, f64::max);
    let other = |p: &ProcFacts| p.serves_tcp && p.family != server.family;
    asker.is_some_and(other) && busiest < IDLE && !is_pooler(server)
}

/// An upstream request sent less than once a second, that only few of the requests in flight can be waiting for: a poll for
/// work beside a server whose clients send messages that need no answer (a chat). A peer that hangs holds up most of them.
fn poll(facts: &Facts, link: &PeerFacts) -> bool {
    const FEW: f64 = 0.2;
    let listeners = facts.host.sockets.iter().flat_map(|s| &s.listeners).filter(|l| l.owner == link.owner);
    let in_flight: f64 = listeners.map(|l| l.in_flight).sum();
    link.reply_ms().is_none() && link.for_requests < FEW * in_flight
}

/// How much of a wait someone feels. A server's counts as far as requests in flight wait with it; without any requests
/// to see (a terminal, a unix socket) young waits count; a process that serves no one may as well wait for an event.
fn counted(link: &PeerFacts, process: Option<&ProcFacts>) -> f64 {
    match process {
        None => link.for_requests,
        Some(p) if p.serves_tcp => link.for_requests * p.weight.value,
        // Both kinds of address are asked for at once, and one server after the other: a thread waits once.
        Some(p) if p.weight.value >= 1.0 && link.peer.port() == NAMES => {
            link.fresh.min(f64::from(p.threads.max(1))) * p.weight.value
        }
        Some(p) if p.weight.value >= 1.0 => link.fresh * p.weight.value,
        Some(_) => 0.0,
    }
}

/// What servers of this host do themselves: the innermost that is seen counts, so the wait for one
/// that works, waits for a CPU, for IO or for others in turn is its own time, not its caller's as well.
struct Inner(HashMap<ProcId, f64>);

impl Inner {
    /// The time of each program that serves one of these links, s/s, its own waits for others among it: for servers that are watched, whose
    /// sessions have that time, and for poolers as well.
    fn of(seen: &[Waited<'_>], facts: &Facts, processes: &HashMap<ProcId, &ProcFacts>) -> Self {
        let family = |id: ProcId| processes.get(&id).map(|p| p.family);
        let mut left: HashMap<ProcId, f64> = HashMap::new();
        for root in seen.iter().filter_map(|one| family(one.server?)) {
            if left.contains_key(&root) {
                continue;
            }
            let members = processes.values().filter(|p| p.family == root);
            let own = |p: &ProcFacts| p.cpu.unwrap_or(0.0) + p.runnable.unwrap_or(0.0) + p.io_wait.unwrap_or(0.0);
            let asks = |one: &&Waited<'_>| one.link.owner.and_then(family) == Some(root);
            let waits: f64 = seen.iter().filter(asks).map(|one| one.waiting).sum();
            let is_seen = |link: &&PeerFacts| seen.iter().any(|one| std::ptr::eq(one.link, *link));
            let links = facts.host.sockets.iter().flat_map(|s| &s.peers).filter(|l| !is_seen(l));
            let others: f64 = links.filter(|l| l.owner.and_then(family) == Some(root)).map(|l| l.for_requests).sum();
            let waits = waits + others;
            left.insert(root, members.map(|p| own(p) * p.weight.value).sum::<f64>() + waits);
        }
        Self(left)
    }

    /// The part of that wait which is its server's own time; no second of it is given twice.
    fn take(&mut self, one: &Waited<'_>, processes: &HashMap<ProcId, &ProcFacts>) -> f64 {
        let root = one.server.and_then(|id| processes.get(&id)).map(|p| p.family);
        let Some(left) = root.and_then(|root| self.0.get_mut(&root)) else { return 0.0 };
        let taken = one.waiting.min(*left);
        *left -= taken;
        taken
    }
}
