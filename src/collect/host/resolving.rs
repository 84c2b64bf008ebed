//! Questions to name servers that stand: a resolver opens a socket for each question and closes it with the answer, so one that is
//! still there at the next dump waits. Pure: sockets of one dump after the other in, those that stand out.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use crate::model::host::{PeerLink, ProcId};
use crate::model::service::NAMES;

use super::namespaces::Dump;
use super::sockdiag::Socket;
use super::stamps::{FRESH_MS, Waits};

/// One that is older is kept open for the next question.
const KEPT_MS: u64 = 30_000;
/// One that is younger may be answered any moment.
const YOUNG_MS: u64 = 200;

/// A question that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) owner: Option<ProcId>,
    pub(super) server: SocketAddr,
    pub(super) age_ms: u32,
}

/// Askers that keep their socket open, as many as are remembered.
const KEEPERS: usize = 256;

/// When a socket was seen first.
#[derive(Debug, Clone, Copy)]
struct First {
    at_ms: u64,
    /// It was there when we came: whether it is a question nobody knows.
    before: bool,
}

/// What is known of the sockets between two dumps.
#[derive(Debug, Default)]
pub(super) struct Resolving {
    first: HashMap<(u64, u32), First>,
    /// Namespaces that were looked at before.
    known: HashSet<u64>,
    /// Who asked a server last, as far as it was seen: most sockets are gone before anyone has looked whose they are.
    asker: HashMap<(u64, SocketAddr), ProcId>,
    /// Who keeps a socket to a server open between questions: that one is there says nothing.
    keepers: HashSet<(SocketAddr, ProcId)>,
}

impl Resolving {
    /// Adds those of one dump. A name server on this host asks others in turn, which takes it nothing: who waits for it waits.
    pub(super) fn add(
        &mut self,
        dump: &Dump,
        owners: &HashMap<u32, ProcId>,
        links: &mut HashMap<(Option<ProcId>, SocketAddr), PeerLink>,
        waits: &mut HashMap<Option<ProcId>, Waits>,
    ) {
        let (sockets, at_ms) = &dump.datagrams;
        for Question { owner, server, age_ms } in self.standing(dump.namespace, sockets, *at_ms, owners) {
            let row = links.entry((owner, server)).or_insert(PeerLink::new(owner, server, false));
            row.sockets += 1;
            row.waiting += 1;
            row.fresh += u32::from(age_ms < FRESH_MS);
            row.longest_ms = row.longest_ms.max(age_ms);
            waits.entry(owner).or_default().replies.push((age_ms, server));
        }
    }

    /// Forgets namespaces that are gone.
    pub(super) fn keep(&mut self, known: &HashSet<u64>) {
        self.first.retain(|(namespace, _), _| known.contains(namespace));
        self.asker.retain(|(namespace, _), _| known.contains(namespace));
        self.known.retain(|namespace| known.contains(namespace));
    }

