//! Chains of locks: the time of everyone who waits goes to the root, who waits for nobody's lock. `pg_blocking_pids` names those before
//! one in the queue as well as holders, so that roots are found step by step; pid 0 stands for a prepared transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::foreign::Foreign;
use crate::model::postgres::{Blocking, Catalog, Cluster, PreparedRow, Session, WaitClass, Waiter};

use super::sessions::Activities;

/// All chains in the newest sample, and those of the window that are gone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chains {
    /// Roots, the most waited for first.
    pub roots: Vec<Root>,
    /// Sessions that wait for a lock and were not asked about.
    pub more: u32,
    /// Waiters by pid, as they were read.
    pub waiters: BTreeMap<i32, Waiter>,
}

/// Who stands in the way.
#[derive(Debug, Clone, PartialEq)]
pub enum Holder {
    /// A session.
    Session(Box<Session>),
    /// A prepared transaction.
    Prepared(PreparedRow),
    /// A pid that is gone, or a prepared transaction that cannot be told.
    Unknown(i32),
}

/// One who waits for a strong lock, and how many wait only because of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// Pid of the one in front.
    pub ddl: i32,
    /// Sessions behind it that do not wait for the root themselves.
    pub behind: usize,
}

/// One root and those who wait for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Root {
    /// Who.
    pub holder: Holder,
    /// Everyone who waits for it, directly or not.
    pub waiters: Vec<i32>,
    /// Those who wait for it directly.
    pub direct: Vec<i32>,
    /// Weighted sessions that wait because of it, over the window; those that were not asked about by their share.
    pub waiting: f64,
    /// The strong lock that is queued for and behind which others queue who would not wait for the root itself.
    pub queue: Option<Queue>,
    /// What most of them wait for: `relation`, `transactionid`, `advisory` …
    pub kind: String,
    /// Relations: database, OID and name where it is known.
    pub relations: Vec<(u32, u32, Option<Foreign>)>,
    /// The longest wait, seconds.
    pub longest_s: f64,
    /// It is part of a ring: a deadlock that the server will break.
    pub ring: bool,
    /// The part of the window in which it waited for a lock itself: one that takes turns with those who wait for it now.
    pub waited: f64,
    /// It stands in nobody's way any more: what was waited for it is in the window still. It may come back.
    pub gone: bool,
}

impl Root {
    /// Its session.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        match &self.holder {
            Holder::Session(session) => Some(session),
            _ => None,
        }
    }
}

/// Modes behind which readers queue.
const STRONG: &str = "AccessExclusiveLock";

impl Chains {
    pub(super) fn derive(
        blocking: &Blocking,
        activity: &Activities,
        cluster: Option<&Cluster>,
        catalogs: &BTreeMap<String, Arc<Catalog>>,
    ) -> Self {
        Self::at(blocking, &activity.newest.sessions, (activity, &BTreeSet::new()), cluster, catalogs)
    }

    /// The chains of one look, when those sessions were active. What those of `counted` wait is somebody's already.
    pub(super) fn at(
        blocking: &Blocking,
        sessions: &[Session],
        (activity, counted): (&Activities, &BTreeSet<i32>),
        cluster: Option<&Cluster>,
        catalogs: &BTreeMap<String, Arc<Catalog>>,
    ) -> Self {
        let waiters: BTreeMap<i32, Waiter> =
            blocking.waiters.iter().filter(|w| !w.by.is_empty()).map(|w| (w.pid, w.clone())).collect();
        let sessions: HashMap<i32, &Session> = sessions.iter().chain(&blocking.holders).map(|s| (s.pid, s)).collect();
        let mut roots: BTreeMap<String, Root> = BTreeMap::new();
        // Those who wait and were not asked about share the fate of those who were; in an earlier look they may be somebody's already.
        let asked = waiters.len().max(1) as f64;
        let scale = if counted.is_empty() { (asked + f64::from(blocking.more)) / asked } else { 1.0 };
        for waiter in waiters.values().filter(|w| !counted.contains(&w.pid)) {
            let (found, ring) = roots_of(waiter.pid, &waiters);
            let share = 1.0 / found.len().max(1) as f64;
            let lock = |pid: i32| activity.facts(pid).map_or(0.0, |f| f.class(WaitClass::Lock) * f.weight);
            for (pid, below) in found {
                // Whoever stands directly behind it tells which one it is.
                let holder = holder(pid, waiters.get(&below).unwrap_or(waiter), &sessions, cluster);
                let root = roots.entry(key(&holder)).or_insert_with(|| Root {
                    holder,
                    waiters: Vec::new(),
                    direct: Vec::new(),
                    waiting: 0.0,
                    queue: None,
                    kind: String::new(),
                    relations: Vec::new(),
                    longest_s: 0.0,
                    ring: false,
                    waited: activity.facts(pid).map_or(0.0, |f| f.class(WaitClass::Lock)),
                    gone: false,
                });
                root.ring |= ring;
                root.waiters.push(waiter.pid);
                root.waiting += lock(waiter.pid) * share * scale;
                root.longest_s = root.longest_s.max(waiter.waited_s.unwrap_or(0.0));
                if waiter.by.contains(&pid) {
                    root.direct.push(waiter.pid);
                }
                if let (Some(database), Some(relation)) = (waiter.database, waiter.relation) {
                    let known = name(catalogs, database, relation);
                    let name = waiter.name.clone().or(known);
                    if !root.relations.iter().any(|(d, r, _)| (*d, *r) == (database, relation)) {
                        root.relations.push((database, relation, name));
                    }
                }
            }
        }
        let mut roots: Vec<Root> = roots.into_values().collect();
        for root in &mut roots {
            root.queue = queue(root, &waiters);
            root.kind = most(root.waiters.iter().filter_map(|p| waiters.get(p)).map(|w| w.kind.as_str()));
        }
        roots.sort_by(|a, b| b.waiting.total_cmp(&a.waiting).then(b.waiters.len().cmp(&a.waiters.len())));
        Self { roots, more: blocking.more, waiters }
    }

