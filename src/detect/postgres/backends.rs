//! Sessions of PostgreSQL as actors of the ledger. One that runs on this host keeps the CPU and run queue time of its process and
//! waits by its wait events; one elsewhere has wait events only. Its client's wait for it is nobody's second loss. Pure.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use crate::model::facts::{Facts, PgFacts, ProcFacts, SessionFacts};
use crate::model::host::ProcId;
use crate::model::postgres::WaitClass;

use crate::detect::kind::Count;
use crate::detect::ledger::{Actor, Sending, Session, State, Told};

/// Processes of the server that belong to no session.
const AUXILIARY: [&str; 11] = [
    "checkpointer",
    "background writer",
    "walwriter",
    "wal writer",
    "autovacuum launcher",
    "logical replication launcher",
    "stats collector",
    "archiver",
    "logger",
    "startup",
    "io worker",
];

/// What its servers tell: their sessions, and what logins cost.
pub fn tell(facts: &Facts, told: &mut Told) {
    let mut backends = Backends::of(facts);
    backends.split(facts);
    for p in facts.processes().iter().filter(|p| backends.is_one(p)) {
        told.processes.insert(p.id, Session { weight: backends.weight(p), waits: backends.waits(p) });
    }
    told.elsewhere.extend(backends.elsewhere);
    told.addresses.extend(backends.addresses);
    let seen = facts.servers.postgres.iter().filter(|pg| pg.activity.is_ok());
    told.servers.extend(seen.filter_map(|pg| pg.server.as_ref()?.postmaster));
    for one in facts.servers.postgres.iter().filter(|pg| pg.local()).flat_map(sending) {
        told.send(one);
    }
    told.modelled.extend(facts.servers.postgres.iter().map(|pg| (State::PostgresConnect, connects(pg))));
}

/// Its sessions that wait for a client on another host to take their answer.
fn sending(pg: &PgFacts) -> Vec<Sending> {
    let Ok(activity) = &pg.activity else { return Vec::new() };
    let one = |session: &SessionFacts| {
        let waiting = session.class(WaitClass::Client) * session.weight;
        let client = activity.seen(session).filter(|_| waiting > 0.0)?.client.shown();
        // The server writes addresses of IPv6 without brackets.
        let to: IpAddr = client.rsplit_once(':')?.0.parse().ok()?;
        Some(Sending { to, state: State::PostgresClient, waiting, time: session.active() * session.weight })
    };
    activity.sessions.iter().filter_map(one).collect()
}

/// Connections that are opened all the time: each costs its client about eight milliseconds (measured here: fork, authentication,
/// caches). Modelled; no sampling of sessions is fast enough.
fn connects(pg: &PgFacts) -> f64 {
    const LOGIN_S: f64 = 0.008;
    const MANY: f64 = 5.0;
    let opened = pg.databases_rate(|d| d.sessions);
    opened.filter(|o| *o >= MANY).map_or(0.0, |o| o * LOGIN_S)
}

/// Active sessions of a server, by what they wait for.
pub fn counts(facts: &Facts, id: &str) -> Vec<Count> {
    use WaitClass as W;
    const BANDS: [(&str, &[WaitClass]); 7] = [
        ("cpu", &[W::Cpu]),
        ("io", &[W::IoRead, W::IoWrite, W::IoTemp]),
        ("lock", &[W::Lock]),
        ("wal", &[W::Wal, W::SyncReplica]),
        ("lwlock", &[W::LwLock]),
        ("client", &[W::Client]),
        ("other", &[W::Other]),
    ];
    let activity = facts.servers.postgres.iter().find(|pg| pg.id == id).and_then(|pg| pg.activity.as_ref().ok());
    BANDS.map(|(band, classes)| (band, activity.map(|a| classes.iter().map(|c| a.class(*c)).sum::<f64>()))).to_vec()
}

/// What is known of the server's processes.
struct Backends {
    of: HashMap<ProcId, Backend>,
    /// Postmasters whose sessions are seen.
    postmasters: HashSet<i32>,
    elsewhere: Vec<Actor>,
    addresses: HashSet<SocketAddr>,
}

struct Backend {
    weight: f64,
    waits: Vec<(State, f64)>,
    cpu: f64,
}

/// The ledger's state of a class; `None` for what nobody waits for.
#[must_use]
pub fn state_of(class: WaitClass) -> Option<State> {
    Some(match class {
        WaitClass::Cpu => State::PostgresCpu,
        WaitClass::IoRead => State::PostgresIoRead,
        WaitClass::IoWrite => State::PostgresIoWrite,
        WaitClass::IoTemp => State::PostgresIoTemp,
        WaitClass::Wal => State::PostgresWal,
        WaitClass::SyncReplica => State::PostgresSyncReplica,
        WaitClass::Lock => State::PostgresLock,
        WaitClass::LwLock => State::PostgresLwlock,
        WaitClass::Client => State::PostgresClient,
        WaitClass::Other => State::PostgresOther,
        WaitClass::Idle => return None,
    })
}

