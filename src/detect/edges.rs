//! Which finding explains which, and by what part: the edges as data, in the order in which they are applied. Pure.

use crate::model::facts::{Activities, PgFacts, ProcFacts};
use crate::model::postgres::{Grown, WaitClass};
use crate::model::unit::Unit;

use super::candidate::Candidate;
use super::ledger::{State, refault_share};
use super::postgres::holders::Holders;
use super::postgres::internal::{Structure, waits};
use super::redis::joined;
use super::redis::refill::Refill;
use super::verdict::Facts;

mod accepting;
mod network;

/// The fraction of what a symptom loses in a state that a cause explains, 0..1.
type Fraction = fn(&Facts<'_>, State, &Candidate, &Candidate) -> f64;

/// Each of these causes may explain each of these symptoms, in that order.
pub(super) struct Edge {
    pub causes: &'static [&'static str],
    pub symptoms: &'static [&'static str],
    /// The state whose seconds move.
    pub state: State,
    pub fraction: Fraction,
    /// What moves is none of what the cause claims of the state by itself.
    pub adds: bool,
}

/// What moves is a part of what the cause claims of the state already.
const fn within(causes: &'static [&'static str], symptoms: &'static [&'static str], state: State, fraction: Fraction) -> Edge {
    Edge { causes, symptoms, state, fraction, adds: false }
}

/// What moves comes to what the cause claims.
const fn beside(causes: &'static [&'static str], symptoms: &'static [&'static str], state: State, fraction: Fraction) -> Edge {
    Edge { causes, symptoms, state, fraction, adds: true }
}

/// Those that make a server work too much by a query.
const QUERIES: &[&str] = &[
    "postgres.query.missing_index",
    "postgres.query.stale_statistics",
    "postgres.vacuum.bloat",
    "postgres.query.temp_spill",
    "postgres.query.expensive",
    "postgres.query.high_frequency",
    "postgres.query.large_fetch",
    "postgres.query.jit",
    "postgres.query.planning",
    "postgres.query.regressed",
];
/// A host whose CPUs one program keeps, the narrowest word for it first.
const CPU: &[&str] = &["host.cpu.process_churn", "host.cpu.context_switches", "host.cpu.system_time", "host.cpu.contention"];
/// What keeps a process from its work.
const STARVING: &[&str] = &[
    "host.cpu.throttled",
    "host.cpu.realtime_hog",
    "host.cpu.process_churn",
    "host.cpu.context_switches",
    "host.cpu.system_time",
    "host.cpu.contention",
    "host.memory.swap_thrash",
];
/// What else a process waits for.
const LACKING: &[&str] = &[
    "host.memory.reclaim",
    "host.memory.high",
    "host.io.throttled",
    "host.io.flush_storm",
    "host.io.saturated",
    "app.upstream.waiting",
];
/// What a Redis says of a loop that stands.
const STALLS: &[&str] = &["redis.command.slow", "redis.command.script", "redis.main_thread.saturated"];
const EVICTIONS: &[&str] = &["redis.memory.evictions"];
/// Roots of chains of locks.
const LOCKS: &[&str] = &[
    "postgres.locks.idle_in_transaction",
    "postgres.locks.ddl_queue",
    "postgres.locks.prepared_transaction",
    "postgres.locks.advisory",
    "postgres.locks.hot_row",
    "postgres.locks.blocked",
];

