//! An index for what a scan compares and for the order that stands above it. Pure.

use crate::model::foreign::Foreign;
use crate::model::postgres::identifier;
use crate::model::postgres::plan::{Node, Plan, PlannedColumn, PlannedTable};

use super::super::conditions::{self, Compare, Condition};
use super::change::{
    Advice, COLUMNS, Call, Change, ENTRY, MANY, ROW, SMALL_PAGES, advice, column, covered, distinct, loops, random_page, table_of,
};

/// An index scan that throws most of what it finds away: its filter wants another index.
fn heavy(node: &Node) -> bool {
    let index = matches!(node.kind.as_str(), "Index Scan" | "Bitmap Heap Scan");
    index
        && node.conditions.iter().any(|(name, _)| name == "Filter")
        && node.total_cost > 500.0
        && node.rows * 20.0 < node.total_cost
}

/// What a scan compares, of its own table's columns.
fn compared(node: &Node, table: &PlannedTable) -> Vec<Condition> {
    let texts = node.conditions.iter().filter(|(name, _)| name == "Filter" || name == "Index Cond" || name == "Recheck Cond");
    texts
        .flat_map(|(_, text)| conditions::parse(text.shown(), node.alias.shown()))
        .filter(|c| column(table, c).is_some_and(|col| serves(col, c)))
        .collect()
}

/// How many conditions a scan has, those that no index serves too.
fn asked(node: &Node) -> usize {
    let texts = node.conditions.iter().filter(|(name, _)| name == "Filter" || name == "Index Cond");
    texts.map(|(_, text)| conditions::count(text.shown())).sum()
}

/// An index on the column serves the condition: no cast, or one that changes nothing.
pub(super) fn serves(column: &PlannedColumn, c: &Condition) -> bool {
    match c.cast.as_deref() {
        None => true,
        Some("text") => column.kind == "text" || column.kind.starts_with("character varying"),
        Some(_) => false,
    }
}

/// The share of the table's rows that an equality leaves.
pub(super) fn narrowed(table: &PlannedTable, column: &PlannedColumn, c: &Condition) -> f64 {
    // Statistics that are not known know of no row that is not NULL.
    if c.is_null { column.null_share.unwrap_or(1.0) } else { c.members / distinct(table, column) }
}

/// An index for that node, where it scans.
pub(super) fn advise(plan: &Plan, at: usize, node: &Node, call: Call) -> Option<Advice> {
    if node.kind != "Seq Scan" && !heavy(node) {
        return None;
    }
    let index = table_of(plan, node)?;
    let table = &plan.tables[index];
    if table.pages < SMALL_PAGES || table.partitioned {
        return None;
    }
    let all = compared(node, table);
    let usable = |c: &&Condition| column(table, c).is_some_and(|col| col.sortable || c.function.is_some());
    let mut equal: Vec<&Condition> = all.iter().filter(|c| c.compare == Compare::Equal).filter(usable).collect();
    equal.sort_by(|a, b| {
        let of = |c: &Condition| column(table, c).map_or(0.0, |col| distinct(table, col));
        of(b).total_cmp(&of(a))
    });
    equal.dedup_by(|a, b| a.column == b.column);
    let order = ordered(plan, at, node, table);
    // Several values of a column in front give several orders, one after the other.
    equal.retain(|c| order.is_none() || c.members <= 1.0);
    let range = all.iter().find(|c| c.compare == Compare::Range && usable(c) && !equal.iter().any(|e| e.column == c.column));
    // A value that most rows have narrows nothing.
    equal.retain(|c| {
        let narrow =
            |col| if c.is_null { narrowed(table, col, c) <= 0.5 } else { c.function.is_some() || distinct(table, col) >= 2.0 };
        column(table, c).is_some_and(narrow)
    });
    equal.truncate(COLUMNS);
    let selectivity: f64 =
        equal.iter().map(|c| column(table, c).map_or(1.0, |col| narrowed(table, col, c))).product::<f64>().min(1.0);
    let mut columns: Vec<(String, Foreign, f64)> = equal.iter().filter_map(|c| written(table, c)).collect();
    // Of a table that was never analysed only what its statement returns is known: without that any index would be a guess.
    let counted = call.rows.filter(|_| table.unknown && order.is_none() && range.is_none() && passes_on(plan, at));
    if table.unknown && counted.is_none() {
        return None;
    }
    let limited = order.as_ref().map(|o| o.limit);
    // What the planner expects after all conditions tells how much an index reads only where the index serves them all.
    let served =
        equal.len() + all.iter().filter(|c| range.is_some_and(|r| c.compare == Compare::Range && c.column == r.column)).count();
    let rows = if served >= asked(node) { node.rows } else { f64::INFINITY };
    let wanted = match (&order, range) {
        (Some(order), _) => {
            columns.extend(order.columns.iter().cloned());
            // Read in the order that is asked for, until enough are found that fit.
            let rest = (node.rows / (table.rows * selectivity).max(1.0)).clamp(1e-6, 1.0);
            (order.limit / rest).min(table.rows * selectivity)
        }
        (None, Some(range)) => {
            columns.extend(written(table, range));
            // The planner takes a third of the table for a comparison that it knows nothing of, a two-hundredth for an interval.
            let ends = all.iter().filter(|c| c.compare == Compare::Range && c.column == range.column).count();
            rows.min(table.rows * selectivity * if ends > 1 { 0.005 } else { 1.0 / 3.0 })
        }
        (None, None) => match counted {
            Some(n) if served >= asked(node) => n.max(1.0),
            Some(n) => n.max(table.rows * selectivity),
            None => (table.rows * selectivity).min(rows.max(1.0) * 4.0).max(1.0),
        },
    };
    columns.truncate(COLUMNS + 1);
    if columns.is_empty() || (limited.is_none() && wanted > MANY * table.rows) || covered(table, &columns) {
        return None;
    }
    let loops = loops(plan, at);
    let pages = wanted.min(table.pages as f64);
    let once = random_page(plan) * (pages + 2.0) + wanted * (ROW + ENTRY);
    // Partitions that are scanned alike get their indexes together.
    let alike = |n: &&Node| table.partition && n.kind == node.kind && table_of(plan, n).is_some_and(|t| plan.tables[t].partition);
    let (count, cost) = match plan.nodes.iter().filter(alike).fold((0.0, 0.0), |(n, sum), node| (n + 1.0, sum + node.total_cost))
    {
        (n, cost) if n > 1.0 => (n, cost),
        _ => (1.0, node.total_cost),
    };
    // The cost of a node below a loop is that of one turn.
    let before = cost * loops + sort_above(plan, at, &order);
    let change = Change { rows_read: node_rows(node, table) * count, before, after: once * loops * count, rest: 1.0 };
    Some(advice(plan, index, columns, &change, call.mean_ms))
}

