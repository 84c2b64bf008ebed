//! The one index that is missing for an OR: the planner joins the answers of several indexes, but only where each side has its own. Pure.

use crate::model::postgres::plan::{Node, Plan};

use super::super::conditions::{self, Condition};
use super::change::{Advice, Call, Change, ENTRY, MANY, ROW, SMALL_PAGES, advice, column, covered, random_page, table_of};
use super::scan::{narrowed, serves, written};

/// An index for the only side of an OR that has none, where a table is read as a whole for it.
pub(super) fn advise(plan: &Plan, node: &Node, call: Call) -> Option<Advice> {
    let index = table_of(plan, node).filter(|_| node.kind == "Seq Scan")?;
    let table = &plan.tables[index];
    if table.pages < SMALL_PAGES || table.partitioned || table.partition || table.unknown {
        return None;
    }
    let filters = node.conditions.iter().filter(|(name, _)| name == "Filter");
    let groups = filters.flat_map(|(_, text)| conditions::either(text.shown(), node.alias.shown()));
    // What an index on an expression holds is not known: it may be this very one.
    let expressions = table.indexes.iter().any(|i| i.columns.contains(&0));
    let usable = |c: &Condition| {
        let served = column(table, c).is_some_and(|col| serves(col, c) && (col.sortable || c.function.is_some()));
        served && c.compare == conditions::Compare::Equal && !(expressions && c.function.is_some())
    };
    let missing = |group: &Vec<Condition>| {
        let bare: Vec<_> =
            group.iter().filter_map(|c| written(table, c)).filter(|one| !covered(table, std::slice::from_ref(one))).collect();
        let share: f64 = group.iter().filter_map(|c| Some(narrowed(table, column(table, c)?, c))).sum();
        // One that two sides compare is one index.
        let one = bare.first().filter(|first| bare.iter().all(|other| other.0 == first.0))?;
        Some((one.clone(), share))
    };
    let (missing, share) = groups.filter(|group| group.iter().all(usable)).find_map(|group| missing(&group))?;
    let wanted = (table.rows * share).max(1.0);
    if wanted > MANY * table.rows {
        return None;
    }
    let once = random_page(plan) * (wanted.min(table.pages as f64) + 4.0) + wanted * (ROW + ENTRY);
    let change = Change { rows_read: table.rows, before: node.total_cost, after: once, rest: 1.0 };
    Some(advice(plan, index, vec![missing], &change, call.mean_ms))
}
