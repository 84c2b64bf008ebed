//! PostgreSQL over the window: who was active and in what, who stands in whose way, what grew. Pure.

mod chains;
mod sessions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use chains::{Chains, Holder, Root};
use sessions::Join;
pub use sessions::{Activities, SessionFacts};

use crate::model::kind::{HostOf, Moment};
use crate::model::postgres::plan::Plan;
use crate::model::postgres::{
    Catalog, Cluster, DatabaseRow, PgState, Plans, QueryText, Server, StatementKey, StatementRow, Statements, TableRow, Trials,
    identifier,
};
use crate::model::seen::{Lack, Seen, Why};
use crate::model::source::Place;

/// Facts of one server.
#[derive(Debug, Clone)]
pub struct PgFacts {
    /// Source id.
    pub id: String,
    /// Who it is, once it said so.
    pub server: Option<Arc<Server>>,
    /// Active sessions over the window.
    pub activity: Seen<Activities>,
    /// Who waits for whose lock; empty when nobody does.
    pub chains: Seen<Chains>,
    /// What statements used between the two newest readings.
    pub statements: Seen<Arc<Statements>>,
    /// Seconds since that reading.
    pub statements_age_s: f64,
    /// Texts by query id.
    pub texts: Arc<BTreeMap<i64, QueryText>>,
    /// The cluster's figures.
    pub cluster: Seen<Arc<Cluster>>,
    /// The reading before, and the seconds in between.
    pub before: Option<(Arc<Cluster>, f64)>,
    /// Databases as visited last.
    pub catalogs: Arc<BTreeMap<String, Arc<Catalog>>>,
    /// Databases that were not, and why: not yet, or refused.
    pub unvisited: BTreeMap<String, Lack>,
    /// Milliseconds a call of each entry as they were before: what the judgement learned, empty until it did.
    pub usual: BTreeMap<StatementKey, f64>,
    /// Plans, and when they came.
    pub plans: Arc<Plans>,
    /// Indexes that were tried on the planner, and when.
    pub trials: Arc<Trials>,
}

