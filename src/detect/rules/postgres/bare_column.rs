//! Specific fixes for a query that compares a column inside of an expression, which keeps the column's index from being used.

use crate::detect::finding::{Fix, Horizon};
use crate::detect::postgres::advice::Advice;
use crate::detect::postgres::queries::Costly;
use crate::detect::postgres::wrapped::{self, Around, Wrapped};
use crate::model::facts::PgFacts;
use crate::model::foreign::Foreign;
use crate::model::postgres::identifier;
use crate::model::postgres::plan::{Node, Plan, PlannedColumn, PlannedTable};

use super::missing_index;
use super::support::in_application;

/// A table of fewer pages is read as fast as an index.
const SMALL_PAGES: u64 = 300;
/// A scan that leaves more of its table than this needs no index.
const MANY: f64 = 0.1;

/// The ways out, for the first such column of a table that is read as a whole; a call touches `blocks` pages, those of large values too.
#[must_use]
pub fn fixes(pg: &PgFacts, costly: &Costly<'_>, plan: &Plan, blocks: f64) -> Vec<Fix> {
    let found = plan.nodes.iter().filter(|n| n.kind == "Seq Scan").find_map(|node| of_scan(plan, node, blocks));
    found.and_then(|(table, column, wrapped)| one(pg, costly, table, column, &wrapped)).into_iter().collect()
}

fn of_scan<'a>(plan: &'a Plan, node: &Node, blocks: f64) -> Option<(&'a PlannedTable, &'a PlannedColumn, Wrapped)> {
    let table = plan.tables.iter().find(|t| t.name == node.relation && t.schema == node.schema)?;
    if (table.pages < SMALL_PAGES && blocks < SMALL_PAGES as f64) || table.partitioned || node.rows > MANY * table.rows {
        return None;
    }
    let column = |name: &str| table.columns.iter().find(|c| c.name.raw() == name.as_bytes());
    let filters = node.conditions.iter().filter(|(name, _)| name == "Filter");
    let all = filters.flat_map(|(_, text)| wrapped::parse(text.shown(), node.alias.shown(), &|name| column(name).is_some()));
    // Text that is cast to text is what it was.
    let text = |c: &PlannedColumn| c.kind == "text" || c.kind.starts_with("character varying");
    let matters = |w: &Wrapped, c: &PlannedColumn| !(matches!(&w.around, Around::Cast(to) if to == "text") && text(c));
    all.filter_map(|w| Some((table, column(&w.column)?, w))).find(|(_, c, w)| matters(w, c))
}

fn one(pg: &PgFacts, costly: &Costly<'_>, table: &PlannedTable, column: &PlannedColumn, wrapped: &Wrapped) -> Option<Fix> {
    let (name, kind) = (identifier(&column.name)?, &column.kind);
    let index =
        table.indexes.iter().find(|i| i.valid && !i.partial && i.method == "btree" && i.columns.first() == Some(&column.number));
    let served = match index {
        Some(index) => format!("the index {} serves that", index.name),
        None => format!("with an index on {name}"),
    };
    let (title, how) = match &wrapped.around {
        Around::Cast(to) if to == "date" && kind.starts_with("timestamp") => (
            format!("Compare {name} with a range, instead of casting it to date"),
            format!("WHERE {name} >= the day AND {name} < the day after, instead of {name}::date = the day: {served}"),
        ),
        Around::Cast(to) => (
            format!("Compare {name} as {kind}, not as {to}"),
            format!("WHERE {name} = the value::{kind}, instead of {name}::{to} = the value: {served}"),
        ),
        Around::Function(function) => return by_expression(pg, costly, table, column, function),
        Around::Field => (
            format!("Index the field of {name} that is looked for"),
            format!(
                "CREATE INDEX CONCURRENTLY ON {}.{} (({name} ->> the field's name)), in the words of the statement; or a column of its own for it",
                table.schema, table.name
            ),
        ),
        Around::Expression => (
            format!("Compare {name} itself"),
            format!("the expression to the other side, or a range such as {name} >= start AND {name} < end: {served}"),
        ),
    };
    let whose = format!("the application of role {}", costly.row.role);
    Some(in_application(pg, Horizon::ShortTerm, &title, &how, whose, "the application changes"))
}

/// An index on what the function makes of the column.
fn by_expression(pg: &PgFacts, costly: &Costly<'_>, table: &PlannedTable, column: &PlannedColumn, function: &str) -> Option<Fix> {
    // One is there, of which nobody knows what it holds.
    if table.indexes.iter().any(|i| i.columns.contains(&0)) {
        return None;
    }
    let (call, name) = (identifier(&Foreign::from(function))?, identifier(&column.name)?);
    let advice = Advice::on_expression(format!("({call}({name}))"), column);
    let mut fix = missing_index::build(pg, costly, table, &advice)?;
    fix.title = format!("Build an index on {call}({name})");
    fix.risk = format!("PostgreSQL refuses it where {call} is not IMMUTABLE; {}", fix.risk);
    Some(fix)
}

#[cfg(test)]
mod tests {
    use super::super::expensive::RULE;
    use crate::detect::bench::postgres::{Statement, index, orders, scan};
    use crate::model::postgres::plan::PlannedTable;

    fn advised(table: PlannedTable, filter: &str, rows: f64) -> String {
        let plan = scan(table, filter, rows);
        Statement { ms: 40.0, rows: 1, reads: 6_000, plan, ..Statement::default() }.bench().pastes(&RULE).join("\n")
    }

    fn typed(kind: &str) -> PlannedTable {
        let mut table = orders();
        table.columns[1].kind = kind.into();
        table
    }

    #[test]
    fn what_keeps_an_index_from_being_used_is_taken_away() {
        let indexed = || PlannedTable { indexes: vec![index(&[2])], ..typed("bigint") };
        for (table, filter, way) in [
            (
                indexed(),
                "((customer_id)::text = ($1)::text)",
                "customer_id = the value::bigint, instead of customer_id::text = the value: the index orders_idx serves that",
            ),
            (typed("bigint"), "((customer_id)::text = ($1)::text)", "with an index on customer_id"),
            (typed("timestamp with time zone"), "((customer_id)::date = $1)", "customer_id < the day after"),
            (typed("text"), "(md5(customer_id) = $1)", "ON public.orders ((md5(customer_id)))"),
            (typed("timestamp"), "(date_trunc($1, customer_id) = $2)", "a range such as customer_id >= start"),
            (typed("jsonb"), "((customer_id ->> $1) = $2)", "ON public.orders ((customer_id ->> the field's name))"),
        ] {
            let said = advised(table, filter, 5_000.0);
            assert!(said.contains(way), "{filter}: {said}");
        }
    }

    #[test]
    fn what_no_index_would_serve_is_not_advised() {
        for (table, filter, rows) in [
            // Most of the table is wanted.
            (typed("bigint"), "((customer_id)::text = ($1)::text)", 400_000.0),
            (typed("bigint"), "((customer_id)::text <> ($1)::text)", 5_000.0),
            (PlannedTable { indexes: vec![index(&[0])], ..typed("text") }, "(md5(customer_id) = $1)", 5_000.0),
        ] {
            let said = advised(table, filter, rows);
            assert!(!said.contains("instead of") && !said.contains("CREATE INDEX"), "{filter}: {said}");
        }
    }
}
