//! Connections that come and go between two dumps: how many, by the namespace's own counter of accepted ones, and at which listener, in
//! proportion to those that were caught by one dump and were gone at the next. Each is taken for one request that was answered. Pure.

use std::collections::HashMap;
use std::net::SocketAddr;

/// What a dump keeps of the weights before it: they fade within some ten dumps.
const KEEPS: f64 = 0.8;
/// Below this a weight is none.
const NOTHING: f64 = 0.01;

/// A listener in its namespace.
type Door = (u64, SocketAddr);

/// What was counted so far.
#[derive(Debug, Default)]
pub(super) struct Unseen {
    /// Connections accepted since the namespace was made, as counted at the dump before.
    opened: HashMap<u64, u64>,
    /// Connections that one dump caught and the next did not, faded.
    brief: HashMap<Door, f64>,
    /// Of a whole one what was not counted yet.
    rest: HashMap<Door, f64>,
}

impl Unseen {
    /// After one dump: the counter now, new connections that the dump shows, and where those were that only the dump before showed. Gives
    /// how many more came and went, by listener.
    pub(super) fn count(
        &mut self,
        namespace: u64,
        opened: Option<u64>,
        fresh: u64,
        gone: impl Iterator<Item = SocketAddr>,
    ) -> Vec<(SocketAddr, u64)> {
        self.brief.iter_mut().filter(|(door, _)| door.0 == namespace).for_each(|(_, weight)| *weight *= KEEPS);
        self.brief.retain(|_, weight| *weight >= NOTHING);
        gone.for_each(|at| *self.brief.entry((namespace, at)).or_default() += 1.0);
        let before = opened.and_then(|now| self.opened.insert(namespace, now));
        // A counter that went back is another namespace's, with the same number.
        let grown = opened.zip(before).map_or(0, |(now, before)| now.saturating_sub(before));
        let unseen = grown.saturating_sub(fresh) as f64;
        let here = || self.brief.iter().filter(|(door, _)| door.0 == namespace);
        let all: f64 = here().map(|(_, weight)| weight).sum();
        let shares: Vec<(Door, f64)> = here().map(|(door, weight)| (*door, unseen * weight / all)).collect();
        self.rest.retain(|door, _| self.brief.contains_key(door));
        let mut counted = Vec::new();
        for (door, share) in shares {
            let rest = self.rest.entry(door).or_default();
            *rest += share;
            // A whole one that was made of thirds is one.
            let whole = (*rest + 1e-6).floor();
            counted.push((door.1, whole as u64));
            *rest = (*rest - whole).max(0.0);
        }
        counted
    }

    /// Forgets namespaces that are gone.
    pub(super) fn keep(&mut self, known: impl Fn(u64) -> bool) {
        self.opened.retain(|namespace, _| known(*namespace));
        self.brief.retain(|(namespace, _), _| known(*namespace));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([0, 0, 0, 0], port))
    }

    #[test]
    fn what_no_dump_saw_is_counted_where_connections_are_brief() {
        let mut unseen = Unseen::default();
        assert!(
            unseen.count(0, Some(1_000), 2, [at(80)].into_iter()).iter().all(|(_, n)| *n == 0),
            "a first dump knows no growth"
        );
        // 50 came, the dump shows 2 of them; those of the dump before were at :80.
        assert_eq!(unseen.count(0, Some(1_050), 2, [at(80), at(80)].into_iter()), [(at(80), 48)]);
        // A service that hangs keeps its connections: it is given nothing.
        assert_eq!(unseen.count(0, Some(1_060), 10, std::iter::empty()), [(at(80), 0)]);
        // Of another namespace nothing is known.
        assert!(unseen.count(7, Some(5), 0, std::iter::empty()).is_empty());
        // Two of three at :81.
        let mut two = Unseen::default();
        two.count(0, Some(0), 0, std::iter::empty());
        let mut counted = two.count(0, Some(30), 0, [at(80), at(81), at(81)].into_iter());
        counted.sort();
        assert_eq!(counted, [(at(80), 10), (at(81), 20)]);
        assert!(two.count(0, Some(3), 0, std::iter::empty()).iter().all(|(_, n)| *n == 0), "the counter began anew");
    }

    #[test]
    fn less_than_one_a_dump_adds_up() {
        let mut unseen = Unseen::default();
        unseen.count(0, Some(0), 0, [at(80), at(81)].into_iter());
        let all: u64 = (1..=100).flat_map(|n| unseen.count(0, Some(n), 0, [at(80), at(81)].into_iter())).map(|(_, n)| n).sum();
        assert!((98..=100).contains(&all), "{all}");
    }
}
