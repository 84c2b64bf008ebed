//! The process scan: the only expensive part of the host, so it has a budget and reads as little as it can.
//!
//! `schedstat` tells whether a single-threaded process ran at all since the last sample; one that did not is
//! unchanged and nothing else of it is read. Threads are read where there are several. Past the budget those
//! that matter are read at every sweep and the rest in turn.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::collect::clock;
use crate::collect::root::{Reader, Roots, lack};
use crate::model::foreign::Foreign;
use crate::model::host::{ProcId, ProcIo, ProcRaw, ProcSched, ProcessTable};
use crate::model::seen::Seen;

use super::daemons::LOOKS;
use super::stat;

/// Nanoseconds of scanning per second of interval (DESIGN.md section 5: 5 ms/s).
const BUDGET_NS: u64 = 5_000_000;
/// What the very first scan may take: the first frame waits for it. The processes that it leaves come with the second.
const FIRST_NS: u64 = 30_000_000;
/// Processes that are read at every sweep however many there are.
const INTEREST: usize = 50;
/// Threads read per process and sweep.
const THREADS: usize = 512;
/// Everything of a process is re-read every so many sweeps, changed or not.
const FULL_EVERY: u64 = 5;
/// Sweeps for which the threads of a process that did something are sampled more often.
const LATELY: u64 = 4;
/// A process whose resident pages grew by more than this is asked which of them are its own.
const GROWN_PAGES: u64 = 4;
/// What is true of this sweep.
#[derive(Debug, Clone, Copy)]
pub struct Mode {
    /// Someone waits for a CPU: read every thread's schedstat.
    pub cpu_pressure: bool,
    /// CPUs online.
    pub cpus: usize,
    /// Seconds since the last sweep, for the budget.
    pub interval_s: f64,
    /// Requests wait for a daemon that serves a file system: who waits for it is looked for.
    pub daemons: bool,
}

#[derive(Debug)]
pub(super) struct Thread {
    pub(super) tid: i32,
    pub(super) run_ns: u64,
    pub(super) wait_ns: u64,
    pub(super) slices: u64,
}

#[derive(Debug)]
pub(super) struct Known {
    pub(super) row: Arc<ProcRaw>,
    pub(super) threads: Vec<Thread>,
    /// Sum over exited threads is kept: counters never go back.
    pub(super) sched: ProcSched,
    pub(super) io_denied: bool,
    pub(super) changed: bool,
    /// Ticks used between the last two samples.
    pub(super) recent: u64,
    /// The list of threads was cut: one that slides in did not start just now.
    pub(super) cut: bool,
    /// Its arguments are read once more: a new process shows its parent's until it has called exec.
    pub(super) again: bool,
    /// The sweep in which it did something last.
    pub(super) changed_round: u64,
    /// Threads beside the main one that were in state D in the last sample, with the times that each was on a CPU.
    pub(super) stood: Vec<(i32, u64)>,
    pub(super) round: u64,
}

/// The scan and what it remembers between sweeps.
#[derive(Debug, Default)]
pub struct Processes {
    pub(super) known: HashMap<i32, Known>,
    round: u64,
    pub(super) looks: usize,
    /// Processes that all samples reached so far: the next one begins behind them.
    pub(super) reached: usize,
    /// Some wait for a daemon that serves a file system; and threads that may still be looked at in this sweep for who does.
    pub(super) daemons: bool,
    looks_left: usize,
    row_cost_ns: f64,
    path: PathBuf,
}