/// The ledger's name of a session: its process, or one that no process of this host can have.
#[must_use]
pub fn actor_id(session: &SessionFacts) -> ProcId {
    session.process.unwrap_or(ProcId { pid: -session.pid, start: session.started_us.unsigned_abs() })
}

fn waits(session: &SessionFacts, weight: f64, with_cpu: bool) -> Vec<(State, f64)> {
    let classes = session.classes.iter().filter(|(class, _)| with_cpu || **class != WaitClass::Cpu);
    classes.filter_map(|(class, share)| Some((state_of(*class)?, share * weight))).collect()
}

impl Backends {
    fn of(facts: &Facts) -> Self {
        let mut all = Self { of: HashMap::new(), postmasters: HashSet::new(), elsewhere: Vec::new(), addresses: HashSet::new() };
        for pg in &facts.servers.postgres {
            all.add(pg);
        }
        all
    }

    fn add(&mut self, pg: &PgFacts) {
        let Ok(activity) = &pg.activity else { return };
        if let Some(server) = &pg.server {
            self.postmasters.extend(server.postmaster.map(|id| id.pid));
            self.addresses.extend(server.listens);
            self.addresses.extend(&server.dialled);
        }
        for session in activity.sessions.iter().filter(|s| s.weight > 0.0 || s.process.is_some()) {
            match session.process {
                Some(id) => {
                    let backend = Backend {
                        weight: session.weight,
                        waits: waits(session, session.weight, false),
                        cpu: session.class(WaitClass::Cpu) * session.weight,
                    };
                    self.of.insert(id, backend);
                }
                None => {
                    let local = pg.local();
                    let mut actor = Actor::nobody(actor_id(session), session.weight);
                    if local {
                        // A process here that came and went between two sweeps, such as a parallel worker.
                        actor.spend(State::Working, session.class(WaitClass::Cpu) * session.weight);
                    }
                    for (state, seconds) in waits(session, session.weight, !local) {
                        actor.spend(state, seconds);
                    }
                    self.elsewhere.push(actor);
                }
            }
        }
    }

    /// Of the sessions here without a process: their time on a CPU or ready for one is on a CPU as far as this host is busy beyond its known
    /// processes; the rest is the run queue.
    fn split(&mut self, facts: &Facts) {
        let all: f64 = self.elsewhere.iter().map(|a| a.in_state(State::Working)).sum();
        if all <= 0.0 {
            return;
        }
        let known: f64 = facts.processes().iter().filter_map(|p| p.cpu).sum();
        let busy = facts.host.cpu.as_ref().map_or(known + all, |c| c.busy * facts.cpus());
        let share = ((busy - known) / all).clamp(0.0, 1.0);
        for actor in &mut self.elsewhere {
            let working = actor.take(State::Working);
            actor.spend(State::Working, working * share);
            actor.spend(State::CpuRunnable, working * (1.0 - share));
        }
    }

    /// True for a process of a server whose sessions are seen.
    fn is_one(&self, p: &ProcFacts) -> bool {
        self.postmasters.contains(&p.ppid)
    }

    /// How much a process counts.
    fn weight(&self, p: &ProcFacts) -> f64 {
        // A database's sessions are weighed by what they are, whatever the operator says of its processes.
        if !self.is_one(p) || (p.weight.value <= 0.0 && !p.weight.said) {
            return p.weight.value;
        }
        match self.of.get(&p.id) {
            Some(backend) => backend.weight,
            None if auxiliary(p) => 0.25,
            // A session that no sample caught active serves its client all the same.
            None => 1.0,
        }
    }

    /// What the session of a process waits for; `None` for a process that is not a session.
    fn waits(&self, p: &ProcFacts) -> Option<Vec<(State, f64)>> {
        if !self.is_one(p) {
            return None;
        }
        let Some(backend) = self.of.get(&p.id) else { return (!auxiliary(p)).then(Vec::new) };
        let mut waits = backend.waits.clone();
        // A process that was not read yet has its CPU time by the samples of its session.
        if p.cpu.is_none() {
            waits.push((State::PostgresCpu, backend.cpu));
        }
        Some(waits)
    }
}

/// One of the server's own processes: no client stands behind it.
pub(super) fn auxiliary(p: &ProcFacts) -> bool {
    let title = p.command.as_ref().map_or("", |c| c.shown());
    AUXILIARY.iter().any(|name| title.contains(name))
}