/// All of them. A top consumer explains its victims within its own finding: it is the finding's subject.
pub(super) const EDGES: &[Edge] = &[
    // A query that works too much makes its own server the top consumer, by its share of the server's CPU time.
    beside(QUERIES, CPU, State::CpuRunnable, cpu_of_query),
    beside(
        &["postgres.connections.churn"],
        &["host.cpu.process_churn", "host.cpu.system_time", "host.cpu.contention"],
        State::CpuRunnable,
        server_is_culprit,
    ),
    // What the kernel holds makes memory short, whichever program is the largest; a group at its own limit looks like a slow disk.
    within(&["host.memory.kernel"], &["host.memory.reclaim"], State::MemoryStalled, both_claim),
    within(&["host.memory.kernel"], &["host.memory.reclaim"], State::IoWait, both_claim),
    within(&["host.memory.high"], &["host.io.saturated", "host.io.throttled"], State::IoWait, both_claim),
    within(&["host.memory.high"], &["host.tasks.hung"], State::TaskBlocked, both_claim),
    // A memory shortage explains reads, by the share of them that are page cache read again (diagnosis e7).
    within(&["host.memory.reclaim"], &["host.io.saturated", "host.io.throttled"], State::IoWait, refaults),
    // A group's own limit makes its reads; the dirty limit makes writers wait; both look like a slow disk (e7).
    within(&["host.memory.swap_thrash"], &["host.memory.reclaim"], State::MemoryStalled, both_claim),
    within(
        &["host.memory.swap_thrash"],
        &["host.memory.reclaim", "host.memory.cache_thrash", "host.io.saturated"],
        State::IoWait,
        both_claim,
    ),
    within(&["host.memory.cache_thrash"], &["host.io.saturated", "host.io.throttled"], State::IoWait, both_claim),
    within(&["host.io.dirty_throttling"], &["host.io.flush_storm", "host.io.saturated"], State::IoWait, both_claim),
    within(&["host.io.flush_storm"], &["host.io.saturated"], State::IoWait, both_claim),
    // A throttle explains a wait: the ledger gave the group's own waits to it; what it claims is not the device's (e10).
    within(&["host.io.throttled"], &["host.io.saturated"], State::IoWait, throttled_part),
    // Loss on the way explains the wait for a reply of that address (diagnosis e17).
    within(&["host.network.packet_loss"], &["app.upstream.waiting"], State::PeerReply, network::same_address),
    // A program of a special nature explains the contention that it makes; kernel time is the wider word of the three.
    within(&["host.cpu.process_churn"], &["host.cpu.context_switches"], State::CpuRunnable, both_claim),
    within(
        &["host.cpu.realtime_hog", "host.cpu.process_churn", "host.cpu.context_switches"],
        &["host.cpu.system_time"],
        State::CpuRunnable,
        both_claim,
    ),
    within(
        &[
            "host.cpu.realtime_hog",
            "host.cpu.hot_core",
            "host.cpu.process_churn",
            "host.cpu.context_switches",
            "host.cpu.system_time",
        ],
        &["host.cpu.contention"],
        State::CpuRunnable,
        both_claim,
    ),
    // A service that has more to do is its own top consumer.
    within(&["app.workload_growth"], &["host.cpu.contention"], State::CpuRunnable, same_program),
    within(&["host.disk.mount_hung"], &["host.tasks.hung"], State::TaskBlocked, both_claim),
    // Sessions of PostgreSQL that wait for a disk hang under what holds the disk up.
    within(
        &["host.io.throttled", "host.io.flush_storm", "host.io.saturated"],
        &["postgres.wal.commit_bound"],
        State::PostgresWal,
        both_claim,
    ),
    within(
        &["host.io.throttled", "host.memory.cache_thrash", "host.io.saturated"],
        &["postgres.io.read_bound"],
        State::PostgresIoRead,
        both_claim,
    ),
    within(&["postgres.checkpoints.forced"], &["postgres.wal.commit_bound"], State::PostgresWal, both_claim),
    // A Redis whose process waits for what others take: its commands are not long, nor its disk slow, by themselves.
    beside(STARVING, STALLS, State::RedisStall, joined::kept_waiting),
    beside(
        &["host.io.throttled", "host.io.flush_storm", "host.io.saturated"],
        &["redis.persistence.fsync"],
        State::RedisFsync,
        joined::flushes_wait,
    ),
    within(&["redis.persistence.fsync"], &["host.io.saturated", "host.io.flush_storm"], State::IoWait, joined::keeps_disk_busy),
    // A cache that evicts what is asked for makes a database work.
    within(EVICTIONS, QUERIES, State::Working, becomes_query),
    within(EVICTIONS, QUERIES, State::CpuRunnable, becomes_query),
    within(EVICTIONS, QUERIES, State::PostgresCpu, becomes_query),
    within(EVICTIONS, QUERIES, State::PostgresIoRead, becomes_query),
    within(EVICTIONS, QUERIES, State::PostgresIoWrite, becomes_query),
    within(EVICTIONS, QUERIES, State::PostgresIoTemp, becomes_query),
    within(EVICTIONS, QUERIES, State::PostgresWal, becomes_query),
    within(EVICTIONS, QUERIES, State::PostgresLwlock, becomes_query),
    within(EVICTIONS, QUERIES, State::PostgresOther, becomes_query),
    // Sessions behind a lock keep the connections of a pool: who queues for those waits for the lock.
    beside(LOCKS, &["app.pool.queueing"], State::PoolWait, lock_share),
    // So do those that run a query which works too much for a known reason (e15, e16); a query that is merely the busiest is no reason.
    beside(
        &[
            "postgres.query.missing_index",
            "postgres.query.stale_statistics",
            "postgres.query.temp_spill",
            "postgres.query.regressed",
            "postgres.query.jit",
            "postgres.vacuum.bloat",
        ],
        &["app.pool.queueing"],
        State::PoolWait,
        query_share,
    ),
    // A root that works on a slow query holds its locks for as long as that takes; one that waits for a disk for as long as that (e4).
    beside(
        &["postgres.query.missing_index", "postgres.query.stale_statistics", "postgres.query.expensive"],
        &["postgres.locks.blocked"],
        State::PostgresLock,
        holder_runs_it,
    ),
    beside(
        &["postgres.query.missing_index", "postgres.query.stale_statistics", "postgres.vacuum.bloat"],
        &["postgres.locks.hot_row"],
        State::PostgresLock,
        holders_run_it,
    ),
    beside(
        &["host.io.throttled", "host.io.flush_storm", "host.io.saturated"],
        &["postgres.locks.hot_row", "postgres.locks.blocked"],
        State::PostgresLock,
        holders_wait_for_disk,
    ),
    // A query that reads far too much moves pages in and out of shared buffers, and the others wait for the map of those.
    beside(
        &[
            "postgres.query.missing_index",
            "postgres.query.stale_statistics",
            "postgres.vacuum.bloat",
            "postgres.query.temp_spill",
            "postgres.query.large_fetch",
        ],
        &["postgres.lwlock.contention"],
        State::PostgresLwlock,
        buffers_of_query,
    ),
    // A listener here that does not accept explains the connects to it that get no answer.
    within(&["host.network.listen_overflow"], &["host.network.syn_loss"], State::NetworkConnect, network::same_port_here),
    // If a service is held up itself, the connections in its accept queue wait for whatever holds it up (e23).
    beside(STARVING, &["host.network.listen_overflow"], State::NetworkAccept, accepting::held_up),
    beside(STARVING, &["host.network.listen_overflow"], State::NetworkConnect, accepting::held_up),
    beside(LACKING, &["host.network.listen_overflow"], State::NetworkAccept, accepting::held_up),
    beside(LACKING, &["host.network.listen_overflow"], State::NetworkConnect, accepting::held_up),
    within(&["host.network.softnet_drops"], &["app.upstream.waiting"], State::PeerReply, network::share_of_waits),
    // What this kernel drops before any socket is retransmitted by the other ends, and waited for here.
    beside(&["host.network.softnet_drops"], &["host.network.packet_loss"], State::NetworkRetransmit, network::dropped_here),
    within(&["host.network.softnet_drops"], &["host.network.packet_loss"], State::PeerReply, network::dropped_here),
    beside(&["host.network.softnet_drops"], &["host.network.syn_loss"], State::NetworkConnect, network::dropped_connects),
];