/// Facts of every server in the newest snapshot.
pub(in crate::model) fn derive(window: &[Moment<'_, PgState>], host: &HostOf<'_>) -> Vec<PgFacts> {
    let Some(newest) = window.last() else { return Vec::new() };
    newest.servers.iter().map(|(id, state)| one(id, state, window, host)).collect()
}

fn one(id: &str, state: &PgState, window: &[Moment<'_, PgState>], host: &HostOf<'_>) -> PgFacts {
    let newest = window.last().map(|s| s.at.mono_ns).unwrap_or_default();
    let local = state.server.as_ref().is_some_and(|s| s.place == Place::Local);
    let join = host.boot_us.filter(|_| local).map(|boot_us| {
        let looks = window.iter().filter_map(|moment| moment.servers.get(id)?.activity.as_ref().ok());
        let both = looks.flat_map(|a| {
            let listed = a.sessions.iter().map(|s| (s.pid, s.started_us));
            listed.chain(a.hits.iter().map(|hit| (hit.pid, hit.started_us)))
        });
        let sessions: BTreeSet<(i32, i64)> = both.collect();
        Join::of(host.processes, boot_us, host.ticks_per_s, &sessions)
    });
    let activity = Activities::derive(id, window, join.as_ref());
    let chains = match (&activity, &state.blocking) {
        (Err(lack), _) | (_, Some(Err(lack))) => Err(lack.clone()),
        (Ok(activity), now) => {
            let (now, cluster) = (now.as_ref().and_then(|now| now.as_ref().ok()), state.cluster.as_ref().ok().map(|c| &**c));
            let chains = now.map_or_else(Chains::default, |now| Chains::derive(now, activity, cluster, &state.catalogs));
            let past = window.iter().rev().filter_map(|moment| {
                let then = moment.servers.get(id)?;
                let blocking = then.blocking.as_ref()?.as_ref().ok().filter(|b| now.is_none_or(|now| !Arc::ptr_eq(now, b)))?;
                Some((&**blocking, then.activity.as_ref().ok()?.sessions.as_slice()))
            });
            Ok(chains.with_past(past, activity, cluster, &state.catalogs))
        }
    };
    let before = state.before.as_ref().zip(state.cluster.as_ref().ok());
    let before = before.and_then(|(old, new)| {
        let dt_s = (new.server_us - old.server_us) as f64 / 1e6;
        (dt_s > 0.5).then(|| (old.clone(), dt_s))
    });
    PgFacts {
        id: id.to_owned(),
        server: state.server.clone(),
        activity,
        chains,
        statements: state.statements.clone(),
        statements_age_s: newest.saturating_sub(state.statements_ns) as f64 / 1e9,
        texts: state.texts.clone(),
        cluster: state.cluster.clone(),
        before,
        unvisited: unvisited(state),
        catalogs: state.catalogs.clone(),
        usual: BTreeMap::new(),
        plans: state.plans.clone(),
        trials: state.trials.clone(),
    }
}

/// Databases that a client can be in and that nobody read; those of a managed service itself are left out.
fn unvisited(state: &PgState) -> BTreeMap<String, Lack> {
    let not_yet = || Lack::new(Why::NotYet, "not read yet");
    let all = state.cluster.iter().flat_map(|c| c.databases.iter().filter(|d| d.of_clients()));
    let missing =
        all.map(|d| d.name.shown().to_owned()).filter(|name| !state.catalogs.contains_key(name)).map(|name| (name, not_yet()));
    missing.chain(state.unvisited.iter().map(|(name, lack)| (name.clone(), lack.clone()))).collect()
}

impl PgFacts {
    /// Its process runs on this host.
    #[must_use]
    pub fn local(&self) -> bool {
        self.server.as_ref().is_some_and(|s| s.place == Place::Local)
    }

    /// The port that it listens on, by its setting.
    #[must_use]
    pub fn listens(&self) -> Option<u16> {
        let port = self.cluster.as_ref().ok()?.number("port")?;
        (1.0..=65_535.0).contains(&port).then_some(port as u16)
    }

    /// What hides others from our role, and what lifts that: such a server may be in trouble that nobody sees.
    #[must_use]
    pub fn narrow(&self) -> Option<Lack> {
        let login = &self.server.as_ref().filter(|s| !s.login.monitor)?.login;
        let lack = Lack::new(Why::Denied, format!("role {} sees only its own sessions and statements", login.role));
        Some(match identifier(&login.role) {
            Some(role) => lack.lifted_by(format!("GRANT pg_monitor TO {role};")),
            None => lack,
        })
    }

    /// What was refused of that from which these figures come.
    #[must_use]
    pub fn refused(&self, origins: &[&str]) -> Option<&Lack> {
        let refused = &self.cluster.as_ref().ok()?.refused;
        origins.iter().find_map(|origin| refused.get(*origin))
    }

    /// Why its health cannot be told: others are hidden, or what was asked was refused.
    #[must_use]
    pub fn partly_seen(&self) -> Option<Lack> {
        let refused = |lack: &&Lack| self.server.is_some() && lack.why != Why::NotYet;
        let parts = [self.activity.as_ref().err(), self.chains.as_ref().err(), self.cluster.as_ref().err()];
        // What this kind of server does not have hides nothing.
        let hides = |lack: &&Lack| lack.why != Why::Unsupported;
        let part = || self.cluster.as_ref().ok().and_then(|c| c.refused.values().find(hides)).cloned();
        self.narrow().or_else(|| parts.into_iter().flatten().find(refused).cloned()).or_else(part)
    }

    /// The text of a query, masked; empty while it is not known.
    #[must_use]
    pub fn text(&self, query: i64) -> &str {
        self.texts.get(&query).map_or("", |t| t.text.shown())
    }

    /// Statements of others than perftop that grew; empty when unknown.
    pub fn rows(&self) -> impl Iterator<Item = &StatementRow> {
        let own = |row: &&StatementRow| !self.texts.get(&row.key.query).is_some_and(|t| t.own);
        self.statements.iter().flat_map(|s| &s.rows).filter(own)
    }

    /// Seconds of the newest growth of statements; `None` before the second reading.
    #[must_use]
    pub fn interval_s(&self) -> Option<f64> {
        self.statements.as_ref().ok().map(|s| s.interval_s).filter(|s| *s > 0.0)
    }

    /// The plan of a statement in its database, and when it came (CLOCK_MONOTONIC ns).
    #[must_use]
    pub fn plan(&self, row: &StatementRow) -> Option<&(u64, Seen<Plan>)> {
        self.plans.of(&row.database, row.key.query)
    }

    /// Databases that a client can be in.
    #[must_use]
    pub fn databases(&self) -> usize {
        self.cluster.as_ref().map_or(0, |c| c.databases.iter().filter(|d| d.of_clients()).count())
    }

    /// A table by database and OID.
    #[must_use]
    pub fn table(&self, database: u32, relation: u32) -> Option<(&Catalog, &TableRow)> {
        let catalog = self.catalogs.values().find(|c| c.oid == database)?;
        Some((catalog, catalog.tables.iter().find(|t| t.oid == relation)?))
    }

    /// Growth per second of a counter of the cluster; `None` without two readings, or when it went back.
    #[must_use]
    pub fn rate(&self, of: impl Fn(&Cluster) -> Option<u64>) -> Option<f64> {
        let (old, dt_s) = self.before.as_ref()?;
        let new = self.cluster.as_ref().ok()?;
        Some(of(new)?.checked_sub(of(old)?)? as f64 / dt_s)
    }

    /// The same of all databases together. There is one at least: none at all means that they could not be read.
    #[must_use]
    pub fn databases_rate(&self, of: impl Fn(&DatabaseRow) -> Option<u64>) -> Option<f64> {
        self.rate(|c| match c.databases.as_slice() {
            [] => None,
            all => all.iter().map(&of).sum(),
        })
    }

    /// The same of one database.
    #[must_use]
    pub fn database_rate(&self, oid: u32, of: impl Fn(&DatabaseRow) -> Option<u64>) -> Option<f64> {
        self.rate(|c| of(c.databases.iter().find(|d| d.oid == oid)?))
    }

    /// Why statements are not known.
    #[must_use]
    pub fn no_statements(&self) -> Lack {
        match &self.statements {
            Err(lack) => lack.clone(),
            Ok(_) => Lack::new(Why::NotYet, "pg_stat_statements: needs a second reading"),
        }
    }
}
