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
    /// Waiting for replies of peers that are not on this host.
    pub peers: f64,
}

impl Actor {
    /// All its foreground time.
    #[must_use]
    pub fn time(&self) -> f64 {
        self.working + self.runnable + self.throttled + self.io_wait + self.peers
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
    /// The part of the waiting for peers that a healthy one takes too: productive.
    pub clean_peers: f64,
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
        let waits = PeerWaits::of(facts, clean);
        // State D without IO pressure is a lock or a dead server, not a disk.
        let io_pressed = facts.host.psi.io.as_ref().map_or(true, |p| p.best() >= 0.005);
        let (mut judged, mut known) = (0.0, 0.0);
        for p in processes.iter().filter(|p| p.weight.value > 0.0) {
            if p.cpu.is_none() {
                // Not read within the window, or new: it counts as foreground that was not seen.
                judged += 1.0;
                continue;
            }
            let mut actor = throttled.actor(p);
            actor.peers = waits.of_process(p.id);
            if actor.time() <= 0.0 {
                continue;
            }
            judged += 1.0;
            known += if p.runnable.is_some() && p.weight.known && p.all_threads { 1.0 } else { 0.0 };
            ledger.io_rounds = p.io_rounds;
            ledger.add(State::Working, actor.working);
            ledger.add(State::CpuRunnable, actor.runnable);
            ledger.add(State::CpuThrottled, actor.throttled);
            ledger.add(if io_pressed { State::IoWait } else { State::TaskBlocked }, actor.io_wait);
            ledger.add(State::PeerReply, actor.peers);
            ledger.actors.push(actor);
        }
        ledger.coverage = if judged > 0.0 { known / judged } else { 1.0 };
        // Reading again what was dropped a moment ago is no productive time, however fast the device is.
        let first_reads = 1.0 - refault_share(facts).unwrap_or(0.0);
        ledger.clean_io = ledger.state(State::IoWait) * clean.io.clamp(0.0, 1.0) * first_reads;
        ledger.add_memory(facts);
        ledger.add(State::PeerReply, waits.of_nobody_known());
        ledger.add_steal(facts);
        ledger.add_network(facts, &waits.rows);
        let clean: f64 = waits.rows.iter().map(|w| w.clean).sum();
        ledger.clean_peers = clean.min(ledger.state(State::PeerReply));
        ledger.peers = waits.rows;
        ledger
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

/// Share of throttled periods from which a throttle explains the whole run delay while CPUs are free.
const OFTEN: f64 = 0.05;

/// Utilisation at which the response time of `cpus` servers bends: (c + 1)^(-1/c); 0.58 at 2, 0.76 at 8.
#[must_use]
pub fn knee(cpus: f64) -> f64 {
    (cpus + 1.0).powf(-1.0 / cpus.max(1.0))
}

/// Groups that were throttled, and how much of their tasks' run delay that is.
struct Throttled<'a> {
    groups: Vec<(&'a CgroupFacts, f64)>,
}

impl<'a> Throttled<'a> {
    fn of(facts: &'a Facts) -> Self {
        let groups = facts.host.cgroups.as_deref().unwrap_or_default();
        let throttled = groups.iter().filter(|g| g.throttled_s_per_s.is_some_and(|t| t > 0.0));
        let busy = facts.host.cpu.as_ref().map_or(1.0, |c| c.busy);
        // With free CPUs there is no other reason to wait. The time throttled alone would miss most of it: it is
        // summed over run queues, while the delay is summed over tasks (measured: 1.5 against 4.8 s/s).
        let room = busy < knee(facts.cpus());
        let with_share = throttled.map(|group| {
            let delay: f64 = facts.processes().iter().filter(|p| inside(p, group)).filter_map(|p| p.runnable).sum();
            let throttled = group.throttled_s_per_s.unwrap_or(0.0);
            let often = group.throttled_share.is_some_and(|s| s >= OFTEN);
            let share = if often && room { 1.0 } else { (throttled / delay.max(1e-9)).min(1.0) };
            (group, share)
        });
        Self { groups: with_share.collect() }
    }

    /// Splits the run delay: what the tightest throttled ancestor explains is not contention.
    fn actor(&self, p: &ProcFacts) -> Actor {
        let tightest = self.groups.iter().filter(|(g, _)| inside(p, g)).max_by(|a, b| a.1.total_cmp(&b.1));
        let share = tightest.map_or(0.0, |(_, share)| *share);
        let w = p.weight.value;
        let delay = p.runnable.unwrap_or(0.0) * w;
        Actor {
            id: p.id,
            family: p.family,
            weight: w,
            working: p.cpu.unwrap_or(0.0) * w,
            runnable: delay * (1.0 - share),
            throttled: delay * share,
            throttled_by: tightest.map(|(g, _)| g.path.clone()),
            io_wait: p.io_wait.unwrap_or(0.0) * w,
            peers: 0.0,
        }
    }
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