    /// Adds what was waited in chains that stood there earlier in the window, by looks, the newest first: each waiter's time is that of the
    /// newest chain it was seen in.
    pub(super) fn with_past<'a>(
        mut self,
        looks: impl Iterator<Item = (&'a Blocking, &'a [Session])>,
        activity: &Activities,
        cluster: Option<&Cluster>,
        catalogs: &BTreeMap<String, Arc<Catalog>>,
    ) -> Self {
        let waits = |sessions: &[Session]| -> Vec<i32> {
            sessions.iter().filter(|s| s.wait.class() == WaitClass::Lock).map(|s| s.pid).collect()
        };
        let mut counted: BTreeSet<i32> = self.waiters.keys().copied().collect();
        // Who waits now and was not asked about is counted with those who were.
        counted.extend(if counted.is_empty() { Vec::new() } else { waits(&activity.newest.sessions) });
        for (blocking, sessions) in looks {
            let then = Self::at(blocking, sessions, (activity, &counted), cluster, catalogs);
            for root in then.roots.into_iter().filter(|root| root.waiting > 0.0) {
                match self.roots.iter_mut().find(|known| key(&known.holder) == key(&root.holder)) {
                    Some(known) => known.waiting += root.waiting,
                    None => self.roots.push(Root { gone: true, ..root }),
                }
            }
            counted.extend(then.waiters.keys());
            counted.extend(if then.waiters.is_empty() { Vec::new() } else { waits(sessions) });
        }
        self.roots.sort_by(|a, b| b.waiting.total_cmp(&a.waiting).then(b.waiters.len().cmp(&a.waiters.len())));
        self
    }

    /// Weighted sessions in all chains.
    #[must_use]
    pub fn waiting(&self) -> f64 {
        self.roots.iter().map(|r| r.waiting).sum()
    }
}

/// The roots above a waiter, each with the one that stands directly behind it, and whether the way led into a ring.
fn roots_of(pid: i32, waiters: &BTreeMap<i32, Waiter>) -> (BTreeMap<i32, i32>, bool) {
    let (mut seen, mut open, mut roots, mut ring) = (BTreeSet::from([pid]), vec![(pid, pid)], BTreeMap::new(), false);
    while let Some((at, below)) = open.pop() {
        let Some(waiter) = waiters.get(&at) else {
            roots.insert(at, below);
            continue;
        };
        for by in &waiter.by {
            if seen.insert(*by) {
                open.push((*by, at));
            } else if *by == pid {
                ring = true;
            }
        }
    }
    if roots.is_empty() {
        // Nothing but a ring: the one with the smallest pid stands for it.
        roots.extend(seen.iter().next().map(|first| (*first, pid)));
        ring = true;
    }
    (roots, ring)
}

fn key(holder: &Holder) -> String {
    match holder {
        Holder::Session(s) => s.key(),
        Holder::Prepared(p) => format!("prepared {}", p.gid.shown()),
        Holder::Unknown(pid) => format!("unknown {pid}"),
    }
}

