//! The thread that samples sockets: dumps them at a rate that its own cost sets, and now and then looks up whose
//! they are. It shares nothing but a tally that is locked for microseconds; if it hangs, nothing else does.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crate::collect::root::{Reader, Roots};
use crate::collect::{clock, pace};
use crate::model::host::{Peers, ProcId, Serving};
use crate::model::seen::{Lack, Seen, Why};
use crate::model::service::NAMES;

use super::inotify::Watches;
use super::namespaces::{Away, Dump, Home, OWN};
use super::network::by_name;
use super::peers::Tally;
use super::ports;
use super::serving;
use super::sockdiag::{self, Socket};
use super::unixdiag::{self, Queue};

/// Between two dumps, at least and at most.
const DUMP: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(3));
/// Between two while nobody here asks another host anything.
const QUIET: Duration = Duration::from_secs(1);
/// Share of a CPU that the dumps may take.
const DUMP_SHARE: f64 = 0.001;
/// Between two look-ups of socket owners. Until then a process that started meanwhile counts as foreground.
const SCAN_S: f64 = 5.0;
/// Between two looks at what has ended.
const ENDED_S: f64 = 10.0;
/// More of them are not asked for.
const MANY_ENDED: u32 = 20_000;
/// Share of a CPU that these may take.
const SCAN_SHARE: f64 = 0.002;
/// How often in a row a dump in which nothing was under way stands for the next ones, while no segment comes or goes.
const STANDS_FOR: u32 = 4;
/// Sockets of one dump that are examined.
const SOCKETS: usize = 100_000;

/// What was seen since it was asked last.
#[derive(Debug, Default)]
pub struct Taken {
    /// Who waits for whom; `None` before the first dump.
    pub peers: Option<Seen<Peers>>,
    /// Who serves; `None` when that was not looked up since.
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
    let mut looker = Looker {
        roots,
        home: Home::new(),
        owners: HashMap::new(),
        namespaces: Vec::new(),
        no_unix: false,
        no_datagrams: Cell::new(false),
        watches: Watches::default(),
        ended_due_ns: 0,
        still: None,
    };
    let (mut scan_due_ns, mut dump_due_ns) = (0, 0);
    let mut dumps = 0;
    loop {
        let Some(shared) = shared.upgrade() else { return };
        let now_ns = clock::mono_ns();
        if now_ns >= scan_due_ns {
            let (done, cost_s) = timed(|| looker.scan(&shared));
            if done.is_err() {
                return lost(&shared);
            }
            scan_due_ns = clock::mono_ns() + (SCAN_S.max(cost_s / SCAN_SHARE) * 1e9) as u64;
        }
        if now_ns >= dump_due_ns {
            let (done, cost_s) = timed(|| looker.dump(&shared));
            if done.is_err() {
                return lost(&shared);
            }
            let asks = shared.lock().is_ok_and(|s| s.tally.asks_others());
            let least = if asks { DUMP.0 } else { QUIET };
            let (least, most) = (least.as_secs_f64(), DUMP.1.as_secs_f64());
            dump_due_ns = clock::mono_ns() + ((cost_s / DUMP_SHARE).clamp(least, most) * pace::unsteady(dumps) * 1e9) as u64;
            dumps = dumps.wrapping_add(1);
        }
        drop(shared);
        let due_ns = dump_due_ns.min(scan_due_ns).saturating_sub(clock::mono_ns());
        std::thread::sleep(Duration::from_nanos(due_ns).min(DUMP.1));
    }
}

/// Says why nothing more comes.
fn lost(shared: &Mutex<Shared>) {
    if let Ok(mut shared) = shared.lock() {
        let lack = Lack::new(Why::Garbage, "sockets: returning from another network namespace failed");
        (shared.failed, shared.serving) = (Some(lack.clone()), Some(Err(lack)));
    }
}

