//! One sweep over the fast files, and the samples of task states between two sweeps. Lives on a thread of its own:
//! if it hangs, the screen and all other sources go on.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::collect::root::{Reader, Roots, lack};
use crate::collect::{clock, pace};
use crate::model::foreign::Foreign;
use crate::model::host::{HostSweep, ProcId, PsiRaw, StateHit, StateSampling};
use crate::model::mask;

use super::{cgroup, cpu, daemons, disk, file_locks, kmsg, limits, memory, network, process, psi, tables};

/// Between two samples of IO pressure, while there is some.
const STATE_EVERY: Duration = Duration::from_millis(100);
/// Between two while there is none: a wake-up costs more than what it reads.
const QUIET: Duration = Duration::from_millis(300);
/// Between two where there is no PSI, and each sample must read the states.
const BLIND: Duration = Duration::from_millis(500);
/// Growth of PSI io (µs per [`STATE_EVERY`]) above which task states are sampled.
const STALLED_US: u64 = 500;
/// The unit in which samples are weighted.
const SLOT_NS: u64 = 10_000_000;
/// A longer gap (a suspended machine) says nothing of the time in between.
const LONGEST_SLOTS: u32 = 200;

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// One sample of task states.
#[derive(Debug)]
struct StateSample {
    at_ns: u64,
    hits: Vec<StateHit>,
}

/// A sweep that is asked for.
#[derive(Debug)]
pub struct Request {
    /// Seconds since the last one.
    pub interval_s: f64,
    /// Where the answer goes.
    pub answer: oneshot::Sender<(HostSweep, StateSampling)>,
}

/// Starts the thread; it ends when the sender is dropped.
///
/// # Errors
/// When no thread can be started.
pub fn start(roots: Roots) -> std::io::Result<SyncSender<Request>> {
    let (sender, requests) = sync_channel(1);
    std::thread::Builder::new().name("host".into()).spawn(move || Sweeper::new(roots).run(&requests))?;
    Ok(sender)
}

/// What is remembered between sweeps.
#[derive(Debug)]
pub struct Sweeper {
    roots: Roots,
    reader: Reader,
    processes: process::Processes,
    commands: Commands,
    cgroups: cgroup::Cgroups,
    disks: disk::Disks,
    interfaces: network::Interfaces,
    limits: limits::Limits,
    tables: tables::Tables,
    file_locks: file_locks::FileLocks,
    kmsg: kmsg::Kmsg,
    states: StateSampling,
    io_total_us: Option<u64>,
    cpu_total_us: Option<u64>,
    oom_kills: Option<u64>,
    /// The newest sample; it stands for time that is not over yet.
    last_sample: Option<StateSample>,
}

impl Sweeper {
    /// A sweeper that has seen nothing yet.
    #[must_use]
    pub fn new(roots: Roots) -> Self {
        Self {
            commands: Commands::new(roots.clone()),
            roots,
            reader: Reader::default(),
            processes: process::Processes::default(),
            cgroups: cgroup::Cgroups::default(),
            disks: disk::Disks::default(),
            interfaces: network::Interfaces::default(),
            limits: limits::Limits::default(),
            tables: tables::Tables::default(),
            file_locks: file_locks::FileLocks::default(),
            kmsg: kmsg::Kmsg::default(),
            states: StateSampling::default(),
            io_total_us: None,
            cpu_total_us: None,
            oom_kills: None,
            last_sample: None,
        }
    }

