//! Where a watcher puts what it finds, and the scheduler takes it at each tick. Behind one lock, held for a moment only.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use sqlx::postgres::PgRow;

use crate::model::demand::Answer;
use crate::model::foreign::{Foreign, Private};
use crate::model::postgres::{
    Blocking, Catalog, Cluster, DatabaseRow, Grown, PgSample, QueryText, Server, Session, StatementKey, StatementRow, Statements,
    StatementsView, Waiter,
};
use crate::model::seen::{Lack, Why};
use crate::model::source::{SourceState, SourceStatus};

use super::activity::Looks;
use super::connect::Who;
use super::families::Families;
use super::haste::KNOWN;
use super::session::Cells;
use super::status::{Part, blank, introduced, missing, way_in};
use super::target::Target;
use super::trouble::Trouble;

/// Shared between a watcher, its visitor and the scheduler.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    looks: Looks,
    sample: PgSample,
    status: Option<SourceStatus>,
    /// Why there are no samples.
    silent: Option<Lack>,
    /// What was asked and refused when it was asked last.
    failing: BTreeMap<Part, Trouble>,
    server: Option<Server>,
    /// Texts as the server normalised them: what is left of literals in them stays in this process.
    texts: BTreeMap<i64, Private<String>>,
    /// Which of them are one but for the length of a list.
    families: Families,
    /// Their queries, in the order in which they came.
    came: VecDeque<i64>,
    /// Databases that one may connect to, most active first, and how many rows were ever written in each.
    databases: Vec<(String, u64)>,
    /// A database that has pg_stat_statements, when ours has not.
    better: Option<String>,
    /// Databases that we sat in already: one in which the extension is there and cannot be read is not better.
    sat: BTreeSet<String>,
    answers: Vec<Answer>,
}

impl Shared {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// All that came since the last call.
    #[must_use]
    pub fn take(&self) -> (PgSample, Option<SourceStatus>, Vec<Answer>) {
        let mut slot = self.slot();
        let mut sample = std::mem::take(&mut slot.sample);
        sample.activity = match (slot.looks.take(), &slot.silent) {
            (Some(activity), _) => Some(Ok(activity)),
            (None, Some(lack)) => Some(Err(lack.clone())),
            (None, None) => None,
        };
        let monitor = slot.server.as_ref().is_some_and(|s| s.login.monitor);
        let status = slot.status.clone().map(|status| missing(status, &slot.failing, monitor));
        (sample, status, std::mem::take(&mut slot.answers))
    }

    /// The server said who it is.
    pub fn introduced(&self, target: &Target, server: &Server) {
        let mut slot = self.slot();
        slot.silent = None;
        slot.failing.clear();
        slot.better = None;
        slot.sat.insert(server.database.shown().to_owned());
        slot.texts.clear();
        slot.families = Families::default();
        slot.came.clear();
        slot.status = Some(introduced(target, server));
        slot.server = Some(server.clone());
        slot.sample.server = Some(server.clone());
    }

    /// It refuses us.
    pub fn refused(&self, target: &Target, who: &Who, trouble: &Trouble) {
        let mut slot = self.slot();
        slot.status = Some(SourceStatus {
            state: SourceState::Denied,
            why: Some(format!("as role {}: {trouble}", who.role)),
            way_in: Some(match (trouble.code(), crate::model::postgres::identifier(&who.role.as_str().into())) {
                ("3D000", _) => format!("name an existing database: {}", target.psql(&who.role, "postgres")),
                ("28000", Some(role)) => {
                    format!("CREATE ROLE {role} LOGIN IN ROLE pg_monitor; or a line in pg_hba.conf that allows it")
                }
                _ => way_in(target),
            }),
            ..blank(target)
        });
        slot.silent = Some(Lack::new(Why::Denied, trouble.to_string()));
    }

