//! Processes over the window: on a CPU, waiting for one, waiting for IO.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::counter::delta;
use crate::model::host::{HostSweep, ProcId, ProcRaw, Serving};
use crate::model::sample::Snapshot;
use crate::model::seen::Seen;

use super::foreground::{Judge, Weight, WeightOverrides};
use super::process::ProcFacts;
use super::reaped::{Reaped, io_written, reaped};

pub(super) fn derive(
    old: Option<&HostSweep>,
    new: &HostSweep,
    sweeps: &[&HostSweep],
    window: &[Arc<Snapshot>],
    overrides: &WeightOverrides,
) -> Seen<Vec<ProcFacts>> {
    let table = new.processes.as_ref().map_err(Clone::clone)?;
    let newest = &window[window.len() - 1];
    let identity = newest.identity.as_deref();
    let ticks_per_s = identity.map_or(100.0, |i| i.ticks_per_s as f64);
    let context = Context {
        new,
        old,
        ticks_per_s,
        page_bytes: identity.map_or(4096, |i| i.page_bytes),
        judge: Judge { self_pid: identity.map_or(0, |i| i.self_pid), ticks_per_s, overrides },
        older: old.and_then(|o| o.processes.as_ref().ok()).map(|t| by_id(&t.rows)).unwrap_or_default(),
        reaped: reaped(old, sweeps, &table.rows, ticks_per_s),
        blocked: blocked(sweeps, window),
        stuck: stuck(sweeps, new),
        serving: &newest.serving,
        families: families(&table.rows),
    };
    Ok(table.rows.iter().map(|row| context.one(row)).collect())
}

fn by_id(rows: &[Arc<ProcRaw>]) -> HashMap<ProcId, &ProcRaw> {
    rows.iter().map(|row| (row.id, &**row)).collect()
}

/// What the samples within the window stand for, how many there were, and who was blocked for how much of that: the samples
/// between sweeps, and the state letter of each sweep but the oldest.
fn blocked(sweeps: &[&HostSweep], window: &[Arc<Snapshot>]) -> Blocked {
    let mut all = Blocked::default();
    for sampling in window.iter().skip(1).filter_map(|s| s.states.as_deref()) {
        all.slots += sampling.rounds;
        // Recordings from before samples were weighted: each round is a sample.
        all.looks += if sampling.looks == 0 { sampling.rounds } else { sampling.looks };
        for hit in &sampling.blocked {
            let (hits, syncing) = all.of.entry(hit.id).or_insert((0, Some(0)));
            *hits += hit.hits;
            *syncing = syncing.zip(hit.syncing).map(|(a, b)| a + b);
        }
    }
    for table in sweeps.iter().skip(1).filter_map(|s| s.processes.as_ref().ok()) {
        (all.slots, all.looks) = (all.slots + 1, all.looks + 1);
        for row in table.rows.iter().filter(|r| r.state == 'D') {
            all.of.entry(row.id).or_insert((0, Some(0))).0 += 1;
        }
    }
    all
}

/// Who was seen in state D.
#[derive(Default)]
struct Blocked {
    /// What the samples stand for.
    slots: u32,
    looks: u32,
    /// Slots in state D, and those of them inside fsync, where that may be read.
    of: HashMap<ProcId, (u32, Option<u32>)>,
}

