//! What the stamps of one socket say, and which pending response a request in flight can be waiting for. Pure.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use super::sockdiag::{Socket, TcpInfo};

/// A wait up to this age is fresh: beyond it a process that serves no requests may as well wait for an event.
pub(super) const FRESH_MS: u32 = 10_000;
/// A request older than this is none: the connection idles after a message that needed no answer.
pub(super) const REQUEST_MS: u32 = 60_000;
/// A request that stands longer is nobody's any more.
pub(super) const STANDS_MS: u32 = 3_600_000;
/// From here on a request that was not even read stands: no scheduler leaves a reader alone for so long.
pub(super) const UNREAD_MS: u32 = 1_000;
/// Sends in a row without a reply from which on data goes one way only.
pub(super) const ONE_WAY: u8 = 3;
/// Clock grain of the stamps and time to pass a request on, ms.
pub(super) const SLACK_MS: u32 = 2;

/// The coarsest tick of kernels that are in use (HZ=250; 100 is rare), in which the stamps are taken, µs.
const TICK_US: u32 = 4_000;

/// What is remembered of a socket between two dumps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    pub(super) received: u64,
    pub(super) acked: u64,
    pub(super) segments: u64,
    pub(super) segments_received: u64,
    pub(super) retransmits: u32,
    pub(super) window_limited_us: u64,
    /// Dumps in a row in which more was sent while a response was pending.
    pub(super) sends: u8,
    /// A young request was in flight: if its connection is closed now, it was answered.
    pub(super) young: bool,
    /// It was accepted since the dump before.
    pub(super) fresh: bool,
}

/// What counters grew by between two dumps.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Grown {
    pub(super) segments: u64,
    pub(super) received: u64,
    pub(super) retransmits: u64,
    pub(super) window_limited_us: u64,
}

impl Before {
    pub(super) fn of(info: &TcpInfo) -> Self {
        Self {
            received: info.bytes_received.unwrap_or(0),
            acked: info.bytes_acked.unwrap_or(0),
            segments: u64::from(info.segments_sent.unwrap_or(0)),
            segments_received: u64::from(info.segments_received.unwrap_or(0)),
            retransmits: info.retransmits,
            window_limited_us: info.window_limited_us.unwrap_or(0),
            sends: 0,
            young: false,
            fresh: false,
        }
    }

    pub(super) fn grown(&self, info: &TcpInfo) -> Grown {
        let now = Self::of(info);
        Grown {
            segments: now.segments.saturating_sub(self.segments),
            received: now.segments_received.saturating_sub(self.segments_received),
            retransmits: u64::from(now.retransmits.saturating_sub(self.retransmits)),
            window_limited_us: now.window_limited_us.saturating_sub(self.window_limited_us),
        }
    }
}

/// Sent again after a time-out and still not acknowledged.
pub(super) const fn timed_out(info: &TcpInfo) -> bool {
    info.unacked > 0 && info.timeouts > 0
}

/// What a socket does at one dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// Awaits since so many ms (a client a reply, a server's socket: the request is in flight).
    Awaits(u32),
    /// Both stamps equal, or one way only.
    Unclear,
    Rests,
}

/// A client socket: does it await a reply, and how often in a row was more sent meanwhile.
pub(super) fn asks(info: &TcpInfo, before: Option<Before>) -> (Doing, u8) {
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
        // Acknowledgements, which come with the reply or 40 ms late, take longer than a tick: the response to this request cannot
        // have come within the tick in which it was sent. So the previous response came, and the next request went out.
        std::cmp::Ordering::Equal if info.rtt_us >= 2 * TICK_US => Doing::Awaits(sent),
        // One request more than responses, each of one segment: the last word is ours.
        std::cmp::Ordering::Equal if info.segments_sent.is_some() && one_more(info) => Doing::Awaits(sent),
        std::cmp::Ordering::Equal if sent < FRESH_MS => Doing::Unclear,
        _ => Doing::Rests,
    };
    (doing, sends)
}

fn one_more(info: &TcpInfo) -> bool {
    info.segments_received.and_then(|n| n.checked_add(1)) == info.segments_sent
}

/// An accepted socket: is a request in flight.
pub(super) fn serves(socket: &Socket, info: &TcpInfo, before: Option<Before>) -> (Doing, u8) {
    // Who sends on and on and is never answered (logs, heartbeats) has no request in flight.
    let answered = before.is_none_or(|b| info.bytes_acked.unwrap_or(0) != b.acked);
    let more = before.is_some_and(|b| info.bytes_received.unwrap_or(0) != b.received);
    let one_way = match before {
        Some(b) if !answered => b.sends.saturating_add(u8::from(more)),
        _ => 0,
    };
    (serves_now(socket, info, one_way >= ONE_WAY), one_way)
}

fn serves_now(socket: &Socket, info: &TcpInfo, one_way: bool) -> Doing {
    let (sent, received) = (info.last_sent_ms, info.last_received_ms);
    match received.cmp(&sent) {
        _ if socket.receive_queue > 0 && !one_way => Doing::Awaits(received),
        // Nothing was ever received: the handshake alone sets both stamps.
        _ if info.bytes_received == Some(0) || one_way => Doing::Rests,
        std::cmp::Ordering::Less if received < REQUEST_MS => Doing::Awaits(received),
        // A client that sends its next request at once: one request more than responses, each of one segment.
        std::cmp::Ordering::Equal if received < REQUEST_MS && one_question_more(info) => Doing::Awaits(received),
        std::cmp::Ordering::Equal if received < FRESH_MS => Doing::Unclear,
        _ => Doing::Rests,
    }
}

