//! Average active sessions: of each session, class of wait, event and query, over the window.
//!
//! Formula: samples in which it was seen so / all samples within the window. Unit: sessions (seconds per second).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::facts::process::ProcFacts;
use crate::model::host::ProcId;
use crate::model::kind::Moment;
use crate::model::postgres::{Activity, Hit, PgState, Session, Wait, WaitClass};
use crate::model::seen::{Lack, Seen, Why};

/// Seconds that the start of a process and of its session may lie apart.
const APART_US: f64 = 2_000_000.0;
/// Maintenance counts a quarter.
const MAINTENANCE: f64 = 0.25;

/// How backends are joined with processes: by pid, and their starts must fit. A server dates a session by the clock on the wall of that
/// time, the kernel by the time since boot: where the clock was set in between, all who began before that lie apart by as much. In a
/// container pids are others, and a process that has one of them by chance is no child of its like.
pub(super) struct Join<'a> {
    by_pid: HashMap<i32, &'a ProcFacts>,
    boot_us: f64,
    ticks: f64,
    /// What the clock was set by since these began, microseconds.
    set_us: Option<f64>,
}

impl<'a> Join<'a> {
    pub(super) fn of(processes: &'a [ProcFacts], boot_us: f64, ticks: f64, sessions: &BTreeSet<(i32, i64)>) -> Self {
        let mut join = Self { by_pid: processes.iter().map(|p| (p.id.pid, p)).collect(), boot_us, ticks, set_us: None };
        join.set_us = join.set_by(sessions);
        join
    }

    fn set_by(&self, sessions: &BTreeSet<(i32, i64)>) -> Option<f64> {
        let apart = |(pid, started_us): &(i32, i64)| {
            let p = self.by_pid.get(pid).filter(|p| self.by_pid.get(&p.ppid).is_some_and(|parent| parent.name == p.name))?;
            let apart_us = self.apart_us(p, *started_us);
            (apart_us.abs() >= APART_US).then_some(apart_us)
        };
        let apart: Vec<f64> = sessions.iter().filter_map(apart).collect();
        let alike = |one: f64| apart.iter().filter(|other| (one - **other).abs() < APART_US).count();
        apart.iter().copied().max_by_key(|one| alike(*one))
    }

    fn apart_us(&self, p: &ProcFacts, started_us: i64) -> f64 {
        self.boot_us + p.id.start as f64 / self.ticks * 1e6 - started_us as f64
    }

    fn process(&self, pid: i32, started_us: i64) -> Option<&'a ProcFacts> {
        let p = self.by_pid.get(&pid).copied()?;
        let apart_us = self.apart_us(p, started_us);
        let fits = |by_us: f64| (apart_us - by_us).abs() < APART_US;
        (fits(0.0) || self.set_us.is_some_and(fits)).then_some(p)
    }
}

/// Active sessions over the window.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Activities {
    /// Samples within the window.
    pub rounds: u32,
    /// The newest sample.
    pub newest: Arc<Activity>,
    /// Those of the window before it, oldest first, and it.
    pub looks: Vec<Arc<Activity>>,
    /// Sessions that were active, most active first.
    pub sessions: Vec<SessionFacts>,
    /// Weighted sessions by class.
    pub by_class: BTreeMap<WaitClass, f64>,
    /// Weighted sessions by event.
    pub by_event: BTreeMap<Wait, f64>,
    /// Weighted sessions by query and class.
    pub by_query: BTreeMap<i64, BTreeMap<WaitClass, f64>>,
    /// Milliseconds per second that the samples took of the server.
    pub cost_ms_per_s: f64,
}

/// One session over the window.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionFacts {
    /// Its pid on the server.
    pub pid: i32,
    /// Its start.
    pub started_us: i64,
    /// Its process on this host.
    pub process: Option<ProcId>,
    /// How much it counts.
    pub weight: f64,
    /// Of that the part for its share in a statement that several processes work on for one client; 1 alone.
    pub team: f64,
    /// Sessions (0..1) by class, not weighted.
    pub classes: BTreeMap<WaitClass, f64>,
    /// The query that it was seen in most.
    pub query: Option<i64>,
    /// All that it was seen in: the session of a pool runs everything.
    pub queries: BTreeSet<i64>,
    /// Time on a CPU or ready for one by query, not weighted.
    pub cpu_by_query: BTreeMap<i64, f64>,
    /// A leader's parallel worker.
    pub leader: Option<i32>,
}

impl SessionFacts {
    /// All its active time, not weighted.
    #[must_use]
    pub fn active(&self) -> f64 {
        self.classes.values().sum()
    }

    /// Time in one class, not weighted.
    #[must_use]
    pub fn class(&self, class: WaitClass) -> f64 {
        self.classes.get(&class).copied().unwrap_or(0.0)
    }
}

