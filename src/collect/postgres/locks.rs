//! Who waits for whose lock; asked only while someone waits, about 32 waiters at most: each query stops the lock manager
//! for a moment (research: 300 waiters 15.7 ms).

use sqlx::postgres::PgRow;

use crate::model::postgres::Waiter;

use super::columns::Columns;
use super::session::Cells;

/// Waiters checked in one sample.
pub const MOST: usize = 32;

/// The chains of these waiters. The lock that a commit with a NOTIFY takes is that of no database at all (1262: pg_database).
#[must_use]
pub fn sql(known: &Columns, pids: &[i32]) -> String {
    let since = known.or_null("pg_locks", "n", "waitstart", "timestamptz");
    let list: Vec<String> = pids.iter().take(MOST).map(ToString::to_string).collect();
    format!(
        "WITH w AS MATERIALIZED (SELECT a.pid, a.state_change, pg_catalog.pg_blocking_pids(a.pid) AS bl \
           FROM pg_catalog.pg_stat_get_activity(NULL) a WHERE a.wait_event_type = 'Lock' AND a.pid IN ({list})), \
         l AS MATERIALIZED (SELECT * FROM pg_catalog.pg_locks WHERE pid IN (SELECT pid FROM w) AND (NOT granted OR locktype = 'tuple')) \
         SELECT w.pid, pg_catalog.array_to_string(w.bl, ','), \
           CASE WHEN n.locktype = 'object' AND n.database = 0 AND n.classid = 1262 AND n.objid = 0 THEN 'notify' ELSE n.locktype END, n.mode, coalesce(n.database, t.database), \
           coalesce(n.relation, t.relation), \
           (SELECT pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(r.relname) FROM pg_catalog.pg_class r \
              JOIN pg_catalog.pg_namespace s ON s.oid = r.relnamespace WHERE r.oid = coalesce(n.relation, t.relation) \
              AND coalesce(n.database, t.database) = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())), \
           extract(epoch FROM pg_catalog.clock_timestamp() - coalesce({since}, w.state_change))::float8, n.transactionid::text \
         FROM w LEFT JOIN l n ON n.pid = w.pid AND NOT n.granted \
           LEFT JOIN LATERAL (SELECT database, relation FROM l WHERE l.pid = w.pid AND l.granted LIMIT 1) t ON true",
        list = list.join(", ")
    )
}

/// One waiter.
#[must_use]
pub fn waiter(row: &PgRow) -> Option<Waiter> {
    let mut c = Cells::of(row);
    let pid = c.number()?;
    let by = c.word();
    Some(Waiter {
        pid,
        by: by.split(',').filter_map(|p| p.parse().ok()).collect(),
        kind: c.word(),
        mode: c.word(),
        database: c.number().filter(|oid| *oid != 0),
        relation: c.number(),
        name: Some(c.text()).filter(|name| !name.is_empty()),
        waited_s: c.number::<f64>().map(|s| s.max(0.0)),
        transaction: c.number(),
    })
}
