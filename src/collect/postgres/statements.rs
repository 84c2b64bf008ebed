//! Statements: `pg_stat_statements(false)`, which brings no texts and writes no temporary files (with texts 5,000 entries took 7.5 MB of
//! them at each read); texts of new top queries only.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::postgres::PgRow;

use crate::model::foreign::{Foreign, Private};
use crate::model::postgres::{Grown, QueryText, StatementKey, StatementRow, Statements, growth, lexer};

use super::columns::Columns;
use super::session::Cells;

/// Entries read at once: 10,000 weigh some 6 MB here, and a server may keep more. Of such a one those that took most time are read.
pub const MOST: usize = 10_000;
/// Names asked for at once.
const NAMES: usize = 5_000;
/// Statements kept of one reading.
const KEPT: usize = 120;
/// Of them those whose text is asked for.
pub const WITH_TEXT: usize = KEPT;
/// Characters of a text.
const TEXT: usize = 8192;

const VIEW: &str = "pg_stat_statements";
/// Parts of just-in-time compilation, milliseconds; what deforming takes is within the first.
const JIT: [&str; 4] = ["jit_generation_time", "jit_inlining_time", "jit_optimization_time", "jit_emission_time"];

/// The counters, and how many entries were evicted so far.
#[must_use]
pub fn sql(known: &Columns, schema: &str) -> Vec<String> {
    let of = |names: &[&str]| known.first(VIEW, "s", names, "float8");
    let top = if known.has(VIEW, "toplevel") { "s.toplevel" } else { "true" };
    let info = if known.has(VIEW, "toplevel") {
        format!(
            "SELECT dealloc, pg_catalog.current_setting('pg_stat_statements.max', true) FROM {schema}.pg_stat_statements_info"
        )
    } else {
        "SELECT NULL::int8, pg_catalog.current_setting('pg_stat_statements.max', true)".to_owned()
    };
    vec![
        "SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8".to_owned(),
        format!(
            "SELECT s.userid, s.dbid, s.queryid, {top}, s.calls, {exec}, {plan}, s.rows, s.shared_blks_hit, s.shared_blks_read, \
             s.shared_blks_dirtied, s.shared_blks_written, s.temp_blks_read, s.temp_blks_written, {read}, {write}, {temp_read}, \
             {temp_write}, {wal}, {jit}, {before} FROM {schema}.pg_stat_statements(false) s{most}",
            most = if known.crowded {
                format!(" ORDER BY {} DESC LIMIT {MOST}", of(&["total_exec_time", "total_time"]))
            } else {
                String::new()
            },
            exec = of(&["total_exec_time", "total_time"]),
            plan = of(&["total_plan_time"]),
            read = of(&["shared_blk_read_time", "blk_read_time"]),
            write = of(&["shared_blk_write_time", "blk_write_time"]),
            temp_read = of(&["temp_blk_read_time"]),
            temp_write = of(&["temp_blk_write_time"]),
            wal = of(&["wal_bytes"]),
            jit = known.sum(VIEW, "s", &JIT, "float8"),
            before = of(&[JIT[0]]),
        ),
        info,
    ]
}

/// Texts of these statements.
#[must_use]
pub fn sql_texts(schema: &str, ids: &[i64]) -> String {
    let list: Vec<String> = ids.iter().map(|id| format!("({id}::int8)")).collect();
    format!(
        "SELECT DISTINCT ON (s.queryid) s.queryid, left(s.query, {TEXT}), length(s.query) > {TEXT} FROM {schema}.pg_stat_statements(true) s \
         JOIN (VALUES {}) v(id) ON v.id = s.queryid",
        list.join(", ")
    )
}

/// What the reading before said.
#[derive(Debug, Default)]
pub struct Before {
    at_s: f64,
    entries: HashMap<StatementKey, Grown>,
    evicted: Option<u64>,
    /// Entries of the first reading; none once entries were evicted, which may come back as new.
    first: Option<HashSet<StatementKey>>,
    /// Names by OID.
    roles: HashMap<u32, Foreign>,
    databases: HashMap<u32, Foreign>,
}

impl Before {
    /// All entries as they were read last.
    #[must_use]
    pub const fn entries(&self) -> &HashMap<StatementKey, Grown> {
        &self.entries
    }

    /// Names of the roles and databases that statements are of, once those are known.
    #[must_use]
    pub fn sql_names(&self) -> Vec<String> {
        let all = |what: &str, from: &str, ids: &BTreeSet<u32>| {
            let list: Vec<String> = ids.iter().take(NAMES).map(ToString::to_string).collect();
            let chosen = if list.is_empty() { String::new() } else { format!(" WHERE oid IN ({})", list.join(", ")) };
            format!("SELECT oid, {what} FROM pg_catalog.{from}{chosen} LIMIT {NAMES}")
        };
        vec![
            all("rolname", "pg_roles", &self.entries.keys().map(|k| k.role).collect()),
            all("datname", "pg_database", &self.entries.keys().map(|k| k.database).collect()),
        ]
    }

    /// A statement is of a role or a database whose name is not known.
    #[must_use]
    pub fn lacks_names(&self) -> bool {
        self.entries.keys().any(|k| !self.roles.contains_key(&k.role) || !self.databases.contains_key(&k.database))
    }

    /// Takes the names of roles and databases in.
    pub fn named(&mut self, answers: &[Vec<PgRow>]) {
        let names = |rows: &[PgRow]| {
            let name = |row: &PgRow| {
                let mut c = Cells::of(row);
                Some((c.number()?, c.text()))
            };
            rows.iter().filter_map(name).collect()
        };
        if let [roles, databases, ..] = answers {
            (self.roles, self.databases) = (names(roles), names(databases));
        }
    }