fn holder(pid: i32, waiter: &Waiter, sessions: &HashMap<i32, &Session>, cluster: Option<&Cluster>) -> Holder {
    if pid != 0 {
        return sessions.get(&pid).map_or(Holder::Unknown(pid), |s| Holder::Session(Box::new((*s).clone())));
    }
    let all = cluster.map(|c| c.prepared.as_slice()).unwrap_or_default();
    // A lock of a relation does not tell whose it is: only a single candidate in the waiter's database is beyond doubt, because what
    // is rolled back cannot be had again.
    let database = cluster.and_then(|c| c.databases.iter().find(|d| Some(d.oid) == waiter.database)).map(|d| &d.name);
    let found = match waiter.transaction {
        Some(transaction) => all.iter().find(|p| p.transaction == transaction),
        None => {
            let mut fit = all.iter().filter(|p| database.is_none_or(|name| *name == p.database));
            fit.next().filter(|_| fit.next().is_none())
        }
    };
    found.map_or(Holder::Unknown(0), |p| Holder::Prepared(p.clone()))
}

/// One who waits for the root with a strong mode, and those who wait for it and not for the root itself.
fn queue(root: &Root, waiters: &BTreeMap<i32, Waiter>) -> Option<Queue> {
    let strong = root.direct.iter().filter(|p| waiters.get(p).is_some_and(|w| w.mode == STRONG && w.kind == "relation"));
    strong.copied().find_map(|ddl| {
        let mut behind = BTreeSet::from([ddl]);
        loop {
            let others = root.waiters.iter().filter(|p| !behind.contains(p) && !root.direct.contains(p));
            let next: Vec<i32> = others
                .filter_map(|p| waiters.get(p))
                .filter(|w| w.by.iter().any(|by| behind.contains(by)))
                .map(|w| w.pid)
                .collect();
            if next.is_empty() {
                break;
            }
            behind.extend(next);
        }
        (behind.len() > 1).then(|| Queue { ddl, behind: behind.len() - 1 })
    })
}

fn name(catalogs: &BTreeMap<String, Arc<Catalog>>, database: u32, relation: u32) -> Option<Foreign> {
    let catalog = catalogs.values().find(|c| c.oid == database)?;
    let table = catalog.tables.iter().find(|t| t.oid == relation)?;
    crate::model::postgres::qualified(&table.schema, &table.name).map(|n| Foreign::from(n.as_str()))
}

