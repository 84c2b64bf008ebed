//! Sessions: one sample of `pg_stat_activity`. Literals of statements are masked before a row exists.

use std::collections::BTreeMap;

use sqlx::postgres::PgRow;

use crate::model::foreign::Foreign;
use crate::model::postgres::{Activity, Hit, Session, Wait, WaitClass, WaitKind, lexer};

use super::columns::Columns;
use super::families::Families;
use super::session::Cells;

/// Sessions of one sample; more are counted only.
const MOST: usize = 1000;
/// Characters of a statement.
const TEXT: usize = 2048;

/// The columns of a session, in the order of [`session`].
fn columns(known: &Columns) -> String {
    let of = |name: &str, kind: &str| known.or_null("pg_stat_activity", "a", name, kind);
    format!(
        "a.pid, (pg_catalog.date_part('epoch', a.backend_start) * 1000000)::int8, {leader}, \
         (SELECT d.datname FROM pg_catalog.pg_database d WHERE d.oid = a.datid), pg_catalog.pg_get_userbyid(nullif(a.usesysid, 0)), a.application_name, \
         host(a.client_addr) || coalesce(':' || a.client_port::text, ''), a.backend_type, a.state, a.wait_event_type, a.wait_event, \
         {query_id}, pg_catalog.date_part('epoch', c.now - a.xact_start), pg_catalog.date_part('epoch', c.now - a.query_start), \
         pg_catalog.date_part('epoch', c.now - a.state_change), a.backend_xid IS NOT NULL, left(a.query, {TEXT})",
        leader = of("leader_pid", "int4"),
        query_id = of("query_id", "int8"),
    )
}

/// The function behind the view, without the view's joins with all databases and roles: a third cheaper at 500 sessions. `date_part`
/// computes in binary, `extract` in decimal digits.
const FROM: &str = "FROM pg_catalog.pg_stat_get_activity(NULL) a CROSS JOIN (SELECT pg_catalog.clock_timestamp() AS now) c";

/// All sessions that are not idle, our own left out; and in the first row the clock and the number of hidden ones.
#[must_use]
pub fn sql(known: &Columns, sees_all: bool) -> Vec<String> {
    let hidden = if sees_all {
        "0".to_owned()
    } else {
        "(SELECT count(*) FROM pg_catalog.pg_stat_get_activity(NULL) WHERE backend_type IS NULL OR query = '<insufficient privilege>')"
            .to_owned()
    };
    vec![
        format!(
            "SELECT round(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::int8, {hidden}, pg_catalog.pg_backend_pid()"
        ),
        format!(
            "SELECT {} {FROM} WHERE a.pid <> pg_catalog.pg_backend_pid() AND a.state IS DISTINCT FROM 'idle' \
             AND a.application_name IS DISTINCT FROM '{}' AND a.backend_type IN ('client backend', 'parallel worker', \
             'autovacuum worker', 'logical replication worker', 'walsender', 'background worker') \
             ORDER BY a.xact_start NULLS LAST LIMIT {}",
            columns(known),
            super::mark::APPLICATION,
            MOST + 1
        ),
    ]
}

/// Those of these pids, whatever their state.
#[must_use]
pub fn sql_of(known: &Columns, pids: &[i32]) -> String {
    let list: Vec<String> = pids.iter().map(ToString::to_string).collect();
    format!("SELECT {} {FROM} WHERE a.pid IN ({})", columns(known), list.join(", "))
}

/// One session.
#[must_use]
pub fn session(row: &PgRow) -> Option<Session> {
    read(row).map(|(session, _)| session)
}