/// Threads of a process that hang: in one wait for as long as no disk takes, in a place that no disk answers, and it moves nothing.
fn hung(row: &ProcRaw, blocked_s: f64, bytes_per_s: f64) -> f64 {
    const LONG_S: f64 = 4.0;
    // A page a second: what still moves is slow, not stuck, though it waits for a lock whose holder waits for the disk.
    const MOVES: f64 = 4096.0;
    // Beginnings of functions of the kernel (fs, mm, block, md, jbd2, xfs, btrfs) in which a task waits for a device or its throttle.
    const DISK: [&str; 30] = [
        "io_schedule",
        "folio_wait",
        "wait_on_page",
        "__wait_on_buffer",
        "bit_wait_io",
        "out_of_line_wait",
        "blk_",
        "__blk",
        "blkdev_",
        "blkcg_",
        "rq_qos",
        "wbt_",
        "submit_bio",
        "bio_",
        "throtl",
        "balance_dirty",
        "jbd2_",
        "do_get_write_access",
        "wait_transaction",
        "xlog_",
        "xfs_buf",
        "xfs_log",
        "_xfs_log",
        "btrfs_",
        "dm_",
        "md_",
        "raid",
        "nvme",
        "scsi",
        "swap",
    ];
    let Some(place) = row.wchan.as_ref().filter(|_| blocked_s >= LONG_S && bytes_per_s < MOVES) else { return 0.0 };
    if DISK.iter().any(|begins| place.shown().starts_with(begins)) {
        return 0.0;
    }
    f64::from(row.blocked_threads) + if row.state == 'D' { 1.0 } else { 0.0 }
}

/// Those in state D now, and since when they were at every sweep of the window.
fn stuck(sweeps: &[&HostSweep], new: &HostSweep) -> HashMap<ProcId, f64> {
    let mut since: HashMap<ProcId, f64> = HashMap::new();
    let mut alive: Option<std::collections::HashSet<ProcId>> = None;
    let slices = |row: &ProcRaw| row.sched.filter(|_| row.threads == 1).map(|s| s.slices);
    let newest: HashMap<ProcId, Option<u64>> =
        new.processes.iter().flat_map(|t| &t.rows).filter(|r| r.state == 'D').map(|r| (r.id, slices(r))).collect();
    // One that was on a CPU in between starts a new wait each time: it makes progress.
    let same_wait = |row: &ProcRaw| newest.get(&row.id).is_none_or(|now| now.zip(slices(row)).is_none_or(|(a, b)| a == b));
    for sweep in sweeps.iter().rev() {
        let Ok(table) = &sweep.processes else { break };
        let blocked =
            table.rows.iter().filter(|r| (r.state == 'D' && same_wait(r) || r.blocked_threads > 0) && !r.kernel).map(|r| r.id);
        let still: std::collections::HashSet<ProcId> = match &alive {
            Some(before) => blocked.filter(|id| before.contains(id)).collect(),
            None => blocked.collect(),
        };
        let age_s = new.at.mono_ns.saturating_sub(sweep.at.mono_ns) as f64 / 1e9;
        still.iter().for_each(|id| _ = since.insert(*id, age_s));
        if still.is_empty() {
            break;
        }
        alive = Some(still);
    }
    since
}

/// Each process' oldest ancestor that runs the same program: the same arguments (a fork), or a name that begins
/// alike (`stress-ng-cpu` under `stress-ng`). Interpreters must have the same arguments, their names say nothing.
fn families(rows: &[Arc<ProcRaw>]) -> HashMap<ProcId, ProcId> {
    const LIMIT: usize = 8;
    let by_pid: HashMap<i32, &ProcRaw> = rows.iter().map(|row| (row.id.pid, &**row)).collect();
    let root = |row: &ProcRaw| {
        let mut top = row;
        for _ in 0..LIMIT {
            match by_pid.get(&top.ppid) {
                Some(parent) if parent.id.pid > 2 && same_program(parent, top) => top = parent,
                _ => break,
            }
        }
        top.id
    };
    rows.iter().map(|row| (row.id, root(row))).collect()
}

fn same_program(parent: &ProcRaw, child: &ProcRaw) -> bool {
    const INTERPRETERS: [&str; 12] =
        ["sshd", "python", "perl", "ruby", "node", "java", "php", "sh", "bash", "dash", "zsh", "busybox"];
    let command = |row: &ProcRaw| row.command.clone().filter(|c| !c.is_empty());
    if command(parent).is_some() && command(parent) == command(child) {
        return true;
    }
    let (a, b) = (parent.comm.shown(), child.comm.shown());
    let interpreter = |name: &str| INTERPRETERS.iter().any(|i| name.starts_with(i) || name.ends_with(".sh"));
    a.len() >= 4 && b.starts_with(a) && !interpreter(a)
}

