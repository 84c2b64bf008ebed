//! The ledger: every foreground actor-second is in exactly one state; the states sum to the foreground time T.
//!
//! An actor here is a process (all its threads); its second per second can exceed 1. Weights are those of
//! `model::facts::Weight`. Formulae: research basis in docs/judgement.md.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::model::facts::{CgroupFacts, Facts, MemoryFacts, PeerFacts, ProcFacts};
use crate::model::foreign::Foreign;
use crate::model::host::{Controller, ProcId};

use super::backends::{Backends, DISK};
pub use super::backends::{actor_id, state_of};
pub use super::pools::PoolWait;
use super::throttled::Throttled;
use super::waits::PeerWaits;

macro_rules! states {
    ($($name:ident = $id:literal, $modelled:literal;)*) => {
        /// The closed list of ledger states, CONTRACT.md.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "the contract's names")]
        pub enum State { $(#[serde(rename = $id)] $name,)* }

        impl State {
            /// All states in their fixed order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name in the contract.
            #[must_use]
            pub fn id(self) -> &'static str { match self { $(Self::$name => $id,)* } }

            /// A wait that a server tells of its sessions.
            #[must_use]
            pub fn of_a_server(self) -> bool { self.id().starts_with("postgres.") }

            /// Computed, not seen.
            #[must_use]
            pub fn modelled(self) -> bool { match self { $(Self::$name => $modelled,)* } }
        }
    };
}

states! {
    Working = "working", false;
    CpuRunnable = "host.cpu.runnable", false;
    CpuThrottled = "host.cpu.throttled", false;
    CpuSteal = "host.cpu.steal", true;
    MemoryStalled = "host.memory.stalled", false;
    IoWait = "host.io.wait", false;
    TaskBlocked = "host.task.blocked", false;
    NetworkRetransmit = "host.network.retransmit", true;
    NetworkSend = "host.network.send", false;
    NetworkAccept = "host.network.accept", false;
    NetworkConnect = "host.network.connect", false;
    NetworkRefused = "host.network.refused", true;
    PeerReply = "peer.reply", false;
    PoolWait = "pool.wait", false;
    PostgresCpu = "postgres.cpu", false;
    PostgresIoRead = "postgres.io.read", false;
    PostgresIoWrite = "postgres.io.write", false;
    PostgresIoTemp = "postgres.io.temp", false;
    PostgresWal = "postgres.wal", false;
    PostgresSyncReplica = "postgres.sync_replica", false;
    PostgresLock = "postgres.lock", false;
    PostgresLwlock = "postgres.lwlock", false;
    PostgresClient = "postgres.client", false;
    PostgresOther = "postgres.other", false;
    PostgresConnect = "postgres.connect", true;
    RedisStall = "redis.stall", true;
    RedisFork = "redis.fork", true;
    RedisFsync = "redis.fsync", true;
    RedisMiss = "redis.miss", true;
}

/// One actor's weighted seconds per second.
#[derive(Debug, Clone, PartialEq)]
pub struct Actor {
    /// Who.
    pub id: ProcId,
    /// The program it belongs to.
    pub family: ProcId,
    /// Its weight.
    pub weight: f64,
    /// On a CPU.
    pub working: f64,
    /// Waiting for a CPU.
    pub runnable: f64,
    /// Held back by a quota.
    pub throttled: f64,
    /// The group whose quota it is.
    pub throttled_by: Option<Foreign>,
    /// Waiting for IO.
    pub io_wait: f64,
    /// Hanging in the kernel, in what no disk answers.
    pub blocked: f64,
    /// Waiting for replies of peers that are not on this host.
    pub peers: f64,
    /// A session of PostgreSQL: its waits by its wait events.
    pub postgres: Vec<(State, f64)>,
}

impl Actor {
    /// One without any time yet.
    #[must_use]
    pub const fn nobody(id: ProcId, weight: f64) -> Self {
        Self {
            id,
            family: id,
            weight,
            working: 0.0,
            runnable: 0.0,
            throttled: 0.0,
            throttled_by: None,
            io_wait: 0.0,
            blocked: 0.0,
            peers: 0.0,
            postgres: Vec::new(),
        }
    }

    /// All its foreground time.
    #[must_use]
    pub fn time(&self) -> f64 {
        let postgres: f64 = self.postgres.iter().map(|(_, s)| s).sum();
        self.working + self.runnable + self.throttled + self.io_wait + self.blocked + self.peers + postgres
    }

    /// Its seconds in one state of waiting; a wait for IO counts for whichever of the two it was taken for.
    #[must_use]
    pub fn in_state(&self, state: State) -> f64 {
        match state {
            State::Working => self.working,
            State::CpuRunnable => self.runnable,
            State::CpuThrottled => self.throttled,
            State::IoWait => self.io_wait,
            State::TaskBlocked => self.blocked,
            State::PeerReply => self.peers,
            other => self.postgres.iter().filter(|(s, _)| *s == other).map(|(_, s)| s).sum(),
        }
    }

    /// Waiting for disks, by state: as a process, or as a session.
    pub fn disk(&self) -> impl Iterator<Item = (State, f64)> + '_ {
        let sessions = self.postgres.iter().copied().filter(|(state, _)| DISK.contains(state));
        std::iter::once((State::IoWait, self.io_wait)).chain(sessions).filter(|(_, s)| *s > 0.0)
    }

    /// All of that.
    #[must_use]
    pub fn disk_wait(&self) -> f64 {
        self.disk().map(|(_, s)| s).sum()
    }
}

/// Foreground time by actor and by state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    /// Those with any time and a weight above zero.
    pub actors: Vec<Actor>,
    /// Seconds per second by state.
    pub states: BTreeMap<State, f64>,
    /// The part of the IO wait that a clean device would take too, refaults left out: productive.
    pub clean_io: f64,
    /// The same of the IO of sessions of PostgreSQL on this host, by state.
    pub clean_sessions: BTreeMap<State, f64>,
    /// The part of the waiting for peers that a healthy one takes too: productive.
    pub clean_peers: f64,
    /// Poolers with their queues.
    pub pools: Vec<PoolWait>,
    /// Waits for peers that are not on this host, most waiting first.
    pub peers: Vec<PeerWait>,
    /// Share of the foreground processes whose wait and weight are known, 0..1.
    pub coverage: f64,
    /// Looks behind the sampled IO wait.
    pub io_rounds: u32,
}

