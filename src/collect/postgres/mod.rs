//! PostgreSQL, 12 to 18: one watcher a server, two connections at most, read only. DESIGN.md section 5; the SQL of each probe stands in
//! its own file.

mod activity;
mod catalog;
mod cluster;
mod columns;
mod connect;
pub mod credentials;
mod environment;
mod figures;
mod find;
mod frames;
mod guard;
mod haste;
mod hello;
mod locks;
mod place;
mod plan;
mod sampling;
mod session;
mod slot;
mod statements;
mod status;
pub mod target;
mod trial;
mod trouble;
mod turns;
mod visitor;
mod watcher;

use std::collections::BTreeMap;

use tokio::sync::{mpsc, watch};

use crate::collect::root::Roots;
use crate::model::demand::{Answer, Demand};
use crate::model::foreign::Foreign;
use crate::model::postgres::PgSample;
use crate::model::postgres::plan::{Plan, Trial, TrialIndex};
use crate::model::source::SourceStatus;

use self::slot::Shared;
use self::target::Target;

pub use self::environment::from_environment;
pub use self::find::socket;

/// What perftop calls itself; its own sessions are left out by it.
pub const APPLICATION: &str = "perftop";
/// What stands behind the first word of each of its statements.
const MARK: &str = "/* perftop */";
/// Servers watched at once.
const MOST: usize = 8;

/// The servers that are watched.
#[derive(Default)]
pub struct Servers {
    watched: BTreeMap<String, Watched>,
}

struct Watched {
    slot: Shared,
    demands: mpsc::Sender<Demand>,
    /// Dropping it ends the watcher.
    _stop: watch::Sender<bool>,
    configured: bool,
}

/// What all of them brought since the last tick.
#[derive(Default)]
pub struct Brought {
    /// By source id.
    pub samples: BTreeMap<String, PgSample>,
    /// Where each stands.
    pub statuses: Vec<SourceStatus>,
    /// Answers to demands.
    pub answers: Vec<Answer>,
}

impl Servers {
    /// Watches a server from now on; one that is watched already is left as it is.
    pub fn watch(&mut self, target: Target, roots: &Roots) {
        if self.watched.contains_key(&target.id) || self.watched.len() >= MOST {
            return;
        }
        let (demands, asked) = mpsc::channel(8);
        let (stop, stopped) = watch::channel(false);
        let slot = Shared::default();
        let (id, configured) = (target.id.clone(), !target.discovered);
        let watcher = watcher::Watcher { target, roots: roots.clone(), slot: slot.clone(), asked, stop: stopped, accepted: None };
        if watcher.start().is_ok() {
            self.watched.insert(id, Watched { slot, demands, _stop: stop, configured });
        }
    }

    /// Ends the watching of servers that were seen here and are gone.
    pub fn keep(&mut self, alive: impl Fn(&str) -> bool) {
        self.watched.retain(|id, w| w.configured || alive(id));
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
            if taken.sample != PgSample::default() {
                brought.samples.insert(id.clone(), taken.sample);
            }
            brought.statuses.extend(taken.status);
            brought.answers.extend(taken.answers);
        }
        brought
    }
}

/// The generic plan of one statement as a role (our own, if none is said), outside of any watching: for tools and tests.
///
/// # Errors
/// What the server said.
pub async fn plan_once(target: &Target, database: &str, role: Option<&str>, sql: &str) -> Result<Plan, String> {
    let (mut session, hello) = once(target, database).await?;
    let role = role.map_or_else(|| hello.server.login.role.clone(), Foreign::from);
    plan::make(&mut session, &hello, false, sql, &role).await.map_err(|e| e.to_string())
}

/// The same with an index that is not there.
///
/// # Errors
/// What the server said.
pub async fn trial_once(target: &Target, database: &str, sql: &str, index: &TrialIndex) -> Result<Trial, String> {
    let (mut session, hello) = once(target, database).await?;
    let role = hello.server.login.role.clone();
    trial::make(&mut session, &hello, false, sql, &role, index).await.map_err(|e| e.to_string())
}

async fn once(target: &Target, database: &str) -> Result<(session::Session, hello::Hello), String> {
    let who = connect::who(target);
    let credentials = credentials::Credentials::read();
    let connection = connect::connect(target, &who, database, &credentials).await.map_err(|e| e.to_string())?;
    let limits = session::Limits {
        statement: std::time::Duration::from_secs(5),
        batch: std::time::Duration::from_secs(9),
        role: None,
        checks_client: false,
        work_mem: "16MB",
    };
    let mut session = session::Session::new(connection, limits);
    let hello = hello::ask(&mut session, target, &Roots::default()).await.map_err(|e| e.to_string())?;
    Ok((session, hello))
}