struct Context<'a> {
    new: &'a HostSweep,
    old: Option<&'a HostSweep>,
    ticks_per_s: f64,
    page_bytes: u64,
    judge: Judge<'a>,
    older: HashMap<ProcId, &'a ProcRaw>,
    /// What is known of children that ended, by the parent that took it over.
    reaped: HashMap<i32, Reaped>,
    blocked: Blocked,
    /// Seconds for which those in state D were in it at every sweep.
    stuck: HashMap<ProcId, f64>,
    serving: &'a Seen<Arc<Serving>>,
    families: HashMap<ProcId, ProcId>,
}

/// CPUs used within the window. Scheduler time is finer than ticks; it covers all threads only when the threads were read.
fn run_or_ticked(before: Option<&ProcRaw>, row: &ProcRaw, dt_s: Option<f64>, ticks_per_s: f64) -> Option<f64> {
    let per_s = |field: &dyn Fn(&ProcRaw) -> Option<u64>| {
        let from = before.map_or(Some(0), field)?;
        Some(delta(from, field(row)?)? as f64 / dt_s?)
    };
    let run = per_s(&|r| r.sched.filter(|s| s.all_threads).map(|s| s.run_ns)).map(|ns| ns / 1e9);
    let ticked = per_s(&|r| Some(r.cpu_ticks)).map(|t| t / ticks_per_s);
    let grain = dt_s.map_or(0.0, |dt| 3.0 / ticks_per_s / dt);
    // Threads that have ended are in the process' ticks only; where those say clearly more, they are right.
    let ended = row.threads > 1 || before.is_some_and(|b| b.threads > 1);
    let run = run.map(|run| ticked.filter(|t| ended && *t > run * 1.2 + grain).unwrap_or(run));
    run.or(ticked)
}

