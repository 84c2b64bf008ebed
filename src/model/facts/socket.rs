//! Sockets over the window: who waits for whom, and how many requests each listener has in flight.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::model::foreign::Foreign;
use crate::model::host::{Ages, Connecting, Listener, PeerLink, Peers, PortUse, ProcId, Resend, UnixQueue};
use crate::model::sample::Snapshot;
use crate::model::seen::{Lack, Seen, Why};

/// What the dumps of the window showed. Means are sockets per dump: by Little's law requests standing still.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SocketFacts {
    /// Dumps behind the means.
    pub rounds: u32,
    /// Established sockets.
    pub established: u32,
    /// Client sockets whose process is not known.
    pub unowned: u32,
    /// One per process and peer, most waiting first.
    pub peers: Vec<PeerFacts>,
    /// One per listening socket, busiest first.
    pub listeners: Vec<ListenerFacts>,
    /// Other ends towards which data was retransmitted or held back, worst first.
    pub paths: Vec<PathFacts>,
    /// Other ends that connections are being opened to.
    pub connecting: Vec<ConnectingFacts>,
    /// Local ports taken, where they are many, now.
    pub ports: Vec<PortUse>,
    /// Unix sockets with connections waiting in its queue at every dump of the window.
    pub queues: Vec<QueueFacts>,
}

impl SocketFacts {
    /// The process that serves an address which one of this host's asks: in another network namespace, or in the same one where only one
    /// program listens there.
    #[must_use]
    pub fn server_of(&self, link: &PeerFacts) -> Option<ProcId> {
        if !link.local {
            return link.here;
        }
        let at = |l: &&ListenerFacts| {
            l.at.port() == link.peer.port() && (l.at.ip().is_unspecified() || l.at.ip() == link.peer.ip().to_canonical())
        };
        let mut owners = self.listeners.iter().filter(at).filter_map(|l| l.owner);
        let first = owners.next()?;
        owners.all(|other| other == first).then_some(first)
    }
}

/// A listening unix socket whose queue was never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueFacts {
    /// Its path; an abstract name begins with `@`.
    pub path: Foreign,
    /// Whose.
    pub owner: Option<ProcId>,
    /// Connections that waited to be accepted, mean.
    pub queued: f64,
    /// How many may.
    pub backlog: u32,
    /// A connection waited in every sample: between two of them a service that accepts at all empties its queue.
    pub always: bool,
}

/// The way to one address.
#[derive(Debug, Clone, PartialEq)]
pub struct PathFacts {
    /// The other end.
    pub ip: IpAddr,
    /// Sockets to it.
    pub sockets: u32,
    /// Sockets that wait for an acknowledgement after a time-out, mean.
    pub timed_out: f64,
    /// Segments retransmitted per second.
    pub retransmits_per_s: f64,
    /// Segments with data sent per second.
    pub segments_per_s: f64,
    /// Seconds per second in which its closed window held data back, summed over the sockets.
    pub window_limited_s_per_s: f64,
}

/// Connections that are being opened towards one other end.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectingFacts {
    /// The other end.
    pub peer: SocketAddr,
    /// Connections without an answer, mean.
    pub waiting: f64,
    /// Of them those that asked again.
    pub again: f64,
}

/// The sockets of one process to one peer.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerFacts {
    /// Whose; `None` when it cannot be told.
    pub owner: Option<ProcId>,
    /// The other end.
    pub peer: SocketAddr,
    /// The other end is on this host: its process is an actor of its own, and the wait a link only.
    pub local: bool,
    /// Sockets.
    pub sockets: u32,
    /// Pending responses, mean.
    pub waiting: f64,
    /// Of them those younger than ten seconds.
    pub fresh: f64,
    /// Of them those that a request in flight of the same process is old enough for.
    pub for_requests: f64,
    /// Sockets of which it cannot be told, mean.
    pub unclear: f64,
    /// Sockets that retransmitted and wait for the acknowledgement, mean.
    pub resending: f64,
    /// The longest wait now, seconds.
    pub longest_s: f64,
    /// Round trip of the network, ms.
    pub rtt_ms: f64,
    /// Segments with data sent per second: requests, when they are small.
    pub segments_per_s: f64,
    /// Segments retransmitted per second.
    pub retransmits_per_s: f64,
    /// Seconds per second in which the peer's closed window held data back, summed over the sockets.
    pub window_limited_s_per_s: f64,
    /// Bytes written and not sent yet.
    pub not_sent_bytes: f64,
    /// The process that serves it, when that is on this host in another network namespace.
    pub here: Option<ProcId>,
}

