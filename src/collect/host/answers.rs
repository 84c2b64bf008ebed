//! Connections that come and go between two dumps: how many, by the namespace's own counter of accepted ones, and at which listener, in
//! proportion to those that were caught by one dump and were gone at the next. Each is taken for one request that was answered. Pure.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use super::stamps::{Before, Here};

/// A socket: its namespace and both ends.
pub(super) type Key = (u64, SocketAddr, SocketAddr);

/// What a dump keeps of the weights before it: they fade within a minute or two, because a dump catches a quick answer seldom.
const KEEPS: f64 = 0.98;
/// The same where new connections stay: that service answers no more as it did.
const KEEPS_OF_STAYING: f64 = 0.5;
/// Below this a weight is none.
const NOTHING: f64 = 0.01;

/// What became of the connections of one namespace between two dumps.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// New ones that the dump shows.
    pub(super) fresh: u64,
    /// Listeners of those that the dump before showed as new, and this one does not.
    pub(super) gone: Vec<SocketAddr>,
    /// Listeners of those that it still shows, or whose client has gone without an answer.
    pub(super) stayed: Vec<SocketAddr>,
    /// Listeners of those that the service closed while their request was young.
    pub(super) answered: Vec<SocketAddr>,
}

impl Change {
    /// From one dump to the next; of `given_up`, now and before, the client has closed and the service has not.
    pub(super) fn of(
        namespace: u64,
        (before, after): (&HashMap<Key, Before>, &HashMap<Key, Before>),
        (given_up, already): (&HashSet<Key>, &HashSet<Key>),
        known: bool,
        here: &Here,
    ) -> Self {
        let mut change = Self::default();
        for (key, was) in before.iter().filter(|(key, _)| key.0 == namespace) {
            let Some(at) = here.listener(key.1) else { continue };
            if after.contains_key(key) || given_up.contains(key) {
                change.stayed.extend(was.fresh.then_some(at));
                continue;
            }
            change.gone.extend(was.fresh.then_some(at));
            change.answered.extend(was.young.then_some(at));
        }
        // Those that came and were given up since the dump before.
        let unseen = |key: &&Key| known && !before.contains_key(*key) && !already.contains(*key);
        let new: Vec<SocketAddr> = given_up.iter().filter(unseen).filter_map(|key| here.listener(key.1)).collect();
        let shown = after.iter().filter(|(key, now)| key.0 == namespace && now.fresh).count();
        change.fresh = (shown + new.len()) as u64;
        change.stayed.extend(new);
        change
    }
}

/// A listener in its namespace.
type ListenerKey = (u64, SocketAddr);

/// What was counted so far.
#[derive(Debug, Default)]
pub(super) struct Unseen {
    /// Connections accepted since the namespace was made, as counted at the dump before.
    opened: HashMap<u64, u64>,
    /// Connections that one dump caught and the next did not, faded.
    brief: HashMap<ListenerKey, f64>,
    /// Listeners whose new connections stay.
    staying: HashSet<ListenerKey>,
    /// Of a whole one what was not counted yet.
    rest: HashMap<ListenerKey, f64>,
}

impl Unseen {
    /// After one dump, by the counter now. Gives how many more connections came and went than it shows, by listener.
    pub(super) fn count(&mut self, namespace: u64, opened: Option<u64>, change: &Change) -> Vec<(SocketAddr, u64)> {
        let Change { fresh, gone, stayed, .. } = change;
        // As sets: a busy listener stands in these lists thousands of times.
        let ended: HashSet<&SocketAddr> = gone.iter().collect();
        let staying: HashSet<&SocketAddr> = stayed.iter().filter(|at| !ended.contains(at)).collect();
        for ((_, at), weight) in self.brief.iter_mut().filter(|(listener, _)| listener.0 == namespace) {
            *weight *= if staying.contains(at) { KEEPS_OF_STAYING } else { KEEPS };
        }
        self.staying.extend(staying.into_iter().map(|at| (namespace, *at)));
        ended.iter().for_each(|at| _ = self.staying.remove(&(namespace, **at)));
        self.brief.retain(|_, weight| *weight >= NOTHING);
        gone.iter().for_each(|at| *self.brief.entry((namespace, *at)).or_default() += 1.0);
        let before = opened.and_then(|now| self.opened.insert(namespace, now));
        // A counter that went back is another namespace's, with the same number.
        let grown = opened.zip(before).map_or(0, |(now, before)| now.saturating_sub(before));
        let unseen = grown.saturating_sub(*fresh) as f64;
        let here = || self.brief.iter().filter(|(listener, _)| listener.0 == namespace);
        let all: f64 = here().map(|(_, weight)| weight).sum();
        let shares: Vec<(ListenerKey, f64)> = here().map(|(listener, weight)| (*listener, unseen * weight / all)).collect();
        self.rest.retain(|listener, _| self.brief.contains_key(listener));
        let mut counted = Vec::new();
        for (listener, share) in shares {
            let rest = self.rest.entry(listener).or_default();
            *rest += share;
            // A whole one that was made of thirds is one.
            let whole = (*rest + 1e-6).floor();
            counted.push((listener.1, whole as u64));
            *rest = (*rest - whole).max(0.0);
        }
        counted
    }

