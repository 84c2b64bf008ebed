//! What a PostgreSQL server said: raw rows of its views, one file per probe. Serialisable and pure.
//! What never lives here: rates and trees (`model::facts::postgres`), SQL and connections (`collect::postgres`).

mod activity;
mod asked;
mod before;
mod catalog;
mod cluster;
mod kind;
pub mod lexer;
mod locks;
mod names;
pub mod plan;
mod server;
pub mod shape;
mod statements;

pub use activity::{Activity, Hit, Session, Wait, WaitClass, WaitKind};
pub use before::{AskBefore, DetailBefore};
pub use catalog::{Catalog, ColumnOf, DuplicateIndex, IndexRow, SequenceRow, TableRow};
pub use cluster::{
    Archiver, Checkpoints, Cluster, ConnectionRow, DatabaseRow, HorizonKind, HorizonRow, PreparedRow, ProgressRow, ReplicaRow,
    RoleSetting, SettingRow, SlotRow, WalRow,
};
pub use kind::{PgAsk, PgDetail, Postgres};
pub use locks::{Blocking, Waiter};
pub use names::{identifier, index_definition, literal, qualified};
pub use plan::{Planned, Plans, Trials};
pub use server::{Login, Server, StatementsView, Takes};
pub use statements::{Grown, QueryText, StatementKey, StatementRow, Statements, growth};

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::foreign::Foreign;
use super::seen::{Lack, Seen, Why};

/// Keys of a server in the configuration.
pub const SETTINGS: &[&str] = &["url", "password_file"];

/// What one server said at one tick. `None`: that probe was not due, the value before still stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PgSample {
    /// Who it is; when it changes and at the start of a recording.
    pub server: Option<Server>,
    /// Who is active, and what they wait for.
    pub activity: Option<Seen<Activity>>,
    /// Who waits for whose lock.
    pub blocking: Option<Seen<Blocking>>,
    /// What statements used since the reading before.
    pub statements: Option<Seen<Statements>>,
    /// Texts of statements that were not known.
    pub texts: Vec<QueryText>,
    /// What belongs to the whole cluster.
    pub cluster: Option<Seen<Cluster>>,
    /// Databases that were visited.
    pub catalogs: Vec<Catalog>,
    /// Databases that could not be, and why.
    pub unvisited: Vec<(Foreign, Lack)>,
}

/// The newest of everything that one server said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PgState {
    /// Who it is.
    pub server: Option<Arc<Server>>,
    /// Activity of this tick.
    pub activity: Seen<Arc<Activity>>,
    /// Locks, as seen last; dropped when nobody waits any more.
    pub blocking: Option<Seen<Arc<Blocking>>>,
    /// Statements, and when they came (CLOCK_MONOTONIC ns).
    pub statements: Seen<Arc<Statements>>,
    /// When they came.
    pub statements_ns: u64,
    /// Texts by query id.
    pub texts: Arc<BTreeMap<i64, QueryText>>,
    /// The cluster, as read last.
    pub cluster: Seen<Arc<Cluster>>,
    /// The reading before, for rates.
    pub before: Option<Arc<Cluster>>,
    /// Databases as visited last, by name (shown form).
    pub catalogs: Arc<BTreeMap<String, Arc<Catalog>>>,
    /// Databases whose last visit failed, and why.
    #[serde(default)]
    pub unvisited: Arc<BTreeMap<String, Lack>>,
    /// Plans that were made, and when they came.
    #[serde(default)]
    pub plans: Arc<Plans>,
    /// Indexes that were tried on the planner.
    #[serde(default)]
    pub trials: Arc<Trials>,
}

impl Default for PgState {
    fn default() -> Self {
        let not_yet = |what: &str| Lack::new(Why::NotYet, what);
        Self {
            server: None,
            activity: Err(not_yet("pg_stat_activity")),
            blocking: None,
            statements: Err(not_yet("pg_stat_statements")),
            statements_ns: 0,
            texts: Arc::default(),
            cluster: Err(not_yet("statistics of the cluster")),
            before: None,
            catalogs: Arc::default(),
            unvisited: Arc::default(),
            plans: Arc::default(),
            trials: Arc::default(),
        }
    }
}

/// What was answered, by what it is of.
type Fresh<T> = Vec<(Planned, Seen<T>)>;

fn kept<T: Clone>(old: &Arc<plan::Kept<T>>, fresh: Fresh<T>, mono_ns: u64) -> Arc<plan::Kept<T>> {
    if fresh.is_empty() { old.clone() } else { Arc::new(old.with(fresh, mono_ns)) }
}