impl PeerFacts {
    /// Milliseconds from request to response by Little's law: waiting / requests per second; `None` below one a second.
    #[must_use]
    pub fn reply_ms(&self) -> Option<f64> {
        (self.segments_per_s >= 1.0).then(|| self.waiting / self.segments_per_s * 1e3)
    }
}

/// One listening socket.
#[derive(Debug, Clone, PartialEq)]
pub struct ListenerFacts {
    /// Where it listens.
    pub at: SocketAddr,
    /// The network namespace; 0 is perftop's own.
    pub namespace: u64,
    /// Whose.
    pub owner: Option<ProcId>,
    /// Connections that wait to be accepted: the most seen, and the mean.
    pub queue_max: u32,
    /// The same as a mean.
    pub queued: f64,
    /// How many may wait.
    pub backlog: u32,
    /// Accepted connections.
    pub accepted: u32,
    /// Requests in flight, mean.
    pub in_flight: f64,
    /// Segments with data received per second: requests, when they are small and the connection is kept.
    pub requests_per_s: f64,
    /// Accepted sockets of which it cannot be told, mean.
    pub unclear: f64,
    /// Answers per second, as far as connections were seen.
    pub answers_per_s: f64,
    /// How old the requests in flight were: counts over all dumps; `None` where that was not recorded.
    pub ages: Option<Ages>,
    /// Dumps behind `ages`.
    pub rounds: f64,
    /// Requests of a second or more that were not even read, or their connection not accepted, mean.
    pub unserved: f64,
}

impl ListenerFacts {
    /// Requests that stand here and are certainly as old as `ms`, mean; those are counted for longer than `in_flight` does.
    #[must_use]
    pub fn older(&self, ms: f64) -> f64 {
        self.ages.as_ref().map_or(0.0, |ages| f64::from(ages.older(ms)) / self.rounds.max(1.0))
    }

    /// The most that was in its accept queue, as a part of its backlog.
    #[must_use]
    pub fn fill(&self) -> Option<f64> {
        (self.backlog > 0).then(|| f64::from(self.queue_max) / f64::from(self.backlog))
    }

    /// Connections stay in its accept queue: three tenths of one wait there at any time, or fewer while some were dropped (the host's
    /// counter, or more in it than may be). A burst that was taken at once does not.
    #[must_use]
    pub fn backs_up(&self, overflows_per_s: Option<f64>) -> bool {
        let spills = overflows_per_s.is_some_and(|o| o > 0.0) || self.queue_max > self.backlog;
        self.queued >= if spills { 0.05 } else { 0.3 }
    }
}

