//! Raw figures of TCP sockets, summed over the dumps between two samples: who waits for whom, and how many requests
//! each listener has in flight.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;

use super::ages::Ages;
use super::process::ProcId;

/// What the dumps of one tick showed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peers {
    /// Dumps behind the sums.
    pub rounds: u32,
    /// Established sockets at the last dump.
    pub established: u32,
    /// Client sockets whose process is not known (yet, or for lack of rights), at the last dump.
    pub unowned: u32,
    /// One per process and peer, busiest first.
    pub links: Vec<PeerLink>,
    /// One per listening socket.
    pub listeners: Vec<Listener>,
    /// Rows that were left out.
    pub cut: u32,
    /// Other ends towards which data was retransmitted, both directions of opening.
    #[serde(default)]
    pub resends: Vec<Resend>,
    /// Connections that are being opened, by other end.
    #[serde(default)]
    pub connecting: Vec<Connecting>,
    /// Local ports taken towards one other end, where they are many.
    #[serde(default)]
    pub ports: Vec<PortUse>,
    /// Unix sockets of our network namespace with waiting connections, longest first.
    #[serde(default)]
    pub unix: Vec<UnixQueue>,
}

/// A listening unix socket with connections waiting in its queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnixQueue {
    /// Its path; an abstract name begins with `@`.
    pub path: Foreign,
    /// Whose.
    pub owner: Option<ProcId>,
    /// Dumps in which a connection waited.
    pub rounds: u32,
    /// Connections that waited to be accepted, summed over the dumps.
    pub queued: u32,
    /// How many may wait.
    pub backlog: u32,
}

/// Local ports that connections from one address to one other end take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortUse {
    /// Our address.
    pub local: IpAddr,
    /// The other end.
    pub peer: SocketAddr,
    /// Connections that are open or being opened, at the last dump.
    pub open: u32,
    /// Connections that end (TIME_WAIT and its like), at the last dump of those.
    pub closing: u32,
    /// Who opened most of them.
    pub owner: Option<ProcId>,
}

/// Data that was retransmitted towards one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resend {
    /// The other end.
    pub ip: IpAddr,
    /// Sockets to it at the last dump.
    pub sockets: u32,
    /// Socket-rounds that wait for an acknowledgement after a time-out.
    pub timed_out: u32,
    /// Segments retransmitted.
    pub retransmits: u64,
    /// Segments with data sent.
    pub segments: u64,
    /// µs in which its closed window held data back, summed over sockets.
    pub window_limited_us: u64,
}

/// Connections that are being opened towards one other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connecting {
    /// The other end.
    pub peer: SocketAddr,
    /// Socket-rounds without an answer to the SYN.
    pub waiting: u32,
    /// Of them those that sent the SYN again.
    pub again: u32,
}

/// The sockets of one process to one peer. A *socket-round* is one socket seen so in one dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerLink {
    /// Whose; `None` when it cannot be told.
    pub owner: Option<ProcId>,
    /// The other end.
    pub peer: SocketAddr,
    /// The other end is on this host.
    pub local: bool,
    /// Sockets at the last dump.
    pub sockets: u32,
    /// Socket-rounds in which the last data was sent later than the last was received: a response is pending.
    pub waiting: u32,
    /// Of them those that wait for less than ten seconds.
    pub fresh: u32,
    /// Of them those that a request in flight of the same process is old enough for.
    pub for_requests: u32,
    /// Socket-rounds that cannot be told: both stamps equal, or data goes one way only.
    pub unclear: u32,
    /// Socket-rounds in which data was retransmitted and is not acknowledged yet.
    pub resending: u32,
    /// The longest wait at the last dump, ms.
    pub longest_ms: u32,
    /// The shortest smoothed round trip at the last dump, µs.
    pub rtt_us: u32,
    /// Segments with data that were sent: for small requests the number of requests.
    pub segments: u64,
    /// Segments retransmitted.
    pub retransmits: u64,
    /// µs in which the peer's closed window held data back, summed over sockets.
    pub window_limited_us: u64,
    /// Bytes written and not sent yet, at the last dump.
    pub not_sent: u64,
    /// The process that serves it, when that is on this host in another network namespace.
    #[serde(default)]
    pub here: Option<ProcId>,
}

/// One listening socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Where it listens.
    pub at: SocketAddr,
    /// The network namespace; 0 is perftop's own.
    #[serde(default)]
    pub namespace: u64,
    /// Whose.
    pub owner: Option<ProcId>,
    /// Connections that wait to be accepted: the most of all dumps.
    pub queue: u32,
    /// How many may.
    pub backlog: u32,
    /// Accepted connections at the last dump.
    pub accepted: u32,
    /// Socket-rounds in which the last data was received later than the last was sent: a request is in flight.
    pub in_flight: u32,
    /// Socket-rounds that cannot be told.
    pub unclear: u32,
    /// Connections in the queue, summed over the dumps.
    pub queued: u32,
    /// Segments with data that were received on accepted connections: for small requests the number of requests.
    #[serde(default)]
    pub requests: u64,
    /// Requests that were answered, as far as connections were seen: the lesser of the segments with data that each received and sent.
    #[serde(default)]
    pub answers: u64,
    /// How old the requests in flight were, in socket-rounds; `None` in recordings of before that was measured.
    #[serde(default)]
    pub ages: Option<Ages>,
    /// Socket-rounds in which a request of a second or more was not even read, or its connection not accepted.
    #[serde(default)]
    pub unserved: u32,
}

impl PeerLink {
    /// A link of which nothing was seen yet.
    #[must_use]
    pub const fn new(owner: Option<ProcId>, peer: SocketAddr, local: bool) -> Self {
        Self {
            owner,
            peer,
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
            here: None,
        }
    }
}

impl Listener {
    /// A listener of which nothing was seen yet.
    #[must_use]
    pub const fn new(at: SocketAddr, namespace: u64, owner: Option<ProcId>) -> Self {
        Self {
            at,
            namespace,
            owner,
            queue: 0,
            backlog: 0,
            accepted: 0,
            in_flight: 0,
            unclear: 0,
            queued: 0,
            requests: 0,
            answers: 0,
            ages: Some(Ages([0; 10])),
            unserved: 0,
        }
    }
}
