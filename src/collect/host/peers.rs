//! Who waits for whom, by the time stamps that TCP keeps: a client socket whose last data was sent after the last was
//! received has a response pending; an accepted one whose last data was received after the last was sent has a request in
//! flight. No rights are needed. Pure: sockets of one dump after the other in, sums out.

mod under_way;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use crate::model::host::{Connecting, Listener, PeerLink, Peers, ProcId, Resend};

use super::answers::{Change, Key, Unseen};
use super::namespaces::{Dump, OWN};
use super::ports::Ports;
use super::resolving::Resolving;
use super::sockdiag::{CLOSE_WAIT, ESTABLISHED, LISTEN, SYN_SENT, Socket};
use super::stamps::{Before, Doing, FRESH_MS, Here, UNREAD_MS, Waits, asks, serves, stands, timed_out, unserved};
use super::unixdiag::Waiting;

/// Rows of a sample; beyond them the quietest are left out.
const LINKS: usize = 256;
const LISTENERS: usize = 256;
const RESENDS: usize = 32;

/// Sums over dumps, until they are taken.
#[derive(Debug, Default)]
pub struct Tally {
    before: HashMap<Key, Before>,
    after: HashMap<Key, Before>,
    links: HashMap<(Option<ProcId>, SocketAddr), PeerLink>,
    listeners: HashMap<(u64, SocketAddr), Listener>,
    /// Other namespaces: their addresses, and who listens where.
    served: Vec<(Here, Vec<(SocketAddr, ProcId)>)>,
    resends: HashMap<IpAddr, Resend>,
    ports: Ports,
    connecting: HashMap<SocketAddr, Connecting>,
    unix: Waiting,
    rounds: u32,
    established: u32,
    unowned: u32,
    /// The namespaces of the round before: a connection that is new there came since.
    known: HashSet<u64>,
    unseen: Unseen,
    resolving: Resolving,
    /// Connections whose client had gone at the dump before.
    given_up: HashSet<Key>,
}

impl Tally {
    /// Adds one round of dumps, one per network namespace, ours first; `owners` by inode, from the last scan.
    pub fn add(&mut self, dumps: &[Dump], owners: &HashMap<u32, ProcId>) {
        self.rounds += 1;
        self.unowned = 0;
        for link in self.links.values_mut() {
            (link.sockets, link.longest_ms, link.rtt_us, link.not_sent) = (0, 0, 0, 0);
        }
        for listener in self.listeners.values_mut() {
            listener.accepted = 0;
        }
        for resend in self.resends.values_mut() {
            resend.sockets = 0;
        }
        self.established = 0;
        self.served.clear();
        let mut waits: HashMap<Option<ProcId>, Waits> = HashMap::new();
        for dump in dumps {
            self.add_one(dump, owners, &mut waits);
        }
        for (owner, waits) in waits {
            waits.join(|peer| {
                if let Some(link) = self.links.get_mut(&(owner, peer)) {
                    link.for_requests += 1;
                }
            });
        }
        self.before = std::mem::take(&mut self.after);
        self.known = dumps.iter().map(|d| d.namespace).collect();
        self.unseen.keep(|namespace| self.known.contains(&namespace));
        self.resolving.keep(&self.known);
        self.given_up.retain(|key| self.known.contains(&key.0));
    }