impl Context<'_> {
    /// The older reading and the seconds in between. A process that started within the window counts from zero.
    fn base(&self, row: &ProcRaw) -> (Option<&ProcRaw>, Option<f64>) {
        let Some(old) = self.old else { return (None, None) };
        let dt = |from: u64| row.mono_ns.checked_sub(from).filter(|ns| *ns > 0).map(|ns| ns as f64 / 1e9);
        if let Some(before) = self.older.get(&row.id) {
            return (Some(before), dt(before.mono_ns));
        }
        let started_ns = row.id.start as f64 / self.ticks_per_s * 1e9;
        let young = started_ns + 1e7 >= old.at.boot_ns as f64;
        (None, young.then(|| dt(old.at.mono_ns)).flatten())
    }

    fn one(&self, row: &ProcRaw) -> ProcFacts {
        let (before, dt_s) = self.base(row);
        let per_s = |field: &dyn Fn(&ProcRaw) -> Option<u64>| {
            let from = before.map_or(Some(0), field)?;
            Some(delta(from, field(row)?)? as f64 / dt_s?)
        };
        let ticks = |field: &dyn Fn(&ProcRaw) -> Option<u64>| per_s(field).map(|t| t / self.ticks_per_s);
        let (hits, syncing) = self.blocked.of.get(&row.id).copied().unwrap_or((0, Some(0)));
        let share = |slots: u32| f64::from(slots) / f64::from(self.blocked.slots.max(1));
        let looked = self.blocked.slots > 0 && !row.kernel;
        let io_wait = looked.then(|| share(hits));
        let blocked_s = self.stuck.get(&row.id).copied().unwrap_or(0.0);
        let taken = self.reaped.get(&row.id.pid).copied().unwrap_or_default();
        let own = |per_s: f64, taken: u64| (per_s - taken as f64 / dt_s.unwrap_or(1.0)).max(0.0);
        let read = per_s(&|r| r.io.map(|io| io.read_bytes)).map(|v| own(v, taken.read_bytes));
        let written = per_s(&|r| r.io.map(io_written)).map(|v| own(v, taken.written_bytes));
        let children = |known: u64| {
            let all = before.and_then(|_| per_s(&|r| Some(r.child_ticks)))?;
            Some((all - known as f64 / dt_s.unwrap_or(1.0)).max(0.0) / self.ticks_per_s)
        };
        let moves = read.zip(written).map(|(read, written)| read + written);
        let rss = |r: &ProcRaw| r.rss_pages as f64 * self.page_bytes as f64;
        ProcFacts {
            id: row.id,
            ppid: row.ppid,
            name: row.comm.clone(),
            command: row.command.clone(),
            uid: row.uid,
            state: row.state,
            nice: row.nice,
            policy: row.policy,
            threads: row.threads,
            kernel: row.kernel,
            cpu: run_or_ticked(before, row, dt_s, self.ticks_per_s),
            hottest: per_s(&|r| r.sched.filter(|s| s.all_threads && s.hottest_ns > 0).map(|s| s.hottest_ns)).map(|ns| ns / 1e9),
            system: ticks(&|r| Some(r.system_ticks)),
            runnable: per_s(&|r| r.sched.map(|s| s.wait_ns)).map(|ns| ns / 1e9),
            all_threads: row.sched.is_some_and(|s| s.all_threads),
            io_wait,
            io_rounds: self.blocked.looks,
            sync_wait: syncing.filter(|_| looked).map(share),
            read_bytes_per_s: read,
            write_bytes_per_s: written,
            rss_bytes: row.rss_pages * self.page_bytes,
            private_bytes: row.rss_pages.saturating_sub(row.shared_pages.unwrap_or(0)) * self.page_bytes,
            rss_growth_bytes_per_s: dt_s.map(|dt| (rss(row) - before.map_or(0.0, rss)) / dt),
            major_faults_per_s: per_s(&|r| Some(r.major_faults)),
            cgroups: row.cgroups.clone(),
            slices_per_s: per_s(&|r| r.sched.filter(|s| s.all_threads).map(|s| s.slices)),
            children_cpu: children(taken.ticks_before),
            short_lived_cpu: children(taken.ticks),
            processor: row.processor,
            pinned: row.pinned.clone(),
            blocked_s,
            hung: moves.map_or(0.0, |bytes| hung(row, blocked_s, bytes)).min(io_wait.unwrap_or(0.0)),
            wchan: row.wchan.clone(),
            weight: Weight::judge(row, self.serving, &self.judge),
            listens: self.listens(row.id),
            serves_tcp: self
                .serving
                .as_ref()
                .ok()
                .and_then(|s| s.of(row.id))
                .is_some_and(|p| p.accepted > 0 || !p.listens.is_empty()),
            serves: self.serves(row),
            session_leader: row.session == row.id.pid && row.tty != 0,
            family: self.families.get(&row.id).copied().unwrap_or(row.id),
            age_s: (self.new.at.mono_ns.saturating_sub(row.mono_ns)) as f64 / 1e9,
        }
    }

    fn serves(&self, row: &ProcRaw) -> Option<bool> {
        let serving = self.serving.as_ref().ok()?;
        let found = serving.of(row.id).is_some();
        let older = row.id.start as f64 / self.ticks_per_s * 1e9 <= serving.boot_ns as f64;
        (found || (older && serving.unreadable.binary_search(&row.id).is_err())).then_some(found)
    }

    fn listens(&self, id: ProcId) -> Vec<u16> {
        let Ok(serving) = self.serving else { return Vec::new() };
        serving.of(id).map(|p| p.listens.clone()).unwrap_or_default()
    }
}
