//! One database, visited in its turn on the second connection: tables, indexes, sequences. Sizes come from `relpages`, never from
//! functions that wait behind an exclusive lock.

use sqlx::postgres::PgRow;

use crate::model::postgres::{Catalog, ColumnOf, DuplicateIndex, IndexRow, SequenceRow, TableRow};

use super::session::Cells;

/// Tables of one visit.
const TABLES: usize = 300;

/// The statements, in the order of [`parse`], whose last part are the [`SEQUENCES`].
#[must_use]
pub fn sql() -> Vec<String> {
    vec![HEAD.to_owned(), tables(), indexes(), duplicates()]
}

const HEAD: &str = "SELECT pg_catalog.current_database(), (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()), \
         round(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::int8, \
         (SELECT round(extract(epoch FROM greatest(d.stats_reset, pg_catalog.pg_stat_get_bgwriter_stat_reset_time())) * 1000000)::int8 \
           FROM pg_catalog.pg_stat_database d WHERE d.datname = pg_catalog.current_database()), \
         (SELECT count(*) FROM pg_catalog.pg_class WHERE relkind IN ('r', 'm', 'p')), pg_catalog.current_setting('server_encoding')";

/// The definition of an index, unless someone holds it exclusively: then the function would wait.
const DEFINITION: &str = "CASE WHEN NOT EXISTS (SELECT 1 FROM pg_catalog.pg_locks l WHERE l.relation IN (i.indexrelid, i.indrelid) \
         AND l.mode = 'AccessExclusiveLock' AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())) \
         THEN pg_catalog.pg_get_indexdef(i.indexrelid) END";

fn tables() -> String {
    let option = |name: &str, setting: &str| {
        format!(
            "coalesce((SELECT o.option_value::float8 FROM pg_catalog.pg_options_to_table(c.reloptions) o WHERE o.option_name = '{name}'), \
             pg_catalog.current_setting('{setting}')::float8)"
        )
    };
    let threshold = |what: &str| {
        format!(
            "{} + {} * greatest(c.reltuples, 0)",
            option(&format!("autovacuum_{what}_threshold"), &format!("autovacuum_{what}_threshold")),
            option(&format!("autovacuum_{what}_scale_factor"), &format!("autovacuum_{what}_scale_factor")),
        )
    };
    // 18 and later: a ceiling, -1 is none.
    let vacuum_at = format!(
        "(SELECT CASE WHEN m.v > 0 THEN least({t}, m.v) ELSE {t} END FROM (SELECT coalesce(pg_catalog.current_setting(\
         'autovacuum_vacuum_max_threshold', true)::float8, -1) AS v) m)",
        t = threshold("vacuum")
    );
    format!(
        "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpages, c.reltuples, t.n_live_tup, t.n_dead_tup, t.n_mod_since_analyze, \
             t.seq_tup_read, t.idx_scan, t.n_tup_ins + t.n_tup_upd + t.n_tup_del, {vacuum_at}, \
             coalesce((SELECT lower(o.option_value) NOT IN ('false', 'fals', 'fal', 'fa', 'f', 'off', 'of', 'no', 'n', '0') \
               FROM pg_catalog.pg_options_to_table(c.reloptions) o WHERE o.option_name = 'autovacuum_enabled'), true), \
             extract(epoch FROM pg_catalog.clock_timestamp() - greatest(t.last_vacuum, t.last_autovacuum))::float8, \
             extract(epoch FROM pg_catalog.clock_timestamp() - greatest(t.last_analyze, t.last_autoanalyze))::float8, \
             CASE WHEN c.relfrozenxid <> '0' THEN pg_catalog.age(c.relfrozenxid) END, pg_catalog.pg_get_userbyid(c.relowner), \
             (SELECT o.option_value FROM pg_catalog.pg_options_to_table(c.reloptions) o WHERE o.option_name = 'autovacuum_vacuum_scale_factor'), \
             (SELECT o.option_value FROM pg_catalog.pg_options_to_table(c.reloptions) o WHERE o.option_name = 'autovacuum_analyze_scale_factor') \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_stat_all_tables t ON t.relid = c.oid \
             WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND c.relpersistence <> 't' \
             ORDER BY c.relpages + coalesce(t.n_dead_tup, 0) / 100 + coalesce(t.seq_tup_read, 0) / 1000 DESC LIMIT {TABLES}",
    )
}

