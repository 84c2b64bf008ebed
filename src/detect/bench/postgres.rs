//! PostgreSQL on the bench: sessions that wait, chains of locks, readings that grow, and one statement with its plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::detect::learned::Learned;
use crate::model::postgres::plan::{Node, Plan, PlannedColumn, PlannedIndex, PlannedTable, Plans};
use crate::model::postgres::{
    Activity, Blocking, Catalog, Cluster, DatabaseRow, Grown, Hit, Login, PgState, QueryText, Server, Session, SettingRow,
    StatementKey, StatementRow, Statements, StatementsView, Wait, WaitKind, Waiter,
};
use crate::model::source::Place;

use super::{Bench, SERVER};

/// Looks within the window.
const LOOKS: u32 = 1000;

/// A server of another host, read by a role that sees all.
pub fn server() -> Server {
    Server {
        version_num: 160_004,
        version: "16.4".into(),
        standby: false,
        place: Place::Remote,
        postmaster: None,
        started_us: 0,
        address: "db:5432".into(),
        database: "shop".into(),
        login: Login { role: "perftop".into(), superuser: false, monitor: true, signal: false },
        statements: StatementsView::Ready { schema: "public".into(), version: "1.10".into() },
        managed: None,
        listens: None,
        dialled: Vec::new(),
        pooled: false,
        round_trip_ms: 0.1,
    }
}

/// A session of a client that works.
pub fn client(pid: i32) -> Session {
    Session {
        pid,
        started_us: 1,
        database: "shop".into(),
        role: "app".into(),
        kind: "client backend".into(),
        state: "active".into(),
        query: "SELECT 1".into(),
        ..Session::default()
    }
}

/// A session of a client that waits.
pub fn waits(pid: i32, kind: WaitKind, event: &str) -> Session {
    Session { wait: Wait { kind, event: event.into() }, ..client(pid) }
}

/// Sessions, each seen active in so many of a thousand looks.
pub fn activity(sessions: Vec<(Session, u32)>) -> Activity {
    let hit = |(s, count): &(Session, u32)| Hit {
        pid: s.pid,
        started_us: s.started_us,
        query_id: s.query_id,
        wait: s.wait.clone(),
        count: *count,
        leader: s.leader,
    };
    let hits = sessions.iter().filter(|(_, count)| *count > 0).map(hit).collect();
    let sessions = sessions.into_iter().map(|(s, _)| s).collect();
    Activity { rounds: LOOKS, hits, sessions, ..Activity::default() }
}

/// A server with those sessions.
pub fn seen(sessions: Vec<(Session, u32)>) -> Bench {
    Bench::postgres(PgState { activity: Ok(Arc::new(activity(sessions))), ..PgState::default() })
}

/// One that waits for a lock of these.
pub fn waiter(pid: i32, by: &[i32], kind: &str) -> Waiter {
    Waiter { pid, by: by.to_vec(), kind: kind.into(), mode: "ShareLock".into(), ..Waiter::default() }
}

/// The waiters of these holders, each waiting in so many of a thousand looks.
pub fn chain(holders: Vec<Session>, waiters: Vec<Waiter>, looks: u32) -> PgState {
    let waiting = waiters.iter().map(|w| (waits(w.pid, WaitKind::Lock, &w.kind), looks));
    let sessions = holders.into_iter().map(|s| (s, 0)).chain(waiting).collect();
    PgState {
        activity: Ok(Arc::new(activity(sessions))),
        blocking: Some(Ok(Arc::new(Blocking { waiters, ..Blocking::default() }))),
        ..PgState::default()
    }
}

/// One waits for that holder in so many of a thousand looks, for a lock of that kind.
pub fn blocked(holder: Session, kind: &str, looks: u32) -> Bench {
    let waiter = waiter(20, &[holder.pid], kind);
    Bench::postgres(chain(vec![holder], vec![waiter], looks))
}

/// Two readings, ten seconds apart.
pub fn readings(old: Cluster, new: Cluster) -> Bench {
    let new = Cluster { server_us: old.server_us + 10_000_000, ..new };
    Bench::postgres(PgState { cluster: Ok(Arc::new(new)), before: Some(Arc::new(old)), ..PgState::default() })
}

/// A setting by its name.
pub fn setting(name: &str, value: &str) -> (String, SettingRow) {
    (name.into(), SettingRow { setting: value.into(), ..SettingRow::default() })
}

/// A database that clients use.
pub fn shop() -> DatabaseRow {
    DatabaseRow { oid: 1, name: "shop".into(), connectable: true, ..DatabaseRow::default() }
}

/// That database as it was visited.
pub fn visited(catalog: Catalog) -> Bench {
    Bench::postgres(PgState {
        cluster: Ok(Arc::new(Cluster { databases: vec![shop()], ..Cluster::default() })),
        catalogs: catalogs(catalog),
        ..PgState::default()
    })
}

/// What was visited, by its name.
pub fn catalogs(catalog: Catalog) -> Arc<BTreeMap<String, Arc<Catalog>>> {
    Arc::new([("shop".to_owned(), Arc::new(Catalog { database: "shop".into(), oid: 1, ..catalog }))].into())
}

/// A figure has grown by so much each second, for a minute and a half.
pub fn grows(what: &str, per_s: f64) -> impl FnOnce(&mut Learned) {
    move |learned| {
        let series = learned.servers.postgres.trends.entry(format!("{SERVER} {what}")).or_default();
        (0..90).map(f64::from).for_each(|s| series.push(s, per_s * s));
    }
}

