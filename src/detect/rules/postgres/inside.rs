//! What runs inside a statement that writes, and is in no plan of it: the check of a foreign key, a trigger.

use crate::detect::finding::{Fix, Horizon, Phase};
use crate::detect::postgres::queries::Costly;
use crate::model::facts::PgFacts;
use crate::model::postgres::plan::Node;
use crate::model::postgres::{lexer, literal, qualified};
use crate::model::unit::count;

use super::horizon;
use super::support::{in_application, sql};
use super::writes;

/// Buffers for each row that is written, from which something else is read: a row with a dozen of indexes takes some fifty.
const MUCH: f64 = 300.0;
/// A statement that writes more rows at once may well read for them.
const ROWS: f64 = 3.0;
/// Rows that its plan expects an index to give.
const FEW: f64 = 20.0;
/// WAL of each row, from which on it may be the row itself that is large.
const LARGE: f64 = 32_768.0;

/// Buffers for each row of a statement that writes few rows, by a plan that reads next to nothing.
#[must_use]
pub fn reads(pg: &PgFacts, costly: &Costly<'_>) -> Option<f64> {
    let g = &costly.row.grown;
    let (calls, rows) = (g.calls.max(1) as f64, g.rows as f64);
    if !writes::is_one(pg, costly) || rows < 1.0 || rows / calls > ROWS {
        return None;
    }
    let text = pg.text(costly.row.key.query);
    // What stands there as values is read from nowhere; of anything else its plan tells.
    let values = lexer::verb(text) == "INSERT" && !text.to_ascii_uppercase().contains("SELECT");
    let plan = pg.plan(costly.row).and_then(|(_, plan)| plan.as_ref().ok());
    // Rows by an index, and nothing that has to be thrown away behind it.
    let searches = |n: &Node| {
        n.kind.contains("Scan")
            && (!n.kind.starts_with("Index") || n.rows > FEW || n.conditions.iter().any(|(c, _)| c == "Filter"))
    };
    // Rows that died and cannot be removed are walked over by every index.
    let walks = || horizon::holder(pg, &costly.row.database, Some(costly.row.key.query)).is_some();
    let cheap = values || plan.is_some_and(|plan| !plan.nodes.iter().any(searches)) && !walks();
    // A large value is stored in pieces of two kilobytes, each with buffers of its own.
    let large = g.wal_bytes as f64 / rows >= LARGE;
    let each = (g.hit_blocks + g.read_blocks) as f64 / rows;
    (cheap && !large && each >= MUCH).then_some(each)
}

/// The end of a title.
#[must_use]
pub fn title(each: f64) -> String {
    format!(": {} buffers per row, more than its plan reads: probably a trigger or a foreign-key check", count(each))
}

/// Where to look, and what to do about what is seen there.
#[must_use]
pub fn fixes(pg: &PgFacts, costly: &Costly<'_>) -> Vec<Fix> {
    let written = || {
        let plan = pg.plan(costly.row)?.1.as_ref().ok()?;
        let table = plan.nodes.iter().find(|n| n.kind == "ModifyTable")?;
        literal(&qualified(&table.schema, &table.relation)?.as_str().into())
    };
    // Without its table all of them.
    let of = |column: &str| written().map_or_else(String::new, |table| format!(" AND {column} = {table}::regclass"));
    let look = format!(
        "SELECT 'no index for the check of this foreign key' AS what, conrelid::regclass AS reads, conname AS name, pg_get_constraintdef(oid) AS definition \
         FROM pg_constraint c WHERE contype = 'f'{} AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1]) \
         UNION ALL SELECT 'trigger', tgrelid::regclass, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal{};",
        of("confrelid"),
        of("tgrelid")
    );
    let title = "See which foreign keys and triggers run inside it";
    let mut see = sql(pg, Phase::Relief, Horizon::Immediate, title, look, &costly.row.database);
    see.risk = "none: read-only".into();
    let cure = in_application(
        pg,
        Horizon::ShortTerm,
        "Give what is read an index",
        "CREATE INDEX CONCURRENTLY on the columns of the foreign key in the table that refers to this one, or on what the trigger's function looks up",
        "the owner of that table".into(),
        "every write to that table keeps one index more",
    );
    vec![see, cure]
}
