//! Who spends the foreground time: an actor and its seconds by state.

use std::net::SocketAddr;

use crate::model::foreign::Foreign;
use crate::model::host::ProcId;

use super::state::State;

/// One actor's weighted seconds per second.
#[derive(Debug, Clone, PartialEq)]
pub struct Actor {
    /// Who.
    pub id: ProcId,
    /// The program it belongs to.
    pub family: ProcId,
    /// Its weight.
    pub weight: f64,
    /// Seconds per second by state, each state once.
    pub spent: Vec<(State, f64)>,
    /// The group whose quota holds it back.
    pub throttled_by: Option<Foreign>,
}

impl Actor {
    /// One without any time yet.
    #[must_use]
    pub const fn nobody(id: ProcId, weight: f64) -> Self {
        Self { id, family: id, weight, spent: Vec::new(), throttled_by: None }
    }

    /// Adds to a state.
    pub fn spend(&mut self, state: State, seconds: f64) {
        match self.spent.iter_mut().find(|(s, _)| *s == state) {
            Some((_, so_far)) => *so_far += seconds,
            None if seconds != 0.0 => self.spent.push((state, seconds)),
            None => {}
        }
    }

    /// Takes all of a state.
    pub fn take(&mut self, state: State) -> f64 {
        let at = self.spent.iter().position(|(s, _)| *s == state);
        at.map_or(0.0, |at| self.spent.remove(at).1)
    }

    /// All its foreground time.
    #[must_use]
    pub fn time(&self) -> f64 {
        self.spent.iter().map(|(_, s)| s).sum()
    }

    /// Its seconds in one state.
    #[must_use]
    pub fn in_state(&self, state: State) -> f64 {
        self.spent.iter().find(|(s, _)| *s == state).map_or(0.0, |(_, seconds)| *seconds)
    }

    /// Waiting for disks, by state: as a process, or as a session.
    pub fn disk(&self) -> impl Iterator<Item = (State, f64)> + '_ {
        self.spent.iter().copied().filter(|(state, s)| state.disk() && *s > 0.0)
    }

    /// All of that.
    #[must_use]
    pub fn disk_wait(&self) -> f64 {
        self.disk().map(|(_, s)| s).sum()
    }

    /// A session whose server tells what it waits for.
    #[must_use]
    pub fn is_session(&self) -> bool {
        self.spent.iter().any(|(state, _)| state.of_a_server())
    }
}

/// Foreground time that waits for one peer, seconds per second.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerWait {
    /// The peer.
    pub peer: SocketAddr,
    /// Weighted pending responses.
    pub waiting: f64,
    /// The part of it that a healthy peer takes too.
    pub baseline: f64,
    /// Whose sockets; unknown owners left out.
    pub owners: Vec<ProcId>,
}
