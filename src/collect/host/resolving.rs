//! Questions to name servers that stand: a resolver opens a socket for each question and closes it with the answer, so one that is
//! still there at the next dump waits. Pure: sockets of one dump after the other in, those that stand out.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::model::host::{PeerLink, ProcId};

use super::namespaces::Dump;
use super::sockdiag::Socket;
use super::stamps::{FRESH_MS, Waits};

/// Where name servers answer.
pub(super) const PORT: u16 = 53;
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

/// When each socket was seen first.
#[derive(Debug, Default)]
pub(super) struct Resolving {
    first: HashMap<(u64, u32), u64>,
    /// Who asked a server last, as far as it was seen: most sockets are gone before anyone has looked whose they are.
    asker: HashMap<(u64, SocketAddr), ProcId>,
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

    /// Those of one namespace at `at_ms` (CLOCK_MONOTONIC); `owners` by inode.
    pub(super) fn standing(
        &mut self,
        namespace: u64,
        sockets: &[Socket],
        at_ms: u64,
        owners: &HashMap<u32, ProcId>,
    ) -> Vec<Question> {
        let before = std::mem::take(&mut self.first);
        let (other, mine): (HashMap<_, _>, HashMap<_, _>) = before.into_iter().partition(|((ns, _), _)| *ns != namespace);
        self.first = other;
        let mut all = Vec::new();
        for socket in sockets.iter().filter(|s| s.peer.port() == PORT && s.inode > 0) {
            let key = (namespace, socket.inode);
            let first = mine.get(&key).copied().unwrap_or(at_ms);
            self.first.insert(key, first);
            let known = owners.get(&socket.inode).copied();
            if let Some(owner) = known {
                self.asker.insert((namespace, socket.peer), owner);
            }
            let age_ms = at_ms.saturating_sub(first);
            if (YOUNG_MS..KEPT_MS).contains(&age_ms) {
                let owner = known.or_else(|| self.asker.get(&(namespace, socket.peer)).copied());
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
        let owners = HashMap::from([(1, owner)]);
        let mut resolving = Resolving::default();
        let mut ages = |sockets: &[Socket], at_ms| -> Vec<(Option<ProcId>, u32)> {
            resolving.standing(0, sockets, at_ms, &owners).iter().map(|q| (q.owner, q.age_ms)).collect()
        };
        let (one, two, other) = (socket(1, "10.0.0.2:53"), socket(2, "10.0.0.2:53"), socket(3, "10.0.0.2:514"));
        assert_eq!(ages(&[one.clone(), other.clone()], 1_000), []);
        assert_eq!(ages(&[one.clone(), two.clone(), other], 1_250), [(Some(owner), 250)]);
        // The second one is nobody's that was seen: most likely his who asked that server before.
        assert_eq!(ages(std::slice::from_ref(&two), 1_500), [(Some(owner), 250)]);
        // Answered within a dump.
        assert_eq!(ages(&[socket(4, "10.0.0.2:53")], 1_750), []);
        assert_eq!(ages(&[two], 2_000), [], "its number was given again");
        let mut kept = Resolving::default();
        let stands = |at_ms| kept.standing(0, std::slice::from_ref(&one), at_ms, &owners).len();
        assert_eq!([0, 1_000, 29_000, 30_000, 90_000].map(stands), [0, 1, 1, 0, 0]);
    }
}
