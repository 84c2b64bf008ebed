//! The ledger: every foreground actor-second is in exactly one state; the states sum to the foreground time T.
//!
//! An actor here is a process (all its threads); its second per second can exceed 1. Weights are those of
//! `model::facts::Weight`. Formulae: research basis in docs/judgement.md.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::facts::{CgroupFacts, Facts, ProcFacts};
use crate::model::foreign::Foreign;
use crate::model::host::{Controller, ProcId};

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
}

impl Actor {
    /// All its foreground time.
    #[must_use]
    pub fn time(&self) -> f64 {
        self.working + self.runnable + self.throttled + self.io_wait
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
    /// Share of the foreground processes whose wait and weight are known, 0..1.
    pub coverage: f64,
    /// Looks behind the sampled IO wait.
    pub io_rounds: u32,
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

    /// Makes the ledger. `clean_share` is the part of an IO wait that the devices take when they are clean.
    #[must_use]
    pub fn of(facts: &Facts, clean_share: f64) -> Self {
        let processes = facts.processes();
        let mut ledger = Self { coverage: 1.0, ..Self::default() };
        let throttled = Throttled::of(facts);
        // State D without IO pressure is a lock or a dead server, not a disk.
        let io_pressed = facts.host.psi.io.as_ref().map_or(true, |p| p.best() >= 0.005);
        let (mut judged, mut known) = (0.0, 0.0);
        for p in processes.iter().filter(|p| p.weight.value > 0.0) {
            if p.cpu.is_none() {
                // Not read within the window, or new: it counts as foreground that was not seen.
                judged += 1.0;
                continue;
            }
            let actor = throttled.actor(p);
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
            ledger.actors.push(actor);
        }
        ledger.coverage = if judged > 0.0 { known / judged } else { 1.0 };
        // Reading again what was dropped a moment ago is no productive time, however fast the device is.
        let first_reads = 1.0 - refault_share(facts).unwrap_or(0.0);
        ledger.clean_io = ledger.state(State::IoWait) * clean_share.clamp(0.0, 1.0) * first_reads;
        ledger.add_memory(facts);
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
        // With plenty available the stall is some group's own limit, not the host's shortage.
        let short = facts.host.memory.as_ref().is_ok_and(|m| m.used >= 1.0 - SHORT);
        if !self.actors.is_empty() && stalled >= 0.005 && short {
            self.add(State::MemoryStalled, (stalled - in_io).max(0.0));
        }
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
