//! The servers that are watched, of all kinds: those that were asked for, and those that were seen here and located.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::model::demand::{Answer, Demand};
use crate::model::host::{ProcId, ProcessTable, Serving};
use crate::model::seen::Seen;
use crate::model::server::ServerSample;
use crate::model::source::SourceStatus;

use super::clock;
use super::deadline::Deadline;
use super::discover::{self, Located};
use super::kinds::KINDS;
use super::root::Roots;
use super::watched::{Given, Reach, Slot};

/// Servers watched at once.
const MOST: usize = 8;
/// Where a server listens is looked up within this.
const LOCATE_PATIENCE: Duration = Duration::from_millis(300);
/// One that was not found is sought again after this: the disk was slow, or its port was not known yet.
const AGAIN: Duration = Duration::from_secs(10);

/// The servers that are watched.
#[derive(Default)]
pub struct Servers {
    watched: BTreeMap<String, Watched>,
    /// Where servers that were seen here listen.
    places: BTreeMap<ProcId, Place>,
}

struct Watched {
    slot: Box<dyn Slot>,
    demands: mpsc::Sender<Demand>,
    /// Dropping it ends the watcher.
    _stop: watch::Sender<bool>,
    configured: bool,
    /// The kind and the port, where it is on this host.
    place: Option<(String, u16)>,
}

/// The kind in a source's id.
fn kind_of(id: &str) -> &str {
    id.split(':').next().unwrap_or(id)
}

/// Where a server that was seen here listens.
enum Place {
    Sought(tokio::task::JoinHandle<Option<Arc<dyn Reach>>>),
    Found(Arc<dyn Reach>),
    /// Not found; when it is sought again.
    Missing(Instant),
}

/// What all of them brought since the last tick.
#[derive(Default)]
pub struct Brought {
    /// By source id.
    pub samples: Vec<(String, ServerSample)>,
    /// Where each stands.
    pub statuses: Vec<SourceStatus>,
    /// Answers to demands.
    pub answers: Vec<Answer>,
}

impl Servers {
    /// Watches a server from now on; one that is watched already is left as it is.
    pub fn watch(&mut self, server: &dyn Reach, roots: &Roots) {
        if self.watched.contains_key(server.id()) || self.watched.len() >= MOST {
            return;
        }
        // What was asked for by another name is the same server.
        let place = server.local().then(|| (kind_of(server.id()).to_owned(), server.port()));
        if server.discovered() && place.is_some() && self.watched.values().any(|w| w.configured && w.place == place) {
            return;
        }
        let (demands, asked) = mpsc::channel(8);
        let (stop, stopped) = watch::channel(false);
        if let Ok(slot) = server.watch(roots, asked, stopped) {
            let configured = !server.discovered();
            self.watched.insert(server.id().to_owned(), Watched { slot, demands, _stop: stop, configured, place });
        }
    }

    /// Servers that run here: where they listen is looked up once, on a deadline thread (their data directory may lie on a disk that
    /// hangs), and they are watched from then on, for as long as they are there.
    pub async fn find(
        &mut self,
        table: &ProcessTable,
        serving: Option<&Seen<Serving>>,
        roots: &Roots,
        deadline: &Deadline,
        given: &Arc<Given>,
    ) {
        let mut seen = Vec::new();
        for kind in KINDS {
            let Some(reads) = kind.reads else { continue };
            seen.extend(discover::first_processes(kind, table, serving).into_iter().map(|(id, tcp)| (id, tcp, reads)));
        }
        self.places.retain(|id, _| seen.iter().any(|(s, ..)| s == id));
        for (id, tcp, reads) in seen {
            let place = match self.places.remove(&id) {
                Some(Place::Missing(due)) if clock::instant() < due => Place::Missing(due),
                None | Some(Place::Missing(_)) => {
                    let (roots, deadline, given) = (roots.clone(), deadline.clone(), given.clone());
                    let look = move || reads.locate(&roots, id.pid, tcp, &given);
                    let sought = async move { deadline.run("servers", LOCATE_PATIENCE, look).await.ok().flatten() };
                    Place::Sought(tokio::spawn(sought))
                }
                Some(Place::Sought(task)) if task.is_finished() => match task.await.ok().flatten() {
                    Some(server) => {
                        self.watch(&*server, roots);
                        Place::Found(server)
                    }
                    None => Place::Missing(clock::instant() + AGAIN),
                },
                Some(kept) => kept,
            };
            self.places.insert(id, place);
        }
        let alive: Vec<&str> = self.places.values().filter_map(Place::found).map(|s| s.id()).collect();
        self.watched.retain(|id, w| w.configured || alive.contains(&id.as_str()));
    }

    /// Where the server listens whose first process that is.
    #[must_use]
    pub fn located(&self, id: ProcId) -> Located {
        match self.places.get(&id) {
            None | Some(Place::Sought(_)) => Located::Sought,
            Some(Place::Found(server)) => Located::At(server.port()),
            Some(Place::Missing(_)) => Located::Nowhere,
        }
    }

    /// Hands a demand to the server that it is about.
    pub fn ask(&self, source: &str, demand: Demand) {
        if let Some(watched) = self.watched.get(source) {
            _ = watched.demands.try_send(demand);
        }
    }

    /// What came since the last call.
    #[must_use]
    pub fn take(&self) -> Brought {
        let mut brought = Brought::default();
        for (id, watched) in &self.watched {
            let taken = watched.slot.take();
            brought.samples.extend(taken.sample.map(|sample| (id.clone(), sample)));
            brought.statuses.extend(taken.status);
            brought.answers.extend(taken.answers);
        }
        brought
    }
}

impl Place {
    fn found(&self) -> Option<&dyn Reach> {
        match self {
            Self::Found(server) => Some(&**server),
            _ => None,
        }
    }
}
