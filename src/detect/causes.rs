//! Causes: edges move seconds from a symptom to its cause by a measured fraction, and no second is claimed twice.

use std::collections::BTreeMap;

use crate::model::facts::PgFacts;
use crate::model::postgres::WaitClass;
use crate::model::subject::Subject;

use super::finding::Explains;
use super::ledger::{Ledger, State, refault_share};
use super::verdict::{Facts, Found};

/// A rule's finding on its way to the list.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// `id|source|type:key`.
    pub key: String,
    /// The rule.
    pub id: &'static str,
    /// Source id.
    pub source: String,
    /// Who.
    pub subject: Subject,
    /// What the rule said.
    pub found: Found,
    /// Symptoms it explains.
    pub explains: Vec<Explains>,
    /// Key of what explains it.
    pub explained_by: Option<String>,
}

impl Candidate {
    /// Seconds per second it claims.
    #[must_use]
    pub fn lost(&self) -> f64 {
        self.found.lost()
    }

    fn lost_in(&self, state: State) -> f64 {
        self.found.losses.iter().filter(|(s, _)| *s == state).map(|(_, lost)| lost).sum()
    }
}

/// An edge between two findings: the fraction of the symptom's loss in `state` that the cause explains.
struct Edge {
    cause: &'static str,
    symptom: &'static str,
    state: State,
    fraction: fn(&Facts<'_>, State, &Candidate, &Candidate) -> f64,
    /// What moves is none of what the cause claims of the state by itself.
    adds: bool,
}

/// An edge from a narrower cause of the run queue to a wider one: the seconds that both claim.
const fn narrower(cause: &'static str, symptom: &'static str) -> Edge {
    both(cause, symptom, State::CpuRunnable)
}

/// An edge between two that claim the same seconds of `state`.
const fn both(cause: &'static str, symptom: &'static str, state: State) -> Edge {
    Edge { cause, symptom, state, fraction: both_claim, adds: false }
}

fn both_claim(_: &Facts<'_>, state: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let claimed = symptom.lost_in(state);
    if claimed > 0.0 {
        return (cause.lost_in(state) / claimed).min(1.0);
    }
    // One that claims no time at all stands under its cause; one that claims other time is not explained by this.
    if symptom.lost() > 0.0 { 0.0 } else { 1.0 }
}

const fn of_query(cause: &'static str, symptom: &'static str) -> Edge {
    Edge { cause, symptom, state: State::CpuRunnable, fraction: cpu_of_query, adds: true }
}

const fn of_churn(symptom: &'static str) -> Edge {
    Edge { cause: "postgres.connections.churn", symptom, state: State::CpuRunnable, fraction: server_is_culprit, adds: true }
}

const fn of_holder(cause: &'static str) -> Edge {
    Edge { cause, symptom: "postgres.locks.blocked", state: State::PostgresLock, fraction: holder_runs_it, adds: true }
}

const fn of_lock(cause: &'static str) -> Edge {
    Edge { cause, symptom: "app.pool.queueing", state: State::PoolWait, fraction: lock_share, adds: true }
}

/// The part of what a server's sessions do that is waiting behind this lock.
fn lock_share(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    // The queue is in front of that very server.
    if !symptom.subject.also.iter().any(|also| also.strip_prefix("instance:") == Some(&cause.source)) {
        return 0.0;
    }
    let pg = facts.world.postgres.iter().find(|pg| pg.id == cause.source);
    let active = pg.and_then(|pg| pg.activity.as_ref().ok()).map_or(0.0, |a| a.active());
    if active > 0.0 { (cause.lost_in(State::PostgresLock) / active).min(1.0) } else { 0.0 }
}

/// The server whose finding this is, on this host.
fn server<'a>(facts: &Facts<'a>, candidate: &Candidate) -> Option<&'a PgFacts> {
    facts.world.postgres.iter().find(|pg| pg.id == candidate.source && pg.local())
}

