//! Who waits for whom, by the time stamps that TCP keeps: a client socket whose last data was sent after the last was
//! received awaits a reply; an accepted one whose last data was received after the last was sent has a request in
//! flight. No rights are needed. Pure: sockets of one dump after the other in, sums out.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use crate::model::host::{Listener, PeerLink, Peers, ProcId};

use super::sockdiag::{LISTEN, Socket, TcpInfo};

/// Rows of a sample; beyond them the quietest are left out.
const LINKS: usize = 256;
const LISTENERS: usize = 256;
/// A wait up to this age is fresh: beyond it a process that serves no requests may as well wait for an event.
const FRESH_MS: u32 = 10_000;
/// A request older than this is none: the connection idles after a message that needed no answer.
const REQUEST_MS: u32 = 60_000;
/// Sends in a row without a reply from which on data goes one way only.
const ONE_WAY: u8 = 3;
/// Clock grain of the stamps and time to pass a request on, ms.
const SLACK_MS: u32 = 2;

/// What is remembered of a socket between two dumps.
#[derive(Debug, Clone, Copy)]
struct Before {
    received: u64,
    acked: u64,
    segments: u64,
    retransmits: u32,
    window_limited_us: u64,
    /// Dumps in a row in which more was sent while a reply was awaited.
    sends: u8,
    round: u64,
}

/// Sums over dumps, until they are taken.
#[derive(Debug, Default)]
pub struct Tally {
    before: HashMap<(SocketAddr, SocketAddr), Before>,
    links: HashMap<(Option<ProcId>, SocketAddr), PeerLink>,
    listeners: HashMap<SocketAddr, Listener>,
    rounds: u32,
    established: u32,
    unowned: u32,
    dumps: u64,
}

/// What a socket does at one dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// Awaits since so many ms (a client a reply, a server's socket: the request is in flight).
    Awaits(u32),
    /// Both stamps equal, or one way only.
    Unclear,
    Rests,
}

impl Tally {
    /// Adds one dump of listening and established sockets; `owners` by inode, from the last scan.
    pub fn add(&mut self, sockets: &[Socket], owners: &HashMap<u32, ProcId>) {
        self.dumps += 1;
        self.rounds += 1;
        self.unowned = 0;
        for link in self.links.values_mut() {
            (link.sockets, link.longest_ms, link.rtt_us, link.not_sent) = (0, 0, 0, 0);
        }
        for listener in self.listeners.values_mut() {
            listener.accepted = 0;
        }
        let is_listener = |s: &Socket| 1_u32.checked_shl(u32::from(s.state)) == Some(LISTEN);
        let (listening, established): (Vec<&Socket>, Vec<&Socket>) = sockets.iter().partition(|s| is_listener(s));
        self.established = u32::try_from(established.len()).unwrap_or(u32::MAX);
        self.listen(&listening, owners);
        let here = Here::of(&listening, &established);
        let mut waits: HashMap<Option<ProcId>, Waits> = HashMap::new();
        for socket in established {
            let owner = owners.get(&socket.inode).copied();
            match here.listener(socket.local) {
                Some(at) => self.accepted(socket, at, owner, &mut waits),
                None => self.client(socket, owner, here.has(socket.peer.ip()), &mut waits),
            }
        }
        for (owner, waits) in waits {
            waits.join(|peer| {
                if let Some(link) = self.links.get_mut(&(owner, peer)) {
                    link.for_requests += 1;
                }
            });
        }
        let now = self.dumps;
        self.before.retain(|_, before| before.round == now);
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
        links.retain(|l| l.sockets > 0 || busy(l).0 > 0);
        links.sort_unstable_by(|a, b| busy(b).cmp(&busy(a)).then(a.peer.cmp(&b.peer)).then(a.owner.cmp(&b.owner)));
        let mut listeners: Vec<Listener> = std::mem::take(&mut self.listeners).into_values().collect();
        let held = |l: &Listener| (l.in_flight + l.queued, l.accepted);
        listeners.sort_unstable_by(|a, b| held(b).cmp(&held(a)).then(a.at.cmp(&b.at)));
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
        }
    }

    fn listen(&mut self, listening: &[&Socket], owners: &HashMap<u32, ProcId>) {
        for socket in listening {
            let owner = owners.get(&socket.inode).copied();
            let empty =
                Listener { at: socket.local, owner, queue: 0, backlog: 0, accepted: 0, in_flight: 0, unclear: 0, queued: 0 };
            let row = self.listeners.entry(socket.local).or_insert(empty);
            row.owner = owner.or(row.owner);
            row.queue = row.queue.max(socket.receive_queue);
            row.queued = row.queued.saturating_add(socket.receive_queue);
            row.backlog = socket.send_queue;
        }
    }

    fn accepted(&mut self, socket: &Socket, at: SocketAddr, owner: Option<ProcId>, waits: &mut HashMap<Option<ProcId>, Waits>) {
        let Some(row) = self.listeners.get_mut(&at) else { return };
        row.accepted += 1;
        let owner = owner.or(row.owner);
        let Some(info) = socket.info else { return };
        match serves(socket, &info) {
            Doing::Awaits(age_ms) => {
                row.in_flight += 1;
                waits.entry(owner).or_default().requests.push(age_ms);
            }
            Doing::Unclear => row.unclear += 1,
            Doing::Rests => {}
        }
    }

    fn client(&mut self, socket: &Socket, owner: Option<ProcId>, local: bool, waits: &mut HashMap<Option<ProcId>, Waits>) {
        let empty = PeerLink {
            owner,
            peer: socket.peer,
            local,
            sockets: 0,
            waiting: 0,
            fresh: 0,
            for_requests: 0,
            unclear: 0,
            resending: 0,
            longest_ms: 0,
            rtt_us: 0,
            segments: 0,
            retransmits: 0,
            window_limited_us: 0,
            not_sent: 0,
        };
        self.unowned += u32::from(owner.is_none());
        let row = self.links.entry((owner, socket.peer)).or_insert(empty);
        row.sockets += 1;
        let Some(info) = socket.info else { return };
        let key = (socket.local, socket.peer);
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
        row.resending += u32::from(info.unacked > 0 && info.timeouts > 0);
        row.rtt_us = if row.rtt_us == 0 { info.rtt_us } else { row.rtt_us.min(info.rtt_us) };
        row.not_sent += u64::from(info.not_sent.unwrap_or(0));
        let now = Before {
            received: info.bytes_received.unwrap_or(0),
            acked: info.bytes_acked.unwrap_or(0),
            segments: u64::from(info.segments_sent.unwrap_or(0)),
            retransmits: info.retransmits,
            window_limited_us: info.window_limited_us.unwrap_or(0),
            sends,
            round: self.dumps,
        };
        if let Some(before) = before {
            row.segments += now.segments.saturating_sub(before.segments);
            row.retransmits += u64::from(now.retransmits.saturating_sub(before.retransmits));
            row.window_limited_us += now.window_limited_us.saturating_sub(before.window_limited_us);
        }
        self.before.insert(key, now);
    }
}