    fn add_one(&mut self, dump: &Dump, owners: &HashMap<u32, ProcId>, waits: &mut HashMap<Option<ProcId>, Waits>) {
        let sockets = &dump.sockets;
        let listening: Vec<&Socket> = sockets.iter().filter(|s| s.is(LISTEN)).collect();
        let established: Vec<&Socket> = sockets.iter().filter(|s| s.is(ESTABLISHED)).collect();
        for socket in sockets.iter().filter(|s| s.is(SYN_SENT)) {
            let empty = Connecting { peer: socket.peer, waiting: 0, again: 0 };
            let row = self.connecting.entry(socket.peer).or_insert(empty);
            row.waiting += 1;
            row.again += u32::from(socket.again > 0);
        }
        self.established = self.established.saturating_add(u32::try_from(established.len()).unwrap_or(u32::MAX));
        self.listen(dump.namespace, &listening, owners);
        let here = Here::of(&listening, &established);
        if dump.namespace == OWN {
            // The limits that are known are those of our namespace.
            let opened: Vec<&Socket> = sockets.iter().filter(|s| s.is(ESTABLISHED) || s.is(SYN_SENT)).collect();
            self.ports.open(&opened, &here, owners);
            self.ports.closing(&dump.ending, &here);
        }
        for socket in established {
            let owner = owners.get(&socket.inode).copied();
            let key = (dump.namespace, socket.local, socket.peer);
            self.remember(socket, key);
            match here.listener(socket.local) {
                Some(at) => self.accepted(socket, key, at, owner, waits),
                None => self.client(socket, key, owner, here.has(socket.peer.ip()), waits),
            }
        }
        self.resolving.add(dump, owners, &mut self.links, waits);
        self.closed(dump, &here);
        self.unix.add(&dump.unix, owners);
        if dump.namespace != OWN {
            let listeners = listening.iter().filter_map(|s| Some((s.local, *owners.get(&s.inode)?)));
            self.served.push((here, listeners.collect()));
        }
    }

    /// A connection that the service closed while its request was young was answered, and so were those that came and went unseen.
    fn closed(&mut self, dump: &Dump, here: &Here) {
        let given_up = dump.sockets.iter().filter(|s| s.is(CLOSE_WAIT)).map(|s| (dump.namespace, s.local, s.peer)).collect();
        let sockets = (&self.before, &self.after);
        let change = Change::of(dump.namespace, sockets, (&given_up, &self.given_up), self.known.contains(&dump.namespace), here);
        self.unseen.ended(dump.namespace, dump.ended.iter().filter_map(|at| here.listener(*at)));
        let unseen = self.unseen.count(dump.namespace, dump.opened, &change);
        for (at, answers) in change.answered.iter().map(|at| (*at, 1)).chain(unseen) {
            if let Some(row) = self.listeners.get_mut(&(dump.namespace, at)) {
                row.answers += answers;
            }
        }
        self.given_up.retain(|key| key.0 != dump.namespace);
        self.given_up.extend(given_up);
    }

    /// The process in another namespace of this host that serves that address.
    fn serves(&self, peer: SocketAddr) -> Option<ProcId> {
        self.served.iter().filter(|(here, _)| here.has(peer.ip()) && !peer.ip().is_loopback()).find_map(|(here, listeners)| {
            let at = here.listener(peer)?;
            listeners.iter().find(|(listener, _)| *listener == at).map(|(_, owner)| *owner)
        })
    }

    /// True when a process here has a connection to another host that it opened.
    #[must_use]
    pub fn asks_others(&self) -> bool {
        self.links.values().any(|l| !l.local && l.sockets > 0)
    }

    /// The sums since the last call.
    pub fn take(&mut self) -> Peers {
        let busy = |l: &PeerLink| (l.waiting + l.unclear + l.resending, l.sockets);
        let mut links: Vec<PeerLink> = std::mem::take(&mut self.links).into_values().collect();
        links.iter_mut().filter(|l| !l.local).for_each(|l| l.here = self.serves(l.peer));
        links.retain(|l| l.sockets > 0 || busy(l).0 > 0);
        links.sort_unstable_by(|a, b| busy(b).cmp(&busy(a)).then(a.peer.cmp(&b.peer)).then(a.owner.cmp(&b.owner)));
        let ports = self.ports.rows(&links);
        let mut listeners: Vec<Listener> = std::mem::take(&mut self.listeners).into_values().collect();
        let held = |l: &Listener| (l.in_flight + l.queued, l.accepted);
        listeners.sort_unstable_by(|a, b| held(b).cmp(&held(a)).then(a.at.cmp(&b.at)));
        let mut connecting: Vec<Connecting> = std::mem::take(&mut self.connecting).into_values().collect();
        connecting.sort_unstable_by(|a, b| b.waiting.cmp(&a.waiting).then(a.peer.cmp(&b.peer)));
        connecting.truncate(RESENDS);
        let cut = links.len().saturating_sub(LINKS) + listeners.len().saturating_sub(LISTENERS);
        links.truncate(LINKS);
        listeners.truncate(LISTENERS);
        Peers {
            rounds: std::mem::take(&mut self.rounds),
            established: self.established,
            unowned: self.unowned,
            links,
            listeners,
            cut: u32::try_from(cut).unwrap_or(u32::MAX),
            resends: self.take_resends(),
            connecting,
            ports,
            unix: self.unix.take(RESENDS),
        }
    }