/// 1 when the symptom blames a process of the cause's server.
fn server_is_culprit(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let Some(postmaster) = server(facts, cause).and_then(|pg| pg.server.as_ref()?.postmaster) else { return 0.0 };
    let blamed = |p: &&crate::model::facts::ProcFacts| {
        let key = format!("process:{}", p.id);
        symptom.subject.typed_key() == key || symptom.subject.also.contains(&key)
    };
    let of_server = |p: &crate::model::facts::ProcFacts| p.id == postmaster || p.ppid == postmaster.pid;
    if facts.world.processes().iter().filter(blamed).any(of_server) { 1.0 } else { 0.0 }
}

/// The query's share of the CPU time of the sessions of its server, when that server is the culprit.
fn cpu_of_query(facts: &Facts<'_>, state: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let Some(Ok(activity)) = server(facts, cause).map(|pg| &pg.activity) else { return 0.0 };
    let of = |id: &i64| activity.by_query.get(id).and_then(|c| c.get(&WaitClass::Cpu)).copied().unwrap_or(0.0);
    let mine: f64 = queries(cause).iter().map(of).sum();
    let share = mine / activity.class(WaitClass::Cpu).max(1e-9);
    server_is_culprit(facts, state, cause, symptom) * share.min(1.0)
}

/// 1 when the root of the chain runs the cause's query.
fn holder_runs_it(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let pg = facts.world.postgres.iter().find(|pg| pg.id == cause.source && pg.id == symptom.source);
    let Some(Ok(chains)) = pg.map(|pg| &pg.chains) else { return 0.0 };
    let root = chains.roots.iter().filter_map(|r| r.session()).find(|s| s.key() == symptom.subject.key);
    let runs = root.and_then(|s| s.query_id).is_some_and(|id| queries(cause).contains(&id));
    if runs { 1.0 } else { 0.0 }
}

/// The ids of the queries that a finding is about.
fn queries(c: &Candidate) -> Vec<i64> {
    let keys = std::iter::once(c.subject.typed_key()).chain(c.subject.also.iter().cloned());
    keys.filter_map(|k| k.strip_prefix("query:")?.rsplit_once('/')?.1.parse().ok()).collect()
}