/// Without databases that a fresh reading of the cluster does not know any more.
fn still_there<T: Clone>(kept: Arc<BTreeMap<String, T>>, sample: &PgSample) -> Arc<BTreeMap<String, T>> {
    /// So many rows are read: of more than these some are not listed.
    const LISTED: usize = 200;
    let Some(Ok(cluster)) = sample.cluster.as_ref() else { return kept };
    let known = |name: &String| cluster.databases.iter().any(|d| d.name.shown() == name);
    if cluster.databases.len() >= LISTED || kept.keys().all(known) {
        return kept;
    }
    Arc::new(kept.iter().filter(|(name, _)| known(name)).map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Texts kept; the oldest known queries go first by their id.
const TEXTS: usize = 400;

impl PgState {
    /// Folds one tick, with the plans and trials that were answered, over what was known.
    #[must_use]
    pub fn fold(&self, sample: &PgSample, (plans, trials): (Fresh<plan::Plan>, Fresh<plan::Trial>), mono_ns: u64) -> Self {
        let slow = |fresh: &Option<Seen<Statements>>, kept: &Seen<Arc<Statements>>| match fresh {
            Some(value) => value.clone().map(Arc::new),
            None => kept.clone(),
        };
        let (cluster, before) = match &sample.cluster {
            Some(Ok(new)) => (Ok(Arc::new(new.clone())), self.cluster.as_ref().ok().cloned().or_else(|| self.before.clone())),
            Some(Err(lack)) => (Err(lack.clone()), None),
            None => (self.cluster.clone(), self.before.clone()),
        };
        let silent = || Lack::new(Why::NotYet, "pg_stat_activity");
        let activity = sample.activity.clone().unwrap_or_else(|| Err(silent())).map(Arc::new);
        // A tick without a sample says nothing of who waits.
        let waits = sample.activity.is_none()
            || activity.as_ref().is_ok_and(|a| a.sessions.iter().any(|s| s.wait.class() == WaitClass::Lock));
        Self {
            server: sample.server.clone().map(Arc::new).or_else(|| self.server.clone()),
            blocking: match &sample.blocking {
                Some(fresh) => Some(fresh.clone().map(Arc::new)),
                None if waits => self.blocking.clone(),
                None => None,
            },
            activity,
            statements: slow(&sample.statements, &self.statements),
            statements_ns: if sample.statements.is_some() { mono_ns } else { self.statements_ns },
            texts: self.with_texts(&sample.texts),
            cluster,
            before,
            catalogs: still_there(self.with_catalogs(&sample.catalogs), sample),
            unvisited: still_there(self.with_unvisited(sample), sample),
            plans: kept(&self.plans, plans, mono_ns),
            trials: kept(&self.trials, trials, mono_ns),
        }
    }

    fn with_texts(&self, fresh: &[QueryText]) -> Arc<BTreeMap<i64, QueryText>> {
        if fresh.is_empty() {
            return self.texts.clone();
        }
        let mut texts = (*self.texts).clone();
        for text in fresh {
            if texts.len() >= TEXTS {
                texts.pop_first();
            }
            texts.insert(text.query_id, text.clone());
        }
        Arc::new(texts)
    }

    fn with_unvisited(&self, sample: &PgSample) -> Arc<BTreeMap<String, Lack>> {
        if sample.catalogs.is_empty() && sample.unvisited.is_empty() {
            return self.unvisited.clone();
        }
        let mut all = (*self.unvisited).clone();
        sample.catalogs.iter().for_each(|c| _ = all.remove(c.database.shown()));
        all.extend(sample.unvisited.iter().map(|(database, lack)| (database.shown().to_owned(), lack.clone())));
        Arc::new(all)
    }

    fn with_catalogs(&self, fresh: &[Catalog]) -> Arc<BTreeMap<String, Arc<Catalog>>> {
        if fresh.is_empty() {
            return self.catalogs.clone();
        }
        let mut catalogs = (*self.catalogs).clone();
        for catalog in fresh {
            catalogs.insert(catalog.database.shown().to_owned(), Arc::new(catalog.clone()));
        }
        Arc::new(catalogs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_without_a_look_says_nothing_about_locks() {
        let waits = Session { wait: Wait { kind: WaitKind::Lock, event: "tuple".into() }, ..Session::default() };
        let look = |sessions: Vec<Session>| Some(Ok(Activity { rounds: 1, sessions, ..Activity::default() }));
        let fold = |state: &PgState, sample: PgSample| state.fold(&sample, (Vec::new(), Vec::new()), 1);
        let seen = fold(
            &PgState::default(),
            PgSample { activity: look(vec![waits]), blocking: Some(Ok(Blocking::default())), ..PgSample::default() },
        );
        let silent = fold(&seen, PgSample::default());
        assert!(silent.blocking.is_some(), "not sampled");
        let over = fold(&silent, PgSample { activity: look(Vec::new()), ..PgSample::default() });
        assert!(over.blocking.is_none(), "no session waits any more");
    }

    #[test]
    fn a_database_that_was_dropped_is_forgotten() {
        let catalog = |name: &str| Catalog { database: name.into(), ..Catalog::default() };
        let cluster = |names: &[&str]| {
            let databases = names.iter().map(|n| DatabaseRow { name: (*n).into(), ..DatabaseRow::default() }).collect();
            Some(Ok(Cluster { databases, ..Cluster::default() }))
        };
        let lack = Lack::new(Why::Absent, "3D000");
        let sample = PgSample {
            catalogs: vec![catalog("a"), catalog("b")],
            unvisited: vec![("c".into(), lack)],
            cluster: cluster(&["a", "b", "c"]),
            ..PgSample::default()
        };
        let state = PgState::default().fold(&sample, (Vec::new(), Vec::new()), 1);
        assert_eq!((state.catalogs.len(), state.unvisited.len()), (2, 1));
        let state = state.fold(&PgSample { cluster: cluster(&["a"]), ..PgSample::default() }, (Vec::new(), Vec::new()), 2);
        assert_eq!((state.catalogs.len(), state.unvisited.len()), (1, 0));
    }
}
