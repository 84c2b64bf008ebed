//! Who waits for a reply of a peer, and how much of it someone feels. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;

use crate::model::facts::{Facts, PeerFacts, ProcFacts};
use crate::model::host::ProcId;
use crate::model::service::NAMES;

use super::actor::PeerWait;

/// What a device and a peer take when they are not loaded.
pub struct Baseline<'a> {
    /// Share of the IO wait, 0..1.
    pub io: f64,
    /// Milliseconds of a reply of that peer.
    pub reply_ms: &'a dyn Fn(&PeerFacts) -> f64,
}

/// Waits for peers that are not on this host; one that is here has processes of its own, and its wait is theirs.
pub(super) struct PeerWaits {
    pub(super) rows: Vec<PeerWait>,
    by_owner: HashMap<Option<ProcId>, f64>,
}

impl PeerWaits {
    /// `elsewhere`: addresses whose sessions are seen themselves.
    pub(super) fn of(facts: &Facts, baseline: &Baseline<'_>, elsewhere: &HashSet<SocketAddr>) -> Self {
        let mut by_peer: BTreeMap<SocketAddr, PeerWait> = BTreeMap::new();
        let mut by_owner: HashMap<Option<ProcId>, f64> = HashMap::new();
        let processes: HashMap<ProcId, &ProcFacts> = facts.processes().iter().map(|p| (p.id, p)).collect();
        let mut seen: Vec<(&PeerFacts, f64)> = Vec::new();
        for link in facts.host.sockets.iter().flat_map(|s| &s.peers).filter(|l| !l.local && !elsewhere.contains(&l.peer)) {
            let process = link.owner.and_then(|id| processes.get(&id).copied());
            let waiting = if poll(facts, link) { 0.0 } else { counted(link, process) };
            // A process that was not read within the window is no actor, and its waits are nobody's.
            if waiting > 0.0 && (link.owner.is_none() || process.is_some_and(|p| p.cpu.is_some())) {
                seen.push((link, waiting));
            }
        }
        let mut inner = Inner::of(&seen, &processes);
        for (link, waiting) in seen {
            let waiting = waiting - inner.take(link, waiting, &processes);
            if waiting <= 0.0 {
                continue;
            }
            let share = link.reply_ms().map_or(0.0, |ms| ((baseline.reply_ms)(link) / ms.max(1e-9)).min(1.0));
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

/// What servers in other network namespaces of this host do themselves: the innermost that is seen counts, so the wait for one
/// that works, waits for a CPU, for IO or for others in turn is its own time, not its caller's as well.
struct Inner(HashMap<ProcId, f64>);

impl Inner {
    /// The time of each program that serves one of these links, s/s, its own waits for peers among it.
    fn of(seen: &[(&PeerFacts, f64)], processes: &HashMap<ProcId, &ProcFacts>) -> Self {
        let family = |id: ProcId| processes.get(&id).map(|p| p.family);
        let mut left: HashMap<ProcId, f64> = HashMap::new();
        for root in seen.iter().filter_map(|(link, _)| family(link.here?)) {
            if left.contains_key(&root) {
                continue;
            }
            let members = processes.values().filter(|p| p.family == root);
            let own = |p: &ProcFacts| p.cpu.unwrap_or(0.0) + p.runnable.unwrap_or(0.0) + p.io_wait.unwrap_or(0.0);
            let asks = |link: &PeerFacts| link.owner.and_then(family) == Some(root);
            let waits: f64 = seen.iter().filter(|(link, _)| asks(link)).map(|(_, waiting)| waiting).sum();
            left.insert(root, members.map(|p| own(p) * p.weight.value).sum::<f64>() + waits);
        }
        Self(left)
    }

    /// The part of that wait which is its server's own time; no second of it is given twice.
    fn take(&mut self, link: &PeerFacts, waiting: f64, processes: &HashMap<ProcId, &ProcFacts>) -> f64 {
        let root = link.here.and_then(|id| processes.get(&id)).map(|p| p.family);
        let Some(left) = root.and_then(|root| self.0.get_mut(&root)) else { return 0.0 };
        let taken = waiting.min(*left);
        *left -= taken;
        taken
    }
}