    fn take_resends(&mut self) -> Vec<Resend> {
        let mut rows: Vec<Resend> = std::mem::take(&mut self.resends).into_values().collect();
        rows.retain(|r| r.retransmits > 0 || r.timed_out > 0 || r.window_limited_us > 0);
        rows.sort_unstable_by(|a, b| (b.timed_out, b.retransmits).cmp(&(a.timed_out, a.retransmits)).then(a.ip.cmp(&b.ip)));
        rows.truncate(RESENDS);
        rows
    }

    fn listen(&mut self, namespace: u64, listening: &[&Socket], owners: &HashMap<u32, ProcId>) {
        for socket in listening {
            let owner = owners.get(&socket.inode).copied();
            let empty = Listener::new(socket.local, namespace, owner);
            let row = self.listeners.entry((namespace, socket.local)).or_insert(empty);
            row.owner = owner.or(row.owner);
            row.queue = row.queue.max(socket.receive_queue);
            row.queued = row.queued.saturating_add(socket.receive_queue);
            row.backlog = socket.send_queue;
        }
    }

    fn accepted(
        &mut self,
        socket: &Socket,
        key: Key,
        at: SocketAddr,
        owner: Option<ProcId>,
        waits: &mut HashMap<Option<ProcId>, Waits>,
    ) {
        let Some(row) = self.listeners.get_mut(&(key.0, at)) else { return };
        row.accepted += 1;
        let owner = owner.or(row.owner);
        let Some(info) = socket.info else { return };
        let before = self.before.get(&key).copied();
        // A connection that came since the dump before brings all that it received; at a first dump nobody knows when.
        let fresh = if self.known.contains(&key.0) { info.segments_received.map_or(0, u64::from) } else { 0 };
        let grown = before.map(|b| b.grown(&info));
        row.requests += grown.map_or(fresh, |g| g.received);
        row.answers += grown.map_or(fresh.min(info.segments_sent.map_or(0, u64::from)), |g| g.received.min(g.segments));
        let (doing, one_way) = serves(socket, &info, before);
        let age_ms = stands(socket, &info, doing, one_way);
        if let Some(age_ms) = age_ms {
            row.ages.get_or_insert_default().add(age_ms);
            row.unserved += u32::from(unserved(socket, age_ms));
        }
        if let Some(now) = self.after.get_mut(&key) {
            now.sends = one_way;
            now.young = socket.inode != 0 && age_ms.is_some_and(|ms| ms < UNREAD_MS);
            now.fresh = before.is_none() && self.known.contains(&key.0);
        }
        match doing {
            Doing::Awaits(age_ms) => {
                row.in_flight += 1;
                waits.entry(owner).or_default().requests.push(age_ms);
            }
            Doing::Unclear => {
                row.unclear += 1;
                // A client that sends its next request at once looks like this. Whether it is a request is left open; that a
                // response pending here is awaited for it is likely.
                waits.entry(owner).or_default().requests.push(info.last_received_ms);
            }
            Doing::Rests => {}
        }
    }