/// The edges of the host. A contender explains its victims within its own finding: it is the finding's subject.
const EDGES: &[Edge] = &[
    // A query that works too much makes its own server the contender, by its share of the server's CPU time.
    of_query("postgres.query.missing_index", "host.cpu.process_churn"),
    of_query("postgres.query.missing_index", "host.cpu.context_switches"),
    of_query("postgres.query.missing_index", "host.cpu.system_time"),
    of_query("postgres.query.missing_index", "host.cpu.contention"),
    of_query("postgres.query.stale_statistics", "host.cpu.process_churn"),
    of_query("postgres.query.stale_statistics", "host.cpu.context_switches"),
    of_query("postgres.query.stale_statistics", "host.cpu.system_time"),
    of_query("postgres.query.stale_statistics", "host.cpu.contention"),
    of_query("postgres.vacuum.bloat", "host.cpu.process_churn"),
    of_query("postgres.vacuum.bloat", "host.cpu.context_switches"),
    of_query("postgres.vacuum.bloat", "host.cpu.system_time"),
    of_query("postgres.vacuum.bloat", "host.cpu.contention"),
    of_query("postgres.query.temp_spill", "host.cpu.process_churn"),
    of_query("postgres.query.temp_spill", "host.cpu.context_switches"),
    of_query("postgres.query.temp_spill", "host.cpu.system_time"),
    of_query("postgres.query.temp_spill", "host.cpu.contention"),
    of_query("postgres.query.expensive", "host.cpu.process_churn"),
    of_query("postgres.query.expensive", "host.cpu.context_switches"),
    of_query("postgres.query.expensive", "host.cpu.system_time"),
    of_query("postgres.query.expensive", "host.cpu.contention"),
    of_query("postgres.query.high_frequency", "host.cpu.process_churn"),
    of_query("postgres.query.high_frequency", "host.cpu.context_switches"),
    of_query("postgres.query.high_frequency", "host.cpu.system_time"),
    of_query("postgres.query.high_frequency", "host.cpu.contention"),
    of_query("postgres.query.large_fetch", "host.cpu.process_churn"),
    of_query("postgres.query.large_fetch", "host.cpu.context_switches"),
    of_query("postgres.query.large_fetch", "host.cpu.system_time"),
    of_query("postgres.query.large_fetch", "host.cpu.contention"),
    of_query("postgres.query.regressed", "host.cpu.process_churn"),
    of_query("postgres.query.regressed", "host.cpu.context_switches"),
    of_query("postgres.query.regressed", "host.cpu.system_time"),
    of_query("postgres.query.regressed", "host.cpu.contention"),
    of_churn("host.cpu.process_churn"),
    of_churn("host.cpu.system_time"),
    of_churn("host.cpu.contention"),
    // A memory shortage explains reads, by the share of them that are page cache read again (diagnosis e7).
    Edge {
        cause: "host.memory.reclaim",
        symptom: "host.io.saturated",
        state: State::IoWait,
        fraction: |f, _, _, _| refault_share(f.world).unwrap_or(0.0),
        adds: false,
    },
    Edge {
        cause: "host.memory.reclaim",
        symptom: "host.io.throttled",
        state: State::IoWait,
        fraction: |f, _, _, _| refault_share(f.world).unwrap_or(0.0),
        adds: false,
    },
    // A group's own limit makes its reads; the dirty limit makes writers wait; both look like a slow disk (e7).
    both("host.memory.swap_thrash", "host.memory.reclaim", State::MemoryStalled),
    both("host.memory.swap_thrash", "host.memory.reclaim", State::IoWait),
    both("host.memory.swap_thrash", "host.memory.cache_thrash", State::IoWait),
    both("host.memory.swap_thrash", "host.io.saturated", State::IoWait),
    both("host.memory.cache_thrash", "host.io.saturated", State::IoWait),
    both("host.memory.cache_thrash", "host.io.throttled", State::IoWait),
    both("host.io.dirty_throttling", "host.io.flush_storm", State::IoWait),
    both("host.io.dirty_throttling", "host.io.saturated", State::IoWait),
    both("host.io.flush_storm", "host.io.saturated", State::IoWait),
    // A throttle explains a wait: the ledger gave the group's own waits to it; what it claims is not the device's (e10).
    Edge {
        cause: "host.io.throttled",
        symptom: "host.io.saturated",
        state: State::IoWait,
        fraction: throttled_part,
        adds: false,
    },
    // Loss on the way explains the wait for a reply of that address (diagnosis e17).
    Edge {
        cause: "host.network.packet_loss",
        symptom: "app.upstream.waiting",
        state: State::PeerReply,
        fraction: same_address,
        adds: false,
    },
    // A program of a special nature explains the contention that it makes; kernel time is the wider word of the three.
    narrower("host.cpu.process_churn", "host.cpu.context_switches"),
    narrower("host.cpu.realtime_hog", "host.cpu.system_time"),
    narrower("host.cpu.process_churn", "host.cpu.system_time"),
    narrower("host.cpu.context_switches", "host.cpu.system_time"),
    narrower("host.cpu.realtime_hog", "host.cpu.contention"),
    narrower("host.cpu.hot_core", "host.cpu.contention"),
    narrower("host.cpu.process_churn", "host.cpu.contention"),
    narrower("host.cpu.context_switches", "host.cpu.contention"),
    narrower("host.cpu.system_time", "host.cpu.contention"),
    // A service that has more to do is its own contender.
    Edge {
        cause: "app.workload_growth",
        symptom: "host.cpu.contention",
        state: State::CpuRunnable,
        fraction: same_program,
        adds: false,
    },
    both("host.disk.mount_hung", "host.tasks.hung", State::TaskBlocked),
    // Sessions of PostgreSQL that wait for a disk hang under what holds the disk up.
    both("host.io.throttled", "postgres.wal.commit_bound", State::PostgresWal),
    both("host.io.flush_storm", "postgres.wal.commit_bound", State::PostgresWal),
    both("host.io.saturated", "postgres.wal.commit_bound", State::PostgresWal),
    both("host.io.throttled", "postgres.io.read_bound", State::PostgresIoRead),
    both("host.memory.cache_thrash", "postgres.io.read_bound", State::PostgresIoRead),
    both("host.io.saturated", "postgres.io.read_bound", State::PostgresIoRead),
    both("postgres.checkpoints.forced", "postgres.wal.commit_bound", State::PostgresWal),
    // Sessions behind a lock keep the connections of a pool: who queues for those waits for the lock.
    of_lock("postgres.locks.idle_in_transaction"),
    of_lock("postgres.locks.ddl_queue"),
    of_lock("postgres.locks.prepared_transaction"),
    of_lock("postgres.locks.advisory"),
    of_lock("postgres.locks.hot_row"),
    of_lock("postgres.locks.blocked"),
    // A root that works on a slow query holds its locks for as long as that takes.
    of_holder("postgres.query.missing_index"),
    of_holder("postgres.query.stale_statistics"),
    of_holder("postgres.query.expensive"),
    // A listener here that does not accept explains the connects to it that get no answer.
    Edge {
        cause: "host.network.listen_overflow",
        symptom: "host.network.syn_loss",
        state: State::NetworkConnect,
        fraction: same_port_here,
        adds: false,
    },
    Edge {
        cause: "host.network.softnet_drops",
        symptom: "app.upstream.waiting",
        state: State::PeerReply,
        fraction: share_of_waits,
        adds: false,
    },
    // What this kernel drops before any socket is sent again by the other ends, and awaited here.
    Edge {
        cause: "host.network.softnet_drops",
        symptom: "host.network.packet_loss",
        state: State::NetworkRetransmit,
        fraction: dropped_here,
        adds: true,
    },
    Edge {
        cause: "host.network.softnet_drops",
        symptom: "host.network.packet_loss",
        state: State::PeerReply,
        fraction: dropped_here,
        adds: false,
    },
];