fn indexes() -> String {
    format!(
        "SELECT i.indexrelid, n.nspname, r.relname, c.relname, c.relpages, coalesce(s.idx_scan, 0), i.indisvalid, \
             i.indisprimary OR i.indisexclusion OR i.indisreplident OR EXISTS (SELECT 1 FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid) \
               OR EXISTS (SELECT 1 FROM pg_catalog.pg_inherits h WHERE h.inhrelid = i.indexrelid), \
             EXISTS (SELECT 1 FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid OR p.relid = i.indrelid) \
               OR (NOT i.indisvalid AND EXISTS (SELECT 1 FROM pg_catalog.pg_locks l WHERE l.relation = i.indrelid AND l.granted \
                 AND l.mode = 'ShareUpdateExclusiveLock' \
                 AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))), {DEFINITION}, pg_catalog.age(c.xmin)::int8 \
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_class r ON r.oid = i.indrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace LEFT JOIN pg_catalog.pg_stat_all_indexes s ON s.indexrelid = i.indexrelid \
             WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND c.relkind = 'i' \
               AND (NOT i.indisvalid OR (coalesce(s.idx_scan, 0) = 0 AND NOT i.indisunique AND c.relpages >= 4)) \
             ORDER BY i.indisvalid, c.relpages DESC LIMIT 100"
    )
}

fn duplicates() -> String {
    format!(
        "SELECT i.indexrelid, n.nspname, r.relname, c.relname, k.relname, c.relpages, j.indnkeyatts = i.indnkeyatts, {DEFINITION} \
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_index j ON j.indrelid = i.indrelid AND j.indexrelid <> i.indexrelid \
             JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_class k ON k.oid = j.indexrelid AND k.relam = c.relam \
             JOIN pg_catalog.pg_class r ON r.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace \
             WHERE i.indisvalid AND j.indisvalid AND NOT i.indisunique AND i.indexprs IS NULL AND j.indexprs IS NULL \
               AND i.indpred IS NOT DISTINCT FROM j.indpred AND i.indnatts = i.indnkeyatts AND c.relpages >= 4 \
               AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') \
               AND (j.indkey::int2[])[0:i.indnkeyatts - 1] = (i.indkey::int2[])[0:i.indnkeyatts - 1] \
               AND (j.indclass::oid[])[0:i.indnkeyatts - 1] = (i.indclass::oid[])[0:i.indnkeyatts - 1] \
               AND (j.indcollation::oid[])[0:i.indnkeyatts - 1] = (i.indcollation::oid[])[0:i.indnkeyatts - 1] \
               AND (j.indoption::int2[])[0:i.indnkeyatts - 1] = (i.indoption::int2[])[0:i.indnkeyatts - 1] \
               AND (j.indnkeyatts > i.indnkeyatts OR j.indisunique OR i.indexrelid > j.indexrelid) \
               AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint x WHERE x.conindid = i.indexrelid) \
               AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_inherits h WHERE h.inhrelid = i.indexrelid) \
             ORDER BY c.relpages DESC LIMIT 50"
    )
}

/// Sequences on their way to their end, and those that this role may not see.
pub const SEQUENCES: &str = "SELECT s.oid, q.schemaname, q.sequencename, t.oid, tn.nspname, t.relname, a.attname, q.last_value, \
           least(q.max_value, CASE a.atttypid WHEN 21 THEN 32767 WHEN 23 THEN 2147483647 ELSE 9223372036854775807 END), \
           coalesce(CASE a.atttypid WHEN 21 THEN 32767 WHEN 23 THEN 2147483647 END <= q.max_value, false) \
         FROM pg_catalog.pg_sequences q JOIN pg_catalog.pg_namespace n ON n.nspname = q.schemaname \
         JOIN pg_catalog.pg_class s ON s.relnamespace = n.oid AND s.relname = q.sequencename AND s.relkind = 'S' \
         LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = s.oid \
           AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i') \
         LEFT JOIN pg_catalog.pg_class t ON t.oid = d.refobjid LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace \
         LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid \
         WHERE q.increment_by > 0 AND NOT q.cycle AND (NOT pg_catalog.has_sequence_privilege(s.oid, 'SELECT,USAGE') OR q.last_value > 0.1 * \
           least(q.max_value, CASE a.atttypid WHEN 21 THEN 32767 WHEN 23 THEN 2147483647 ELSE 9223372036854775807 END)) \
         ORDER BY q.last_value::float8 / least(q.max_value, CASE a.atttypid WHEN 21 THEN 32767 WHEN 23 THEN 2147483647 ELSE 9223372036854775807 END) \
           DESC NULLS LAST LIMIT 200";