    /// Takes the local ends of connections that ended within the last minute (TIME_WAIT): most of what comes and goes no dump
    /// ever catches.
    pub(super) fn ended(&mut self, namespace: u64, at: impl Iterator<Item = SocketAddr>) {
        let mut counts: HashMap<ListenerKey, f64> = HashMap::new();
        at.for_each(|at| *counts.entry((namespace, at)).or_default() += 1.0);
        let all: f64 = counts.values().sum();
        for (listener, count) in counts.into_iter().filter(|(listener, _)| !self.staying.contains(listener)) {
            let weight = self.brief.entry(listener).or_default();
            *weight = weight.max(count / all);
        }
    }

    /// Forgets namespaces that are gone.
    pub(super) fn keep(&mut self, known: impl Fn(u64) -> bool) {
        self.opened.retain(|namespace, _| known(*namespace));
        self.brief.retain(|(namespace, _), _| known(*namespace));
        self.staying.retain(|(namespace, _)| known(*namespace));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([0, 0, 0, 0], port))
    }

    fn change(fresh: u64, gone: &[SocketAddr], stayed: &[SocketAddr]) -> Change {
        Change { fresh, gone: gone.to_vec(), stayed: stayed.to_vec(), answered: Vec::new() }
    }

    #[test]
    fn what_no_dump_saw_is_counted_where_connections_are_brief() {
        let mut unseen = Unseen::default();
        assert!(
            unseen.count(0, Some(1_000), &change(2, &[at(80)], &[])).iter().all(|(_, n)| *n == 0),
            "a first dump knows no growth"
        );
        // 50 came, the dump shows 2 of them; those of the dump before were at :80.
        assert_eq!(unseen.count(0, Some(1_050), &change(2, &[at(80), at(80)], &[])), [(at(80), 48)]);
        // A service that hangs keeps its connections: it is given nothing.
        assert_eq!(unseen.count(0, Some(1_060), &change(10, &[], &[])), [(at(80), 0)]);
        // Seldom caught, and answered all the same.
        for n in 1..=40 {
            let opened = 1_060 + n * 50;
            assert_eq!(unseen.count(0, Some(opened), &change(0, &[], &[])).iter().map(|(_, n)| n).sum::<u64>(), 50, "dump {n}");
        }
        // New ones stay, while another port goes on: what is not seen is that one's.
        let mut two = Unseen::default();
        two.count(0, Some(0), &change(0, &[at(80), at(81)], &[]));
        for n in 1..=12 {
            two.count(0, Some(n * 50), &change(5, &[at(81)], &[at(80)]));
        }
        assert!(two.count(0, Some(650), &change(0, &[], &[])).iter().all(|(listener, n)| *listener == at(81) || *n == 0));
        // Of another namespace nothing is known.
        assert!(unseen.count(7, Some(5), &change(0, &[], &[])).is_empty());
        // Two of three at :81.
        let mut two = Unseen::default();
        two.count(0, Some(0), &change(0, &[], &[]));
        let mut counted = two.count(0, Some(30), &change(0, &[at(80), at(81), at(81)], &[]));
        counted.sort();
        assert_eq!(counted, [(at(80), 10), (at(81), 20)]);
        assert!(two.count(0, Some(3), &change(0, &[], &[])).iter().all(|(_, n)| *n == 0), "the counter was reset");
    }

    #[test]
    fn what_ended_lately_says_where_but_for_a_listener_whose_new_ones_stay() {
        let mut unseen = Unseen::default();
        unseen.count(0, Some(0), &change(0, &[], &[]));
        assert!(unseen.count(0, Some(50), &change(0, &[], &[])).is_empty(), "nobody knows where they were");
        unseen.ended(0, [at(80), at(80), at(80), at(81)].into_iter());
        let mut counted = unseen.count(0, Some(90), &change(0, &[], &[]));
        counted.sort();
        assert_eq!(counted, [(at(80), 30), (at(81), 10)]);
        for n in 1..=12 {
            unseen.count(0, Some(90 + n), &change(1, &[], &[at(80)]));
        }
        unseen.ended(0, [at(80), at(80), at(80), at(81)].into_iter());
        assert_eq!(
            unseen.count(0, Some(142), &change(0, &[], &[])).into_iter().filter(|(_, n)| *n > 0).collect::<Vec<_>>(),
            [(at(81), 40)]
        );
    }

    #[test]
    fn less_than_one_a_dump_adds_up() {
        let mut unseen = Unseen::default();
        unseen.count(0, Some(0), &change(0, &[at(80), at(81)], &[]));
        let all: u64 = (1..=100).flat_map(|n| unseen.count(0, Some(n), &change(0, &[at(80), at(81)], &[]))).map(|(_, n)| n).sum();
        assert!((98..=100).contains(&all), "{all}");
    }
}