/// The part of the wait for a peer that loss on the way to its address costs.
fn same_address(facts: &Facts<'_>, state: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let address = cause.subject.key.strip_suffix(":*").unwrap_or(&cause.subject.key);
    let same = symptom.subject.key.rsplit_once(':').is_some_and(|(ip, _)| ip.trim_matches(['[', ']']) == address);
    let lost = cause.lost_in(state);
    // All ports of that address share what was lost on the way to it.
    let there = facts.ledger.peers.iter().filter(|w| w.peer.ip().to_string() == address);
    let waits: f64 = there.map(|w| w.waiting - w.clean).sum();
    if same && waits > 0.0 { (lost / waits).min(1.0) } else { 0.0 }
}

/// The part of all late replies that the cause claims: the same of each peer's.
fn share_of_waits(facts: &Facts<'_>, state: State, cause: &Candidate, _: &Candidate) -> f64 {
    let late = facts.ledger.state(state) - facts.ledger.clean_peers;
    if late > 0.0 { (cause.lost_in(state) / late).min(1.0) } else { 0.0 }
}

/// The part of what is sent again that is no more than what this kernel drops.
fn dropped_here(facts: &Facts<'_>, _: State, _: &Candidate, _: &Candidate) -> f64 {
    let again = facts.world.host.tcp.as_ref().ok().and_then(|t| t.retransmits_per_s).filter(|r| *r > 0.0);
    // What is not known explains nothing.
    again.zip(facts.world.host.limits.softnet_drops_per_s).map_or(0.0, |(again, drops)| (drops / again).min(1.0))
}

/// All of the connects to a port of this host whose accept queue is full.
fn same_port_here(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let Ok(peer) = symptom.subject.key.parse::<std::net::SocketAddr>() else { return 0.0 };
    let here =
        peer.ip().is_loopback() || facts.world.host.sockets.iter().flat_map(|s| &s.listeners).any(|l| l.at.ip() == peer.ip());
    if here && cause.subject.key == peer.port().to_string() { 1.0 } else { 0.0 }
}

/// What both claim, when the one that competes is the service that grew.
fn same_program(facts: &Facts<'_>, state: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    if cause.subject.also.contains(&symptom.subject.typed_key()) { both_claim(facts, state, cause, symptom) } else { 0.0 }
}

fn throttled_part(facts: &Facts<'_>, state: State, cause: &Candidate, _: &Candidate) -> f64 {
    let all = facts.ledger.state(state);
    if all > 0.0 { (cause.lost_in(state) / all).min(1.0) } else { 0.0 }
}