    fn client(
        &mut self,
        socket: &Socket,
        key: Key,
        owner: Option<ProcId>,
        local: bool,
        waits: &mut HashMap<Option<ProcId>, Waits>,
    ) {
        let empty = PeerLink::new(owner, socket.peer, local);
        self.unowned += u32::from(owner.is_none());
        let row = self.links.entry((owner, socket.peer)).or_insert(empty);
        row.sockets += 1;
        let Some(info) = socket.info else { return };
        let before = self.before.get(&key).copied();
        let (doing, sends) = asks(&info, before);
        match doing {
            Doing::Awaits(age_ms) => {
                row.waiting += 1;
                row.fresh += u32::from(age_ms < FRESH_MS);
                row.longest_ms = row.longest_ms.max(age_ms);
                waits.entry(owner).or_default().replies.push((age_ms, socket.peer));
            }
            Doing::Unclear => row.unclear += 1,
            Doing::Rests => {}
        }
        row.resending += u32::from(timed_out(&info));
        row.rtt_us = if row.rtt_us == 0 { info.rtt_us } else { row.rtt_us.min(info.rtt_us) };
        row.not_sent += u64::from(info.not_sent.unwrap_or(0));
        if let Some(grown) = before.map(|b| b.grown(&info)) {
            row.segments += grown.segments;
            row.retransmits += grown.retransmits;
            row.window_limited_us += grown.window_limited_us;
        }
        if let Some(now) = self.after.get_mut(&key) {
            now.sends = sends;
        }
    }

