//! What servers tell of their own sessions: how each counts, what it waits for, where others reach it. One function per kind of server. Pure.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use crate::model::facts::ProcFacts;
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
    /// Losses that are computed.
    pub modelled: Vec<(State, f64)>,
}

/// The process of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// How much it counts.
    pub weight: f64,
    /// What it waits for, s/s by state, weighted; `None`: it is not a session, and waits as any process does.
    pub waits: Option<Vec<(State, f64)>>,
}

impl Told {
    /// How much a process counts.
    pub(super) fn weight(&self, p: &ProcFacts) -> f64 {
        self.processes.get(&p.id).map_or(p.weight.value, |session| session.weight)
    }

    /// What the session of a process waits for; `None` for a process that is not a session.
    pub(super) fn waits(&self, p: &ProcFacts) -> Option<Vec<(State, f64)>> {
        self.processes.get(&p.id)?.waits.clone()
    }
}