/// Foreground time that waits for one peer, seconds per second.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerWait {
    /// The peer.
    pub peer: SocketAddr,
    /// Weighted replies awaited.
    pub waiting: f64,
    /// The part of it that a healthy peer takes too.
    pub clean: f64,
    /// Whose sockets; unknown owners left out.
    pub owners: Vec<ProcId>,
}

/// What a device and a peer take when they are not loaded.
pub struct Clean<'a> {
    /// Share of the IO wait, 0..1.
    pub io: f64,
    /// Milliseconds of a reply of that peer.
    pub reply_ms: &'a dyn Fn(&PeerFacts) -> f64,
}

impl Ledger {
    /// The foreground time T, seconds per second.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.states.values().sum()
    }

    /// Seconds per second in one state.
    #[must_use]
    pub fn state(&self, state: State) -> f64 {
        self.states.get(&state).copied().unwrap_or(0.0)
    }

    /// Makes the ledger.
    #[must_use]
    pub fn of(facts: &Facts, clean: &Clean<'_>) -> Self {
        let processes = facts.processes();
        let mut ledger = Self { coverage: 1.0, ..Self::default() };
        let throttled = Throttled::of(facts);
        let mut backends = Backends::of(facts);
        backends.split(facts);
        let waits = PeerWaits::of(facts, clean, &backends);
        // State D without IO pressure is a lock or a dead server, not a disk.
        let io_pressed = facts.host.psi.io.as_ref().map_or(true, |p| p.best() >= 0.005);
        let (mut judged, mut known) = (0.0, 0.0);
        for p in processes.iter().filter(|p| backends.weight(p) > 0.0) {
            let session = backends.waits(p);
            if p.cpu.is_none() && session.as_ref().is_none_or(Vec::is_empty) {
                // Not read within the window, or new: it counts as foreground that was not seen.
                judged += 1.0;
                continue;
            }
            let mut actor = throttled.actor(p, backends.weight(p));
            match session {
                // What a session waits for it says itself.
                Some(waits) => (actor.io_wait, actor.blocked, actor.postgres) = (0.0, 0.0, waits),
                None => actor.peers = waits.of_process(p.id),
            }
            if !io_pressed {
                actor.blocked += std::mem::take(&mut actor.io_wait);
            }
            if actor.time() <= 0.0 {
                continue;
            }
            judged += 1.0;
            known += if p.runnable.is_some() && p.weight.known && p.all_threads { 1.0 } else { 0.0 };
            ledger.io_rounds = p.io_rounds;
            ledger.add(State::Working, actor.working);
            ledger.add(State::CpuRunnable, actor.runnable);
            ledger.add(State::CpuThrottled, actor.throttled);
            ledger.add(State::IoWait, actor.io_wait);
            ledger.add(State::TaskBlocked, actor.blocked);
            ledger.add(State::PeerReply, actor.peers);
            ledger.add_session(&actor, clean.io);
            ledger.actors.push(actor);
        }
        for actor in backends.elsewhere {
            ledger.add(State::Working, actor.working);
            ledger.add(State::CpuRunnable, actor.runnable);
            ledger.add_session(&actor, 0.0);
            ledger.actors.push(actor);
        }
        ledger.coverage = if judged > 0.0 { known / judged } else { 1.0 };
        // Reading again what was dropped a moment ago is no productive time, however fast the device is.
        let first_reads = 1.0 - refault_share(facts).unwrap_or(0.0);
        ledger.clean_io = ledger.state(State::IoWait) * clean.io.clamp(0.0, 1.0) * first_reads;
        ledger.pools = super::pools::pools(facts);
        let queued = ledger.pools.iter().map(|p| p.waiting).sum();
        ledger.add(State::PoolWait, queued);
        ledger.add_connects(facts);
        ledger.add_memory(facts);
        ledger.add(State::PeerReply, waits.of_nobody_known());
        ledger.add_steal(facts);
        ledger.add_network(facts, &waits.rows);
        let clean: f64 = waits.rows.iter().map(|w| w.clean).sum();
        ledger.clean_peers = clean.min(ledger.state(State::PeerReply));
        ledger.peers = waits.rows;
        ledger
    }

    /// A session's waits; `clean` is the share of a wait for a disk that a clean device takes too.
    fn add_session(&mut self, actor: &Actor, clean: f64) {
        for (state, seconds) in &actor.postgres {
            self.add(*state, *seconds);
            if DISK.contains(state) && clean > 0.0 {
                *self.clean_sessions.entry(*state).or_default() += seconds * clean.clamp(0.0, 1.0);
            }
        }
    }

    /// Connections of PostgreSQL that are opened all the time: each costs its client about eight milliseconds (measured here: fork,
    /// authentication, caches). Modelled; no look at the sessions is fast enough.
    fn add_connects(&mut self, facts: &Facts) {
        const LOGIN_S: f64 = 0.008;
        const MANY: f64 = 5.0;
        for pg in &facts.postgres {
            let opened = pg.databases_rate(|d| d.sessions);
            self.add(State::PostgresConnect, opened.filter(|o| *o >= MANY).map_or(0.0, |o| o * LOGIN_S));
        }
    }

    /// The part of a state that would be there on a healthy machine too.
    #[must_use]
    pub fn clean(&self, state: State) -> f64 {
        match state {
            // What works is productive; a remote session's CPU time cannot be split.
            State::Working | State::PostgresCpu => self.state(state),
            State::IoWait => self.clean_io,
            State::PeerReply => self.clean_peers,
            other => self.clean_sessions.get(&other).copied().unwrap_or(0.0),
        }
    }

    fn add(&mut self, state: State, seconds: f64) {
        if seconds > 0.0 {
            *self.states.entry(state).or_default() += seconds;
        }
    }

    /// Memory stalls that are not already in the IO wait: PSI memory counts the wall-clock share in which someone
    /// stood still, a lower bound; the part that waits for refaulted pages is IO wait already.
    fn add_memory(&mut self, facts: &Facts) {
        let Ok(psi) = &facts.host.psi.memory else { return };
        let stalled = psi.some.unwrap_or(0.0);
        let in_io = refault_share(facts).unwrap_or(0.0) * self.state(State::IoWait);
        // With plenty available and nothing that swaps the stall is page cache read again under a group's own limit.
        let short = facts.host.memory.as_ref().is_ok_and(|m| m.used >= 1.0 - SHORT);
        let swaps = |m: &MemoryFacts| m.swap_in_bytes_per_s.zip(m.swap_out_bytes_per_s).is_some_and(|(i, o)| i.min(o) >= SWAPS);
        if !self.actors.is_empty() && stalled >= 0.005 && (short || facts.host.memory.as_ref().is_ok_and(swaps)) {
            self.add(State::MemoryStalled, (stalled - in_io).max(0.0));
        }
    }

    /// Stolen time hits who runs: of what the hypervisor took the foreground's share of the work.
    fn add_steal(&mut self, facts: &Facts) {
        let Ok(cpu) = &facts.host.cpu else { return };
        let busy = cpu.busy * facts.cpus();
        let share = (self.state(State::Working) / busy.max(1e-9)).min(1.0);
        // Below a hundredth it is the grain of the clock.
        if cpu.steal >= 0.01 {
            self.add(State::CpuSteal, cpu.steal * facts.cpus() * share);
        }
    }

    /// What the network costs beside awaited replies: loss that nobody here is seen to wait for (a server's answers on
    /// their way), connects without an answer, complete connections that are not accepted.
    fn add_network(&mut self, facts: &Facts, waits: &[PeerWait]) {
        let Ok(sockets) = &facts.host.sockets else { return };
        for loss in super::loss::by_address(facts) {
            let waited: f64 = waits.iter().filter(|w| w.peer.ip() == loss.ip).map(|w| w.waiting - w.clean).sum();
            self.add(State::NetworkRetransmit, loss.lost - waited);
        }
        self.add(State::NetworkRetransmit, super::loss::before_sockets(facts).requests);
        let unanswered = sockets.connecting.iter().filter(|c| c.again > 0.0).map(|c| c.waiting).sum();
        self.add(State::NetworkConnect, unanswered);
        let full = sockets.listeners.iter().filter(|l| l.backlog > 0 && l.queue_max * 10 >= l.backlog * 9);
        self.add(State::NetworkAccept, full.map(|l| l.queued).sum());
    }

    /// What those that `who` picks lose to disks, times `scale`, by state.
    #[must_use]
    pub fn disk_losses(&self, who: impl Fn(&Actor) -> bool, scale: f64) -> Vec<(State, f64)> {
        let mut sums: BTreeMap<State, f64> = BTreeMap::new();
        for (state, seconds) in self.actors.iter().filter(|a| who(a)).flat_map(Actor::disk) {
            *sums.entry(state).or_default() += seconds * scale;
        }
        // One that claims nothing yet still names the state that it is about.
        sums.entry(State::IoWait).or_default();
        sums.into_iter().collect()
    }

    /// Share of all waits for disks that clean devices take too, 0..1.
    #[must_use]
    pub fn clean_disk_share(&self) -> f64 {
        let all: f64 = DISK.iter().map(|s| self.state(*s)).sum();
        let clean: f64 = DISK.iter().map(|s| self.clean(*s)).sum();
        (clean / all.max(1e-9)).min(1.0)
    }

    /// Sum of `part` over the actors that `who` picks.
    pub fn sum(&self, who: impl Fn(&Actor) -> bool, part: impl Fn(&Actor) -> f64) -> f64 {
        self.actors.iter().filter(|a| who(a)).map(part).sum()
    }
}