    /// It does not answer, or has no connection slot for us.
    pub fn lost(&self, target: &Target, trouble: &Trouble) {
        let mut slot = self.slot();
        let known = slot.server.clone();
        let way_in = match (trouble, trouble.code()) {
            (_, "53300") => "end idle sessions, or raise max_connections; superusers have reserved slots".to_owned(),
            (Trouble::Nobody(_), _) => {
                format!(
                    "start the server, or name its port: {}",
                    target.psql(target.role.as_deref().unwrap_or("ROLE"), &target.database)
                )
            }
            _ => target.psql(target.role.as_deref().unwrap_or("ROLE"), &target.database),
        };
        slot.status = Some(SourceStatus {
            state: SourceState::Unreachable,
            version: known.as_ref().map(|s| s.version.shown().to_owned()),
            place: known.as_ref().map_or_else(|| blank(target).place, |s| s.place),
            why: Some(trouble.to_string()),
            way_in: Some(way_in),
            ..blank(target)
        });
        let why = if matches!(trouble, Trouble::TimedOut(_)) { Why::TimedOut } else { Why::Absent };
        slot.silent = Some(Lack::new(why, trouble.to_string()));
    }

    /// One part was refused: it is unknown, and the source is not whole, until it is answered again.
    pub fn failed(&self, part: Part, trouble: Trouble) {
        let lack = trouble.lack(part.label());
        let mut slot = self.slot();
        slot.failing.insert(part, trouble);
        match part {
            Part::Activity => slot.silent = Some(lack),
            Part::Locks => slot.sample.blocking = Some(Err(lack)),
            Part::Statements => slot.sample.statements = Some(Err(lack)),
            Part::Cluster => slot.sample.cluster = Some(Err(lack)),
            Part::Texts | Part::Figures(_) => {}
        }
    }

    /// Nothing is to be asked of that part now: what it refused a while ago is no state.
    pub fn mended(&self, part: Part) {
        self.slot().failing.remove(&part);
    }

    /// There are no statements to read, and what lifts that.
    pub fn no_statements(&self, why: &str, lift: &str) {
        self.slot().sample.statements = Some(Err(Lack::new(Why::Absent, why).lifted_by(lift)));
    }

    /// One sample of the sessions.
    pub fn looked(&self, head: &[PgRow], rows: &[PgRow], cost_ms: f64, pid: i32) {
        let mut slot = self.slot();
        slot.silent = None;
        slot.failing.remove(&Part::Activity);
        let Slot { looks, families, .. } = &mut *slot;
        looks.add(head, rows, cost_ms, families);
        let ours = head.first().and_then(|row| {
            let mut c = Cells::of(row);
            c.bytes();
            c.bytes();
            c.number::<i32>()
        });
        // Another backend than the one that introduced itself: a pooler stands in between.
        if ours.is_some_and(|p| p != pid)
            && let Some(server) = slot.server.as_mut().filter(|s| !s.pooled)
        {
            server.pooled = true;
            let server = server.clone();
            slot.sample.server = Some(server);
        }
    }

    /// A pooler stands between us and the server.
    #[must_use]
    pub fn pooled(&self) -> bool {
        self.slot().server.as_ref().is_some_and(|s| s.pooled)
    }

    /// True when someone waited for a lock in the newest sample.
    #[must_use]
    pub fn someone_waits(&self) -> bool {
        !self.slot().looks.waiting().is_empty()
    }

    /// Who did, the longest first.
    #[must_use]
    pub fn waiting(&self) -> Vec<i32> {
        self.slot().looks.waiting()
    }

    /// Queries that sessions run in the newest sample, one for each session.
    #[must_use]
    pub fn running(&self) -> Vec<i64> {
        self.slot().looks.running()
    }

    /// Sessions of the newest sample.
    #[must_use]
    pub fn pids(&self) -> Vec<i32> {
        self.slot().looks.pids()
    }

    /// Who waits for whom.
    pub fn chains(&self, waiters: Vec<Waiter>, holders: Vec<Session>, more: u32) {
        let mut slot = self.slot();
        slot.failing.remove(&Part::Locks);
        slot.sample.blocking = Some(Ok(Blocking { waiters, more, holders }));
    }