/// Those to what is judged by what all others left.
pub(super) const EDGES_TO_REST: &[Edge] = &[
    // A service that has more to do waits for itself because of that.
    beside(&["app.workload_growth"], &["app.bound"], State::CpuRunnable, of_that_service),
];

/// Whether something may explain a finding of that id, before what is left is judged.
pub(super) fn is_symptom(id: &str) -> bool {
    EDGES.iter().any(|edge| edge.symptoms.contains(&id))
}

/// The seconds that both claim.
fn both_claim(_: &Facts<'_>, state: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let claimed = symptom.lost_in(state);
    if claimed > 0.0 {
        return (cause.lost_in(state) / claimed).min(1.0);
    }
    // One that claims no time at all stands under its cause; one that claims other time is not explained by this.
    if symptom.lost() > 0.0 { 0.0 } else { 1.0 }
}

fn refaults(facts: &Facts<'_>, _: State, _: &Candidate, _: &Candidate) -> f64 {
    refault_share(facts.world).unwrap_or(0.0)
}

/// The sessions of the cause's server, where the queue is in front of that very server.
fn behind_queue<'a>(facts: &Facts<'a>, cause: &Candidate, symptom: &Candidate) -> Option<&'a Activities> {
    let same = symptom.subject.also.iter().any(|also| also.strip_prefix("instance:") == Some(&cause.source));
    let pg = facts.world.servers.postgres.iter().find(|pg| same && pg.id == cause.source);
    pg.and_then(|pg| pg.activity.as_ref().ok()).filter(|a| a.active() > 0.0)
}

