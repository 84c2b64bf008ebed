//! The thread that looks at sockets: dumps them at a rate that its own cost sets, and now and then looks up whose
//! they are. It shares nothing but a tally that is locked for microseconds; if it hangs, nothing else does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crate::collect::clock;
use crate::collect::root::{Reader, Roots};
use crate::model::host::{Peers, ProcId, Serving};
use crate::model::seen::{Lack, Seen, Why};

use super::peers::Tally;
use super::ports;
use super::serving;
use super::sockdiag::{self, Socket};

/// Between two dumps, at least and at most.
const DUMP: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(3));
/// Between two while nobody here asks another host anything.
const QUIET: Duration = Duration::from_secs(1);
/// Share of a CPU that the dumps may take.
const DUMP_SHARE: f64 = 0.001;
/// Between two looks at whose the sockets are. Until then a process that started meanwhile counts as foreground.
const SCAN_S: f64 = 5.0;
/// Share of a CPU that these may take.
const SCAN_SHARE: f64 = 0.002;
/// Sockets of one dump that are looked at.
const SOCKETS: usize = 100_000;

/// What was seen since it was asked last.
#[derive(Debug, Default)]
pub struct Taken {
    /// Who waits for whom; `None` before the first dump.
    pub peers: Option<Seen<Peers>>,
    /// Who serves; `None` when that was not looked at since.
    pub serving: Option<Seen<Serving>>,
}

#[derive(Debug, Default)]
struct Shared {
    tally: Tally,
    failed: Option<Lack>,
    serving: Option<Seen<Serving>>,
    dumped: bool,
}

/// The handle; the thread ends when it is dropped.
#[derive(Debug, Clone)]
pub struct Sockets(Arc<Mutex<Shared>>);

impl Sockets {
    /// Starts the thread.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(roots: Roots) -> std::io::Result<Self> {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let weak = Arc::downgrade(&shared);
        std::thread::Builder::new().name("sockets".into()).spawn(move || run(&roots, &weak))?;
        Ok(Self(shared))
    }

    /// What was seen since the last call; nothing when the thread hangs.
    #[must_use]
    pub fn take(&self) -> Taken {
        let Ok(mut shared) = self.0.lock() else { return Taken::default() };
        let peers = match shared.failed.take() {
            Some(lack) => Some(Err(lack)),
            None => std::mem::take(&mut shared.dumped).then(|| Ok(shared.tally.take())),
        };
        Taken { peers, serving: shared.serving.take() }
    }
}

fn run(roots: &Roots, shared: &Weak<Mutex<Shared>>) {
    let mut owners: HashMap<u32, ProcId> = HashMap::new();
    let (mut scan_due_ns, mut dump_due_ns) = (0, 0);
    loop {
        let Some(shared) = shared.upgrade() else { return };
        let now_ns = clock::mono_ns();
        if now_ns >= scan_due_ns {
            let cost_s = timed(|| scan(roots, &shared, &mut owners));
            scan_due_ns = clock::mono_ns() + (SCAN_S.max(cost_s / SCAN_SHARE) * 1e9) as u64;
        }
        if now_ns >= dump_due_ns {
            let cost_s = timed(|| dump(roots, &shared, &owners));
            let asks = shared.lock().is_ok_and(|s| s.tally.asks_others());
            let least = if asks { DUMP.0 } else { QUIET };
            let (least, most) = (least.as_secs_f64(), DUMP.1.as_secs_f64());
            dump_due_ns = clock::mono_ns() + ((cost_s / DUMP_SHARE).clamp(least, most) * 1e9) as u64;
        }
        drop(shared);
        let due_ns = dump_due_ns.min(scan_due_ns).saturating_sub(clock::mono_ns());
        std::thread::sleep(Duration::from_nanos(due_ns).min(DUMP.1));
    }
}

/// CPU seconds that this took.
fn timed(work: impl FnOnce()) -> f64 {
    let before = clock::thread_cpu_s();
    work();
    clock::thread_cpu_s() - before
}

fn scan(roots: &Roots, shared: &Mutex<Shared>, owners: &mut HashMap<u32, ProcId>) {
    let serving = serving::scan(roots).map(|scan| {
        *owners = scan.owners;
        scan.serving
    });
    if let Ok(mut shared) = shared.lock() {
        shared.serving = Some(serving);
    }
}

fn dump(roots: &Roots, shared: &Mutex<Shared>, owners: &HashMap<u32, ProcId>) {
    let sockets = if roots.own_proc() {
        let mut rows: Vec<Socket> = Vec::new();
        let keep = |socket| {
            if rows.len() < SOCKETS {
                rows.push(socket);
            }
        };
        sockdiag::dump(sockdiag::LISTEN | sockdiag::ESTABLISHED | sockdiag::SYN_SENT, true, keep).map(|()| rows)
    } else {
        Err(Lack::new(Why::Unsupported, "the times of another host's sockets cannot be asked for through its /proc"))
    };
    let ending = roots.own_proc().then(|| ending(roots));
    if let Ok(mut shared) = shared.lock() {
        match sockets {
            Ok(rows) => {
                shared.tally.add(&rows, ending.as_deref(), owners);
                shared.dumped = true;
                shared.failed = None;
            }
            Err(lack) => shared.failed = Some(lack),
        }
    }
}

/// Connections that end; asked for only where TIME_WAIT is so full that ports can run out.
fn ending(roots: &Roots) -> Vec<Socket> {
    let mut rows = Vec::new();
    let waiting = Reader::default().parse(&roots.net("sockstat"), ports::parse_time_wait).unwrap_or(0);
    if waiting >= ports::MANY {
        let keep = |socket| {
            if rows.len() < SOCKETS {
                rows.push(socket);
            }
        };
        _ = sockdiag::dump(sockdiag::ENDING, false, keep);
    }
    rows
}