    /// The cluster's figures, and what was refused of them.
    pub fn figures(&self, cluster: Cluster, refused: Vec<(&'static str, Trouble)>) {
        let mut slot = self.slot();
        let mut all: Vec<_> = cluster.databases.iter().filter(|d| d.of_clients()).collect();
        all.sort_by_key(|d| std::cmp::Reverse(d.blocks_hit + d.blocks_read));
        // A standby's rows are written by its primary and not counted here.
        let counts = cluster.replay_lag.is_none() && cluster.on("track_counts") != Some(false);
        let written = |d: &DatabaseRow| if counts { d.rows_written } else { cluster.server_us.unsigned_abs() };
        slot.databases = all.iter().filter_map(|d| Some((String::from_utf8(d.name.raw().to_vec()).ok()?, written(d)))).collect();
        slot.failing.retain(|part, _| !matches!(part, Part::Cluster | Part::Figures(_)));
        slot.failing.extend(refused.into_iter().map(|(label, trouble)| (Part::Figures(label), trouble)));
        slot.sample.cluster = Some(Ok(cluster));
    }

    /// Databases that can be visited, the busiest first, and how many rows were ever written in each.
    #[must_use]
    pub fn databases(&self) -> Vec<(String, u64)> {
        self.slot().databases.clone()
    }

    /// The rows that are one but for the length of a list as one.
    #[must_use]
    pub fn join(&self, rows: Vec<StatementRow>, entries: &HashMap<StatementKey, Grown>) -> Vec<StatementRow> {
        let mut slot = self.slot();
        let rows = slot.families.join(rows, entries);
        // Nobody asks for the texts of those that others stand for.
        let Slot { families, texts, came, sample, .. } = &mut *slot;
        let stands = |query: i64| families.head(query) == query;
        texts.retain(|query, _| stands(*query));
        came.retain(|query| stands(*query));
        sample.texts.retain(|text| stands(text.query_id));
        rows
    }

    /// What statements used.
    pub fn used(&self, statements: Statements) {
        let mut slot = self.slot();
        slot.failing.remove(&Part::Statements);
        slot.sample.statements = Some(Ok(statements));
    }

    /// The most expensive of them whose texts are not known; and whether one of those keeps a twentieth of a session busy.
    #[must_use]
    pub fn without_text(&self, statements: &Statements, most: usize) -> (Vec<i64>, bool) {
        let slot = self.slot();
        let unknown = statements.rows.iter().take(most).filter(|r| !slot.texts.contains_key(&r.key.query));
        let busy = |ms: f64| statements.interval_s <= 0.0 || ms / 1000.0 / statements.interval_s >= KNOWN;
        let costly = unknown.clone().any(|r| busy(r.grown.exec_ms));
        let mut ids: Vec<i64> = unknown.map(|r| r.key.query).collect();
        ids.sort_unstable();
        ids.dedup();
        (ids, costly)
    }

    /// Texts that were brought, masked and as they are.
    pub fn texts(&self, texts: Vec<(QueryText, Private<String>)>) {
        const MOST: usize = 400;
        let mut slot = self.slot();
        slot.failing.remove(&Part::Texts);
        if slot.families.full() {
            slot.families = Families::default();
            slot.texts.clear();
            slot.came.clear();
        }
        for (text, raw) in texts {
            slot.families.learn(text.query_id, raw.reveal(), text.cut);
            if slot.texts.insert(text.query_id, raw).is_none() {
                slot.came.push_back(text.query_id);
            }
            if slot.came.len() > MOST
                && let Some(oldest) = slot.came.pop_front()
            {
                slot.texts.remove(&oldest);
            }
            slot.sample.texts.push(text);
        }
    }

    /// The text of a statement as the server has it; for plans only, it is neither shown nor recorded.
    #[must_use]
    pub fn raw_text(&self, query: i64) -> Option<String> {
        self.slot().texts.get(&query).map(|text| text.reveal().clone())
    }

    /// A database that was visited.
    pub fn visited(&self, catalog: Catalog) {
        self.slot().sample.catalogs.push(catalog);
    }

    /// A database that could not be.
    pub fn unvisited(&self, database: &str, lack: Lack) {
        self.slot().sample.unvisited.push((Foreign::from(database), lack));
    }

    /// That database has pg_stat_statements.
    pub fn has_statements(&self, database: &str) {
        let mut slot = self.slot();
        let missing = slot.server.as_ref().is_some_and(|s| matches!(s.statements, StatementsView::Missing { .. }));
        if missing && slot.better.is_none() && !slot.sat.contains(database) {
            slot.better = Some(database.to_owned());
        }
    }

    /// A better database to sit in, if one was found.
    #[must_use]
    pub fn better_database(&self) -> Option<String> {
        self.slot().better.clone()
    }

    /// An answer to a demand.
    pub fn answered(&self, answer: Answer) {
        self.slot().answers.push(answer);
    }
}