/// A client socket: does it await a reply, and how often in a row was more sent meanwhile.
fn asks(info: &TcpInfo, before: Option<Before>) -> (Doing, u8) {
    let (sent, received) = (info.last_sent_ms, info.last_received_ms);
    let answered = before.is_none_or(|b| info.bytes_received.unwrap_or(0) != b.received);
    let sent_more = before.is_some_and(|b| info.bytes_acked.unwrap_or(0) != b.acked);
    let sends = match before {
        Some(b) if !answered && sent < received => b.sends.saturating_add(u8::from(sent_more)),
        _ => 0,
    };
    let doing = match sent.cmp(&received) {
        std::cmp::Ordering::Less if sends >= ONE_WAY => Doing::Unclear,
        std::cmp::Ordering::Less => Doing::Awaits(sent),
        // Sent and received within one tick of the clock: which came last is not known while it is fresh.
        std::cmp::Ordering::Equal if info.unacked > 0 => Doing::Awaits(sent),
        std::cmp::Ordering::Equal if sent < FRESH_MS => Doing::Unclear,
        _ => Doing::Rests,
    };
    (doing, sends)
}

/// An accepted socket: is a request in flight.
fn serves(socket: &Socket, info: &TcpInfo) -> Doing {
    let (sent, received) = (info.last_sent_ms, info.last_received_ms);
    match received.cmp(&sent) {
        _ if socket.receive_queue > 0 => Doing::Awaits(received),
        // Nothing was ever received: the handshake alone sets both stamps.
        _ if info.bytes_received == Some(0) => Doing::Rests,
        std::cmp::Ordering::Less if received < REQUEST_MS => Doing::Awaits(received),
        std::cmp::Ordering::Equal if received < FRESH_MS => Doing::Unclear,
        _ => Doing::Rests,
    }
}

/// Requests in flight and replies awaited of one process at one dump.
#[derive(Debug, Default)]
struct Waits {
    requests: Vec<u32>,
    replies: Vec<(u32, SocketAddr)>,
}

impl Waits {
    /// Each awaited reply that a request in flight can be waiting for: the request must have come before the question
    /// was sent. So a poll for work that stands for half a minute is nobody's wait while requests are young.
    fn join(mut self, mut each: impl FnMut(SocketAddr)) {
        self.requests.sort_unstable_by(|a, b| b.cmp(a));
        self.replies.sort_unstable_by(|a, b| b.cmp(a));
        let mut used = 0;
        for (age_ms, peer) in self.replies {
            let old_enough = self.requests.partition_point(|r| r.saturating_add(SLACK_MS) >= age_ms);
            if used < old_enough {
                used += 1;
                each(peer);
            }
        }
    }
}