/// The only statement of a server, and what each of its calls takes.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Its text.
    pub text: &'static str,
    /// Thousandths of a session that it keeps busy.
    pub busy: u32,
    /// Milliseconds of a call.
    pub ms: f64,
    /// Rows that a call returns.
    pub rows: u64,
    /// Buffers that a call touches.
    pub reads: u64,
    /// Bytes that a call writes to temporary files.
    pub spills: u64,
    /// Milliseconds of a call and calls a second as they were before.
    pub usual: Option<(f32, f32)>,
    /// Its part of the time of all statements.
    pub share: f64,
    /// Of its time, what compilation takes.
    pub jit: f64,
    /// Milliseconds of planning of a call, where those are counted.
    pub plan_ms: f64,
    /// Its plan.
    pub plan: Option<Plan>,
}

impl Default for Statement {
    /// One that costs and that no rule has a reason for.
    fn default() -> Self {
        let text = "SELECT id FROM orders WHERE customer_id = $1";
        Self {
            text,
            busy: 110,
            ms: 5.0,
            rows: 1,
            reads: 0,
            spills: 0,
            usual: None,
            share: 0.1,
            jit: 0.0,
            plan_ms: 0.0,
            plan: None,
        }
    }
}

impl Statement {
    /// The server that it runs on.
    pub fn bench(&self) -> Bench {
        const INTERVAL_S: f64 = 10.0;
        const READ_NS: u64 = 3_599_000_000_000;
        let key = StatementKey { role: 10, database: 1, query: 7, top: true };
        let calls = (f64::from(self.busy) * INTERVAL_S / self.ms).round();
        let n = calls as u64;
        let temp_written_blocks = n * self.spills / 8192;
        let (exec_ms, plan_ms) = (calls * self.ms, calls * self.plan_ms);
        let (rows, jit_ms) = (n * self.rows, self.jit * exec_ms);
        let grown = Grown {
            calls: n,
            exec_ms,
            plan_ms,
            rows,
            hit_blocks: n * self.reads,
            temp_written_blocks,
            jit_ms,
            ..Grown::default()
        };
        let row = StatementRow { key, role: "app".into(), database: "shop".into(), grown, ..StatementRow::default() };
        let all = Grown { exec_ms: grown.exec_ms / self.share, ..grown };
        let text = QueryText { query_id: key.query, text: self.text.into(), ..QueryText::default() };
        let session = Session { query_id: Some(key.query), query: self.text.into(), ..client(30) };
        let plans = self.plan.clone().map(|plan| (("shop".into(), key.query), Ok(plan)));
        let state = PgState {
            server: Some(Arc::new(server())),
            activity: Ok(Arc::new(activity(vec![(session, self.busy)]))),
            statements: Ok(Arc::new(Statements { interval_s: INTERVAL_S, rows: vec![row], all, ..Statements::default() })),
            statements_ns: READ_NS,
            texts: Arc::new([(key.query, text)].into()),
            plans: Arc::new(Plans::default().with(plans.into_iter().collect(), READ_NS)),
            ..PgState::default()
        };
        Bench::postgres(state).knowing(|learned| {
            let usual = self.usual.map(|usual| (format!("{SERVER} 1/10/7/1"), [usual; 3].into()));
            learned.servers.postgres.queries.extend(usual);
        })
    }

    /// The same statement where it keeps so many thousandths of a session busy.
    pub fn busy(&self, busy: u32) -> Bench {
        Self { busy, ..self.clone() }.bench()
    }

    /// A server whose statements were not read.
    pub fn unread() -> Option<Bench> {
        Some(seen(vec![(client(30), 500)]))
    }
}

/// A table of a million rows, each with an id, a customer and one of five states.
pub fn orders() -> PlannedTable {
    let column = |number, name: &str, distinct| PlannedColumn {
        number,
        name: name.into(),
        kind: "integer".into(),
        sortable: true,
        distinct: Some(distinct),
        width: Some(4.0),
        ..PlannedColumn::default()
    };
    PlannedTable {
        oid: 5,
        schema: "public".into(),
        name: "orders".into(),
        rows: 1e6,
        live: 1_000_000,
        pages: 6_000,
        analyzed_s: Some(60.0),
        columns: vec![column(1, "id", -1.0), column(2, "customer_id", 100_000.0), column(3, "state", 5.0)],
        ..PlannedTable::default()
    }
}

/// An index of that table on these columns.
pub fn index(columns: &[i16]) -> PlannedIndex {
    PlannedIndex {
        name: "orders_idx".into(),
        columns: columns.to_vec(),
        valid: true,
        method: "btree".into(),
        ..PlannedIndex::default()
    }
}

/// A scan of that whole table for what the filter leaves: so many rows, as the planner believes.
pub fn scan(table: PlannedTable, filter: &str, rows: f64) -> Option<Plan> {
    let node = Node {
        kind: "Seq Scan".into(),
        schema: table.schema.clone(),
        relation: table.name.clone(),
        alias: table.name.clone(),
        total_cost: 20_000.0,
        rows,
        conditions: vec![("Filter".into(), filter.into())],
        ..Node::default()
    };
    Some(Plan { nodes: vec![node], tables: vec![table], ..Plan::default() })
}