/// What the work gave, and the CPU seconds that it took.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let before = clock::thread_cpu_s();
    let done = work();
    (done, clock::thread_cpu_s() - before)
}

/// What the thread knows between its dumps.
struct Looker<'a> {
    roots: &'a Roots,
    home: Home,
    /// Whose each socket is, by inode.
    owners: HashMap<u32, ProcId>,
    /// Other network namespaces, each by a process in it.
    namespaces: Vec<(u64, i32)>,
    /// When it is asked again what has ended.
    ended_due_ns: u64,
    /// The kernel cannot tell of unix sockets.
    no_unix: bool,
    /// Nor of UDP.
    no_datagrams: Cell<bool>,
    watches: Watches,
    /// The last dump of our namespace while nothing was under way in it.
    still: Option<Still>,
}

/// A dump in which nothing was under way.
struct Still {
    /// The kernel's counters before it.
    counters: Vec<u8>,
    sockets: Vec<Socket>,
    /// How often it has stood for another one since.
    times: u32,
}

impl Looker<'_> {
    fn scan(&mut self, shared: &Mutex<Shared>) -> Result<(), Away> {
        let mut elsewhere = Vec::new();
        for (_, dump) in self.visit(|| rows(sockdiag::LISTEN | sockdiag::ESTABLISHED, false))? {
            elsewhere.extend(dump);
        }
        let serving = serving::scan(self.roots, &elsewhere, &mut self.watches).map(|scan| {
            (self.owners, self.namespaces) = (scan.owners, scan.namespaces);
            scan.serving
        });
        if let Ok(mut shared) = shared.lock() {
            shared.serving = Some(serving);
        }
        Ok(())
    }

    fn dump(&mut self, shared: &Mutex<Shared>) -> Result<(), Away> {
        const STATES: u32 = sockdiag::LISTEN | sockdiag::ESTABLISHED | sockdiag::SYN_SENT | sockdiag::CLOSE_WAIT;
        let looks_back = clock::mono_ns() >= self.ended_due_ns;
        let spent = Cell::new(0.0);
        let ended = || {
            if !looks_back {
                return Vec::new();
            }
            let (ends, cost_s) = timed(ended);
            spent.set(spent.get() + cost_s);
            ends
        };
        let counters = std::fs::read(SNMP).unwrap_or_default();
        let mut times = 0;
        let own = if self.roots.own_proc() {
            let unix = self.unix();
            // The walk over the table of all connections is most of what a dump costs: where no segment came or went since one in which
            // nothing was under way, it would find the same, but for who began to listen.
            let same = self.still.take().filter(|s| s.times < STANDS_FOR && !counters.is_empty() && s.counters == counters);
            times = same.as_ref().map_or(0, |s| s.times + 1);
            let sockets = same.map_or_else(|| rows(STATES, true), |s| Ok(s.sockets));
            sockets.map(|sockets| Dump {
                namespace: OWN,
                sockets,
                ending: ending(self.roots),
                unix,
                datagrams: self.datagrams(),
                opened: opened(&counters),
                ended: ended(),
            })
        } else {
            Err(Lack::new(Why::Unsupported, "socket timestamps of another host cannot be read through its /proc"))
        };
        let elsewhere = self.visit(|| {
            rows(STATES, true).map(|sockets| {
                let opened = std::fs::read(SNMP).ok().and_then(|counters| opened(&counters));
                (sockets, self.datagrams(), opened, ended())
            })
        })?;
        if looks_back {
            self.ended_due_ns = clock::mono_ns() + (ENDED_S.max(spent.get() / DUMP_SHARE) * 1e9) as u64;
        }
        if let Ok(mut shared) = shared.lock() {
            match own {
                Ok(own) => {
                    let others = elsewhere.into_iter();
                    let others = others.map(|(namespace, (sockets, datagrams, opened, ended))| Dump {
                        namespace,
                        sockets,
                        datagrams,
                        opened,
                        ended,
                        ..Dump::default()
                    });
                    let mut dumps: Vec<Dump> = std::iter::once(own).chain(others).collect();
                    shared.tally.add(&dumps, &self.owners);
                    let rests = !shared.tally.under_way();
                    self.still = rests.then(|| Still { counters, sockets: std::mem::take(&mut dumps[0].sockets), times });
                    shared.dumped = true;
                    shared.failed = None;
                }
                Err(lack) => shared.failed = Some(lack),
            }
        }
        Ok(())
    }

    /// UDP sockets with another end. A kernel that cannot tell is asked once.
    fn datagrams(&self) -> (Vec<Socket>, u64) {
        let mut rows = Vec::new();
        if !self.no_datagrams.get() {
            let question = |s: &Socket| s.peer.port() == NAMES;
            let asked = sockdiag::dump_datagrams(|s| rows.extend(Some(s).filter(question).filter(|_| rows.len() < SOCKETS)));
            self.no_datagrams.set(asked.is_err_and(|lack| matches!(lack.why, Why::Unsupported | Why::Absent)));
        }
        (rows, clock::mono_ns() / 1_000_000)
    }

    /// Unix sockets with a queue. A kernel that knows nothing of them is asked once: it would look for a module each time.
    fn unix(&mut self) -> Vec<Queue> {
        if self.no_unix {
            return Vec::new();
        }
        let queues = unixdiag::queues();
        self.no_unix = queues.as_ref().is_err_and(|lack| matches!(lack.why, Why::Unsupported | Why::Absent));
        queues.unwrap_or_default()
    }

    /// What `read` finds in each other namespace that can be entered.
    fn visit<T>(&self, read: impl Fn() -> Seen<T>) -> Result<Vec<(u64, T)>, Away> {
        let mut found = Vec::new();
        for (number, pid) in &self.namespaces {
            match self.home.visit(*number, *pid, &read) {
                Ok(Ok(there)) => found.push((*number, there)),
                Ok(Err(_)) | Err(Away::Closed) => {}
                Err(Away::Lost) => return Err(Away::Lost),
            }
        }
        Ok(found)
    }
}