/// Addresses of this host, as far as its sockets show them.
struct Here {
    listeners: HashSet<SocketAddr>,
    any_v4: HashSet<u16>,
    any_v6: HashSet<u16>,
    addresses: HashSet<IpAddr>,
}

impl Here {
    fn of(listening: &[&Socket], established: &[&Socket]) -> Self {
        let any = |v4: bool| {
            let rows = listening.iter().filter(move |s| s.local.ip().is_unspecified() && s.local.is_ipv4() == v4);
            rows.map(|s| s.local.port()).collect()
        };
        Self {
            listeners: listening.iter().map(|s| s.local).collect(),
            any_v4: any(true),
            any_v6: any(false),
            addresses: established.iter().map(|s| s.local.ip()).collect(),
        }
    }

    /// The listener that accepted a socket with this local end. A listener on `::` takes IPv4 as well.
    fn listener(&self, local: SocketAddr) -> Option<SocketAddr> {
        if self.listeners.contains(&local) {
            return Some(local);
        }
        let port = local.port();
        let any = |found: &HashSet<u16>, ip: IpAddr| found.contains(&port).then(|| SocketAddr::new(ip, port));
        let v4 = || any(&self.any_v4, std::net::Ipv4Addr::UNSPECIFIED.into());
        let v6 = || any(&self.any_v6, std::net::Ipv6Addr::UNSPECIFIED.into());
        if local.is_ipv4() { v4().or_else(v6) } else { v6() }
    }

    fn has(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.addresses.contains(&ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        Socket { state, local: at(local), peer: at(peer), receive_queue: 0, send_queue: 128, uid: 0, inode, info: Some(info) }
    }

    fn owners(inodes: &[u32]) -> HashMap<u32, ProcId> {
        inodes.iter().map(|i| (*i, ProcId { pid: 7, start: 1 })).collect()
    }

    const UPSTREAM: &str = "10.0.2.5:5432";

    /// A server on 8080 with one request, `request_ms` old, and a question to its upstream, `question_ms` old.
    fn server(request_ms: u32, question_ms: u32) -> PeerLink {
        let sockets = [
            socket("0.0.0.0:8080", "0.0.0.0:0", 0, 0, (0, 0)),
            socket("10.0.1.1:8080", "10.0.9.9:40000", 9_000, request_ms, (5, 5)),
            socket("10.0.1.1:50000", UPSTREAM, question_ms, 9_000, (5, 5)),
        ];
        let mut tally = Tally::default();
        tally.add(&sockets, &owners(&[8080, 50000]));
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
        tally.add(&[socket("10.0.1.1:50000", UPSTREAM, 3, 3, (1, 1))], &own);
        assert_eq!(tally.take().links[0].unclear, 1);
        // A log shipper sends again and again and is never answered.
        for sent in 1..=8 {
            tally.add(&[socket("10.0.1.1:50000", UPSTREAM, 1, 90_000, (sent, 1))], &own);
        }
        let link = &tally.take().links[0];
        assert!(link.waiting <= 3 && link.unclear >= 5, "{link:?}");
        // A request that is only slow stays a wait however long it takes.
        for age in 1..=8 {
            tally.add(&[socket("10.0.1.1:50000", UPSTREAM, age * 500, 90_000, (9, 2))], &own);
        }
        assert_eq!(tally.take().links[0].waiting, 8);
    }

    #[test]
    fn an_idle_chat_has_no_request_in_flight() {
        let mut tally = Tally::default();
        let listener = socket("0.0.0.0:8080", "0.0.0.0:0", 0, 0, (0, 0));
        let chat = socket("10.0.1.1:8080", "10.0.9.9:40000", 200_000, 100_000, (5, 5));
        let fresh = socket("10.0.1.1:8080", "10.0.9.9:40001", 20, 20, (0, 0));
        tally.add(&[listener, chat, fresh], &owners(&[8080]));
        let peers = tally.take();
        assert_eq!((peers.listeners[0].accepted, peers.listeners[0].in_flight), (2, 0));
    }

    #[test]
    fn a_peer_on_this_host_is_said_to_be_here() {
        let mut tally = Tally::default();
        let sockets =
            [socket("127.0.0.1:50000", "127.0.0.1:6379", 5, 9, (1, 1)), socket("10.0.1.1:50001", "10.0.1.1:6379", 5, 9, (1, 1))];
        tally.add(&sockets, &owners(&[50000, 50001]));
        assert!(tally.take().links.iter().all(|l| l.local));
    }
}