impl Activities {
    pub(super) fn derive(id: &str, window: &[Moment<'_, PgState>], join: Option<&Join<'_>>) -> Seen<Self> {
        let all: Vec<&Arc<Activity>> =
            window.iter().filter_map(|s| s.servers.get(id)?.activity.as_ref().ok()).filter(|a| a.rounds > 0).collect();
        let Some(newest) = all.last() else {
            let newest = window.last().and_then(|s| s.servers.get(id));
            let lack = newest.and_then(|s| s.activity.as_ref().err().cloned());
            return Err(lack.unwrap_or_else(|| Lack::new(Why::NotYet, "pg_stat_activity")));
        };
        // A server that answered once within the window and does not any more is not known now.
        if let Some(Err(lack)) = window.last().and_then(|s| s.servers.get(id)).map(|s| &s.activity)
            && lack.why != Why::NotYet
        {
            return Err(lack.clone());
        }
        let rounds: u32 = all.iter().map(|a| a.rounds).sum();
        let known = known(&all);
        let mut activities = Self { rounds, newest: (*newest).clone(), ..Self::default() };
        activities.looks = all.iter().map(|a| (*a).clone()).collect();
        let mut by_session: BTreeMap<(i32, i64), Vec<&Hit>> = BTreeMap::new();
        for hit in all.iter().flat_map(|a| &a.hits) {
            by_session.entry((hit.pid, hit.started_us)).or_default().push(hit);
        }
        let teams = Teams::of(&by_session, &known, rounds);
        for ((pid, started_us), hits) in by_session {
            let session = known.get(&(pid, started_us)).copied();
            let process = join.and_then(|j| j.process(pid, started_us));
            let who = Who {
                leader: leader(session, &hits),
                process: process.map(|p| p.id),
                weight: weight(session, process),
                teams: &teams,
                busy: process.and_then(|p| Some(p.cpu? + p.runnable.unwrap_or(0.0))),
            };
            let seen = activities.count(&hits, &who);
            activities.sessions.push(seen);
        }
        activities.sessions.sort_by(|a, b| b.active().total_cmp(&a.active()).then(a.pid.cmp(&b.pid)));
        let seconds = window.first().zip(window.last()).map_or(0.0, |(a, b)| (b.at.mono_ns - a.at.mono_ns) as f64 / 1e9);
        activities.cost_ms_per_s = all.iter().map(|a| f64::from(a.cost_ms)).sum::<f64>() / seconds.max(1.0);
        Ok(activities)
    }

    /// One session over the window, added to the sums. A wait for a file counts as far as the session has time for it beside what the kernel
    /// saw it do and its other waits: a read that the page cache serves is a wait in the server's words and work in the kernel's.
    fn count(&mut self, hits: &[&Hit], who: &Who<'_>) -> SessionFacts {
        let shares: Vec<(WaitClass, f64)> =
            hits.iter().map(|h| (h.wait.class(), f64::from(h.count) / f64::from(self.rounds))).collect();
        let sum = |of: &dyn Fn(WaitClass) -> bool| shares.iter().filter(|(class, _)| of(*class)).map(|(_, s)| s).sum::<f64>();
        let files = sum(&WaitClass::of_files);
        let others = sum(&|c| !c.of_files() && c != WaitClass::Cpu);
        let active = sum(&|_| true).min(1.0);
        let room = who.busy.map(|busy| (active - busy - others).max(0.0));
        let files = room.filter(|room| *room < files).map_or(1.0, |room| room / files);
        // Of the session as a whole the mean of what it ran.
        let counted = |hit: &Hit| who.teams.share(hit.pid, who.leader, hit.query_id);
        let all: f64 = hits.iter().map(|h| f64::from(h.count)).sum();
        let team = hits.iter().map(|h| counted(h) * f64::from(h.count)).sum::<f64>() / all.max(1e-9);
        let mut facts = SessionFacts {
            pid: hits[0].pid,
            started_us: hits[0].started_us,
            process: who.process,
            weight: who.weight * team,
            team,
            classes: BTreeMap::new(),
            query: None,
            queries: BTreeSet::new(),
            cpu_by_query: BTreeMap::new(),
            leader: who.leader,
        };
        let mut queries: BTreeMap<i64, u32> = BTreeMap::new();
        for (hit, (class, seen)) in hits.iter().zip(shares) {
            let weight = who.weight * counted(hit);
            let waited = if class.of_files() { seen * files } else { seen };
            // The rest of a wait for a file was work.
            for (class, wait, share) in [(class, &hit.wait, waited), (WaitClass::Cpu, &Wait::default(), seen - waited)] {
                if share <= 0.0 {
                    continue;
                }
                *facts.classes.entry(class).or_default() += share;
                *self.by_class.entry(class).or_default() += share * weight;
                *self.by_event.entry(wait.clone()).or_default() += share * weight;
                if let Some(query) = hit.query_id {
                    if class == WaitClass::Cpu {
                        *facts.cpu_by_query.entry(query).or_default() += share;
                    }
                    *self.by_query.entry(query).or_default().entry(class).or_default() += share * weight;
                }
            }
            if let Some(query) = hit.query_id {
                *queries.entry(query).or_default() += hit.count;
            }
        }
        facts.queries = queries.keys().copied().collect();
        facts.query = queries.into_iter().max_by_key(|(id, n)| (*n, *id)).map(|(id, _)| id);
        facts
    }

    /// Weighted sessions of one class.
    #[must_use]
    pub fn class(&self, class: WaitClass) -> f64 {
        self.by_class.get(&class).copied().unwrap_or(0.0)
    }

    /// Weighted active sessions.
    #[must_use]
    pub fn active(&self) -> f64 {
        self.by_class.values().sum()
    }

    /// A session of the newest sample.
    #[must_use]
    pub fn session(&self, pid: i32) -> Option<&Session> {
        self.newest.sessions.iter().find(|s| s.pid == pid)
    }

    /// A session as it was seen last within the window: one that is idle in the newest sample is not in that.
    #[must_use]
    pub fn seen(&self, facts: &SessionFacts) -> Option<&Session> {
        let own = |s: &&Session| (s.pid, s.started_us) == (facts.pid, facts.started_us);
        self.looks.iter().rev().find_map(|a| a.sessions.iter().find(own))
    }

    /// A session over the window.
    #[must_use]
    pub fn facts(&self, pid: i32) -> Option<&SessionFacts> {
        self.sessions.iter().find(|s| s.pid == pid)
    }

    /// Weighted sessions of a query, all classes.
    #[must_use]
    pub fn of_query(&self, query: i64) -> f64 {
        self.by_query.get(&query).map_or(0.0, |c| c.values().sum())
    }
}

/// Statements that several processes work on, by the pid of the leader and the query: their client is one, and waits once.
struct Teams(BTreeMap<(i32, Option<i64>), f64>);

impl Teams {
    /// What the client of each waits, over what all of its processes together work and wait.
    fn of(by_session: &BTreeMap<(i32, i64), Vec<&Hit>>, known: &HashMap<(i32, i64), &Session>, rounds: u32) -> Self {
        let share = |hits: &[&Hit], query: Option<i64>, counts: &dyn Fn(&Hit) -> bool| {
            let of = hits.iter().filter(|h| h.query_id == query && counts(h));
            of.map(|h| f64::from(h.count)).sum::<f64>() / f64::from(rounds)
        };
        let led = |key: &(i32, i64), hits: &[&Hit]| leader(known.get(key).copied(), hits);
        let workers = by_session.iter().filter_map(|(key, hits)| Some((led(key, hits)?, hits)));
        let mut teams: BTreeMap<(i32, Option<i64>), (f64, f64)> =
            workers.flat_map(|(pid, hits)| hits.iter().map(move |h| ((pid, h.query_id), (0.0, 0.0)))).collect();
        for (key, hits) in by_session {
            let leader = led(key, hits).unwrap_or(key.0);
            for ((_, query), (waits, busy)) in teams.range_mut((leader, None)..=(leader, Some(i64::MAX))) {
                // A leader whose workers work is idle only in name.
                *waits = waits.max(share(hits, *query, &|_| true).min(1.0));
                *busy += share(hits, *query, &|h| h.wait.class() != WaitClass::Idle);
            }
        }
        Self(teams.into_iter().map(|(key, (waits, busy))| (key, (waits / busy.max(1e-9)).min(1.0))).collect())
    }

