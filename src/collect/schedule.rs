//! One scheduler owns cadence, deadlines and staleness: the fast sweep at every tick, slow probes in the background
//! (their answer joins the next tick), demands when they come. A probe that hangs delays nothing else.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::model::demand::{Answer, Demand, Detail};
use crate::model::host::ProcId;
use crate::model::host::{ChangedFile, FsRaw, HostSample, HostSweep, Identity, Serving, StateSampling};
use crate::model::named::Names;
use crate::model::sample::Sample;
use crate::model::seen::{Lack, Seen, Why};
use crate::model::source::SourceStatus;

use super::deadline::Deadline;
use super::host::{changed, filesystem, identity, names, process_detail, sockets, sweep};
use super::root::Roots;
use super::servers::Servers;
use super::watched::{Given, Reach};
use super::{clock, discover};

/// What to collect and how often.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where /proc and /sys are.
    pub roots: Roots,
    /// Between two ticks.
    pub every: Duration,
    /// Two early ticks, at 250 ms and 1 s, so that a first verdict is there at once.
    pub quick_start: bool,
    /// Look for servers.
    pub discover: bool,
    /// Servers that were asked for.
    pub servers: Vec<Arc<dyn Reach>>,
    /// Environment variables with an invalid server address: reported as sources, never contacted.
    pub unusable: Vec<SourceStatus>,
    /// What holds for all servers.
    pub given: Arc<Given>,
}

/// A running scheduler.
#[derive(Debug)]
pub struct Live {
    /// One sample per tick; bounded, the scheduler drops a tick rather than wait.
    pub samples: mpsc::Receiver<Sample>,
    /// Where to ask for more.
    pub demands: mpsc::Sender<Demand>,
}

/// A full disk is an error that happens: it must be seen within seconds.
const FILESYSTEMS_EVERY_S: f64 = 3.0;
/// Containers come and go.
const NAMES_EVERY_S: f64 = 15.0;
const NAMES_PATIENCE: Duration = Duration::from_secs(2);
/// What was deployed a moment ago is a suspect now.
const CHANGED_EVERY_S: f64 = 10.0;
/// A slow probe may use this share of its interval …
const SLOW_SHARE: f64 = 0.01;
/// … of which no more than this is taken for work: the rest is waiting for a mount that hangs.
const COUNTED_S: f64 = 0.1;
const DETAIL_PATIENCE: Duration = Duration::from_millis(300);
const DEMANDS_OUT: usize = 8;

/// Starts to collect; must be called within a runtime.
///
/// # Errors
/// When the reader's thread cannot be started.
pub fn start(plan: Plan) -> std::io::Result<Live> {
    let sweeper = sweep::start(plan.roots.clone())?;
    let sockets = sockets::Sockets::start(plan.roots.clone())?;
    let (sender, samples) = mpsc::channel(4);
    let (demands, asked) = mpsc::channel(DEMANDS_OUT);
    let scheduler = Scheduler {
        identity: identity::read(&plan.roots),
        plan,
        sweeper,
        deadline: Deadline::default(),
        hung: None,
        asker: Some(filesystem::Filesystems::default()),
        filesystems: Slow::default(),
        names: Slow::default(),
        naming: Arc::default(),
        changed: Slow::default(),
        looking: Arc::default(),
        last_changed: Vec::new(),
        last_names: Names::default(),
        sockets,
        last_serving: None,
        busy: discover::BusyPeers::default(),
        sources: Vec::new(),
        servers: Servers::default(),
        statuses: Vec::new(),
        details: Vec::new(),
    };
    let mut scheduler = scheduler;
    for server in &scheduler.plan.servers {
        scheduler.servers.watch(&**server, &scheduler.plan.roots);
    }
    tokio::spawn(scheduler.run(sender, asked));
    Ok(Live { samples, demands })
}

/// A probe in the background: not due, under way, or answered.
struct Slow<T> {
    task: Option<tokio::task::JoinHandle<(T, u64)>>,
    due_ns: u64,
}

impl<T> Default for Slow<T> {
    fn default() -> Self {
        Self { task: None, due_ns: 0 }
    }
}

impl<T: Send + 'static> Slow<T> {
    fn due(&self, now_ns: u64) -> bool {
        self.task.is_none() && now_ns >= self.due_ns
    }

    fn start(&mut self, probe: impl Future<Output = T> + Send + 'static) {
        self.task = Some(tokio::spawn(async move {
            let start_ns = clock::mono_ns();
            let answer = probe.await;
            (answer, clock::mono_ns().saturating_sub(start_ns))
        }));
    }

    /// The answer, once; the next turn comes after `every_s`, later when the probe was expensive.
    async fn take(&mut self, now_ns: u64, every_s: f64) -> Option<T> {
        if !self.task.as_ref()?.is_finished() {
            return None;
        }
        let (answer, cost_ns) = self.task.take()?.await.ok()?;
        // A probe that mostly waits for others costs little: what counts is capped.
        let cost_s = (cost_ns as f64 / 1e9).min(COUNTED_S);
        let wait_s = every_s.max(cost_s / SLOW_SHARE);
        self.due_ns = now_ns + (wait_s * 1e9) as u64;
        Some(answer)
    }
}

