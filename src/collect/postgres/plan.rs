//! A generic plan of a statement with parameters, and what the catalogue knows of its tables. Nothing is executed: the statement is
//! prepared by the extended protocol, which takes one statement only, and explained in a read-only transaction as the role that runs it.

use sqlx::postgres::PgRow;

use crate::model::foreign::Foreign;
use crate::model::postgres::plan::{Plan, PlannedColumn, PlannedIndex, PlannedTable};
use crate::model::postgres::{identifier, lexer};

use super::hello::Hello;
use super::session::{Cells, Session, literal, marked};
use super::trouble::Trouble;

/// What can be explained.
const VERBS: [&str; 7] = ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES"];
const NAME: &str = "perftop_plan";
/// The code of what perftop itself says.
pub const OWN: &str = "perftop";
/// More parameters than this are not guessed.
const PARAMETERS: usize = 1000;

fn honest(message: &str) -> Trouble {
    Trouble::Refused { code: OWN.into(), message: message.to_owned(), asked: false }
}

/// The plan of a statement as the server normalised it. One transaction that is rolled back: paths, roles and limits end with it.
///
/// # Errors
/// Why there is none.
pub async fn make(session: &mut Session, hello: &Hello, pooled: bool, text: &str, role: &Foreign) -> Result<Plan, Trouble> {
    if lexer::statements(text) != 1 || !VERBS.contains(&lexer::verb(text).as_str()) {
        return Err(honest("only a single SELECT, INSERT, UPDATE, DELETE or MERGE can be planned"));
    }
    if pooled {
        return Err(honest("connected through a pooler; connect to the server directly for plans"));
    }
    let mut text = text.trim_end().trim_end_matches(';').to_owned();
    let as_role = runner(session, hello, role).await?;
    let own = own_settings(session, as_role.as_deref()).await?;
    let mut made = prepare(session, as_role.as_deref(), &own, &text).await;
    if matches!(&made, Err(trouble) if trouble.code() == "42601") && lexer::repaired(&text) != text {
        text = lexer::repaired(&text);
        made = prepare(session, as_role.as_deref(), &own, &text).await;
    }
    made?;
    let explained = explain(session, text.contains('$')).await;
    session.rollback().await?;
    // What was prepared outlives its transaction.
    _ = session.raw(format!("DEALLOCATE {NAME}")).await;
    let json = explained?;
    let mut plan = Plan::parse(&json).ok_or_else(|| honest("the plan could not be read"))?;
    tables(session, &mut plan).await?;
    Ok(plan)
}

/// Opens the transaction, as the role and with the names of the one who runs the statement, and prepares it under our limits.
async fn prepare(
    session: &mut Session,
    role: Option<&str>,
    (path, others): &(String, Vec<(String, String)>),
    text: &str,
) -> Result<(), Trouble> {
    let set = |(name, value): (&str, &str)| format!(", pg_catalog.set_config({}, {}, true)", literal(name), literal(value));
    let others: String = others.iter().map(|(name, value)| set((name, value))).chain(role.map(|r| set(("role", r)))).collect();
    let open = format!(
        "BEGIN READ ONLY; {}; {}",
        session.settings(true),
        marked(&format!(
            "SELECT pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true), \
             pg_catalog.set_config('search_path', {}, true){others}",
            literal(path)
        ))
    );
    _ = session.raw(open).await?;
    let made = session.prepare_one(format!("PREPARE {NAME} AS {text}")).await;
    if made.as_ref().is_err_and(|trouble| !trouble.fatal()) {
        session.rollback().await?;
    }
    made
}