/// The part of what a server's sessions do that is waiting behind this lock.
fn lock_share(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    behind_queue(facts, cause, symptom).map_or(0.0, |a| (cause.lost_in(State::PostgresLock) / a.active()).min(1.0))
}

/// The part of what a server's sessions do that is the cause's query; while it waits for others it is theirs.
fn query_share(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    use WaitClass::{Client, Idle, Lock, SyncReplica};
    let own = |class: &WaitClass| !matches!(class, Client | Idle | Lock | SyncReplica);
    let works = |a: &Activities, id: i64| {
        let classes = a.by_query.get(&id).into_iter().flatten();
        classes.filter(|(class, _)| own(class)).map(|(_, s)| s).sum::<f64>()
    };
    let of = |a: &Activities| queries(cause).iter().map(|id| works(a, *id)).sum::<f64>() / a.active();
    behind_queue(facts, cause, symptom).map_or(0.0, |a| of(a).min(1.0))
}

/// The server whose finding this is, on this host.
fn server<'a>(facts: &Facts<'a>, candidate: &Candidate) -> Option<&'a PgFacts> {
    facts.world.servers.postgres.iter().find(|pg| pg.id == candidate.source && pg.local())
}

/// 1 when the symptom blames a process of the cause's server.
fn server_is_culprit(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let Some(postmaster) = server(facts, cause).and_then(|pg| pg.server.as_ref()?.postmaster) else { return 0.0 };
    let blamed = |p: &&ProcFacts| {
        let key = format!("process:{}", p.id);
        symptom.subject.typed_key() == key || symptom.subject.also.contains(&key)
    };
    let of_server = |p: &ProcFacts| p.id == postmaster || p.ppid == postmaster.pid;
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
    let pg = facts.world.servers.postgres.iter().find(|pg| pg.id == cause.source && pg.id == symptom.source);
    let Some(Ok(chains)) = pg.map(|pg| &pg.chains) else { return 0.0 };
    let root = chains.roots.iter().filter_map(|r| r.session()).find(|s| s.key() == symptom.subject.key);
    let runs = root.and_then(|s| s.query_id).is_some_and(|id| queries(cause).contains(&id));
    if runs { 1.0 } else { 0.0 }
}

/// Of what those do who hold the locks in turn, the part that is the cause's query.
fn holders_run_it(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let pg = facts.world.servers.postgres.iter().find(|pg| pg.id == cause.source && pg.id == symptom.source);
    pg.and_then(|pg| Some(Holders::of(pg, None)?.in_queries(&queries(cause)))).unwrap_or(0.0)
}

