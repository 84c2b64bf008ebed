//! What a program does with its own time: in shares of the time in which it works or waits, asleep without a known cause left out.

use std::net::SocketAddr;

use crate::detect::ledger::inside;
use crate::detect::verdict::Facts;
use crate::model::facts::{CgroupFacts, Facts as World, ProcFacts};

/// Bytes per second to swap and back from which waits for memory on disk are waits for swap.
const SWAPS: f64 = 1_048_576.0;

/// What a part of the time goes to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    /// On a CPU.
    Work,
    /// In the run queue.
    Queue,
    /// Stopped by the quota of that group.
    Quota(String),
    /// Inside fsync and its kind.
    Flush,
    /// Waits for data to come from a disk.
    Read,
    /// Waits for data to go to a disk.
    Write,
    /// Waits for its own memory to come back from swap.
    Swap,
    /// Waits for that address to answer.
    Peer(SocketAddr),
}

impl Part {
    /// A wait for a disk.
    pub const fn disk(&self) -> bool {
        matches!(self, Self::Flush | Self::Read | Self::Write | Self::Swap)
    }

    /// A wait for someone else.
    pub const fn peer(&self) -> bool {
        matches!(self, Self::Peer(_))
    }
}

/// The time of one program, seconds per second, unweighted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OwnTime {
    /// Each part once, the largest first.
    pub parts: Vec<(Part, f64)>,
    /// On a CPU.
    pub work: f64,
    /// Of it in the kernel.
    pub system: f64,
    /// Of it the busiest thread; `None` where threads were not read.
    pub hottest: Option<f64>,
    /// Bytes read per second.
    pub read: f64,
    /// Bytes written per second.
    pub written: f64,
}

impl OwnTime {
    /// Of these processes.
    pub fn of(facts: &Facts<'_>, members: &[&ProcFacts]) -> Self {
        let sum = |part: &dyn Fn(&ProcFacts) -> f64| members.iter().map(|p| part(p)).sum::<f64>();
        let read = sum(&|p| p.read_bytes_per_s.unwrap_or(0.0));
        let written = sum(&|p| p.write_bytes_per_s.unwrap_or(0.0));
        let work = sum(&|p| p.cpu.unwrap_or(0.0));
        let flush = sum(&|p| p.sync_wait.unwrap_or(0.0));
        // What hangs is no disk.
        let disk = sum(&|p| (p.io_wait.unwrap_or(0.0) - p.hung - p.sync_wait.unwrap_or(0.0)).max(0.0));
        let ready = sum(&|p| p.runnable.unwrap_or(0.0));
        let mut parts = vec![(Part::Work, work), (Part::Flush, flush)];
        parts.push((throttled(facts.world, members).map_or(Part::Queue, Part::Quota), ready));
        let kind = match read >= written {
            true if swaps(facts.world, members) => Part::Swap,
            true => Part::Read,
            false => Part::Write,
        };
        parts.push((kind, disk));
        parts.extend(peers(facts.world, members));
        parts.retain(|(_, seconds)| *seconds > 0.0);
        parts.sort_by(|a, b| b.1.total_cmp(&a.1));
        let hottest = members.iter().filter_map(|p| if one_at_a_time(p) { p.cpu } else { p.hottest }).reduce(f64::max);
        Self { parts, work, system: sum(&|p| p.system.unwrap_or(0.0)).min(work), hottest, read, written }
    }

    /// All of it.
    pub fn total(&self) -> f64 {
        self.parts.iter().map(|(_, seconds)| seconds).sum()
    }

    /// One thread is full and does nearly all of the work, at least that part of the time.
    pub fn one_thread(&self, full: f64) -> bool {
        const NEARLY_ALL: f64 = 0.7;
        self.hottest.is_some_and(|hottest| hottest >= full && hottest >= NEARLY_ALL * self.work)
    }
}

/// An interpreter with a lock around it all: however many threads it has, one of them works.
fn one_at_a_time(p: &ProcFacts) -> bool {
    const INTERPRETERS: [&str; 7] = ["python", "ruby", "gunicorn", "uwsgi", "celery", "puma", "unicorn"];
    // What it calls may leave the lock, and work on several CPUs.
    p.threads > 1 && p.cpu.is_some_and(|cpu| cpu <= 1.05) && INTERPRETERS.iter().any(|i| p.name.shown().starts_with(i))
}

/// The group whose quota stops most of them.
fn throttled(world: &World, members: &[&ProcFacts]) -> Option<String> {
    const OFTEN: f64 = 0.05;
    let share = |g: &CgroupFacts| g.throttled_share.unwrap_or(0.0);
    let stops = |g: &&CgroupFacts| share(g) >= OFTEN && members.iter().any(|p| inside(p, g));
    let worst = world.host.cgroups.iter().flatten().filter(stops).max_by(|a, b| share(a).total_cmp(&share(b)));
    worst.map(|g| g.path.shown().to_owned())
}

/// The host swaps in, and they take most of the faults that go to a disk.
fn swaps(world: &World, members: &[&ProcFacts]) -> bool {
    let back = world.host.memory.as_ref().is_ok_and(|m| m.swap_in_bytes_per_s.is_some_and(|b| b >= SWAPS));
    if !back {
        return false;
    }
    let faults = |p: &ProcFacts| p.major_faults_per_s.unwrap_or(0.0);
    let all: f64 = world.processes().iter().map(faults).sum();
    let mine: f64 = members.iter().map(|p| faults(p)).sum();
    mine > 0.0 && mine * 2.0 >= all
}

/// Their pending responses, by address: at most one for each of their threads that does nothing else.
fn peers(world: &World, members: &[&ProcFacts]) -> Vec<(Part, f64)> {
    let links = world.host.sockets.iter().flat_map(|s| &s.peers).filter(|l| members.iter().any(|p| l.owner == Some(p.id)));
    let waits: Vec<(Part, f64)> = links.filter(|l| l.fresh > 0.0).map(|l| (Part::Peer(l.peer), l.fresh)).collect();
    let all: f64 = waits.iter().map(|(_, s)| s).sum();
    let threads: f64 = members.iter().map(|p| f64::from(p.threads)).sum();
    let busy: f64 = members.iter().map(|p| p.cpu.unwrap_or(0.0) + p.runnable.unwrap_or(0.0) + p.io_wait.unwrap_or(0.0)).sum();
    let room = ((threads - busy).max(0.0) / all.max(1e-9)).min(1.0);
    waits.into_iter().map(|(part, seconds)| (part, seconds * room)).collect()
}