impl Processes {
    /// Reads the processes that are due; the others stand as they were.
    ///
    /// # Errors
    /// When the root of /proc cannot be listed.
    pub fn scan(&mut self, reader: &mut Reader, roots: &Roots, mode: Mode) -> Seen<ProcessTable> {
        let started = clock::mono_ns();
        self.round += 1;
        self.daemons = mode.daemons;
        self.looks_left = if mode.daemons { LOOKS } else { 0 };
        let pids = list(&roots.proc)?;
        let budget = BUDGET_NS as f64 * mode.interval_s.clamp(0.25, 5.0);
        let affordable = if self.row_cost_ns > 0.0 { budget / self.row_cost_ns } else { f64::INFINITY };
        let everyone = affordable >= pids.len() as f64 || self.round == 1;
        let stride = (pids.len() as f64 / (affordable - INTEREST as f64).max(20.0)).ceil() as u64;
        let interest = if everyone { Vec::new() } else { self.interest() };
        let (mut fresh, mut unreadable) = (0, 0);
        for (index, pid) in pids.iter().enumerate() {
            let in_turn = everyone || (index as u64 + self.round).is_multiple_of(stride.max(1));
            if !in_turn && self.known.contains_key(pid) && interest.binary_search(pid).is_err() {
                if let Some(known) = self.known.get_mut(pid) {
                    known.round = self.round;
                }
                continue;
            }
            if self.round == 1 && clock::mono_ns() - started > FIRST_NS {
                break;
            }
            match self.read_one(reader, roots, *pid, mode) {
                Some(()) => fresh += 1,
                None => {
                    self.known.remove(pid);
                    unreadable += 1;
                }
            }
        }
        let round = self.round;
        self.known.retain(|_, known| known.round == round);
        let cost = (clock::mono_ns() - started) as f64 / f64::from(fresh.max(1));
        self.row_cost_ns = if self.row_cost_ns > 0.0 { 0.8 * self.row_cost_ns + 0.2 * cost } else { cost };
        let mut rows: Vec<Arc<ProcRaw>> = self.known.values().map(|known| known.row.clone()).collect();
        rows.sort_unstable_by_key(|row| row.id);
        Ok(ProcessTable { rows, fresh, unreadable })
    }

    /// Notes the arguments of a process, once another thread has read them.
    pub fn set_command(&mut self, id: ProcId, command: Foreign) {
        if let Some(known) = self.known.get_mut(&id.pid).filter(|k| k.row.id == id) {
            known.again = std::mem::take(&mut known.again) && known.row.command.is_none();
            known.row_mut().command = Some(command);
        }
    }

    /// Processes whose arguments were not read yet.
    #[must_use]
    pub fn without_command(&self) -> Vec<ProcId> {
        self.known.values().filter(|k| k.row.command.is_none() || k.again).map(|k| k.row.id).collect()
    }

    fn interest(&self) -> Vec<i32> {
        let mut rows: Vec<&Known> = self.known.values().filter(|k| k.changed || k.row.state == 'D').collect();
        rows.sort_unstable_by_key(|k| std::cmp::Reverse((k.row.state == 'D', k.recent, k.row.id)));
        let mut pids: Vec<i32> = rows.iter().take(INTEREST).map(|k| k.row.id.pid).collect();
        pids.sort_unstable();
        pids
    }

    fn file(&mut self, roots: &Roots, pid: i32, name: &str) -> &Path {
        use std::fmt::Write as _;
        let mut text = std::mem::take(&mut self.path).into_os_string().into_string().unwrap_or_default();
        text.clear();
        _ = write!(text, "{}/{pid}/{name}", roots.proc.display());
        self.path = text.into();
        &self.path
    }

