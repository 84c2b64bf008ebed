//! Statements that write, in masses: what each call spends, and what makes it cheaper.

use crate::detect::finding::{Evidence, Fix, Horizon, Phase};
use crate::detect::postgres::case::Case;
use crate::detect::postgres::limits::{DOMINATES, FLOOD};
use crate::detect::postgres::queries::Costly;
use crate::detect::verdict::evidence;
use crate::model::facts::PgFacts;
use crate::model::postgres::plan::PlannedTable;
use crate::model::postgres::{WaitClass, lexer, literal, qualified};
use crate::model::unit::Unit;

use super::support::{in_application, sql};

/// Statements that change rows.
const WRITES: [&str; 4] = ["INSERT", "UPDATE", "DELETE", "MERGE"];
/// Sessions that they keep busy together before anyone asks.
const BUSY: f64 = 1.0;
/// Indexes from which their upkeep is most of what a row costs.
const MANY: usize = 5;

/// Cheap ones in masses: they have most of the time of all statements, and more often than before.
pub fn in_masses(case: &Case<'_>) -> bool {
    let all_ms = case.pg.statements.as_ref().map_or(0.0, |s| s.all.exec_ms);
    let most = case.row.grown.exec_ms >= case.least(DOMINATES) / 100.0 * all_ms;
    let more = case.usual.map_or(case.new, |(_, usual_per_s)| case.per_s >= case.least(FLOOD) * usual_per_s.max(1.0));
    WRITES.contains(&case.verb.as_str()) && case.lost >= BUSY && most && more
}

/// It changes rows.
#[must_use]
pub fn is_one(pg: &PgFacts, costly: &Costly<'_>) -> bool {
    WRITES.contains(&lexer::verb(pg.text(costly.row.key.query)).as_str())
}

/// The table that it writes to, where it has many indexes.
#[must_use]
pub fn indexed<'a>(pg: &'a PgFacts, costly: &Costly<'_>) -> Option<&'a PlannedTable> {
    let plan = pg.plan(costly.row)?.1.as_ref().ok()?;
    let written = plan.nodes.iter().find(|n| n.kind == "ModifyTable")?;
    let table = plan.tables.iter().find(|t| t.schema == written.schema && t.name == written.relation)?;
    // The indexes of a partitioned table are those of its partitions.
    (table.indexes.len() >= MANY && !table.partitioned).then_some(table)
}

/// Where its sessions were seen, as shares of their time.
#[must_use]
pub fn spent(pg: &PgFacts, costly: &Costly<'_>) -> Vec<Evidence> {
    let Some(classes) = pg.activity.as_ref().ok().and_then(|a| a.by_query.get(&costly.row.key.query)) else { return Vec::new() };
    let all: f64 = classes.values().sum();
    let mut rows: Vec<(&str, f64)> =
        classes.iter().filter_map(|(class, s)| Some((words(*class)?, 100.0 * s / all.max(1e-9)))).collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    let row = |(what, share): (&str, f64)| evidence(format!("its time: {what}"), share, Unit::Percent, None, "postgres.activity");
    rows.into_iter().filter(|(_, share)| *share >= 3.0).take(4).map(row).collect()
}

const fn words(class: WaitClass) -> Option<&'static str> {
    Some(match class {
        WaitClass::Cpu => "work: rows, indexes, constraints, triggers",
        WaitClass::IoRead => "reading data files",
        WaitClass::IoWrite => "writing or extending data files",
        WaitClass::IoTemp => "temporary files",
        WaitClass::Wal => "the WAL, mostly at commit",
        WaitClass::SyncReplica => "a synchronous standby",
        WaitClass::Lock => "locks: rows, or a table to be extended",
        WaitClass::LwLock => "internal locks",
        WaitClass::Client => "the client",
        WaitClass::Other => "something else",
        WaitClass::Idle => return None,
    })
}

/// What makes it cheaper: first what most of its time goes to.
#[must_use]
pub fn fixes(pg: &PgFacts, costly: &Costly<'_>) -> Vec<Fix> {
    let classes = pg.activity.as_ref().ok().and_then(|a| a.by_query.get(&costly.row.key.query));
    let of = |class| classes.and_then(|c| c.get(&class)).copied().unwrap_or(0.0);
    let whose = || format!("the application of role {}", costly.row.role);
    let rows = costly.row.grown.rows as f64 / costly.row.grown.calls.max(1) as f64;
    let mut fixes = Vec::new();
    fixes.extend(indexed(pg, costly).and_then(|table| unused(pg, costly, table)));
    if of(WaitClass::Wal) > 0.0 && of(WaitClass::Wal) >= of(WaitClass::Cpu) {
        let how = "BEGIN; many changes; COMMIT";
        fixes.insert(
            0,
            in_application(
                pg,
                Horizon::ShortTerm,
                "Commit many changes together",
                how,
                whose(),
                "locks are held a little longer",
            ),
        );
    }
    if rows < 10.0 {
        let how = "INSERT … VALUES with many rows, COPY, or UPDATE … FROM a list, instead of one statement per row";
        fixes.push(in_application(
            pg,
            Horizon::ShortTerm,
            "Change many rows per statement",
            how,
            whose(),
            "the application changes",
        ));
    }
    if fixes.is_empty() {
        let how = "fewer of them: write only what changed, gather what comes in, and drop what nobody reads";
        fixes.push(in_application(pg, Horizon::ShortTerm, "Write less", how, whose(), "the application changes"));
    }
    fixes
}

/// The indexes of that table, those first that nobody reads.
fn unused(pg: &PgFacts, costly: &Costly<'_>, table: &PlannedTable) -> Option<Fix> {
    let name = literal(&qualified(&table.schema, &table.name)?.as_str().into())?;
    let title = format!("See which of the {} indexes of {} nobody reads, and drop those", table.indexes.len(), table.name);
    let look = format!(
        "SELECT indexrelname AS index, idx_scan AS scans, pg_size_pretty(relpages * 8192::bigint) AS size \
         FROM pg_stat_user_indexes JOIN pg_class ON pg_class.oid = indexrelid WHERE relid = {name}::regclass ORDER BY idx_scan, relpages DESC;"
    );
    let mut fix = sql(pg, Phase::Cure, Horizon::ShortTerm, &title, look, &costly.row.database);
    fix.risk = "to look is read-only; an index without scans here may serve a standby, a constraint or a yearly report".into();
    Some(fix)
}