/// The role to explain as: the one that runs the statement, where we may become it; `None` is our own. Planning evaluates functions that
/// are not volatile, and such a function can take back the role of a superuser: where others have written any, there is no plan.
async fn runner(session: &mut Session, hello: &Hello, role: &Foreign) -> Result<Option<String>, Trouble> {
    let name = std::str::from_utf8(role.raw()).ok().filter(|n| !n.is_empty());
    let name = name.ok_or_else(|| honest("the role that runs it is not known yet"))?;
    if hello.server.login.superuser && written_by_others(session).await? {
        return Err(honest(
            "planning could run other users' functions with superuser rights; log in as a role with pg_monitor for plans",
        ));
    }
    if role == &hello.server.login.role {
        return Ok(None);
    }
    let may = format!(
        "SELECT pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER') FROM pg_catalog.pg_roles r WHERE r.rolname = {}",
        literal(name)
    );
    let (answers, _) = session.ask(&[may]).await?;
    match answers.first().and_then(|rows| rows.first()).and_then(|row| Cells::of(row).flag()) {
        Some(true) => Ok(Some(name.to_owned())),
        // As ourselves then, and what others wrote could read with our rights what they may not.
        Some(false) if written_by_others(session).await? => Err(honest(&format!(
            "planning could run other users' functions with the rights of {}; as the role itself it is safe: GRANT {} TO {}",
            hello.server.login.role,
            identifier(role).unwrap_or_default(),
            identifier(&hello.server.login.role).unwrap_or_default(),
        ))),
        Some(false) => Ok(None),
        None => Err(honest("the role that runs it no longer exists")),
    }
}

/// Whether there is any such function in this database, of neither a superuser nor ourselves.
async fn written_by_others(session: &mut Session) -> Result<bool, Trouble> {
    let (answers, _) = session.ask(&[WRITTEN.to_owned()]).await?;
    let written = answers.first().and_then(|rows| rows.first()).and_then(|row| Cells::of(row).flag());
    Ok(written != Some(false))
}

/// True when someone who is not a superuser and not this login owns what planning may run: a function that is not volatile, one
/// that an operator or a name that superusers' functions may call leads to, or a domain, whose constraints are tried on
/// parameters.
const WRITTEN: &str = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_roles r ON r.oid = p.proowner \
    WHERE NOT r.rolsuper AND r.rolname <> session_user AND p.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype AND (p.provolatile <> 'v' \
    OR EXISTS (SELECT 1 FROM pg_catalog.pg_operator o WHERE o.oprcode = p.oid) \
    OR EXISTS (SELECT 1 FROM pg_catalog.pg_proc q JOIN pg_catalog.pg_roles s ON s.oid = q.proowner WHERE s.rolsuper AND q.proname = p.proname))) \
    OR EXISTS (SELECT 1 FROM pg_catalog.pg_type t JOIN pg_catalog.pg_roles r ON r.oid = t.typowner WHERE t.typtype = 'd' AND NOT r.rolsuper AND r.rolname <> session_user)";

/// Settings of a role that change its plans; each may be set by anyone for himself.
const PLANNING: &str = "'work_mem', 'hash_mem_multiplier', 'random_page_cost', 'seq_page_cost', 'cpu_tuple_cost', 'cpu_index_tuple_cost', \
    'cpu_operator_cost', 'effective_cache_size', 'join_collapse_limit', 'from_collapse_limit', 'geqo', 'geqo_threshold', 'constraint_exclusion', \
    'cursor_tuple_fraction', 'enable_bitmapscan', 'enable_hashagg', 'enable_hashjoin', 'enable_incremental_sort', 'enable_indexonlyscan', \
    'enable_indexscan', 'enable_material', 'enable_memoize', 'enable_mergejoin', 'enable_nestloop', 'enable_partition_pruning', \
    'enable_partitionwise_join', 'enable_seqscan', 'enable_sort'";