/// One visit.
#[must_use]
pub fn parse(answers: &[Vec<PgRow>], with_sequences: bool) -> Catalog {
    let part = |at: usize| answers.get(at).map_or(&[] as &[PgRow], Vec::as_slice);
    let mut catalog = Catalog::default();
    let mut all_tables = 0;
    if let Some(row) = part(0).first() {
        let mut c = Cells::of(row);
        catalog.database = c.text();
        catalog.oid = c.number().unwrap_or(0);
        catalog.server_us = c.number().unwrap_or(0);
        catalog.reset_us = c.number();
        all_tables = c.number::<u32>().unwrap_or(0);
        catalog.encoding = c.word();
    }
    catalog.tables = part(1).iter().filter_map(table).collect();
    let full = catalog.tables.len() >= TABLES;
    catalog.more_tables = if full { all_tables.saturating_sub(TABLES as u32) } else { 0 };
    catalog.indexes = part(2).iter().filter_map(index).collect();
    catalog.duplicates = part(3).iter().map(duplicate).collect();
    catalog.duplicates.dedup_by(|a, b| a.schema == b.schema && a.name == b.name);
    let sequences: Vec<Option<SequenceRow>> = part(4).iter().map(sequence).collect();
    catalog.hidden_sequences = sequences.iter().filter(|s| s.is_none()).count() as u32 + u32::from(!with_sequences);
    catalog.sequences = sequences.into_iter().flatten().collect();
    catalog
}

fn table(row: &PgRow) -> Option<TableRow> {
    let mut c = Cells::of(row);
    Some(TableRow {
        oid: c.number()?,
        schema: c.text(),
        name: c.text(),
        kind: c.word(),
        pages: c.count().unwrap_or(0),
        rows: c.number::<f64>().unwrap_or(0.0).max(0.0),
        live: c.count().unwrap_or(0),
        dead: c.count().unwrap_or(0),
        modified: c.count().unwrap_or(0),
        seq_rows: c.count().unwrap_or(0),
        index_scans: c.count().unwrap_or(0),
        writes: c.count().unwrap_or(0),
        vacuum_at: c.number().unwrap_or(f64::MAX),
        autovacuum: c.flag().unwrap_or(true),
        vacuumed_s: c.number(),
        analyzed_s: c.number(),
        xid_age: c.count().unwrap_or(0),
        owner: c.text(),
        vacuum_factor: c.number(),
        analyze_factor: c.number(),
    })
}

fn index(row: &PgRow) -> Option<IndexRow> {
    let mut c = Cells::of(row);
    Some(IndexRow {
        oid: c.number()?,
        schema: c.text(),
        table: c.text(),
        name: c.text(),
        pages: c.count().unwrap_or(0),
        scans: c.count().unwrap_or(0),
        valid: c.flag().unwrap_or(true),
        needed: c.flag().unwrap_or(true),
        building: c.flag().unwrap_or(false),
        definition: Some(c.text()).filter(|d| !d.is_empty()),
        changed_age: c.count(),
    })
}

fn duplicate(row: &PgRow) -> DuplicateIndex {
    let mut c = Cells::of(row);
    DuplicateIndex {
        oid: c.number().unwrap_or(0),
        schema: c.text(),
        table: c.text(),
        name: c.text(),
        kept: c.text(),
        pages: c.count().unwrap_or(0),
        same: c.flag().unwrap_or(false),
        definition: Some(c.text()).filter(|d| !d.is_empty()),
    }
}

/// `None` where the position is hidden from this role.
fn sequence(row: &PgRow) -> Option<SequenceRow> {
    let mut c = Cells::of(row);
    let (oid, schema, name) = (c.number().unwrap_or(0), c.text(), c.text());
    let feeds = ColumnOf { table_oid: c.number().unwrap_or(0), schema: c.text(), table: c.text(), column: c.text() };
    Some(SequenceRow {
        oid,
        schema,
        name,
        feeds: Some(feeds).filter(|f| !f.column.is_empty()),
        last: c.number()?,
        limit: c.number()?,
        by_column: c.flag().unwrap_or(false),
    })
}