    /// Notes what the socket's counters are now, and what was retransmitted since.
    fn remember(&mut self, socket: &Socket, key: Key) {
        let Some(info) = socket.info else { return };
        if key.0 != OWN {
            // The time-outs that loss is judged by are counted in our namespace.
            self.after.insert(key, Before::of(&info));
            return;
        }
        let empty = Resend { ip: socket.peer.ip(), sockets: 0, timed_out: 0, retransmits: 0, segments: 0, window_limited_us: 0 };
        let row = self.resends.entry(socket.peer.ip()).or_insert(empty);
        row.sockets += 1;
        row.timed_out += u32::from(timed_out(&info));
        if let Some(grown) = self.before.get(&key).map(|b| b.grown(&info)) {
            row.retransmits += grown.retransmits;
            row.segments += grown.segments;
            row.window_limited_us += grown.window_limited_us;
        }
        self.after.insert(key, Before::of(&info));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::host::sockdiag::TcpInfo;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn socket(local: &str, peer: &str, sent: u32, received: u32, bytes: (u64, u64)) -> Socket {
        let info = TcpInfo {
            last_sent_ms: sent,
            last_received_ms: received,
            bytes_acked: Some(bytes.0),
            bytes_received: Some(bytes.1),
            ..TcpInfo::default()
        };
        let state = if peer.ends_with(":0") { 10 } else { 1 };
        let inode = u32::from(at(local).port());
        Socket { again: 0, state, local: at(local), peer: at(peer), receive_queue: 0, send_queue: 128, inode, info: Some(info) }
    }

    fn owners(inodes: &[u32]) -> HashMap<u32, ProcId> {
        inodes.iter().map(|i| (*i, ProcId { pid: 7, start: 1 })).collect()
    }

    fn dump(sockets: &[Socket]) -> [Dump; 1] {
        [Dump { sockets: sockets.to_vec(), ..Dump::default() }]
    }

    const UPSTREAM: &str = "10.0.2.5:5432";

    /// A server on 8080 with one request, `request_ms` old, and a request to its upstream, `question_ms` old.
    fn server(request_ms: u32, question_ms: u32) -> PeerLink {
        let sockets = [
            socket("0.0.0.0:8080", "0.0.0.0:0", 0, 0, (0, 0)),
            socket("10.0.1.1:8080", "10.0.9.9:40000", 9_000, request_ms, (5, 5)),
            socket("10.0.1.1:50000", UPSTREAM, question_ms, 9_000, (5, 5)),
        ];
        let mut tally = Tally::default();
        tally.add(&dump(&sockets), &owners(&[8080, 50000]));
        let peers = tally.take();
        assert_eq!((peers.rounds, peers.established, peers.listeners[0].in_flight), (1, 2, 1));
        peers.links[0].clone()
    }

    #[test]
    fn a_reply_is_awaited_for_a_request_that_came_before_the_question() {
        let link = server(120, 100);
        assert_eq!((link.peer, link.local), (at(UPSTREAM), false));
        assert_eq!((link.waiting, link.fresh, link.for_requests, link.longest_ms), (1, 1, 1, 100));
        // A poll for work that stands since long before the request is not what the request waits for.
        let poll = server(20, 8_000);
        assert_eq!((poll.waiting, poll.for_requests), (1, 0));
    }

    #[test]
    fn stamps_that_are_equal_and_data_that_goes_one_way_are_unclear() {
        let mut tally = Tally::default();
        let own = owners(&[50000]);
        tally.add(&dump(&[socket("10.0.1.1:50000", UPSTREAM, 3, 3, (1, 1))]), &own);
        assert_eq!(tally.take().links[0].unclear, 1);
        // A log shipper sends repeatedly and is never answered.
        for sent in 1..=8 {
            tally.add(&dump(&[socket("10.0.1.1:50000", UPSTREAM, 1, 90_000, (sent, 1))]), &own);
        }
        let link = &tally.take().links[0];
        assert!(link.waiting <= 3 && link.unclear >= 5, "{link:?}");
        // A request that is only slow stays a wait however long it takes.
        for age in 1..=8 {
            tally.add(&dump(&[socket("10.0.1.1:50000", UPSTREAM, age * 500, 90_000, (9, 2))]), &own);
        }
        assert_eq!(tally.take().links[0].waiting, 8);
    }

    #[test]
    fn an_idle_chat_has_no_request_in_flight() {
        let mut tally = Tally::default();
        let listener = socket("0.0.0.0:8080", "0.0.0.0:0", 0, 0, (0, 0));
        let chat = socket("10.0.1.1:8080", "10.0.9.9:40000", 200_000, 100_000, (5, 5));
        let fresh = socket("10.0.1.1:8080", "10.0.9.9:40001", 20, 20, (0, 0));
        tally.add(&dump(&[listener, chat, fresh]), &owners(&[8080]));
        let peers = tally.take();
        assert_eq!((peers.listeners[0].accepted, peers.listeners[0].in_flight), (2, 0));
    }

    #[test]
    fn a_peer_on_this_host_is_said_to_be_here() {
        let mut tally = Tally::default();
        let sockets =
            [socket("127.0.0.1:50000", "127.0.0.1:6379", 5, 9, (1, 1)), socket("10.0.1.1:50001", "10.0.1.1:6379", 5, 9, (1, 1))];
        tally.add(&dump(&sockets), &owners(&[50000, 50001]));
        assert!(tally.take().links.iter().all(|l| l.local));
    }

    #[test]
    fn a_peer_in_another_namespace_of_this_host_is_known_by_its_process() {
        let ours = [socket("172.17.0.1:50000", "172.17.0.2:5432", 5, 9, (1, 1))];
        let theirs = [
            socket("0.0.0.0:5432", "0.0.0.0:0", 0, 0, (0, 0)),
            socket("172.17.0.2:5432", "172.17.0.1:50000", 9, 5, (1, 1)),
            // The same port of the same address as ours, in a namespace of its own.
            socket("172.17.0.1:50000", "172.17.0.2:5432", 5, 9, (7, 7)),
        ];
        let mut tally = Tally::default();
        let dumps = [
            Dump { sockets: ours.to_vec(), ..Dump::default() },
            Dump { namespace: 42, sockets: theirs.to_vec(), ..Dump::default() },
        ];
        tally.add(&dumps, &owners(&[5432]));
        let peers = tally.take();
        let link = peers.links.iter().find(|l| !l.local).unwrap();
        assert_eq!((link.here, peers.established), (Some(ProcId { pid: 7, start: 1 }), 3));
        assert_eq!((peers.listeners[0].namespace, peers.listeners[0].in_flight), (42, 1));
    }
}