/// Sums up the dumps of all snapshots but the oldest.
pub(super) fn derive(window: &[Arc<Snapshot>]) -> Seen<SocketFacts> {
    let newest = window.last().and_then(|s| s.peers.as_ref());
    let ticks: Vec<&Peers> = window.iter().skip(1).filter_map(|s| s.peers.as_ref()?.as_ref().ok()).map(AsRef::as_ref).collect();
    let Some(last) = ticks.last() else {
        return Err(match newest {
            Some(Err(lack)) => lack.clone(),
            _ => Lack::new(Why::NotYet, "sockets"),
        });
    };
    let rounds: u32 = ticks.iter().map(|t| t.rounds).sum();
    let span_s = match (window.first(), window.last()) {
        (Some(first), Some(last)) => last.at.seconds_since(&first.at).unwrap_or(0.0),
        _ => 0.0,
    };
    if rounds == 0 || span_s <= 0.0 {
        return Err(Lack::new(Why::NotYet, "sockets"));
    }
    let over = Over { rounds: f64::from(rounds), span_s };
    Ok(SocketFacts {
        rounds,
        established: last.established,
        unowned: last.unowned,
        peers: peers(&ticks, last, &over),
        listeners: listeners(&ticks, last, &over),
        paths: paths(&ticks, &over),
        connecting: connecting(&ticks, &over),
        ports: last.ports.clone(),
        queues: queues(&ticks, last, &over),
    })
}

struct Over {
    rounds: f64,
    span_s: f64,
}

fn peers(ticks: &[&Peers], last: &Peers, over: &Over) -> Vec<PeerFacts> {
    let mut sums: HashMap<(Option<ProcId>, SocketAddr), PeerLink> = HashMap::new();
    for link in ticks.iter().flat_map(|t| &t.links) {
        let Some(sum) = sums.get_mut(&(link.owner, link.peer)) else {
            sums.insert((link.owner, link.peer), link.clone());
            continue;
        };
        sum.waiting += link.waiting;
        sum.fresh += link.fresh;
        sum.for_requests += link.for_requests;
        sum.unclear += link.unclear;
        sum.resending += link.resending;
        sum.segments += link.segments;
        sum.retransmits += link.retransmits;
        sum.window_limited_us += link.window_limited_us;
        // What belongs to a moment is that of the newest tick that saw it.
        (sum.sockets, sum.longest_ms, sum.rtt_us, sum.not_sent) = (link.sockets, link.longest_ms, link.rtt_us, link.not_sent);
        sum.here = link.here.or(sum.here);
    }
    let alive = |l: &PeerLink| last.links.iter().any(|now| (now.owner, now.peer) == (l.owner, l.peer));
    let mut rows: Vec<PeerFacts> = sums
        .into_values()
        .map(|link| {
            let mean = |n: u32| f64::from(n) / over.rounds;
            let now = alive(&link);
            PeerFacts {
                owner: link.owner,
                peer: link.peer,
                local: link.local,
                sockets: if now { link.sockets } else { 0 },
                waiting: mean(link.waiting),
                fresh: mean(link.fresh),
                for_requests: mean(link.for_requests),
                unclear: mean(link.unclear),
                resending: mean(link.resending),
                longest_s: if now { f64::from(link.longest_ms) / 1e3 } else { 0.0 },
                rtt_ms: f64::from(link.rtt_us) / 1e3,
                segments_per_s: link.segments as f64 / over.span_s,
                retransmits_per_s: link.retransmits as f64 / over.span_s,
                window_limited_s_per_s: link.window_limited_us as f64 / 1e6 / over.span_s,
                not_sent_bytes: link.not_sent as f64,
                here: link.here,
            }
        })
        .collect();
    rows.sort_by(|a, b| b.waiting.total_cmp(&a.waiting).then(a.peer.cmp(&b.peer)).then(a.owner.cmp(&b.owner)));
    rows
}

