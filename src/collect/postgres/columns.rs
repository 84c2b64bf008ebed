//! Which columns the server's views have: read from its catalogue once, so that forks, old extensions and versions that are not
//! out yet are asked for what they have.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::postgres::PgRow;

use super::session::Cells;

/// The views that perftop reads.
const VIEWS: [&str; 9] = [
    "pg_stat_activity",
    "pg_locks",
    "pg_stat_database",
    "pg_stat_bgwriter",
    "pg_stat_checkpointer",
    "pg_stat_wal",
    "pg_stat_all_tables",
    "pg_replication_slots",
    "pg_stat_progress_vacuum",
];

/// What there is.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// View to columns.
    views: BTreeMap<String, BTreeSet<String>>,
    /// Positions of WAL can be asked for.
    pub positions: bool,
    /// pg_stat_statements may hold more entries than are read at once.
    pub crowded: bool,
}

/// Asks for the columns of all views, and of pg_stat_statements in `schema` (quoted), where it is.
#[must_use]
pub fn sql(schema: Option<&str>) -> String {
    let mut views: Vec<String> = VIEWS.iter().map(|v| format!("('{v}', pg_catalog.to_regclass('pg_catalog.{v}'))")).collect();
    if let Some(schema) = schema {
        let name = super::session::literal(&format!("{schema}.pg_stat_statements"));
        views.push(format!("('pg_stat_statements', pg_catalog.to_regclass({name}))"));
    }
    format!(
        "SELECT v.name, a.attname FROM (VALUES {}) v(name, oid) JOIN pg_catalog.pg_attribute a ON a.attrelid = v.oid \
         WHERE a.attnum > 0 AND NOT a.attisdropped",
        views.join(", ")
    )
}

impl Columns {
    /// From the answer.
    #[must_use]
    pub fn parse(rows: &[PgRow]) -> Self {
        let mut columns = Self::default();
        for row in rows {
            let mut c = Cells::of(row);
            let (view, column) = (c.word(), c.word());
            columns.views.entry(view).or_default().insert(column);
        }
        columns
    }

    /// True when the view has the column.
    #[must_use]
    pub fn has(&self, view: &str, column: &str) -> bool {
        self.views.get(view).is_some_and(|columns| columns.contains(column))
    }

    /// `alias.column`, or a NULL of that type.
    #[must_use]
    pub fn or_null(&self, view: &str, alias: &str, column: &str, kind: &str) -> String {
        if self.has(view, column) { format!("{alias}.{column}") } else { format!("NULL::{kind}") }
    }

    /// The sum of these columns, or a NULL of that type where one of them is missing.
    #[must_use]
    pub fn sum(&self, view: &str, alias: &str, columns: &[&str], kind: &str) -> String {
        if !columns.iter().all(|c| self.has(view, c)) {
            return format!("NULL::{kind}");
        }
        columns.iter().map(|c| format!("{alias}.{c}")).collect::<Vec<_>>().join(" + ")
    }

    /// The first of these columns that exists, or a NULL of that type.
    #[must_use]
    pub fn first(&self, view: &str, alias: &str, columns: &[&str], kind: &str) -> String {
        let found = columns.iter().find(|c| self.has(view, c));
        found.map_or_else(|| format!("NULL::{kind}"), |c| format!("{alias}.{c}"))
    }
}
