//! Which part of what the network loses one cause explains: loss on the way, packets dropped here, a listener that does not accept. Pure.

use crate::detect::candidate::Candidate;
use crate::detect::ledger::State;
use crate::detect::verdict::Facts;

/// The part of the wait for a peer that loss on the way to its address costs.
pub(super) fn same_address(facts: &Facts<'_>, state: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let address = cause.subject.key.strip_suffix(":*").unwrap_or(&cause.subject.key);
    let same = symptom.subject.key.rsplit_once(':').is_some_and(|(ip, _)| ip.trim_matches(['[', ']']) == address);
    let lost = cause.lost_in(state);
    // All ports of that address share what was lost on the way to it.
    let there = facts.ledger.peers.iter().filter(|w| w.peer.ip().to_string() == address);
    let waits: f64 = there.map(|w| w.waiting - w.baseline).sum();
    if same && waits > 0.0 { (lost / waits).min(1.0) } else { 0.0 }
}

/// The part of all late replies that the cause claims: the same of each peer's.
pub(super) fn share_of_waits(facts: &Facts<'_>, state: State, cause: &Candidate, _: &Candidate) -> f64 {
    let late = facts.ledger.state(state) - facts.ledger.baseline_peers;
    if late > 0.0 { (cause.lost_in(state) / late).min(1.0) } else { 0.0 }
}

/// The part of the retransmits that is no more than what this kernel drops.
pub(super) fn dropped_here(facts: &Facts<'_>, _: State, _: &Candidate, _: &Candidate) -> f64 {
    let again = facts.world.host.tcp.as_ref().ok().and_then(|t| t.retransmits_per_s).filter(|r| *r > 0.0);
    // What is not known explains nothing.
    again.zip(facts.world.host.limits.softnet_drops_per_s).map_or(0.0, |(again, drops)| (drops / again).min(1.0))
}

/// Of the connects without an answer as much, where so many packets are dropped that one in some would be: a host that is gone answers none.
pub(super) fn dropped_connects(facts: &Facts<'_>, state: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    const SOME: f64 = 0.05;
    let limits = &facts.world.host.limits;
    let share =
        limits.softnet_drops_per_s.zip(limits.packets_per_s).map_or(0.0, |(drops, taken)| drops / (drops + taken).max(1e-9));
    dropped_here(facts, state, cause, symptom) * (share / SOME).min(1.0)
}

/// All of the connects to a port of this host whose accept queue is full.
pub(super) fn same_port_here(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let Ok(peer) = symptom.subject.key.parse::<std::net::SocketAddr>() else { return 0.0 };
    let here =
        peer.ip().is_loopback() || facts.world.host.sockets.iter().flat_map(|s| &s.listeners).any(|l| l.at.ip() == peer.ip());
    if here && cause.subject.key == peer.port().to_string() { 1.0 } else { 0.0 }
}