    /// The part of its time in a query that a session counts with.
    fn share(&self, pid: i32, leader: Option<i32>, query: Option<i64>) -> f64 {
        self.0.get(&(leader.unwrap_or(pid), query)).copied().unwrap_or(1.0)
    }
}

/// Whose parallel worker it is.
fn leader(session: Option<&Session>, hits: &[&Hit]) -> Option<i32> {
    session.and_then(|s| s.leader).or_else(|| hits.iter().find_map(|hit| hit.leader))
}

/// Whose samples are counted.
struct Who<'a> {
    leader: Option<i32>,
    process: Option<ProcId>,
    weight: f64,
    /// Those that work on one statement together.
    teams: &'a Teams,
    /// Seconds per second that the kernel saw its process on a CPU or ready for one.
    busy: Option<f64>,
}

/// The newest row of each session within the window.
fn known<'a>(all: &[&'a Arc<Activity>]) -> HashMap<(i32, i64), &'a Session> {
    all.iter().flat_map(|a| &a.sessions).map(|s| ((s.pid, s.started_us), s)).collect()
}

/// What the operator weighs is processes of this host: a session is weighed by what it is, so that no key hides an incident of a database.
fn weight(session: Option<&Session>, process: Option<&ProcFacts>) -> f64 {
    match (session, process) {
        // Batch by its priority is nobody's wait.
        (_, Some(p)) if p.nice >= 10 || matches!(p.policy, 3 | 5) => 0.0,
        (Some(s), _) if s.maintenance() => MAINTENANCE,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::postgres::WaitKind;

    /// A session seen on a CPU and in reads, whose process the kernel saw so much on one.
    fn counted(reads: u32, locks: u32, busy: Option<f64>) -> SessionFacts {
        part(10 - reads - locks, reads, locks, busy)
    }

    /// In so many of ten samples.
    fn part(cpu: u32, reads: u32, locks: u32, busy: Option<f64>) -> SessionFacts {
        let hit = |kind, event: &str, count| Hit {
            pid: 7,
            started_us: 1,
            query_id: Some(5),
            wait: Wait { kind, event: event.into() },
            count,
            leader: None,
        };
        let hits = [hit(WaitKind::None, "", cpu), hit(WaitKind::Io, "DataFileRead", reads), hit(WaitKind::Lock, "tuple", locks)];
        let mut all = Activities { rounds: 10, ..Activities::default() };
        let facts = all.count(
            &hits.iter().collect::<Vec<_>>(),
            &Who { leader: None, process: None, weight: 2.0, teams: &Teams(BTreeMap::new()), busy },
        );
        assert_eq!(all.class(WaitClass::IoRead).to_bits(), (facts.class(WaitClass::IoRead) * 2.0).to_bits());
        facts
    }

    #[test]
    fn a_read_that_the_page_cache_serves_counts_once() {
        // A second on a CPU, three tenths of it inside reads.
        let all = counted(3, 0, Some(1.0));
        assert!(all.class(WaitClass::IoRead).abs() < 1e-9 && (all.class(WaitClass::Cpu) - 1.0).abs() < 1e-9);
        assert!((counted(6, 0, Some(0.8)).class(WaitClass::IoRead) - 0.2).abs() < 1e-9);
        // What another wait took is not the disk's either.
        assert!((counted(6, 3, Some(0.4)).class(WaitClass::IoRead) - 0.3).abs() < 1e-9);
    }

    /// A leader that gathers what two workers read: three processes, and one client that waits.
    #[test]
    fn a_statement_with_workers_is_one_client() {
        let hit = |pid: i32, kind, event: &str, count| Hit {
            pid,
            started_us: 1,
            query_id: Some(5),
            wait: Wait { kind, event: event.into() },
            count,
            leader: None,
        };
        let leads = [hit(7, WaitKind::None, "", 6), hit(7, WaitKind::Ipc, "ExecuteGather", 4)];
        let works =
            [hit(8, WaitKind::Io, "DataFileRead", 10), hit(9, WaitKind::Io, "DataFileRead", 9), hit(10, WaitKind::None, "", 3)];
        let session = |pid: i32, leader: Option<i32>| Session { pid, started_us: 1, leader, ..Session::default() };
        let sessions = [session(7, None), session(8, Some(7)), session(9, Some(7)), session(10, None)];
        let mut by_session: BTreeMap<(i32, i64), Vec<&Hit>> = BTreeMap::new();
        leads.iter().chain(&works).for_each(|hit| by_session.entry((hit.pid, 1)).or_default().push(hit));
        let known = sessions.iter().map(|s| ((s.pid, 1), s)).collect();
        let teams = Teams::of(&by_session, &known, 10);
        // 0.6 + 1.0 + 0.9 busy, for one second that the client waits.
        for (pid, leader) in [(7, None), (8, Some(7)), (9, Some(7))] {
            assert!((teams.share(pid, leader, Some(5)) - 0.4).abs() < 1e-9, "{pid}");
        }
        assert!((teams.share(10, None, Some(5)) - 1.0).abs() < 1e-9, "alone");
        assert!((teams.share(7, None, Some(6)) - 1.0).abs() < 1e-9, "what its leader runs without them");
    }

    #[test]
    fn a_read_that_waits_for_the_disk_keeps_all_its_time() {
        // One that is idle half of the time has no more room than it is active.
        let pooled = part(2, 1, 0, Some(0.3));
        assert!(pooled.class(WaitClass::IoRead).abs() < 1e-9 && (pooled.class(WaitClass::Cpu) - 0.3).abs() < 1e-9);
        assert!((counted(9, 0, Some(0.1)).class(WaitClass::IoRead) - 0.9).abs() < 1e-9);
        assert!((counted(9, 0, None).class(WaitClass::IoRead) - 0.9).abs() < 1e-9);
    }
}