    fn run(mut self, requests: &Receiver<Request>) {
        let mut sample_ns = clock::mono_ns() + nanos(STATE_EVERY);
        let mut looks = 0;
        loop {
            let now_ns = clock::mono_ns();
            match requests.recv_timeout(Duration::from_nanos(sample_ns.saturating_sub(now_ns))) {
                Ok(request) => {
                    let sweep = self.sweep(request.interval_s);
                    let states = std::mem::take(&mut self.states);
                    _ = request.answer.send((sweep, states));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // A sweep must not postpone the next sample for ever.
            let now_ns = clock::mono_ns();
            if now_ns >= sample_ns {
                sample_ns = now_ns + nanos(self.sample_tasks(now_ns).mul_f64(pace::unsteady(looks)));
                looks = looks.wrapping_add(1);
            }
        }
    }

    /// One sample; says when the next one is due. Task states are read only if someone was stalled since the
    /// last sample, and always where there is no PSI to say so.
    fn sample_tasks(&mut self, now_ns: u64) -> Duration {
        let path = self.roots.proc.join("pressure/io");
        let total = psi::read_again(&mut self.reader, &path).ok().map(|p| p.some.total_us);
        let grown = total.zip(self.io_total_us).map(|(new, old)| new.saturating_sub(old));
        self.io_total_us = total;
        let gap_ns = self.last_sample.as_ref().map_or(0, |l| now_ns.saturating_sub(l.at_ns));
        let stalled = grown.is_some_and(|us| us * nanos(STATE_EVERY) > STALLED_US * gap_ns.max(1));
        let hits = self.processes.sample_states(&mut self.reader, &self.roots, !stalled && total.is_some());
        self.settle(StateSample { at_ns: now_ns, hits });
        match total {
            None => BLIND,
            Some(_) if stalled => STATE_EVERY,
            Some(_) => QUIET,
        }
    }

    /// Each sample stands for half the time to the one before it and half the time to the one after: so the share of
    /// the time in which a thread was blocked stays what it is, however uneven the samples are.
    fn settle(&mut self, now: StateSample) {
        let sampling = &mut self.states;
        if let Some(before) = self.last_sample.take() {
            let slots = u32::try_from(now.at_ns.saturating_sub(before.at_ns) / SLOT_NS).unwrap_or(0).min(LONGEST_SLOTS);
            sampling.rounds += slots;
            sampling.looks += 1;
            for (hit, share) in before.hits.iter().map(|h| (h, slots / 2)).chain(now.hits.iter().map(|h| (h, slots - slots / 2)))
            {
                add_hit(
                    &mut sampling.blocked,
                    StateHit { hits: hit.hits * share, syncing: hit.syncing.map(|n| n * share), ..*hit },
                );
            }
        }
        self.last_sample = Some(now);
    }

    /// Reads everything that is fast.
    pub fn sweep(&mut self, interval_s: f64) -> HostSweep {
        let at = clock::now();
        let roots = &self.roots;
        let reader = &mut self.reader;
        let cpu = reader.parse_again(&roots.proc.join("stat"), cpu::parse_stat);
        let load = reader.parse_again(&roots.proc.join("loadavg"), cpu::parse_loadavg);
        let psi = PsiRaw {
            cpu: psi::read_again(reader, &roots.proc.join("pressure/cpu")),
            memory: psi::read_again(reader, &roots.proc.join("pressure/memory")),
            io: psi::read_again(reader, &roots.proc.join("pressure/io")),
        };
        let memory = reader.parse_again(&roots.proc.join("meminfo"), memory::parse_meminfo);
        let vmstat = reader.parse_again(&roots.proc.join("vmstat"), memory::parse_vmstat);
        let disks = self.disks.read(reader, roots);
        let interfaces = self.interfaces.read(reader, roots);
        let tcp = network::read_tcp(reader, roots);
        let files = reader.parse_again(&roots.proc.join("sys/fs/file-nr"), cpu::parse_file_nr);
        let messages = self.kmsg.read(roots);
        let mut limits = self.limits.read(reader, roots);
        let datagrams = self.tables.read(reader, roots, &tcp, &mut limits);
        let file_locks = self.file_locks.read(reader, roots);
        let kills = vmstat.as_ref().ok().and_then(|v| v.oom_kill);
        let killed = self.oom_kills.is_some() && kills != self.oom_kills;
        self.oom_kills = kills;
        let cgroups = self.cgroups.read(reader, roots, killed);
        let cpu_total = psi.cpu.as_ref().ok().map(|p| p.some.total_us);
        let grown = cpu_total.zip(self.cpu_total_us).map(|(new, old)| new.saturating_sub(old));
        let mode = process::Mode {
            // Without PSI the threads are always read.
            cpu_pressure: grown.is_none_or(|us| us as f64 > interval_s * 20_000.0),
            cpus: cpu.as_ref().map_or(0, |c| c.cores.len()),
            interval_s,
            daemons: daemons::waiting(reader, roots) > 0,
        };
        self.cpu_total_us = cpu_total;
        for (id, command) in self.commands.answers() {
            self.processes.set_command(id, command);
        }
        let processes = self.processes.scan(reader, roots, mode);
        self.commands.ask(&self.processes.without_command());
        HostSweep {
            at,
            cpu,
            load,
            psi,
            memory,
            vmstat,
            disks,
            interfaces,
            tcp,
            files,
            messages,
            limits,
            datagrams,
            file_locks,
            cgroups,
            processes,
        }
    }
}

fn add_hit(all: &mut Vec<StateHit>, hit: StateHit) {
    match all.iter_mut().find(|h| h.id == hit.id) {
        Some(known) => {
            known.hits += hit.hits;
            known.syncing = known.syncing.zip(hit.syncing).map(|(a, b)| a + b);
        }
        None => all.push(hit),
    }
}

/// Reads arguments of processes apart from the sweep: the kernel needs the target's memory lock for them, and
/// waits for it for ever when the target hangs in it.
#[derive(Debug)]
struct Commands {
    roots: Roots,
    worker: Option<Worker>,
    /// Who made a worker hang: never asked again.
    hung: Vec<ProcId>,
    asked: Vec<ProcId>,
}

#[derive(Debug)]
struct Worker {
    queue: SyncSender<ProcId>,
    answers: Receiver<(ProcId, Foreign)>,
    /// What is under way, oldest first, and since when there was no progress.
    out: Vec<ProcId>,
    quiet_since_ns: u64,
}

impl Commands {
    const QUEUE: usize = 256;
    const PATIENCE_NS: u64 = 300_000_000;
    const HANGS: usize = 2;

    fn new(roots: Roots) -> Self {
        Self { roots, worker: None, hung: Vec::new(), asked: Vec::new() }
    }

    fn ask(&mut self, wanted: &[ProcId]) {
        self.asked.retain(|id| wanted.binary_search(id).is_ok() || wanted.contains(id));
        let fresh: Vec<ProcId> = wanted.iter().filter(|id| !self.asked.contains(id)).copied().collect();
        if fresh.is_empty() || self.hung.len() >= Self::HANGS {
            return;
        }
        if self.worker.is_none() {
            self.worker = Worker::start(self.roots.clone());
        }
        let Some(worker) = &mut self.worker else { return };
        for id in fresh {
            if worker.out.is_empty() {
                worker.quiet_since_ns = clock::mono_ns();
            }
            if worker.queue.try_send(id).is_err() {
                break;
            }
            worker.out.push(id);
            self.asked.push(id);
        }
    }

    fn answers(&mut self) -> Vec<(ProcId, Foreign)> {
        let Some(worker) = &mut self.worker else { return Vec::new() };
        let got: Vec<_> = worker.answers.try_iter().collect();
        let now = clock::mono_ns();
        if !got.is_empty() {
            self.asked.retain(|id| !got.iter().any(|(g, _)| g == id));
            worker.out.retain(|id| !got.iter().any(|(g, _)| g == id));
            worker.quiet_since_ns = now;
        }
        if let Some(first) = worker.out.first().copied()
            && now.saturating_sub(worker.quiet_since_ns) > Self::PATIENCE_NS
        {
            // Left behind with its thread; the others are asked again by a new one.
            self.hung.push(first);
            self.asked.retain(|id| *id == first || !worker.out.contains(id));
            self.worker = None;
        }
        got
    }
}

impl Worker {
    fn start(roots: Roots) -> Option<Self> {
        let (queue, ids) = sync_channel::<ProcId>(Commands::QUEUE);
        let (sender, answers) = sync_channel(2 * Commands::QUEUE);
        let work = move || {
            let mut reader = Reader::default();
            for id in ids {
                let path = roots.proc.join(id.pid.to_string()).join("cmdline");
                let command = match reader.read(&path) {
                    Ok(raw) => Foreign::new(&mask::command_line(&raw[..raw.len().min(2048)])),
                    Err(_) => Foreign::default(),
                };
                if sender.send((id, command)).is_err() {
                    return;
                }
            }
        };
        let spawned = std::thread::Builder::new().name("cmdline".into()).stack_size(256 << 10).spawn(work);
        spawned.map_err(|e| lack(std::path::Path::new("thread"), &e)).ok()?;
        Some(Self { queue, answers, out: Vec::new(), quiet_since_ns: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweeper(proc: &std::path::Path) -> Sweeper {
        Sweeper::new(Roots { proc: proc.to_path_buf(), ..Roots::default() })
    }

    #[test]
    fn a_look_stands_for_half_the_time_on_either_side() {
        let id = ProcId { pid: 9, start: 1 };
        let blocked = |hits: u32| if hits > 0 { vec![StateHit { id, hits, syncing: Some(hits / 2) }] } else { Vec::new() };
        let mut one = sweeper(std::path::Path::new("/nowhere"));
        // Quiet for 300 ms, two samples 100 ms apart that see two threads, quiet again after 300 ms.
        for (at_ms, hits) in [(0, 0), (300, 2), (400, 2), (700, 0)] {
            one.settle(StateSample { at_ns: at_ms * 1_000_000, hits: blocked(hits) });
        }
        assert_eq!((one.states.rounds, one.states.looks), (70, 3));
        // (300/2 + 100 + 300/2) ms x 2 threads.
        assert_eq!(one.states.blocked, [StateHit { id, hits: 80, syncing: Some(40) }]);
    }

    #[test]
    fn a_machine_that_slept_counts_for_no_more_than_two_seconds() {
        let mut one = sweeper(std::path::Path::new("/nowhere"));
        one.settle(StateSample { at_ns: 0, hits: Vec::new() });
        one.settle(StateSample { at_ns: 3_600_000_000_000, hits: Vec::new() });
        assert_eq!(one.states.rounds, LONGEST_SLOTS);
    }

    /// One that sleeps until a FUSE daemon answers counts like one in state D; while no request waits for one nobody is looked at.
    #[test]
    fn who_waits_for_a_daemon_is_blocked() {
        let state = |waiting: &str, place: &str| {
            let dir = super::super::tempdir::Dir::new();
            let (task, fuse) = (dir.path().join("42/task/42"), dir.path().join("fs/fuse/connections/40"));
            std::fs::create_dir_all(&task).unwrap();
            std::fs::create_dir_all(&fuse).unwrap();
            std::fs::write(fuse.join("waiting"), waiting).unwrap();
            std::fs::write(task.join("wchan"), place).unwrap();
            let stat = "42 (ls) S 1 1 1 0 -1 0 0 0 0 0 5 5 0 0 20 0 1 0 77 1000 10 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0";
            for file in [dir.path().join("42/stat"), task.join("stat")] {
                std::fs::write(file, stat).unwrap();
            }
            let roots = Roots { proc: dir.path().to_path_buf(), sys: dir.path().to_path_buf() };
            let table = Sweeper::new(roots).sweep(1.0).processes.unwrap();
            table.rows.iter().find(|row| row.id.pid == 42).unwrap().state
        };
        assert_eq!(state("1", "request_wait_answer"), 'D');
        assert_eq!(state("0", "request_wait_answer"), 'S');
        assert_eq!(state("1", "ep_poll"), 'S');
    }

    #[test]
    fn without_psi_the_states_are_read_at_each_look() {
        let dir = super::super::tempdir::Dir::new();
        let task = dir.path().join("42/task/42");
        std::fs::create_dir_all(&task).unwrap();
        let stat = "42 (stuck) D 1 1 1 0 -1 0 0 0 0 0 5 5 0 0 20 0 1 0 77 1000 10 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0";
        for file in [dir.path().join("42/stat"), task.join("stat")] {
            std::fs::write(file, stat).unwrap();
        }
        let mut one = sweeper(dir.path());
        one.sweep(1.0);
        for at_ms in [500, 1000, 1500] {
            assert_eq!(one.sample_tasks(at_ms * 1_000_000), BLIND);
        }
        assert_eq!((one.states.rounds, one.states.looks), (100, 2));
        assert_eq!(one.states.blocked.first().map(|h| (h.id.pid, h.hits)), Some((42, 100)));
    }
}
