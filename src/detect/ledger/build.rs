//! How the ledger is made of the facts. Formulae: research basis in docs/judgement.md. Pure.

use std::collections::BTreeMap;

use crate::model::facts::{Facts, MemoryFacts};
use crate::model::history::Group;

use super::actor::{Actor, PeerWait};
use super::file_waits::FileWaits;
use super::loss;
use super::pools::{PoolWait, pools};
use super::state::State;
use super::throttled::Throttled;
use super::told::{Sending, Told};
use super::waits::{Baseline, PeerWaits};

/// From ready to running on an idle CPU, seconds for each slice: 6 to 21 µs measured on Linux 6.18 at 170 to 9,200 slices a second.
const DISPATCH_S: f64 = 20e-6;

/// Foreground time by actor and by state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    /// Those with any time and a weight above zero.
    pub actors: Vec<Actor>,
    /// Seconds per second by state.
    pub states: BTreeMap<State, f64>,
    /// The part of the IO wait that the device's baseline would take too, refaults left out: productive.
    pub baseline_io: f64,
    /// The same of the IO of sessions of servers on this host, by state.
    pub baseline_sessions: BTreeMap<State, f64>,
    /// The part of the waiting for peers that a healthy one takes too: productive.
    pub baseline_peers: f64,
    /// The part of the run delay that a thread takes to get onto an idle CPU too: productive.
    pub baseline_run: f64,
    /// Poolers with their queues.
    pub pools: Vec<PoolWait>,
    /// Waits for peers that are not on this host, most waiting first.
    pub peers: Vec<PeerWait>,
    /// Sessions of this host that wait for their client to take what they send.
    pub sending: Vec<Sending>,
    /// Share of the foreground processes whose wait and weight are known, 0..1.
    pub coverage: f64,
    /// Samples behind the IO wait.
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

    /// Makes the ledger, with what servers told of their sessions.
    #[must_use]
    pub fn of(facts: &Facts, baseline: &Baseline<'_>, told: Told) -> Self {
        let processes = facts.processes();
        let mut ledger = Self { coverage: 1.0, ..Self::default() };
        let throttled = Throttled::of(facts);
        let waits = PeerWaits::of(facts, baseline, (&told.addresses, &told.servers));
        // State D without IO pressure is a lock or a dead server, not a disk.
        let io_pressed = facts.host.psi.io.as_ref().map_or(true, |p| p.best() >= 0.005);
        let file_waits = FileWaits::of(facts);
        let (mut judged, mut known) = (0.0, 0.0);
        for p in processes.iter().filter(|p| told.weight(p) > 0.0) {
            let session = told.waits(p);
            if p.cpu.is_none() && session.as_ref().is_none_or(Vec::is_empty) {
                // Not read within the window, or new: it counts as foreground that was not seen.
                judged += 1.0;
                continue;
            }
            let mut actor = throttled.actor(p, told.weight(p));
            let dispatch = p.slices_per_s.unwrap_or(0.0) * DISPATCH_S * actor.weight;
            ledger.baseline_run += dispatch.min(actor.in_state(State::CpuRunnable));
            match session {
                // What a session waits for it says itself.
                Some(waits) => {
                    actor.spent.retain(|(state, _)| !matches!(state, State::IoWait | State::TaskBlocked));
                    waits.into_iter().for_each(|(state, seconds)| actor.spend(state, seconds));
                }
                None => {
                    actor.spend(State::PeerReply, waits.of_process(p.id));
                    actor.spend(State::TaskBlocked, file_waits.of_process(facts, p));
                }
            }
            if !io_pressed {
                let held = actor.take(State::IoWait);
                actor.spend(State::TaskBlocked, held);
            }
            if actor.time() <= 0.0 {
                continue;
            }
            judged += 1.0;
            known += if p.runnable.is_some() && p.weight.known && p.all_threads { 1.0 } else { 0.0 };
            ledger.io_rounds = p.io_rounds;
            ledger.add_actor(actor, baseline.io);
        }
        for actor in told.elsewhere {
            ledger.add_actor(actor, 0.0);
        }
        ledger.coverage = if judged > 0.0 { known / judged } else { 1.0 };
        // Reading again what was dropped a moment ago is no productive time, however fast the device is.
        let first_reads = 1.0 - refault_share(facts).unwrap_or(0.0);
        ledger.baseline_io = ledger.state(State::IoWait) * baseline.io.clamp(0.0, 1.0) * first_reads;
        ledger.pools = pools(facts);
        let queued = ledger.pools.iter().map(|p| p.waiting).sum();
        ledger.add(State::PoolWait, queued);
        ledger.sending = told.sending;
        told.modelled.iter().for_each(|(state, seconds)| ledger.add(*state, *seconds));
        ledger.add_memory(facts);
        ledger.add(State::PeerReply, waits.of_nobody_known());
        ledger.add_steal(facts);
        ledger.add_network(facts, &waits.rows);
        let baseline: f64 = waits.rows.iter().map(|w| w.baseline).sum();
        ledger.baseline_peers = baseline.min(ledger.state(State::PeerReply));
        ledger.peers = waits.rows;
        ledger
    }

    /// An actor with its time; `baseline` is the share of a session's wait for a disk that the device's baseline takes too.
    fn add_actor(&mut self, actor: Actor, baseline: f64) {
        for (state, seconds) in &actor.spent {
            self.add(*state, *seconds);
            if state.disk() && state.of_a_server() && baseline > 0.0 {
                *self.baseline_sessions.entry(*state).or_default() += seconds * baseline.clamp(0.0, 1.0);
            }
        }
        self.actors.push(actor);
    }

    /// The part of a state that would be there on a healthy machine too.
    #[must_use]
    pub fn baseline(&self, state: State) -> f64 {
        match state {
            // What works is productive; a remote session's CPU time cannot be split.
            state if state.group().is_none() => self.state(state),
            State::IoWait => self.baseline_io,
            State::CpuRunnable => self.baseline_run,
            State::PeerReply => self.baseline_peers,
            other => self.baseline_sessions.get(&other).copied().unwrap_or(0.0),
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

    /// What the network costs beside pending responses: loss that nobody here is seen to wait for (a server's answers on
    /// their way), connects without an answer, complete connections that are not accepted.
    fn add_network(&mut self, facts: &Facts, waits: &[PeerWait]) {
        let Ok(sockets) = &facts.host.sockets else { return };
        for loss in loss::by_address(facts) {
            let waited: f64 = waits.iter().filter(|w| w.peer.ip() == loss.ip).map(|w| w.waiting - w.baseline).sum();
            self.add(State::NetworkRetransmit, loss.lost - waited);
        }
        self.add(State::NetworkRetransmit, loss::before_sockets(facts).requests);
        let unanswered = sockets.connecting.iter().filter(|c| c.again > 0.0).map(|c| c.waiting).sum();
        self.add(State::NetworkConnect, unanswered);
        let overflows = facts.host.tcp.as_ref().ok().and_then(|t| t.listen_overflows_per_s);
        let full = sockets.listeners.iter().filter(|l| l.fill().is_some_and(|fill| fill >= 0.9) && l.backs_up(overflows));
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

    /// Share of all waits for disks that the devices' baseline takes too, 0..1.
    #[must_use]
    pub fn baseline_disk_share(&self) -> f64 {
        let disk = || State::ALL.iter().filter(|s| s.disk());
        let all: f64 = disk().map(|s| self.state(*s)).sum();
        let baseline: f64 = disk().map(|s| self.baseline(*s)).sum();
        (baseline / all.max(1e-9)).min(1.0)
    }

    /// Waiting by group, s/s; what healthy devices and peers take too is left out.
    #[must_use]
    pub fn waiting(&self) -> BTreeMap<Group, f64> {
        let mut groups: BTreeMap<Group, f64> = Group::ALL.iter().map(|group| (*group, 0.0)).collect();
        for (state, seconds) in &self.states {
            if let Some(group) = state.group() {
                *groups.entry(group).or_default() += (seconds - self.baseline(*state)).max(0.0);
            }
        }
        groups
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