/// How long, ms, a request stands at an accepted socket that does `doing`: also beyond the time in which it counts as foreground, because
/// a service that hangs does so for longer.
pub(super) fn stands(socket: &Socket, info: &TcpInfo, doing: Doing, one_way: u8) -> Option<u32> {
    let (sent, received) = (info.last_sent_ms, info.last_received_ms);
    // Nobody has taken the connection: whoever opened it waits, though it may be the server's turn to speak.
    let unaccepted = socket.inode == 0 && received >= UNREAD_MS;
    let asked = info.bytes_received != Some(0) && one_way < ONE_WAY && received < sent;
    let age = match doing {
        Doing::Awaits(age_ms) => Some(age_ms),
        Doing::Rests if unaccepted || asked => Some(received),
        Doing::Unclear | Doing::Rests => None,
    };
    age.filter(|ms| *ms <= STANDS_MS)
}

/// A request that stands so long was not even read, or its connection not accepted.
pub(super) const fn unserved(socket: &Socket, age_ms: u32) -> bool {
    age_ms >= UNREAD_MS && (socket.inode == 0 || socket.receive_queue > 0)
}

fn one_question_more(info: &TcpInfo) -> bool {
    info.segments_received.is_some() && info.segments_sent.and_then(|n| n.checked_add(1)) == info.segments_received
}

/// Requests in flight and pending responses of one process at one dump.
#[derive(Debug, Default)]
pub(super) struct Waits {
    pub(super) requests: Vec<u32>,
    pub(super) replies: Vec<(u32, SocketAddr)>,
}

impl Waits {
    /// Each pending response that a request in flight can be waiting for: the request must have come before the upstream request
    /// was sent. So a poll for work that stands for half a minute is nobody's wait while requests are young.
    pub(super) fn join(mut self, mut each: impl FnMut(SocketAddr)) {
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
#[derive(Debug)]
pub(super) struct Here {
    listeners: HashSet<SocketAddr>,
    any_v4: HashSet<u16>,
    any_v6: HashSet<u16>,
    addresses: HashSet<IpAddr>,
}

impl Here {
    pub(super) fn of(listening: &[&Socket], established: &[&Socket]) -> Self {
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
    pub(super) fn listener(&self, local: SocketAddr) -> Option<SocketAddr> {
        if self.listeners.contains(&local) {
            return Some(local);
        }
        let port = local.port();
        let any = |found: &HashSet<u16>, ip: IpAddr| found.contains(&port).then(|| SocketAddr::new(ip, port));
        let v4 = || any(&self.any_v4, std::net::Ipv4Addr::UNSPECIFIED.into());
        let v6 = || any(&self.any_v6, std::net::Ipv6Addr::UNSPECIFIED.into());
        if local.is_ipv4() { v4().or_else(v6) } else { v6() }
    }

    pub(super) fn has(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.addresses.contains(&ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(inode: u32, receive_queue: u32, info: TcpInfo) -> Socket {
        let (local, peer) = ("10.0.0.1:80".parse().unwrap(), "10.0.0.2:4000".parse().unwrap());
        Socket { state: 1, local, peer, receive_queue, send_queue: 0, inode, again: 0, info: Some(info) }
    }

    /// How long it stands, and whether it was not even read.
    fn standing(socket: &Socket) -> Option<(u32, bool)> {
        let info = socket.info?;
        let (doing, one_way) = serves(socket, &info, None);
        stands(socket, &info, doing, one_way).map(|ms| (ms, unserved(socket, ms)))
    }

    #[test]
    fn a_request_stands_for_longer_than_it_is_foreground() {
        let info = |sent, received, bytes| TcpInfo {
            last_sent_ms: sent,
            last_received_ms: received,
            bytes_received: Some(bytes),
            bytes_acked: Some(bytes),
            ..TcpInfo::default()
        };
        let of = |inode, queue, sent, received, bytes| standing(&accepted(inode, queue, info(sent, received, bytes)));
        assert_eq!(of(1, 0, 9_000, 20, 5), Some((20, false)));
        assert_eq!(of(1, 0, 300_000, 200_000, 5), Some((200_000, false)), "hangs for three minutes");
        assert_eq!(of(1, 0, 4_000_000, 3_700_000, 5), None, "nobody waits that long");
        assert_eq!(of(1, 0, 100_000, 200_000, 5), None, "answered, at rest");
        assert_eq!(of(1, 0, 50_000, 50_000, 0), None, "accepted, and nothing was asked");
        assert_eq!(of(0, 0, 5_000, 5_000, 0), Some((5_000, true)), "not accepted: the server should speak first");
        assert_eq!(of(0, 0, 500, 500, 0), None);
        assert_eq!(of(1, 90, 9_000, 1_500, 5), Some((1_500, true)), "not read");
        assert_eq!(of(1, 90, 9_000, 15, 5), Some((15, false)), "just came");
    }

    #[test]
    fn equal_stamps_are_told_by_the_count_of_questions_and_replies() {
        let info = |sent, received| TcpInfo {
            last_sent_ms: 800,
            last_received_ms: 800,
            bytes_received: Some(50),
            segments_sent: Some(sent),
            segments_received: Some(received),
            ..TcpInfo::default()
        };
        let serves = |info: TcpInfo| serves(&accepted(1, 0, info), &info, None).0;
        assert_eq!(serves(info(4, 5)), Doing::Awaits(800), "asked again at once, not answered yet");
        assert_eq!(serves(info(5, 5)), Doing::Unclear);
        assert_eq!(asks(&info(5, 4), None).0, Doing::Awaits(800));
        assert_eq!(asks(&info(4, 4), None).0, Doing::Unclear);
    }
}