/// What the statement returns, or changes, is what the scan finds: nothing above it joins, groups or cuts off.
fn passes_on(plan: &Plan, at: usize) -> bool {
    let one = plan.nodes.iter().filter(|n| !n.relation.is_empty()).count();
    let kinds = ["ModifyTable", "Sort", "Gather", "Gather Merge", "LockRows", "Result"];
    let above = &plan.nodes[..at];
    let modified = above.iter().filter(|n| n.kind == "ModifyTable" && !n.relation.is_empty()).count();
    one - modified == 1 && above.iter().all(|n| kinds.contains(&n.kind.as_str()))
}

/// What a scan reads at each turn.
fn node_rows(node: &Node, table: &PlannedTable) -> f64 {
    if node.kind == "Seq Scan" { table.rows } else { node.total_cost / ROW.max(1e-9) / 10.0 }
}

/// An order with a limit above a scan.
struct Ordered {
    columns: Vec<(String, Foreign, f64)>,
    limit: f64,
    sort: usize,
}

fn ordered(plan: &Plan, at: usize, node: &Node, table: &PlannedTable) -> Option<Ordered> {
    // Limit, Sort, then the scan: nothing else may stand in between.
    let sort = at.checked_sub(1)?;
    let limit = sort.checked_sub(1)?;
    let (s, l) = (&plan.nodes[sort], &plan.nodes[limit]);
    if !matches!(s.kind.as_str(), "Sort" | "Incremental Sort")
        || l.kind != "Limit"
        || s.depth + 1 != node.depth
        || l.depth + 1 != s.depth
    {
        return None;
    }
    let mut columns = Vec::new();
    for key in &s.sort_key {
        let (name, descending) = conditions::sort_key(key.shown(), node.alias.shown())?;
        let col = table.columns.iter().find(|c| c.name.raw() == name.as_bytes()).filter(|c| c.sortable)?;
        let quoted = identifier(&col.name)?;
        columns.push((if descending { format!("{quoted} DESC") } else { quoted }, col.name.clone(), col.width.unwrap_or(8.0)));
    }
    // All in one direction can be read backwards: no DESC is needed.
    if columns.iter().all(|(c, ..)| c.ends_with(" DESC")) {
        columns.iter_mut().for_each(|(c, ..)| c.truncate(c.len() - 5));
    }
    // A generic plan takes a tenth of the rows for a limit that it does not know; a page is nearer to the truth. Others it counts.
    const PAGE: f64 = 100.0;
    let guessed = (l.rows - s.rows * 0.1).abs() <= 1.0 + s.rows * 0.001;
    Some(Ordered { columns, limit: if guessed { l.rows.clamp(1.0, PAGE) } else { l.rows.max(1.0) }, sort })
}

fn sort_above(plan: &Plan, at: usize, order: &Option<Ordered>) -> f64 {
    order.as_ref().map_or(0.0, |o| (plan.nodes[o.sort].total_cost - plan.nodes[at].total_cost).max(0.0))
}

pub(super) fn written(table: &PlannedTable, c: &Condition) -> Option<(String, Foreign, f64)> {
    let col = column(table, c)?;
    let quoted = identifier(&col.name)?;
    let text = match &c.function {
        Some(function) => format!("({function}({quoted}))"),
        None => quoted,
    };
    Some((text, col.name.clone(), col.width.unwrap_or(8.0)))
}
