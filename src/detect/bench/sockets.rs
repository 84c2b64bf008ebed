//! Sockets on the bench: listeners of this host, and peers that it asks.

use crate::model::facts::{ListenerFacts, PeerFacts, SocketFacts};
use crate::model::host::{Ages, ProcId};
use crate::model::seen::{Lack, Why};

use super::Bench;

/// What the dumps of the window showed.
pub fn sockets(listeners: Vec<ListenerFacts>, peers: Vec<PeerFacts>) -> SocketFacts {
    SocketFacts { rounds: 20, listeners, peers, ..SocketFacts::default() }
}

/// A host whose sockets were not read.
pub fn unread() -> Bench {
    Bench::quiet().on(|host| host.sockets = Err(Lack::new(Why::NotYet, "sockets")))
}

/// A listener with ten connections, at which nothing stands.
pub fn listener(owner: ProcId, port: u16) -> ListenerFacts {
    ListenerFacts {
        at: ([0, 0, 0, 0], port).into(),
        namespace: 0,
        owner: Some(owner),
        queue_max: 0,
        queued: 0.0,
        backlog: 128,
        accepted: 10,
        in_flight: 0.0,
        requests_per_s: 0.0,
        unclear: 0.0,
        answers_per_s: 0.0,
        ages: Some(Ages::default()),
        rounds: 1.0,
        unserved: 0.0,
    }
}

/// Ten sockets to another host, for which so many requests wait for a hundred milliseconds each.
pub fn peer(owner: ProcId, waiting: f64) -> PeerFacts {
    PeerFacts {
        owner: Some(owner),
        peer: ([192, 0, 2, 5], 9000).into(),
        local: false,
        sockets: 10,
        waiting,
        fresh: waiting,
        for_requests: waiting,
        unclear: 0.0,
        resending: 0.0,
        longest_s: 0.1,
        rtt_ms: 0.2,
        segments_per_s: waiting * 10.0,
        retransmits_per_s: 0.0,
        window_limited_s_per_s: 0.0,
        not_sent_bytes: 0.0,
        here: None,
    }
}
