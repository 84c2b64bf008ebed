//! What servers tell of their own sessions: how each counts, what it waits for, where others reach it. One function per kind of server. Pure.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use crate::model::facts::{Facts, ProcFacts};
use crate::model::host::ProcId;

use super::actor::Actor;
use super::state::State;

/// What the servers of this host and elsewhere told.
#[derive(Debug, Default)]
pub struct Told {
    /// Processes of servers, each with what is known of its session.
    pub processes: HashMap<ProcId, Session>,
    /// Sessions without a process here.
    pub elsewhere: Vec<Actor>,
    /// Addresses whose sessions are seen: who waits for them is not counted again.
    pub addresses: HashSet<SocketAddr>,
    /// Processes of this host whose requests are seen by their servers themselves.
    pub servers: HashSet<ProcId>,
    /// Sessions of this host that wait for their client to take what they send.
    pub sending: Vec<Sending>,
    /// Losses that are computed.
    pub modelled: Vec<(State, f64)>,
}

/// Sessions that wait for one client to take what they send, all of them together.
#[derive(Debug, Clone, PartialEq)]
pub struct Sending {
    /// The client.
    pub to: IpAddr,
    /// The state in which they wait.
    pub state: State,
    /// Seconds per second, weighted.
    pub waiting: f64,
    /// All their time.
    pub time: f64,
}

/// The process of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// How much it counts.
    pub weight: f64,
    /// What it waits for, s/s by state, weighted; `None`: it is not a session, and waits as any process does.
    pub waits: Option<Vec<(State, f64)>>,
}

impl Sending {
    /// The part of its waiting in which the client's closed window held the data back; the rest is on the way.
    #[must_use]
    pub fn by_window(&self, facts: &Facts) -> f64 {
        let paths = facts.host.sockets.iter().flat_map(|s| &s.paths);
        let limited: f64 = paths.filter(|p| p.ip == self.to).map(|p| p.window_limited_s_per_s).sum();
        limited.min(self.waiting)
    }
}

impl Told {
    /// Adds a session that waits to send: one row for each client.
    pub fn send(&mut self, one: Sending) {
        match self.sending.iter_mut().find(|s| (s.to, s.state) == (one.to, one.state)) {
            Some(known) => {
                known.waiting += one.waiting;
                known.time += one.time;
            }
            None => self.sending.push(one),
        }
    }

    /// How much a process counts.
    pub(super) fn weight(&self, p: &ProcFacts) -> f64 {
        self.processes.get(&p.id).map_or(p.weight.value, |session| session.weight)
    }

    /// What the session of a process waits for; `None` for a process that is not a session.
    pub(super) fn waits(&self, p: &ProcFacts) -> Option<Vec<(State, f64)>> {
        self.processes.get(&p.id)?.waits.clone()
    }
}