    fn read_one(&mut self, reader: &mut Reader, roots: &Roots, pid: i32, mode: Mode) -> Option<()> {
        let (round, now) = (self.round, clock::mono_ns());
        let full = (round + u64::from(pid.unsigned_abs())).is_multiple_of(FULL_EVERY);
        // The kernel's own threads weigh nothing: those that were idle in the last sample are read in turn.
        if let Some(known) = self.known.get_mut(&pid)
            && known.row.kernel
            && !known.changed
            && !full
        {
            known.round = round;
            return Some(());
        }
        let main = reader.parse(self.file(roots, pid, "schedstat"), stat::parse_sched).ok();
        if let Some(known) = self.known.get_mut(&pid)
            && known.row.threads == 1
            && !full
            && !(mode.daemons && round.is_multiple_of(2))
            && main.is_some_and(|m| (m.run_ns, m.slices) == (known.sched.run_ns, known.sched.slices))
        {
            known.changed = false;
            known.round = round;
            known.row_mut().mono_ns = now;
            return Some(());
        }
        let parsed = reader.parse(self.file(roots, pid, "stat"), stat::parse).ok()?;
        let id = ProcId { pid, start: parsed.start };
        if self.known.get(&pid).is_none_or(|known| known.row.id != id) {
            let uid = std::fs::metadata(roots.proc.join(pid.to_string())).ok().map(|m| m.uid());
            let mut known = Known::new(id, uid, &parsed);
            known.again = round > 1 && !parsed.kernel;
            self.known.insert(pid, known);
        }
        // Taken out, so that the paths can be built while it is filled.
        let mut known = self.known.remove(&pid)?;
        let (was_blocked, left) = (known.row.state == 'D', self.looks_left);
        let resident = known.row.rss_pages;
        known.changed = known.update(&parsed, now);
        let may_stand = known.may_stand(round);
        if full || may_stand || known.blocked() || mode.daemons {
            self.looks_left = known.look_for_blocked(reader, self.file(roots, pid, "task"), was_blocked, left);
        }
        if full && mode.cpu_pressure && !known.row.kernel {
            let allowed = reader.parse(self.file(roots, pid, "status"), stat::parse_allowed).ok();
            known.row_mut().pinned = allowed.filter(|cpus| cpus.len() < mode.cpus);
        }
        known.round = round;
        if !known.row.kernel {
            if resident > 0 && parsed.rss_pages > resident + GROWN_PAGES {
                known.row_mut().shared_pages = reader.parse(self.file(roots, pid, "statm"), stat::parse_shared).ok();
            }
            if parsed.threads > 1 {
                if known.changed || full || mode.cpu_pressure {
                    known.read_threads(reader, &roots.proc.join(pid.to_string()).join("task"));
                }
            } else {
                known.single(main, pid);
            }
            if !known.io_denied {
                let io = reader.parse(self.file(roots, pid, "io"), stat::parse_io);
                known.io_denied = io.is_err();
                known.row_mut().io = io.ok().map(|io: ProcIo| io);
            }
            if full || known.changed {
                let groups = reader.read(self.file(roots, pid, "cgroup")).map(stat::parse_cgroups);
                let groups = groups.unwrap_or_default();
                if known.row.cgroups[..] != groups[..] {
                    known.row_mut().cgroups = groups.into();
                }
            }
        }
        known.row_mut().sched = main.map(|_| known.sched);
        self.known.insert(pid, known);
        Some(())
    }
}

impl Known {
    fn new(id: ProcId, uid: Option<u32>, stat: &stat::Stat) -> Self {
        let row = ProcRaw {
            id,
            mono_ns: 0,
            ppid: stat.ppid,
            comm: stat.comm.clone(),
            command: stat.kernel.then(Foreign::default),
            uid,
            state: stat.state,
            session: stat.session,
            tty: stat.tty,
            kernel: stat.kernel,
            cpu_ticks: 0,
            system_ticks: 0,
            nice: stat.nice,
            policy: stat.policy,
            threads: stat.threads,
            rss_pages: 0,
            shared_pages: None,
            major_faults: 0,
            sched: None,
            io: None,
            cgroups: Arc::default(),
            child_ticks: 0,
            processor: 0,
            pinned: None,
            blocked_threads: 0,
            wchan: None,
        };
        let sched = ProcSched::default();
        Self {
            row: Arc::new(row),
            threads: Vec::new(),
            sched,
            io_denied: false,
            changed: true,
            recent: 0,
            cut: false,
            again: false,
            changed_round: 0,
            stood: Vec::new(),
            round: 0,
        }
    }

    /// The row, to be changed: what a sample holds stays as it is.
    pub(super) fn row_mut(&mut self) -> &mut ProcRaw {
        Arc::make_mut(&mut self.row)
    }