/// Below this an edge is not credited (R1).
const WEAK: f64 = 0.2;
/// From this on a symptom stands under its cause (R2).
const EXPLAINED: f64 = 0.7;

/// Applies the edges, then takes care that the claims on each state do not exceed what the ledger holds.
pub fn resolve(facts: &Facts<'_>, candidates: &mut [Candidate]) {
    for edge in EDGES {
        let root = |c: &Candidate, id: &str| c.id == id && c.explained_by.is_none();
        let symptoms: Vec<usize> = (0..candidates.len()).filter(|at| candidates[*at].id == edge.symptom).collect();
        for symptom in symptoms {
            // One that is explained already gives its other states to the same cause only.
            let by = candidates[symptom].explained_by.clone();
            let free = |c: &Candidate| by.as_ref().is_none_or(|key| *key == c.key);
            let causes = (0..candidates.len()).filter(|at| root(&candidates[*at], edge.cause) && free(&candidates[*at]));
            let with = causes.map(|at| (at, (edge.fraction)(facts, edge.state, &candidates[at], &candidates[symptom])));
            let best = with.filter(|(_, fraction)| *fraction >= WEAK).max_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((cause, fraction)) = best {
                explain(candidates, edge, cause, symptom, fraction);
            }
        }
    }
    cap(facts.ledger, candidates);
}

/// Moves that fraction of the symptom's seconds to the cause.
fn explain(candidates: &mut [Candidate], edge: &Edge, cause: usize, symptom: usize, fraction: f64) {
    let moved = take(&mut candidates[symptom], edge.state, fraction);
    let key = candidates[symptom].key.clone();
    // The cause has claimed its own part of the state already where the rule says so; only what is new is added.
    match candidates[cause].found.losses.iter_mut().find(|(s, _)| *s == edge.state) {
        Some((_, claimed)) if edge.adds => *claimed += moved,
        Some((_, claimed)) => *claimed = claimed.max(moved),
        None => candidates[cause].found.losses.push((edge.state, moved)),
    }
    match candidates[cause].explains.iter_mut().find(|e| e.key == key) {
        Some(known) => known.s_per_s += moved,
        None => candidates[cause].explains.push(Explains { key, s_per_s: moved, share: fraction }),
    }
    if fraction >= EXPLAINED {
        candidates[symptom].explained_by = Some(candidates[cause].key.clone());
    }
}

fn take(symptom: &mut Candidate, state: State, fraction: f64) -> f64 {
    let mut moved = 0.0;
    for (s, lost) in &mut symptom.found.losses {
        if *s == state {
            moved += *lost * fraction;
            *lost *= 1.0 - fraction;
        }
    }
    moved
}

/// Scales claims so that no state is claimed more than once. The clean part of a state is nobody's loss, but for the waste of a
/// query: work that need not be done at all.
fn cap(ledger: &Ledger, candidates: &mut [Candidate]) {
    let claimed = |candidates: &[Candidate], waste: bool| {
        let mut sums: BTreeMap<State, f64> = BTreeMap::new();
        for (state, lost) in candidates.iter().filter(|c| c.found.waste == waste).flat_map(|c| &c.found.losses) {
            *sums.entry(*state).or_default() += lost;
        }
        sums
    };
    let others = claimed(candidates, false);
    for (state, lost) in candidates.iter_mut().filter(|c| !c.found.waste).flat_map(|c| &mut c.found.losses) {
        let held = (ledger.state(*state) - ledger.clean(*state)).max(0.0);
        let sum = others.get(state).copied().unwrap_or(0.0);
        if sum > held {
            *lost *= held / sum;
        }
    }
    let (others, wasted) = (claimed(candidates, false), claimed(candidates, true));
    for (state, lost) in candidates.iter_mut().flat_map(|c| &mut c.found.losses) {
        let of = |sums: &BTreeMap<State, f64>| sums.get(state).copied().unwrap_or(0.0);
        let (held, sum) = (ledger.state(*state), of(&others) + of(&wasted));
        if sum > held && sum > 0.0 {
            *lost *= held / sum;
        }
    }
}