/// `search_path` of a role in this database, and its settings for plans: what was set for it, else the default. A more particular one wins.
async fn own_settings(session: &mut Session, role: Option<&str>) -> Result<(String, Vec<(String, String)>), Trouble> {
    let role = role.map_or_else(|| "session_user::text".to_owned(), literal);
    let sql = format!(
        "SELECT r.rolname, pg_catalog.split_part(x.v, '=', 1), pg_catalog.substr(x.v, pg_catalog.strpos(x.v, '=') + 1) FROM pg_catalog.pg_roles r \
         LEFT JOIN LATERAL (SELECT u.v, s.setrole <> 0 AS own, s.setdatabase <> 0 AS here FROM pg_catalog.pg_db_role_setting s, \
         pg_catalog.unnest(s.setconfig) u(v) WHERE (s.setrole = r.oid OR s.setrole = 0) AND s.setdatabase IN (0, (SELECT oid FROM \
         pg_catalog.pg_database WHERE datname = pg_catalog.current_database())) \
         AND pg_catalog.split_part(u.v, '=', 1) IN ('search_path', {PLANNING})) x ON true WHERE r.rolname = {role} \
         ORDER BY x.own DESC NULLS LAST, x.here DESC NULLS LAST LIMIT 100"
    );
    let (answers, _) = session.ask(&[sql]).await?;
    let (mut path, mut owner, mut others) = (None, String::new(), Vec::new());
    for row in answers.first().into_iter().flatten() {
        let mut cells = Cells::of(row);
        owner = cells.bytes().map(|b| String::from_utf8_lossy(b).replace('"', "\"\"")).unwrap_or_default();
        let name = cells.word();
        let value = cells.bytes().map(|b| String::from_utf8_lossy(b).into_owned()).unwrap_or_default();
        if name == "search_path" {
            path.get_or_insert(value);
        } else if !name.is_empty() && !others.iter().any(|(known, _)| *known == name) {
            others.push((name, value));
        }
    }
    if owner.is_empty() {
        return Ok(("public".into(), others));
    }
    let path = path.unwrap_or_else(|| "\"$user\", public".into());
    Ok((path.replace("\"$user\"", &format!("\"{owner}\"")), others))
}

/// Within the transaction of [`prepare`]; names of our own statements are written in full, because its path is another's.
async fn explain(session: &mut Session, parameters: bool) -> Result<Vec<u8>, Trouble> {
    let mut count = 0;
    if parameters {
        let sql = marked(&format!(
            "SELECT pg_catalog.cardinality(s.parameter_types) FROM pg_catalog.pg_prepared_statements s \
             WHERE s.name OPERATOR(pg_catalog.=) '{NAME}'::pg_catalog.text"
        ));
        let answers = session.raw(sql).await?;
        count = answers.first().and_then(|rows| rows.first()).and_then(|row| Cells::of(row).number::<usize>()).unwrap_or(0);
    }
    if count > PARAMETERS {
        return Err(honest("too many parameters"));
    }
    let nulls = if count == 0 { String::new() } else { format!("({})", vec!["NULL"; count].join(", ")) };
    let answers = session.raw(format!("EXPLAIN (VERBOSE, SUMMARY, FORMAT JSON) EXECUTE {NAME}{nulls}")).await?;
    let row = answers.first().and_then(|rows| rows.first()).ok_or_else(|| honest("the server returned no plan"))?;
    Cells::of(row).bytes().map(<[u8]>::to_vec).ok_or_else(|| honest("the server returned no plan"))
}

