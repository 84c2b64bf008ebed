//! Clients that stand in the queue of a pooler: more client requests in flight than requests outstanding at its servers. Pure.

use std::net::SocketAddr;

use crate::model::facts::{Facts, ProcFacts};
use crate::model::host::ProcId;

/// Programs that pool connections, by name.
const POOLERS: [&str; 5] = ["pgbouncer", "odyssey", "pgcat", "pgpool", "supavisor"];

/// Who waits there waits in its queue.
pub(super) fn is_pooler(p: &ProcFacts) -> bool {
    POOLERS.contains(&p.name.shown())
}

/// The queue of one pooler.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolWait {
    /// Its process.
    pub owner: ProcId,
    /// Its listener.
    pub port: u16,
    /// Client requests in flight, mean.
    pub in_flight: f64,
    /// Requests outstanding at its servers, mean.
    pub asked: f64,
    /// Connections to its servers.
    pub connections: u32,
    /// The servers.
    pub upstreams: Vec<SocketAddr>,
    /// Clients in the queue, mean.
    pub waiting: f64,
}

/// Every pooler that is seen with a client.
#[must_use]
pub fn pools(facts: &Facts) -> Vec<PoolWait> {
    let Ok(sockets) = &facts.host.sockets else { return Vec::new() };
    let pooler = |id: ProcId| facts.processes().iter().any(|p| p.id == id && is_pooler(p));
    let mut found: Vec<PoolWait> = Vec::new();
    for listener in sockets.listeners.iter().filter(|d| d.accepted > 0) {
        let Some(owner) = listener.owner.filter(|id| pooler(*id)) else { continue };
        match found.iter_mut().find(|p| p.owner == owner) {
            // Two addresses of one listener.
            Some(known) => known.in_flight += listener.in_flight,
            None => found.push(PoolWait {
                owner,
                port: listener.at.port(),
                in_flight: listener.in_flight,
                asked: 0.0,
                connections: 0,
                upstreams: Vec::new(),
                waiting: 0.0,
            }),
        }
    }
    for pool in &mut found {
        for link in sockets.peers.iter().filter(|l| l.owner == Some(pool.owner)) {
            pool.asked += link.waiting;
            pool.connections += link.sockets;
            pool.upstreams.push(link.peer);
        }
        pool.waiting = (pool.in_flight - pool.asked).max(0.0);
    }
    found.retain(|p| p.connections > 0);
    found
}