/// The sockets of the namespace that the thread is in.
fn rows(states: u32, info: bool) -> Seen<Vec<Socket>> {
    let mut rows: Vec<Socket> = Vec::new();
    let keep = |socket| {
        if rows.len() < SOCKETS {
            rows.push(socket);
        }
    };
    sockdiag::dump(states, info, keep).map(|()| rows)
}

/// The counters of the namespace that the thread is in.
const SNMP: &str = "/proc/thread-self/net/snmp";

/// Connections that were accepted so far, by those counters.
fn opened(counters: &[u8]) -> Option<u64> {
    by_name(counters, b"Tcp:", b"PassiveOpens")
}

/// Ends of connections that were closed from here within the last minute; none where they are too many to be asked for.
fn ended() -> Vec<SocketAddr> {
    let waiting = Reader::default().parse(Path::new("/proc/thread-self/net/sockstat"), ports::parse_time_wait).unwrap_or(0);
    if waiting == 0 || waiting >= MANY_ENDED {
        return Vec::new();
    }
    // Where a client here closed first the server is the other end.
    let server = |s: Socket| if s.peer.ip().is_loopback() { vec![s.local, s.peer] } else { vec![s.local] };
    rows(sockdiag::TIME_WAIT, false).map(|sockets| sockets.into_iter().flat_map(server).collect()).unwrap_or_default()
}

/// Connections that end; asked for only where TIME_WAIT is so full that ports can run out.
fn ending(roots: &Roots) -> Vec<Socket> {
    let waiting = Reader::default().parse(&roots.net("sockstat"), ports::parse_time_wait).unwrap_or(0);
    if waiting < ports::MANY {
        return Vec::new();
    }
    rows(sockdiag::ENDING, false).unwrap_or_default()
}
