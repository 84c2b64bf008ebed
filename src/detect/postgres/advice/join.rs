//! An index for the large side of a join, whose other side has few rows. Pure.

use crate::model::foreign::Foreign;
use crate::model::postgres::identifier;
use crate::model::postgres::plan::{Node, Plan};

use super::super::conditions;
use super::change::{
    Advice, COLUMNS, Call, Change, ENTRY, MANY, ROW, SMALL_PAGES, advice, covered, distinct, loops, random_page, table_of,
};

/// A hash or merge join, or a loop without an index: one side is large, the other has few rows.
pub(super) fn advise(plan: &Plan, at: usize, node: &Node, call: Call) -> Option<Advice> {
    if !matches!(node.kind.as_str(), "Hash Join" | "Merge Join" | "Nested Loop") {
        return None;
    }
    let condition = node.conditions.iter().find(|(n, _)| n == "Hash Cond" || n == "Merge Cond" || n == "Join Filter")?;
    let below: Vec<usize> = (at + 1..plan.nodes.len())
        .take_while(|i| plan.nodes[*i].depth > node.depth)
        .filter(|i| plan.nodes[*i].depth == node.depth + 1)
        .collect();
    let [left, right] = below[..] else { return None };
    let side = |(large, small): (usize, usize)| {
        if !probed(&node.join, large == right) {
            return None;
        }
        let (scan, replaced) = scanned(plan, large, call.semi)?;
        let index = table_of(plan, scan)?;
        let table = &plan.tables[index];
        let over = over(plan, at, small, scan, call.rows);
        let outer_rows = (plan.nodes[small].rows * over).max(1.0);
        let names = conditions::join(condition.1.shown(), scan.alias.shown());
        let chosen: Vec<(String, Foreign, f64)> = names
            .iter()
            .filter_map(|name| table.columns.iter().find(|c| c.name.raw() == name.as_bytes()).filter(|c| c.sortable))
            .filter_map(|c| Some((identifier(&c.name)?, c.name.clone(), c.width.unwrap_or(8.0))))
            .take(COLUMNS)
            .collect();
        let first = table.columns.iter().find(|c| chosen.first().is_some_and(|(_, name, _)| c.name == *name))?;
        let each = (table.rows / distinct(table, first)).max(1.0);
        let small_enough =
            table.pages >= SMALL_PAGES && !table.partitioned && !table.unknown && outer_rows * each <= MANY * table.rows;
        if chosen.is_empty() || !small_enough || covered(table, &chosen) {
            return None;
        }
        let after = outer_rows * (random_page(plan) * (each.min(table.pages as f64) + 1.0) + each * (ROW + ENTRY));
        let times = loops(plan, at);
        let change = Change { rows_read: table.rows, before: replaced.total_cost * times, after: after * times, rest: over };
        Some(advice(plan, index, chosen, &change, call.mean_ms))
    };
    [(left, right), (right, left)].into_iter().filter_map(side).min_by(|a, b| a.cost_after.total_cmp(&b.cost_after))
}

/// True for a side that may be looked up row by row: one whose every row is wanted is read whole, with an index or without.
fn probed(join: &str, second: bool) -> bool {
    match join {
        "Inner" | "Semi" | "Right Semi" => true,
        "Left" | "Anti" => second,
        "Right" | "Right Anti" => !second,
        _ => false,
    }
}

/// The scan of a whole table on that side, and the node that an index takes the place of: a hash, a sort or a store may stand between, and
/// where the statement only asks whether there is a row, what takes double keys away.
fn scanned(plan: &Plan, from: usize, semi: bool) -> Option<(&Node, &Node)> {
    let (mut at, mut replaced) = (from, None);
    loop {
        let node = plan.nodes.get(at)?;
        match node.kind.as_str() {
            "Hash" | "Sort" | "Materialize" => {}
            "Aggregate" | "Unique" if semi => replaced = replaced.or(Some(node)),
            "Seq Scan" => return Some((node, replaced.unwrap_or(node))),
            _ => return None,
        }
        at += 1;
    }
}

/// What is left of the rows of the side that probes: for a range against a parameter a generic plan takes a third of the table. The statement's
/// own rows tell, where this join makes them and nothing else thins them out.
fn over(plan: &Plan, at: usize, probing: usize, scan: &Node, rows: Option<f64>) -> f64 {
    let passes = |n: &Node| matches!(n.kind.as_str(), "Sort" | "Gather" | "Gather Merge" | "Result");
    let last = plan.nodes[..at].iter().all(passes) && matches!(plan.nodes[at].join.as_str(), "Inner" | "Semi" | "Right Semi");
    let thinned = scan.conditions.iter().any(|(name, _)| name == "Filter");
    let side = &plan.nodes[probing];
    let below = plan.nodes[probing + 1..].iter().take_while(|n| n.depth > side.depth);
    let guessed = |n: &Node| n.conditions.iter().any(|(_, text)| text.shown().contains('$') && text.shown().contains(['<', '>']));
    match rows.filter(|_| last && !thinned && std::iter::once(side).chain(below).any(guessed)) {
        Some(rows) => (rows.max(1.0) / plan.nodes[0].rows.max(1.0)).min(1.0),
        None => 1.0,
    }
}