struct Scheduler {
    plan: Plan,
    identity: Identity,
    sweeper: SyncSender<sweep::Request>,
    deadline: Deadline,
    /// A sweep that did not answer in time; no other is asked for until it does.
    hung: Option<oneshot::Receiver<(HostSweep, StateSampling)>>,
    /// Remembers which mounts hang; away while it asks.
    asker: Option<filesystem::Filesystems>,
    filesystems: Slow<(Seen<Vec<FsRaw>>, filesystem::Filesystems)>,
    names: Slow<Seen<Names>>,
    /// They are being read.
    naming: Arc<AtomicBool>,
    changed: Slow<Seen<Vec<ChangedFile>>>,
    /// They are being looked for.
    looking: Arc<AtomicBool>,
    last_changed: Vec<ChangedFile>,
    last_names: Names,
    sockets: sockets::Sockets,
    last_serving: Option<Seen<Serving>>,
    busy: discover::BusyPeers,
    sources: Vec<SourceStatus>,
    servers: Servers,
    statuses: Vec<SourceStatus>,
    details: Vec<tokio::task::JoinHandle<Answer>>,
}

impl Scheduler {
    async fn run(mut self, samples: mpsc::Sender<Sample>, mut demands: mpsc::Receiver<Demand>) {
        let every_ns = u64::try_from(self.plan.every.as_nanos()).unwrap_or(u64::MAX).max(1_000_000);
        let start_ns = clock::mono_ns();
        let mut early: VecDeque<u64> = if self.plan.quick_start { [0, 250_000_000].into() } else { [0].into() };
        let mut tick: u64 = 1;
        let mut last_ns = start_ns;
        loop {
            let now_ns = clock::mono_ns();
            let due_ns = match early.pop_front() {
                Some(offset) => start_ns + offset,
                None => {
                    // Ticks that were slept through are left out, not caught up.
                    tick = tick.max((now_ns - start_ns).div_ceil(every_ns));
                    let due = start_ns + tick * every_ns;
                    tick += 1;
                    due
                }
            };
            let wake = tokio::time::sleep(Duration::from_nanos(due_ns.saturating_sub(now_ns)));
            tokio::pin!(wake);
            loop {
                tokio::select! {
                    () = &mut wake => break,
                    Some(demand) = demands.recv() => self.detail(&demand),
                    () = samples.closed() => return,
                }
            }
            let now_ns = clock::mono_ns();
            let interval_s = (now_ns - last_ns) as f64 / 1e9;
            last_ns = now_ns;
            let sample = self.tick(interval_s, last_ns == start_ns || tick == 1).await;
            if let Err(mpsc::error::TrySendError::Closed(_)) = samples.try_send(sample) {
                return;
            }
        }
    }

    async fn tick(&mut self, interval_s: f64, first: bool) -> Sample {
        self.start_slow_probes(clock::mono_ns());
        let mut host = HostSample { identity: first.then(|| self.identity.clone()), ..HostSample::default() };
        self.sweep(interval_s, &mut host).await;
        let now_ns = clock::mono_ns();
        if let Some((rows, fs)) = self.filesystems.take(now_ns, FILESYSTEMS_EVERY_S).await {
            host.filesystems = Some(rows);
            self.asker = Some(fs);
        }
        if let Some(Ok(names)) = self.names.take(now_ns, NAMES_EVERY_S).await
            && names != self.last_names
        {
            self.last_names.clone_from(&names);
            host.names = Some(names);
        }
        if let Some(Ok(changed)) = self.changed.take(now_ns, CHANGED_EVERY_S).await
            && changed != self.last_changed
        {
            self.last_changed.clone_from(&changed);
            host.changed = Some(changed);
        }
        let taken = self.sockets.take();
        if let Some(Ok(peers)) = &taken.peers {
            self.busy.see(peers);
        }
        host.peers = taken.peers;
        if let Some(serving) = taken.serving {
            self.last_serving = Some(serving.clone());
            host.serving = Some(serving);
        }
        self.find_servers(&host).await;
        let mut brought = self.servers.take();
        self.statuses = brought.statuses;
        self.statuses.extend_from_slice(&self.plan.unusable);
        let sources = self.sources_if_changed(&host);
        let mut answers = self.finished_details().await;
        answers.append(&mut brought.answers);
        let mut sample = Sample { at: clock::now(), host, sources, answers, ..Sample::default() };
        brought.samples.into_iter().for_each(|(id, said)| sample.servers.put(id, said));
        sample
    }