/// Of what those do who hold the locks, the part that waits for files and the WAL, as far as the cause claims those waits.
fn holders_wait_for_disk(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let files = [State::PostgresWal, State::PostgresIoRead, State::PostgresIoWrite];
    let claimed: f64 = files.iter().map(|state| cause.lost_in(*state)).sum();
    let all: f64 = files.iter().map(|state| facts.ledger.state(*state)).sum();
    let pg = facts.world.servers.postgres.iter().find(|pg| pg.id == symptom.source && pg.local());
    // The same rows are held in turn; any other lock is its root's.
    let root = Some(symptom.subject.key.as_str()).filter(|_| symptom.id == "postgres.locks.blocked");
    let part = pg.and_then(|pg| Some(Holders::of(pg, root)?.on_disk())).unwrap_or(0.0);
    if all > 0.0 { part * (claimed / all).min(1.0) } else { 0.0 }
}

/// The query's share of the blocks that all statements read into shared buffers, of the part of the waits that is for the map of those.
fn buffers_of_query(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let pg = facts.world.servers.postgres.iter().find(|pg| pg.id == cause.source && pg.id == symptom.source);
    let Some(pg) = pg else { return 0.0 };
    let (Ok(activity), Ok(statements)) = (&pg.activity, &pg.statements) else { return 0.0 };
    let all = waits(pg, activity);
    let of_map: f64 = all.iter().filter(|(what, ..)| *what == Structure::BufferMapping).map(|(_, s, _)| s).sum();
    let waiting: f64 = all.iter().map(|(_, s, _)| s).sum();
    let read = |g: &Grown| g.read_blocks as f64;
    let (mine, top) = (queries(cause), statements.rows.iter().filter(|row| row.key.top));
    let everyone: f64 = top.clone().map(|row| read(&row.grown)).sum();
    let of_query: f64 = top.filter(|row| mine.contains(&row.key.query)).map(|row| read(&row.grown)).sum();
    (of_query / everyone.max(1.0)).min(1.0) * of_map / waiting.max(1e-9)
}

/// The part of a query's calls that fetch again what a cache evicted.
fn becomes_query(facts: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let r = facts.world.servers.redis.iter().find(|r| r.id == cause.source);
    let refill = r.and_then(|r| Refill::of(facts.world, r)).filter(|refill| refill.pg.id == symptom.source);
    let same = |refill: &Refill<'_>| queries(symptom).contains(&refill.row.key.query);
    refill.filter(same).map_or(0.0, |refill| refill.share)
}

/// The ids of the queries that a finding is about.
fn queries(c: &Candidate) -> Vec<i64> {
    let keys = std::iter::once(c.subject.typed_key()).chain(c.subject.also.iter().cloned());
    keys.filter_map(|k| k.strip_prefix("query:")?.rsplit_once('/')?.1.parse().ok()).collect()
}

/// What both claim, when the one that competes is the service that grew.
fn same_program(facts: &Facts<'_>, state: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    if cause.subject.also.contains(&symptom.subject.typed_key()) { both_claim(facts, state, cause, symptom) } else { 0.0 }
}

/// What the service that grew loses by itself, as far as the growth made it: 1 - 1 / growth.
fn of_that_service(_: &Facts<'_>, _: State, cause: &Candidate, symptom: &Candidate) -> f64 {
    let rows: Vec<f64> = cause.found.evidence.iter().filter(|e| e.unit == Unit::PerSecond).map(|e| e.value).collect();
    let [now, before, ..] = rows[..] else { return 0.0 };
    let same = cause.subject.also.contains(&symptom.subject.typed_key());
    if same && now > before { 1.0 - before / now } else { 0.0 }
}

fn throttled_part(facts: &Facts<'_>, state: State, cause: &Candidate, _: &Candidate) -> f64 {
    let all = facts.ledger.state(state);
    if all > 0.0 { (cause.lost_in(state) / all).min(1.0) } else { 0.0 }
}