fn listeners(ticks: &[&Peers], last: &Peers, over: &Over) -> Vec<ListenerFacts> {
    let mut rows: Vec<ListenerFacts> = last
        .listeners
        .iter()
        .map(|now| {
            let same = |l: &&Listener| (l.namespace, l.at) == (now.namespace, now.at);
            let all = || ticks.iter().flat_map(|t| &t.listeners).filter(same);
            let mean = |part: fn(&Listener) -> u32| all().map(part).map(f64::from).sum::<f64>() / over.rounds;
            ListenerFacts {
                at: now.at,
                namespace: now.namespace,
                owner: now.owner,
                queue_max: all().map(|l| l.queue).max().unwrap_or(0),
                queued: mean(|l| l.queued),
                backlog: now.backlog,
                accepted: now.accepted,
                in_flight: mean(|l| l.in_flight),
                requests_per_s: all().map(|l| l.requests as f64).sum::<f64>() / over.span_s,
                unclear: mean(|l| l.unclear),
                answers_per_s: all().map(|l| l.answers as f64).sum::<f64>() / over.span_s,
                ages: all().filter_map(|l| l.ages).reduce(|mut sum, ages| {
                    sum.merge(&ages);
                    sum
                }),
                rounds: over.rounds,
                unserved: mean(|l| l.unserved),
            }
        })
        .collect();
    rows.sort_by(|a, b| (b.in_flight + b.queued).total_cmp(&(a.in_flight + a.queued)).then(a.at.cmp(&b.at)));
    rows
}

fn queues(ticks: &[&Peers], last: &Peers, over: &Over) -> Vec<QueueFacts> {
    let all = |path: &Foreign| ticks.iter().flat_map(|t| &t.unix).filter(|q| q.path == *path).collect::<Vec<_>>();
    let one = |now: &UnixQueue| {
        let rows = all(&now.path);
        let rounds: u32 = rows.iter().map(|q| q.rounds).sum();
        let queued = rows.iter().map(|q| f64::from(q.queued)).sum::<f64>() / over.rounds;
        let always = f64::from(rounds) >= over.rounds;
        QueueFacts { path: now.path.clone(), owner: now.owner, queued, backlog: now.backlog, always }
    };
    // Of each the newest row.
    let mut seen = HashSet::new();
    let newest_first = std::iter::once(last).chain(ticks.iter().rev().copied());
    newest_first.flat_map(|t| &t.unix).filter(|q| seen.insert(&q.path)).map(one).collect()
}

fn paths(ticks: &[&Peers], over: &Over) -> Vec<PathFacts> {
    let mut sums: HashMap<IpAddr, Resend> = HashMap::new();
    for row in ticks.iter().flat_map(|t| &t.resends) {
        let empty = Resend { timed_out: 0, retransmits: 0, segments: 0, window_limited_us: 0, ..*row };
        let sum = sums.entry(row.ip).or_insert(empty);
        sum.sockets = sum.sockets.max(row.sockets);
        sum.timed_out += row.timed_out;
        sum.retransmits += row.retransmits;
        sum.segments += row.segments;
        sum.window_limited_us += row.window_limited_us;
    }
    let one = |row: Resend| PathFacts {
        ip: row.ip,
        sockets: row.sockets,
        timed_out: f64::from(row.timed_out) / over.rounds,
        retransmits_per_s: row.retransmits as f64 / over.span_s,
        segments_per_s: row.segments as f64 / over.span_s,
        window_limited_s_per_s: row.window_limited_us as f64 / 1e6 / over.span_s,
    };
    let mut rows: Vec<PathFacts> = sums.into_values().map(one).collect();
    rows.sort_by(|a, b| b.retransmits_per_s.total_cmp(&a.retransmits_per_s).then(a.ip.cmp(&b.ip)));
    rows
}

fn connecting(ticks: &[&Peers], over: &Over) -> Vec<ConnectingFacts> {
    let mut sums: HashMap<SocketAddr, Connecting> = HashMap::new();
    for row in ticks.iter().flat_map(|t| &t.connecting) {
        let sum = sums.entry(row.peer).or_insert(Connecting { waiting: 0, again: 0, ..*row });
        sum.waiting += row.waiting;
        sum.again += row.again;
    }
    let mean = |n: u32| f64::from(n) / over.rounds;
    let one = |row: Connecting| ConnectingFacts { peer: row.peer, waiting: mean(row.waiting), again: mean(row.again) };
    let mut rows: Vec<ConnectingFacts> = sums.into_values().map(one).collect();
    rows.sort_by(|a, b| b.waiting.total_cmp(&a.waiting).then(a.peer.cmp(&b.peer)));
    rows
}
