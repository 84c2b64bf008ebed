//! One sweep over the fast files, and the looks at task states between two sweeps. Lives on a thread of its own:
//! if it hangs, the screen and all other sources go on.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::collect::clock;
use crate::collect::root::{Reader, Roots, lack};
use crate::model::foreign::Foreign;
use crate::model::host::{HostSweep, ProcId, PsiRaw, StateHit, StateSampling};
use crate::model::mask;

use super::{cgroup, cpu, disk, memory, network, process, psi};

/// Between two looks at IO pressure, while there is some.
const LOOK: Duration = Duration::from_millis(100);
/// Looks that one stands for while all is quiet: a wake-up costs more than what it reads.
const QUIET: u32 = 3;
/// Growth of PSI io (µs per [`LOOK`]) above which task states are sampled.
const STALLED_US: u64 = 500;
/// Without PSI states are sampled at every so many looks.
const BLIND_EVERY: u32 = 6;

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
    states: StateSampling,
    io_total_us: Option<u64>,
    cpu_total_us: Option<u64>,
    oom_kills: Option<u64>,
    looks: u32,
    /// Looks that the next one stands for.
    stride: u32,
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
            states: StateSampling::default(),
            io_total_us: None,
            cpu_total_us: None,
            oom_kills: None,
            looks: 0,
            stride: 1,
        }
    }

    fn run(mut self, requests: &Receiver<Request>) {
        loop {
            match requests.recv_timeout(LOOK * self.stride) {
                Ok(request) => {
                    let sweep = self.sweep(request.interval_s);
                    let states = std::mem::take(&mut self.states);
                    _ = request.answer.send((sweep, states));
                }
                Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Counts rounds; samples states only if someone was stalled since the last look. A look that comes after three
    /// times the pause counts three times, hits and rounds alike: the share of rounds in which a thread was
    /// blocked stays what it is.
    fn look(&mut self) {
        let stands_for = self.stride;
        self.looks = self.looks.wrapping_add(stands_for);
        let path = self.roots.proc.join("pressure/io");
        let total = psi::read_again(&mut self.reader, &path).ok().map(|p| p.some.total_us);
        let grown = total.zip(self.io_total_us).map(|(new, old)| new.saturating_sub(old));
        self.io_total_us = total;
        let stalled = grown.is_some_and(|us| us > STALLED_US * u64::from(stands_for));
        self.stride = if stalled { 1 } else { QUIET };
        let due = match (total, grown) {
            (Some(_), Some(_)) => stalled,
            (Some(_), None) => return,
            (None, _) if self.looks.is_multiple_of(BLIND_EVERY) => true,
            (None, _) => return,
        };
        self.states.rounds += stands_for;
        for hit in self.processes.sample_states(&mut self.reader, &self.roots, !due) {
            add_hit(&mut self.states.blocked, StateHit { hits: hit.hits * stands_for, ..hit });
        }
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
        let kills = vmstat.as_ref().ok().and_then(|v| v.oom_kill);
        let killed = self.oom_kills.is_some() && kills != self.oom_kills;
        self.oom_kills = kills;
        let cgroups = self.cgroups.read(reader, roots, killed);
        let cpu_total = psi.cpu.as_ref().ok().map(|p| p.some.total_us);
        let grown = cpu_total.zip(self.cpu_total_us).map(|(new, old)| new.saturating_sub(old));
        let mode = process::Mode {
            // Without PSI the threads are always read.
            cpu_pressure: grown.is_none_or(|us| us as f64 > interval_s * 20_000.0),
            interval_s,
        };
        self.cpu_total_us = cpu_total;
        for (id, command) in self.commands.answers() {
            self.processes.set_command(id, command);
        }
        let processes = self.processes.scan(reader, roots, mode);
        self.commands.ask(&self.processes.without_command());
        HostSweep { at, cpu, load, psi, memory, vmstat, disks, interfaces, tcp, files, cgroups, processes }
    }
}

fn add_hit(all: &mut Vec<StateHit>, hit: StateHit) {
    match all.iter_mut().find(|h| h.id == hit.id) {
        Some(known) => known.hits += hit.hits,
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
    const HANGS: usize = 3;

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