    /// Takes one reading in and gives its growth: of every entry that grew.
    pub fn grow(&mut self, answers: &[Vec<PgRow>], crowded: bool, cost_ms: f64) -> Statements {
        let [clock, rows, info, ..] = answers else { return Statements::default() };
        let at_s: f64 = clock.first().and_then(|r| Cells::of(r).number()).unwrap_or(0.0);
        let mut now: HashMap<StatementKey, Grown> = HashMap::with_capacity(rows.len());
        let mut hidden = 0;
        let mut all: HashMap<StatementKey, (u64, f64)> = HashMap::new();
        for row in rows {
            match entry(row) {
                Some((key, grown)) => {
                    // The same query of one role in one database may stand twice (toplevel or not is in the key already).
                    now.entry(key).or_default().add(&grown);
                    let sum = all.entry(key).or_default();
                    *sum = (sum.0 + grown.calls, sum.1 + grown.exec_ms);
                }
                None => hidden += 1,
            }
        }
        let mut cells = info.first().map(Cells::of);
        let evicted = cells.as_mut().and_then(Cells::count);
        let capacity: u32 = cells.as_mut().and_then(Cells::number).unwrap_or(0);
        let first = self.at_s == 0.0;
        let evictions = evicted.zip(self.evicted).map(|(new, old)| new.saturating_sub(old)).filter(|_| !first);
        // Where nobody counts, a view that is nearly full throws out.
        // What was not among those that were read may come back as well.
        let evicting = crowded || evictions.map_or(capacity == 0 || now.len() as u64 * 20 >= u64::from(capacity) * 19, |n| n > 0);
        match (first, evicting) {
            (true, _) => self.first = Some(now.keys().copied().collect()),
            (false, false) => {}
            (false, true) => self.first = None,
        }
        let grown = if first { Vec::new() } else { growth(&self.entries, &now, evicting) };
        let mut sum = Grown::default();
        grown.iter().for_each(|(_, g)| sum.add(g));
        let name = |names: &HashMap<u32, Foreign>, oid: u32| names.get(&oid).cloned().unwrap_or_default();
        let row = |(key, grown): (StatementKey, Grown)| {
            let (calls_all, ms_all) = all.get(&key).copied().unwrap_or_default();
            StatementRow {
                key,
                role: name(&self.roles, key.role),
                database: name(&self.databases, key.database),
                came: self.first.as_ref().is_some_and(|first| !first.contains(&key)),
                grown,
                calls_all,
                ms_all,
                alike: 0,
            }
        };
        let statements = Statements {
            interval_s: if first { 0.0 } else { (at_s - self.at_s).max(0.0) },
            rows: grown.into_iter().map(row).collect(),
            all: sum,
            entries: now.len() as u32,
            capacity,
            evictions,
            hidden,
            cost_ms: cost_ms as f32,
        };
        (self.at_s, self.entries, self.evicted) = (at_s, now, evicted);
        statements
    }
}

/// The most expensive, and those that stand out by other measures.
#[must_use]
pub fn kept(mut grown: Vec<StatementRow>) -> Vec<StatementRow> {
    if grown.len() <= KEPT {
        return grown;
    }
    let rest = grown.split_off(KEPT - 20);
    let mut by = |of: fn(&Grown) -> u64| {
        let best = rest.iter().filter(|r| !grown.iter().any(|g| g.key == r.key)).max_by_key(|r| of(&r.grown));
        grown.extend(best.filter(|r| of(&r.grown) > 0).cloned());
    };
    for _ in 0..5 {
        by(|g| g.temp_written_blocks);
        by(|g| g.calls);
        by(|g| g.rows);
        by(|g| g.wal_bytes);
    }
    grown
}

fn entry(row: &PgRow) -> Option<(StatementKey, Grown)> {
    let mut c = Cells::of(row);
    let (role, database) = (c.number()?, c.number()?);
    // NULL where this role may not see it.
    let query = c.number()?;
    let key = StatementKey { role, database, query, top: c.flag().unwrap_or(true) };
    let mut grown = Grown {
        calls: c.count().unwrap_or(0),
        exec_ms: c.number().unwrap_or(0.0),
        plan_ms: c.number().unwrap_or(0.0),
        rows: c.count().unwrap_or(0),
        hit_blocks: c.count().unwrap_or(0),
        read_blocks: c.count().unwrap_or(0),
        dirtied_blocks: c.count().unwrap_or(0),
        written_blocks: c.count().unwrap_or(0),
        temp_read_blocks: c.count().unwrap_or(0),
        temp_written_blocks: c.count().unwrap_or(0),
        read_ms: c.number().unwrap_or(0.0),
        write_ms: c.number().unwrap_or(0.0),
        temp_ms: c.number().unwrap_or(0.0),
        wal_bytes: 0,
        jit_ms: 0.0,
        jit_before_ms: 0.0,
    };
    grown.temp_ms += c.number::<f64>().unwrap_or(0.0);
    grown.wal_bytes = c.count().unwrap_or(0);
    grown.jit_ms = c.number().unwrap_or(0.0);
    grown.jit_before_ms = c.number().unwrap_or(0.0);
    Some((key, grown))
}

/// One text: with what is left of literals masked, and as it is.
#[must_use]
pub fn text(row: &PgRow) -> Option<(QueryText, Private<String>)> {
    let mut c = Cells::of(row);
    let query_id = c.number()?;
    let raw = String::from_utf8_lossy(c.bytes().unwrap_or_default()).into_owned();
    let text = Foreign::from(lexer::mask(&raw).as_str());
    let own = raw.contains(super::mark::MARK) || raw.contains("perftop_plan") || raw.starts_with("BEGIN READ ONLY");
    Some((QueryText { query_id, text, cut: c.flag().unwrap_or(false), own }, Private::new(raw)))
}