/// Share of the bytes read from devices that are page cache read again: min(1, refaults / reads). The edge from a
/// memory shortage to reads.
#[must_use]
pub fn refault_share(facts: &Facts) -> Option<f64> {
    let memory = facts.host.memory.as_ref().ok()?;
    let reads = memory.read_bytes_per_s.filter(|r| *r > 0.0)?;
    Some((memory.refault_bytes_per_s? / reads).min(1.0))
}

/// Bytes per second to swap and back from which memory does not fit, wherever the limit is.
const SWAPS: f64 = 1_048_576.0;

/// Share of the memory that is available below which PSI memory counts for the whole host.
const SHORT: f64 = 0.1;

/// Utilisation at which the response time of `cpus` servers bends: (c + 1)^(-1/c); 0.58 at 2, 0.76 at 8.
#[must_use]
pub fn knee(cpus: f64) -> f64 {
    (cpus + 1.0).powf(-1.0 / cpus.max(1.0))
}

/// True when the process stands in that group or below it.
#[must_use]
pub fn inside(p: &ProcFacts, group: &CgroupFacts) -> bool {
    let below = |path: &Foreign| {
        let (path, group) = (path.raw(), group.path.raw());
        path.starts_with(group) && path.get(group.len()).is_none_or(|b| *b == b'/')
    };
    let same = |c: Controller| c == group.controller;
    // The root group is that of a container: all that is seen from inside stands in it.
    group.path.raw() == b"/" || p.cgroups.iter().any(|g| same(g.controller) && below(&g.path))
}