fn most<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    words.for_each(|w| *counts.entry(w).or_default() += 1);
    counts.into_iter().max_by_key(|(_, n)| *n).map_or_else(String::new, |(w, _)| w.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::postgres::{Activity, Hit, Wait, WaitKind};
    use proptest::prelude::*;

    fn waiter(pid: i32, by: &[i32], mode: &str) -> Waiter {
        Waiter { pid, by: by.to_vec(), kind: "relation".into(), mode: mode.into(), ..Waiter::default() }
    }

    fn activity(pids: &[i32]) -> Activities {
        let sessions = pids.iter().map(|pid| Session {
            pid: *pid,
            started_us: 1,
            kind: Foreign::from("client backend"),
            ..Session::default()
        });
        let wait = Wait { kind: WaitKind::Lock, event: "relation".into() };
        let hits =
            pids.iter().map(|pid| Hit { pid: *pid, started_us: 1, query_id: None, wait: wait.clone(), count: 4, leader: None });
        let newest = Activity { rounds: 4, sessions: sessions.collect(), hits: hits.collect(), ..Activity::default() };
        let state = crate::model::postgres::PgState { activity: Ok(Arc::new(newest)), ..Default::default() };
        let servers = BTreeMap::from([("postgres:1".to_owned(), Arc::new(state))]);
        let moment = crate::model::kind::Moment { at: crate::model::counter::Stamp::default(), servers: &servers };
        Activities::derive("postgres:1", &[moment], None).unwrap()
    }

    fn chains(waiters: Vec<Waiter>, pids: &[i32], cluster: Option<&Cluster>) -> Chains {
        Chains::derive(&Blocking { waiters, ..Blocking::default() }, &activity(pids), cluster, &BTreeMap::new())
    }

    #[test]
    fn a_queue_behind_a_waiting_ddl_belongs_to_whom_the_ddl_waits_for() {
        // 1 holds, 2 wants to alter, 3 and 4 read behind it.
        let c = chains(
            vec![waiter(2, &[1], STRONG), waiter(3, &[2], "AccessShareLock"), waiter(4, &[2], "AccessShareLock")],
            &[1, 2, 3, 4],
            None,
        );
        assert_eq!(c.roots.len(), 1);
        let root = &c.roots[0];
        assert_eq!((root.session().unwrap().pid, root.queue, root.waiters.len()), (1, Some(Queue { ddl: 2, behind: 2 }), 3));
        assert!((root.waiting - 3.0).abs() < 1e-9);
        // 1 alters, 2 wants to as well: the readers wait for 1 whether 2 goes on waiting or not.
        let c = chains(
            vec![waiter(2, &[1], STRONG), waiter(3, &[1, 2], "AccessShareLock"), waiter(4, &[1, 2], "AccessShareLock")],
            &[1, 2, 3, 4],
            None,
        );
        assert_eq!(c.roots[0].queue, None);
    }

    /// A refresh that stands in the way for half a second, every other second: between two of them it is still what was waited for.
    #[test]
    fn what_was_waited_for_a_moment_ago_is_not_without_a_cause() {
        let past = Blocking {
            waiters: vec![waiter(3, &[1], "AccessShareLock"), waiter(4, &[1], "AccessShareLock")],
            ..Blocking::default()
        };
        let session =
            Session { pid: 1, started_us: 1, query: Foreign::from("REFRESH MATERIALIZED VIEW v"), ..Session::default() };
        let (all, sessions) = (activity(&[2, 3, 4, 5]), [session]);
        let looks = || [(&past, &sessions[..])].into_iter();
        let alone = Chains::default().with_past(looks(), &all, None, &BTreeMap::new());
        assert_eq!((alone.roots.len(), alone.roots[0].gone, alone.roots[0].session().unwrap().pid), (1, true, 1));
        assert!((alone.waiting() - 2.0).abs() < 1e-9);
        // 4 waits for another one by now: all its time is there.
        let now =
            chains(vec![waiter(4, &[2], "ShareLock")], &[2, 3, 4, 5], None).with_past(looks(), &all, None, &BTreeMap::new());
        let by: Vec<(bool, f64)> = now.roots.iter().map(|r| (r.gone, r.waiting)).collect();
        assert_eq!(by, [(false, 1.0), (true, 1.0)]);
        // The same one as before stands there again.
        let seen = activity(&[1, 3, 4, 5]);
        let same = [(&past, &seen.newest.sessions[..])].into_iter();
        let again = chains(vec![waiter(5, &[1], "AccessShareLock")], &[1, 3, 4, 5], None);
        let again = again.with_past(same, &seen, None, &BTreeMap::new());
        assert_eq!((again.roots.len(), again.roots[0].gone, again.roots[0].waiters.len()), (1, false, 1));
        assert!((again.waiting() - 3.0).abs() < 1e-9);
    }

    #[test]
    fn pid_zero_is_the_prepared_transaction_that_holds_the_row() {
        let row = |gid: &str, transaction| PreparedRow { gid: Foreign::from(gid), transaction, ..PreparedRow::default() };
        let cluster = Cluster { prepared: vec![row("old", 7), row("mine", 8)], ..Cluster::default() };
        let mut w = waiter(3, &[0], "ShareLock");
        (w.kind, w.transaction) = ("transactionid".into(), Some(8));
        let c = chains(vec![w], &[3], Some(&cluster));
        assert_eq!(c.roots[0].holder, Holder::Prepared(row("mine", 8)));
    }

    /// Nineteen queue for the row itself and know no transaction; the one in front of them does.
    #[test]
    fn those_behind_the_first_waiter_wait_for_the_same_prepared_transaction() {
        let row = |gid: &str, transaction| PreparedRow { gid: Foreign::from(gid), transaction, ..PreparedRow::default() };
        let cluster = Cluster { prepared: vec![row("other", 7), row("mine", 8)], ..Cluster::default() };
        let mut first = waiter(3, &[0], "ShareLock");
        (first.kind, first.transaction) = ("transactionid".into(), Some(8));
        let mut behind = waiter(4, &[3], "ExclusiveLock");
        behind.kind = "tuple".into();
        let c = chains(vec![first, behind], &[3, 4], Some(&cluster));
        assert_eq!(c.roots.len(), 1);
        assert_eq!((&c.roots[0].holder, c.roots[0].waiters.len()), (&Holder::Prepared(row("mine", 8)), 2));
    }

    #[test]
    fn a_ring_ends_and_is_told() {
        let c = chains(
            vec![waiter(1, &[2], "ShareLock"), waiter(2, &[1], "ShareLock"), waiter(3, &[1], "ShareLock")],
            &[1, 2, 3],
            None,
        );
        assert!(c.roots.iter().any(|r| r.ring));
    }

    proptest! {
        /// No time is lost or made: the roots share what the waiters wait.
        #[test]
        fn the_waiting_is_conserved(edges in proptest::collection::vec((1i32..9, proptest::collection::vec(0i32..9, 1..3)), 1..8)) {
            let all: Vec<Waiter> = edges.iter().map(|(pid, by)| waiter(*pid, by, "ShareLock")).collect();
            let pids: BTreeSet<i32> = all.iter().map(|w| w.pid).collect();
            let c = chains(all, &(1..9).collect::<Vec<_>>(), None);
            prop_assert!((c.waiting() - pids.len() as f64).abs() < 1e-6);
        }
    }
}