/// One session, and whether its statement may have been cut: by the server (`track_activity_query_size`, 1 kB by default) or here.
fn read(row: &PgRow) -> Option<(Session, bool)> {
    const MAY_BE_CUT: usize = 1000;
    let mut c = Cells::of(row);
    let pid = c.number()?;
    let session = Session {
        pid,
        started_us: c.number().unwrap_or(0),
        leader: c.number(),
        database: c.text(),
        role: c.text(),
        application: c.text(),
        client: c.text(),
        kind: c.text(),
        state: c.text(),
        wait: Wait { kind: c.bytes().map_or(WaitKind::None, WaitKind::parse), event: c.word() },
        query_id: c.number().filter(|id| *id != 0),
        xact_s: c.number(),
        query_s: c.number(),
        state_s: c.number(),
        has_xid: c.flag().unwrap_or(false),
        query: Foreign::default(),
    };
    let raw = c.text();
    let query = Foreign::from(lexer::mask(&String::from_utf8_lossy(raw.raw())).as_str());
    Some((Session { query, ..session }, raw.raw().len() >= MAY_BE_CUT))
}

/// The samples of one tick, summed.
#[derive(Debug, Default)]
pub struct Looks {
    newest: Activity,
    hits: BTreeMap<(i32, i64, Option<i64>, Wait), u32>,
    /// Leaders of parallel workers.
    leaders: BTreeMap<(i32, i64), i32>,
}

impl Looks {
    /// Adds one sample.
    pub fn add(&mut self, head: &[PgRow], rows: &[PgRow], cost_ms: f64, families: &mut Families) {
        let mut clock = head.first().map(Cells::of);
        let read = rows.iter().take(MOST + 1).filter_map(read).map(|(mut s, cut)| {
            s.query_id = s.query_id.map(|id| families.running(id, &s.database, s.query.shown(), cut));
            s
        });
        let mut sessions: Vec<Session> = read.collect();
        let more = sessions.len().saturating_sub(MOST);
        sessions.truncate(MOST);
        self.newest.rounds += 1;
        self.newest.cost_ms += cost_ms as f32;
        self.newest.server_us = clock.as_mut().and_then(Cells::number).unwrap_or(0);
        self.newest.hidden = clock.as_mut().and_then(Cells::number).unwrap_or(0);
        self.newest.more = more as u32;
        for s in sessions.iter().filter(|s| s.active() && s.wait.class() != WaitClass::Idle) {
            *self.hits.entry((s.pid, s.started_us, s.query_id, s.wait.clone())).or_default() += 1;
            self.leaders.extend(s.leader.map(|leader| ((s.pid, s.started_us), leader)));
        }
        self.newest.sessions = sessions;
    }

    /// The sums since the last call; `None` without a sample.
    pub fn take(&mut self) -> Option<Activity> {
        if self.newest.rounds == 0 {
            return None;
        }
        let hits = std::mem::take(&mut self.hits).into_iter();
        let leaders = std::mem::take(&mut self.leaders);
        let leader = |pid, started_us| leaders.get(&(pid, started_us)).copied();
        let hit = |((pid, started_us, query_id, wait), count)| Hit {
            pid,
            started_us,
            query_id,
            wait,
            count,
            leader: leader(pid, started_us),
        };
        let activity = Activity { hits: hits.map(hit).collect(), ..std::mem::take(&mut self.newest) };
        Some(activity)
    }

    /// Pids that wait for a lock in the newest sample, the longest first.
    #[must_use]
    pub fn waiting(&self) -> Vec<i32> {
        let mut all: Vec<&Session> = self.newest.sessions.iter().filter(|s| s.wait.kind == WaitKind::Lock).collect();
        all.sort_by(|a, b| b.state_s.unwrap_or(0.0).total_cmp(&a.state_s.unwrap_or(0.0)));
        all.iter().map(|s| s.pid).collect()
    }

    /// Queries that are worked on in the newest sample, one for each session.
    #[must_use]
    pub fn running(&self) -> Vec<i64> {
        let busy = |s: &&Session| s.active() && !matches!(s.wait.class(), WaitClass::Idle | WaitClass::Lock);
        self.newest.sessions.iter().filter(busy).filter_map(|s| s.query_id).collect()
    }

    /// Pids of the newest sample.
    #[must_use]
    pub fn pids(&self) -> Vec<i32> {
        self.newest.sessions.iter().map(|s| s.pid).collect()
    }
}
