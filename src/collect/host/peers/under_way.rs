//! Whether anything is under way between the sockets of a tally: where nothing is, its next dump need not be taken.

use crate::model::host::{Listener, PeerLink};

use super::Tally;

impl Tally {
    /// True when since the last call of `take` a request waited for its answer, or could have, a connection to be accepted or made, or a
    /// segment to be sent again.
    #[must_use]
    pub fn under_way(&self) -> bool {
        let link = |l: &PeerLink| l.waiting + l.unclear + l.resending > 0 || l.not_sent > 0;
        let listener = |l: &Listener| l.in_flight + l.unclear + l.unserved > 0 || l.queued > 0;
        self.links.values().any(link) || self.listeners.values().any(listener) || !self.connecting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::host::Connecting;

    fn link(waiting: u32, not_sent: u64) -> PeerLink {
        PeerLink { waiting, not_sent, sockets: 1, ..PeerLink::new(None, "10.0.0.2:5432".parse().unwrap(), false) }
    }

    #[test]
    fn what_waits_or_may_wait_is_under_way() {
        let with = |change: &dyn Fn(&mut Tally)| {
            let mut tally = Tally::default();
            change(&mut tally);
            tally.under_way()
        };
        let at = "10.0.0.1:80".parse().unwrap();
        let key = (None, "10.0.0.2:5432".parse().unwrap());
        assert!(!with(&|_| {}) && !with(&|t| _ = t.links.insert(key, link(0, 0))));
        assert!(with(&|t| _ = t.links.insert(key, link(1, 0))) && with(&|t| _ = t.links.insert(key, link(0, 1))));
        let listener = |queued| Listener { queued, ..Listener::new(at, 0, None) };
        assert!(
            !with(&|t| _ = t.listeners.insert((0, at), listener(0))) && with(&|t| _ = t.listeners.insert((0, at), listener(1)))
        );
        assert!(with(&|t| _ = t.connecting.insert(at, Connecting { peer: at, waiting: 1, again: 0 })));
    }
}
