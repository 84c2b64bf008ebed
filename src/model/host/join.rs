//! Two ticks that follow each other as one: what was read in either, the later one where in both; what counts since the tick before is added
//! up, so that rates and means over the joined tick are those over both.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::model::seen::counted;

use super::{HostSample, Listener, PeerLink, Peers, StateSampling};

impl HostSample {
    /// This and the next tick as one. A sweep's counters belong to its tick; what the kernel said belongs to both.
    #[must_use]
    pub fn join(self, later: Self) -> Self {
        let mut sweep = later.sweep;
        let said = self.sweep.as_ref().and_then(|s| s.messages.as_ref()).filter(|m| !m.is_empty());
        if let Some((said, newer)) = said.zip(sweep.as_mut()) {
            let messages = &mut Arc::make_mut(newer).messages;
            *messages = Some([said.as_slice(), messages.as_deref().unwrap_or_default()].concat());
        }
        Self {
            identity: later.identity.or(self.identity),
            sweep,
            hung: later.hung,
            filesystems: later.filesystems.or(self.filesystems),
            states: match (self.states, later.states) {
                (Some(earlier), Some(later)) => Some(StateSampling::join(&earlier, later)),
                (earlier, later) => later.or(earlier),
            },
            serving: later.serving.or(self.serving),
            peers: counted(self.peers, later.peers, Peers::join),
            names: later.names.or(self.names),
            changed: later.changed.or(self.changed),
        }
    }
}

impl StateSampling {
    fn join(earlier: &Self, mut later: Self) -> Self {
        later.rounds = later.rounds.saturating_add(earlier.rounds);
        later.looks = later.looks.saturating_add(earlier.looks);
        both(
            &mut later.blocked,
            earlier.blocked.clone(),
            |hit| hit.id,
            |now, before| {
                now.hits = now.hits.saturating_add(before.hits);
                now.syncing = now.syncing.zip(before.syncing).map(|(a, b)| a.saturating_add(b));
            },
            Some,
        );
        later
    }
}

impl Peers {
    /// Rows that only the earlier tick has stay where their counts matter, without what belongs to a moment.
    fn join(earlier: Self, mut later: Self) -> Self {
        later.rounds = later.rounds.saturating_add(earlier.rounds);
        both(
            &mut later.links,
            earlier.links,
            |l| (l.owner, l.peer),
            |now, before| {
                let add = |now: &mut u32, before: u32| *now = now.saturating_add(before);
                add(&mut now.waiting, before.waiting);
                add(&mut now.fresh, before.fresh);
                add(&mut now.for_requests, before.for_requests);
                add(&mut now.unclear, before.unclear);
                add(&mut now.resending, before.resending);
                now.segments = now.segments.saturating_add(before.segments);
                now.retransmits = now.retransmits.saturating_add(before.retransmits);
                now.window_limited_us = now.window_limited_us.saturating_add(before.window_limited_us);
                now.here = now.here.or(before.here);
            },
            |gone| Some(PeerLink { sockets: 0, longest_ms: 0, ..gone }),
        );
        both(&mut later.listeners, earlier.listeners, |l| (l.namespace, l.at), Listener::add, |_| None);
        both(
            &mut later.resends,
            earlier.resends,
            |r| r.ip,
            |now, before| {
                now.sockets = now.sockets.max(before.sockets);
                now.timed_out = now.timed_out.saturating_add(before.timed_out);
                now.retransmits = now.retransmits.saturating_add(before.retransmits);
                now.segments = now.segments.saturating_add(before.segments);
                now.window_limited_us = now.window_limited_us.saturating_add(before.window_limited_us);
            },
            Some,
        );
        both(
            &mut later.connecting,
            earlier.connecting,
            |c| c.peer,
            |now, before| {
                now.waiting = now.waiting.saturating_add(before.waiting);
                now.again = now.again.saturating_add(before.again);
            },
            Some,
        );
        both(
            &mut later.unix,
            earlier.unix,
            |q| q.path.clone(),
            |now, before| {
                now.rounds = now.rounds.saturating_add(before.rounds);
                now.queued = now.queued.saturating_add(before.queued);
            },
            Some,
        );
        later
    }
}

impl Listener {
    fn add(&mut self, before: &Self) {
        self.queue = self.queue.max(before.queue);
        self.queued = self.queued.saturating_add(before.queued);
        self.in_flight = self.in_flight.saturating_add(before.in_flight);
        self.unclear = self.unclear.saturating_add(before.unclear);
        self.requests = self.requests.saturating_add(before.requests);
        self.answers = self.answers.saturating_add(before.answers);
        self.unserved = self.unserved.saturating_add(before.unserved);
        match (&mut self.ages, &before.ages) {
            (Some(now), Some(before)) => now.merge(before),
            (now, before) => *now = now.or(*before),
        }
    }
}

/// Adds the earlier rows to the later ones with the same key; what is left of one that is only an earlier one stands behind them.
fn both<T, K: Hash + Eq>(
    later: &mut Vec<T>,
    earlier: Vec<T>,
    key: impl Fn(&T) -> K,
    add: impl Fn(&mut T, &T),
    left: impl Fn(T) -> Option<T>,
) {
    let places: HashMap<K, usize> = later.iter().enumerate().map(|(at, row)| (key(row), at)).collect();
    for row in earlier {
        match places.get(&key(&row)) {
            Some(at) => add(&mut later[*at], &row),
            None => later.extend(left(row)),
        }
    }
}