    fn start_slow_probes(&mut self, now_ns: u64) {
        let (roots, deadline) = (self.plan.roots.clone(), self.deadline.clone());
        if self.filesystems.due(now_ns)
            && let Some(mut asker) = self.asker.take()
        {
            let (roots, deadline) = (roots.clone(), deadline.clone());
            self.filesystems.start(async move { (asker.read(&roots, &deadline).await, asker) });
        }
        // One that hangs is not asked a second time.
        if self.changed.due(now_ns) && !self.looking.swap(true, Ordering::AcqRel) {
            let (root, deadline, busy) = (roots.system(), deadline.clone(), Busy(self.looking.clone()));
            let read = move || {
                let _busy = busy;
                changed::read(&root)
            };
            self.changed.start(async move { deadline.run("changed files", NAMES_PATIENCE, read).await });
        }
        if self.names.due(now_ns) && !self.naming.swap(true, Ordering::AcqRel) {
            let (root, deadline, busy) = (self.plan.roots.system(), self.deadline.clone(), Busy(self.naming.clone()));
            let read = move || {
                let _busy = busy;
                names::read(&root)
            };
            self.names.start(async move { deadline.run("names", NAMES_PATIENCE, read).await });
        }
    }

    async fn sweep(&mut self, interval_s: f64, host: &mut HostSample) {
        let receiver = match self.hung.take() {
            Some(receiver) => Some(receiver),
            None => {
                let (answer, receiver) = oneshot::channel();
                let request = sweep::Request { interval_s, answer };
                self.sweeper.try_send(request).ok().map(|()| receiver)
            }
        };
        let late = Lack::new(Why::TimedOut, "the /proc reader does not respond");
        let Some(mut receiver) = receiver else {
            host.hung = Some(late);
            return;
        };
        let patience = (self.plan.every / 2).clamp(Duration::from_millis(250), Duration::from_secs(2));
        match tokio::time::timeout(patience, &mut receiver).await {
            Ok(Ok((sweep, states))) => {
                host.sweep = Some(Arc::new(sweep));
                host.states = Some(states);
            }
            Ok(Err(_)) => host.hung = Some(Lack::new(Why::Garbage, "the /proc reader failed")),
            Err(_) => {
                self.hung = Some(receiver);
                host.hung = Some(late);
            }
        }
    }

    fn sources_if_changed(&mut self, host: &HostSample) -> Option<Vec<SourceStatus>> {
        let table = host.sweep.as_ref()?.processes.as_ref().ok();
        let located = |id: ProcId| self.servers.located(id);
        let mut now =
            discover::sources(&self.identity, table, self.last_serving.as_ref(), &self.busy, self.plan.discover, &located);
        discover::replace(&mut now, &self.statuses);
        let changed = now != self.sources;
        self.sources.clone_from(&now);
        changed.then_some(now)
    }

    async fn find_servers(&mut self, host: &HostSample) {
        let Some(Ok(table)) = host.sweep.as_ref().map(|s| &s.processes) else { return };
        if self.plan.discover {
            let (serving, given) = (self.last_serving.as_ref(), &self.plan.given);
            self.servers.find(table, serving, &self.plan.roots, &self.deadline, given).await;
        }
    }

    fn detail(&mut self, demand: &Demand) {
        if let Some(source) = demand.source() {
            return self.servers.ask(source, demand.clone());
        }
        let Demand::ProcessDetail { id } = *demand else { return };
        if self.details.len() >= DEMANDS_OUT {
            return;
        }
        let (roots, deadline, demand) = (self.plan.roots.clone(), self.deadline.clone(), demand.clone());
        self.details.push(tokio::spawn(async move {
            let read = move || process_detail::read(&roots, id);
            let detail = deadline.run("process", DETAIL_PATIENCE, read).await.and_then(|d| d);
            Answer { demand, detail: detail.map(Detail::Process) }
        }));
    }

    async fn finished_details(&mut self) -> Vec<Answer> {
        let (done, out): (Vec<_>, Vec<_>) = self.details.drain(..).partition(tokio::task::JoinHandle::is_finished);
        self.details = out;
        let mut answers = Vec::new();
        for task in done {
            answers.extend(task.await.ok());
        }
        answers
    }
}

/// Says that a thread is at work, until it has ended or was not begun.
struct Busy(Arc<AtomicBool>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