    /// Those of one namespace at `at_ms` (CLOCK_MONOTONIC); `owners` by inode.
    pub(super) fn standing(
        &mut self,
        namespace: u64,
        sockets: &[Socket],
        at_ms: u64,
        owners: &HashMap<u32, ProcId>,
    ) -> Vec<Question> {
        let new = First { at_ms, before: self.known.insert(namespace) };
        let before = std::mem::take(&mut self.first);
        let (other, mine): (HashMap<_, _>, HashMap<_, _>) = before.into_iter().partition(|((ns, _), _)| *ns != namespace);
        self.first = other;
        // Of whom no socket can be seen any question may be.
        let alive: HashSet<ProcId> = owners.values().copied().collect();
        self.asker.retain(|_, owner| alive.contains(owner));
        self.keepers.retain(|(_, owner)| alive.contains(owner));
        let mut all = Vec::new();
        for socket in sockets.iter().filter(|s| s.peer.port() == NAMES && s.inode > 0) {
            let key = (namespace, socket.inode);
            let first = mine.get(&key).copied().unwrap_or(new);
            self.first.insert(key, first);
            let known = owners.get(&socket.inode).copied();
            let age_ms = at_ms.saturating_sub(first.at_ms);
            if let Some(owner) = known {
                self.asker.insert((namespace, socket.peer), owner);
                if age_ms >= KEPT_MS && self.keepers.len() < KEEPERS {
                    self.keepers.insert((socket.peer, owner));
                }
            }
            let owner = known.or_else(|| self.asker.get(&(namespace, socket.peer)).copied());
            let keeps = owner.is_some_and(|owner| self.keepers.contains(&(socket.peer, owner)));
            if (YOUNG_MS..KEPT_MS).contains(&age_ms) && !keeps && !first.before {
                all.push(Question { owner, server: socket.peer, age_ms: u32::try_from(age_ms).unwrap_or(u32::MAX) });
            }
        }
        // Servers that nobody asks any more.
        self.asker.retain(|(ns, server), _| *ns != namespace || sockets.iter().any(|s| s.peer == *server));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(inode: u32, peer: &str) -> Socket {
        let (local, peer) = ("10.0.0.1:40000".parse().unwrap(), peer.parse().unwrap());
        Socket { state: 1, local, peer, receive_queue: 0, send_queue: 0, inode, again: 0, info: None }
    }

    #[test]
    fn a_question_that_is_there_at_the_next_dump_stands_and_one_that_is_always_there_does_not() {
        let owner = ProcId { pid: 7, start: 1 };
        let owners = HashMap::from([(1, owner), (9, ProcId { pid: 8, start: 1 }), (10, ProcId { pid: 8, start: 1 })]);
        let mut resolving = Resolving::default();
        let mut ages = |sockets: &[Socket], at_ms| -> Vec<(Option<ProcId>, u32)> {
            resolving.standing(0, sockets, at_ms, &owners).iter().map(|q| (q.owner, q.age_ms)).collect()
        };
        let (one, two, other) = (socket(1, "10.0.0.2:53"), socket(2, "10.0.0.2:53"), socket(3, "10.0.0.2:514"));
        let kept = socket(9, "10.0.0.2:53");
        assert_eq!(ages(std::slice::from_ref(&kept), 100_000), []);
        assert_eq!(ages(&[kept.clone(), one.clone(), other.clone()], 101_000), [], "it was there when we came");
        assert_eq!(ages(&[kept, one.clone(), two.clone(), other], 101_250), [(Some(owner), 250)]);
        // The second one is nobody's that was seen: most likely his who asked that server before.
        assert_eq!(ages(std::slice::from_ref(&two), 101_500), [(Some(owner), 250)]);
        // Answered within a dump.
        assert_eq!(ages(&[socket(4, "10.0.0.2:53")], 101_750), []);
        assert_eq!(ages(std::slice::from_ref(&two), 102_000), [], "its number was given again");
        // Who hung on a question when we came hangs on the next one.
        let next = || Socket { inode: 10, ..socket(10, "10.0.0.2:53") };
        assert_eq!(ages(&[next()], 103_000), []);
        assert_eq!(ages(&[next()], 103_500), [(Some(ProcId { pid: 8, start: 1 }), 500)]);
    }

    #[test]
    fn who_once_kept_a_socket_open_keeps_the_next_one_too() {
        let owners = HashMap::from([(1, ProcId { pid: 7, start: 1 }), (2, ProcId { pid: 7, start: 1 })]);
        let mut resolving = Resolving::default();
        let mut stands = |inode: u32, at_ms| resolving.standing(0, &[socket(inode, "10.0.0.2:53")], at_ms, &owners).len();
        assert_eq!(stands(5, 0), 0);
        assert_eq!([1_000, 2_000, 30_000, 31_000, 90_000].map(|at_ms| stands(1, at_ms)), [0, 1, 1, 0, 0]);
        assert_eq!([91_000, 92_000].map(|at_ms| stands(2, at_ms)), [0, 0], "after a reload");
    }
}