/// What the catalogue knows of the tables in the plan.
async fn tables(session: &mut Session, plan: &mut Plan) -> Result<(), Trouble> {
    let mut names: Vec<(&Foreign, &Foreign)> =
        plan.nodes.iter().filter(|n| !n.relation.is_empty()).map(|n| (&n.schema, &n.relation)).collect();
    names.sort_unstable();
    names.dedup();
    let text = |f: &Foreign| std::str::from_utf8(f.raw()).ok().map(literal);
    let list: Vec<String> =
        names.iter().filter_map(|(schema, name)| Some(format!("({}, {})", text(schema)?, text(name)?))).take(20).collect();
    if list.is_empty() {
        return Ok(());
    }
    let chosen = format!(
        "(SELECT c.* FROM (VALUES {}) v(s, n) JOIN pg_catalog.pg_namespace ns ON ns.nspname = v.s JOIN pg_catalog.pg_class c \
         ON c.relnamespace = ns.oid AND c.relname = v.n)",
        list.join(", ")
    );
    // Columns with their statistics: those that this role may not see are missing.
    let sql = [
        "SELECT pg_catalog.current_setting('random_page_cost')::float8".to_owned(),
        format!(
            "SELECT c.oid, n.nspname, c.relname, c.reltuples, c.relpages, c.relkind = 'p', c.relispartition, pg_catalog.pg_get_userbyid(c.relowner), \
             t.n_tup_ins + t.n_tup_upd + t.n_tup_del, t.seq_tup_read, t.n_mod_since_analyze, \
             extract(epoch FROM pg_catalog.clock_timestamp() - greatest(t.last_analyze, t.last_autoanalyze))::float8, t.n_dead_tup, t.n_live_tup \
             FROM {chosen} c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_catalog.pg_stat_all_tables t ON t.relid = c.oid"
        ),
        format!(
            "SELECT c.oid, a.attnum, a.attname, pg_catalog.format_type(a.atttypid, NULL), \
             EXISTS (SELECT 1 FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod WHERE m.amname = 'btree' AND o.opcdefault \
               AND (o.opcintype = coalesce(nullif(y.typbasetype, 0), a.atttypid) OR (y.typtype = 'e' AND o.opcintype = 'pg_catalog.anyenum'::pg_catalog.regtype) \
               OR (y.typcategory = 'A' AND o.opcintype = 'pg_catalog.anyarray'::pg_catalog.regtype) \
               OR (a.atttypid = 1043 AND o.opcintype = 25))), \
             s.n_distinct, s.null_frac, coalesce(s.avg_width, CASE WHEN a.attlen > 0 THEN a.attlen END), s.correlation \
             FROM {chosen} c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
             JOIN pg_catalog.pg_type y ON y.oid = a.atttypid \
             LEFT JOIN pg_catalog.pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname AND s.inherited = (c.relkind = 'p') \
             WHERE a.attnum > 0 AND NOT a.attisdropped LIMIT 2000"
        ),
        format!(
            "SELECT c.oid, k.relname, pg_catalog.array_to_string(i.indkey::int2[], ','), i.indnkeyatts, i.indisvalid, i.indisunique, i.indpred IS NOT NULL, m.amname \
             FROM {chosen} c JOIN pg_catalog.pg_index i ON i.indrelid = c.oid JOIN pg_catalog.pg_class k ON k.oid = i.indexrelid \
             JOIN pg_catalog.pg_am m ON m.oid = k.relam LIMIT 500"
        ),
    ];
    let (answers, _) = session.ask(&sql).await?;
    let [price, heads, columns, indexes] = answers.as_slice() else { return Ok(()) };
    plan.random_page_cost = price.first().and_then(|row| Cells::of(row).number()).unwrap_or(0.0);
    let mut tables: Vec<PlannedTable> = heads.iter().filter_map(table).collect();
    for table in &mut tables {
        table.columns = columns.iter().filter_map(|row| column(row, table.oid)).collect();
        table.indexes = indexes.iter().filter_map(|row| index(row, table.oid)).collect();
        table.measure();
    }
    plan.tables = tables;
    Ok(())
}

fn table(row: &PgRow) -> Option<PlannedTable> {
    let mut c = Cells::of(row);
    Some(PlannedTable {
        oid: c.number()?,
        schema: c.text(),
        name: c.text(),
        rows: c.number::<f64>().unwrap_or(0.0).max(0.0),
        pages: c.count().unwrap_or(0),
        partitioned: c.flag().unwrap_or(false),
        partition: c.flag().unwrap_or(false),
        owner: c.text(),
        writes: c.count().unwrap_or(0),
        seq_rows: c.count().unwrap_or(0),
        modified: c.count().unwrap_or(0),
        analyzed_s: c.number(),
        dead: c.count().unwrap_or(0),
        live: c.count().unwrap_or(0),
        columns: Vec::new(),
        indexes: Vec::new(),
        unknown: false,
    })
}

fn column(row: &PgRow, oid: u32) -> Option<PlannedColumn> {
    let mut c = Cells::of(row);
    (c.number::<u32>()? == oid).then_some(())?;
    Some(PlannedColumn {
        number: c.number()?,
        name: c.text(),
        kind: c.word(),
        sortable: c.flag().unwrap_or(false),
        distinct: c.number(),
        null_share: c.number(),
        width: c.number(),
        correlation: c.number(),
    })
}

fn index(row: &PgRow, oid: u32) -> Option<PlannedIndex> {
    let mut c = Cells::of(row);
    (c.number::<u32>()? == oid).then_some(())?;
    let name = c.text();
    let columns: Vec<i16> = c.word().split(',').filter_map(|n| n.parse().ok()).collect();
    let keys: usize = c.number().unwrap_or(columns.len());
    Some(PlannedIndex {
        name,
        columns: columns.into_iter().take(keys).collect(),
        valid: c.flag().unwrap_or(true),
        unique: c.flag().unwrap_or(false),
        partial: c.flag().unwrap_or(false),
        method: c.word(),
    })
}