    /// True when the process used CPU since the last sample, changed its state, or is new.
    fn update(&mut self, stat: &stat::Stat, now: u64) -> bool {
        let row = Arc::make_mut(&mut self.row);
        let ticks = stat.user_ticks + stat.system_ticks;
        let idle = matches!(stat.state, 'S' | 'I');
        let changed = row.mono_ns == 0 || row.cpu_ticks != ticks || row.state != stat.state || !idle;
        self.recent = ticks.saturating_sub(row.cpu_ticks);
        if row.comm != stat.comm {
            // exec: the arguments are others now.
            row.command = stat.kernel.then(Foreign::default);
        }
        *row = ProcRaw {
            mono_ns: now,
            ppid: stat.ppid,
            comm: if row.comm == stat.comm { row.comm.clone() } else { stat.comm.clone() },
            command: row.command.take(),
            state: stat.state,
            session: stat.session,
            tty: stat.tty,
            cpu_ticks: ticks,
            system_ticks: stat.system_ticks,
            nice: stat.nice,
            policy: stat.policy,
            threads: stat.threads,
            rss_pages: stat.rss_pages,
            major_faults: stat.major_faults,
            cgroups: std::mem::take(&mut row.cgroups),
            child_ticks: stat.child_ticks,
            processor: stat.processor,
            pinned: row.pinned.take(),
            wchan: row.wchan.take(),
            ..*row
        };
        changed
    }

    /// Threads of what worked a moment ago may have come to a stand.
    fn may_stand(&mut self, round: u64) -> bool {
        if self.changed {
            self.changed_round = round;
        }
        self.row.threads > 1 && round - self.changed_round <= LATELY && round.is_multiple_of(2)
    }

    fn single(&mut self, main: Option<ProcSched>, pid: i32) {
        let Some(main) = main else { return };
        self.add_threads(vec![Thread { tid: pid, run_ns: main.run_ns, wait_ns: main.wait_ns, slices: main.slices }], true);
        self.sched.all_threads = true;
    }

    fn read_threads(&mut self, reader: &mut Reader, dir: &Path) {
        let Ok(tids) = list(dir) else { return };
        let mut now = Vec::with_capacity(tids.len());
        for tid in tids.iter().take(THREADS) {
            let one = dir.join(tid.to_string());
            let Ok(sched) = reader.parse(&one.join("schedstat"), stat::parse_sched) else { continue };
            now.push(Thread { tid: *tid, run_ns: sched.run_ns, wait_ns: sched.wait_ns, slices: sched.slices });
        }
        let was_cut = std::mem::replace(&mut self.cut, tids.len() > THREADS);
        self.sched.all_threads = !self.cut;
        // Behind a cut list those that slid into it bring their whole life: they begin at what they show now.
        self.add_threads(now, !was_cut);
    }

    /// Adds what each thread grew by. A thread that is new to a known process counts whole; in the first sample all
    /// do, so that a single-threaded process shows the kernel's own figure.
    fn add_threads(&mut self, now: Vec<Thread>, from_zero: bool) {
        let mut hottest = 0;
        for thread in &now {
            let old = self.threads.iter().find(|t| t.tid == thread.tid);
            let grown = |new: u64, old: Option<u64>| new.saturating_sub(old.unwrap_or(if from_zero { 0 } else { new }));
            let run_ns = grown(thread.run_ns, old.map(|t| t.run_ns));
            hottest = hottest.max(run_ns);
            self.sched.run_ns += run_ns;
            self.sched.wait_ns += grown(thread.wait_ns, old.map(|t| t.wait_ns));
            self.sched.slices += grown(thread.slices, old.map(|t| t.slices));
        }
        self.sched.hottest_ns += hottest;
        self.threads = now;
    }
}

/// Numeric names in a directory, sorted.
pub(super) fn list(dir: &Path) -> Seen<Vec<i32>> {
    let entries = std::fs::read_dir(dir).map_err(|e| lack(dir, &e))?;
    let mut pids: Vec<i32> = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    Ok(pids)
}
