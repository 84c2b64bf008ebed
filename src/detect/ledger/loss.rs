//! What packet loss costs. Computed, not seen: the kernel counts time-outs, and each costs at least the smallest
//! time-out of TCP; the percentage of segments retransmitted says nothing (1 % can cost 99 % of the throughput).

use std::net::IpAddr;

use crate::model::facts::{Facts, ListenerFacts, PathFacts};

/// The smallest retransmission time-out of Linux (`TCP_RTO_MIN`), seconds.
const RTO_MIN_S: f64 = 0.2;

/// Seconds per second that loss on the way to one address costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// The other end.
    pub ip: IpAddr,
    /// s/s, at most one per socket.
    pub lost: f64,
}

/// Loss by address, worst first: time-outs and loss probes x 0.2 s, and a round trip for what was retransmitted sooner, shared
/// among the addresses by retransmits. Loopback does not lose.
#[must_use]
pub fn by_address(facts: &Facts) -> Vec<Loss> {
    let (Ok(sockets), Ok(tcp)) = (&facts.host.sockets, &facts.host.tcp) else { return Vec::new() };
    let paths: Vec<&PathFacts> = sockets.paths.iter().filter(|p| !p.ip.is_loopback() && p.retransmits_per_s > 0.0).collect();
    let again: f64 = paths.iter().map(|p| p.retransmits_per_s).sum();
    // A request alone in flight is probed after the same 200 ms (tcp_schedule_loss_probe: + TCP_RTO_MIN for one packet), and
    // then never times out.
    let timeouts = tcp.timeouts_per_s.unwrap_or(0.0) + tcp.loss_probes_per_s.unwrap_or(0.0);
    // No link to the address says no round trip: what is not known is not charged.
    let rtt_s = |ip: IpAddr| {
        let links = sockets.peers.iter().filter(|l| l.peer.ip() == ip && l.rtt_ms > 0.0).map(|l| l.rtt_ms / 1e3);
        links.reduce(f64::min).map_or(0.0, |rtt| rtt.clamp(0.0, RTO_MIN_S))
    };
    let mut losses: Vec<Loss> = paths
        .iter()
        .map(|path| {
            let share = path.retransmits_per_s / again;
            let late = (timeouts * share).min(path.retransmits_per_s);
            let soon = path.retransmits_per_s - late;
            let lost = late * RTO_MIN_S + soon * rtt_s(path.ip);
            Loss { ip: path.ip, lost: lost.min(f64::from(path.sockets.max(1))) }
        })
        .collect();
    losses.sort_by(|a, b| b.lost.total_cmp(&a.lost).then(a.ip.cmp(&b.ip)));
    losses
}

/// What packets cost that this kernel drops before any socket sees them, s/s: of those that come in the dropped share p =
/// dropped / (dropped + taken), the sender's time-out of 0.2 s for each segment of that share.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Dropped {
    /// Requests to listeners here: their callers wait, and nobody here sees it.
    pub requests: f64,
    /// Responses of peers, which are waited for here: a part of that wait.
    pub replies: f64,
}

/// The cost of those drops.
#[must_use]
pub fn before_sockets(facts: &Facts) -> Dropped {
    let limits = &facts.host.limits;
    let drops = limits.softnet_drops_per_s.unwrap_or(0.0);
    // Without the packets that were taken (a counter of 32 bits that wrapped) the share is not known.
    let (Ok(sockets), Some(taken), true) = (&facts.host.sockets, limits.packets_per_s, drops > 0.0) else {
        return Dropped::default();
    };
    let share = drops / (drops + taken);
    // At most one of each connection stands still, however many segments an upload has.
    let delayed = |l: &ListenerFacts| (l.requests_per_s * share * RTO_MIN_S).min(f64::from(l.accepted));
    let requests: f64 = sockets.listeners.iter().filter(|l| !l.at.ip().is_loopback()).map(delayed).sum();
    let remote = || sockets.peers.iter().filter(|l| !l.local);
    let asked: f64 = remote().map(|l| l.segments_per_s).sum();
    let awaited: f64 = remote().map(|l| l.for_requests).sum();
    // Where the share tells less than was seen: each time-out is 0.2 s at least, and as many retransmits as packets were dropped are theirs.
    let tcp = facts.host.tcp.as_ref().ok();
    let seen = tcp.and_then(|tcp| {
        let again = tcp.retransmits_per_s.filter(|again| *again > 0.0)?;
        // Those towards peers that are awaited, by their part of what is retransmitted.
        let asked = |path: &PathFacts| sockets.peers.iter().any(|l| !l.local && l.for_requests > 0.0 && l.peer.ip() == path.ip);
        let of =
            |all: &dyn Fn(&PathFacts) -> bool| sockets.paths.iter().filter(|p| all(p)).map(|p| p.retransmits_per_s).sum::<f64>();
        let theirs = of(&asked) / of(&|_| true).max(1e-9);
        Some((tcp.timeouts_per_s? + tcp.loss_probes_per_s.unwrap_or(0.0)) * theirs * RTO_MIN_S * (drops / again).min(1.0))
    });
    Dropped { requests, replies: (asked * share * RTO_MIN_S).max(seen.unwrap_or(0.0)).min(awaited) }
}
