//! Index advice from a generic plan: which columns, what it would give, what it would cost. Candidates come from the plan's own conditions,
//! so views, aliases and search paths are resolved already. Pure.

use crate::model::foreign::Foreign;
use crate::model::postgres::plan::{Node, Plan, PlannedColumn, PlannedTable, TrialIndex};
use crate::model::postgres::{identifier, qualified};

use super::conditions::{self, Compare, Condition};

/// A plan is made anew after a minute.
pub const FRESH_NS: u64 = 60_000_000_000;
/// Tables smaller than this are read faster than an index is opened.
const SMALL_PAGES: u64 = 30;
/// Of the table: what wants more than this reads it as well without an index.
const MANY: f64 = 0.1;
/// Columns of one index.
const COLUMNS: usize = 3;
/// The plan must get cheaper by this.
const WORTH: f64 = 0.5;
/// The planner's price of a page at random, of a row, and of an index entry (its defaults).
const RANDOM_PAGE: f64 = 4.0;
const ROW: f64 = 0.01;
const ENTRY: f64 = 0.005;
/// Milliseconds that a call takes however good its plan is, at most and at least: parsing, planning, the way through the executor (measured on 27
/// shapes: 0.006 to 0.05).
const FLOOR_MS: f64 = 0.05;
const LEAST_MS: f64 = 0.004;

/// One index that would help.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// The table, by its place in the plan's list.
    pub table: usize,
    /// The columns as SQL writes them, `DESC` with them where it matters.
    pub columns: Vec<String>,
    /// Their names, for the name of the index.
    pub names: Vec<Foreign>,
    /// Bytes of one entry.
    pub width: f64,
    /// Rows that are read now.
    pub rows_read: f64,
    /// Cost of the whole plan with it.
    pub cost_after: f64,
    /// Share of the statement's time that comes back, at least.
    pub gain_low: f64,
    /// At most.
    pub gain_high: f64,
}

impl Advice {
    /// A name that says what it is and that no index of the table has; `None` where the name is no text.
    #[must_use]
    pub fn name(&self, table: &PlannedTable) -> Option<Foreign> {
        const LONGEST: usize = 55;
        let text = |f: &Foreign| std::str::from_utf8(f.raw()).ok().map(ToOwned::to_owned);
        let parts: Option<Vec<String>> = std::iter::once(&table.name).chain(&self.names).map(text).collect();
        let plain = |c: char| if c.is_alphanumeric() || c == '_' { c } else { '_' };
        let base: String = parts?.join("_").chars().map(plain).take(LONGEST).collect();
        // Bytes count, not characters.
        let base = base.char_indices().take_while(|(at, c)| at + c.len_utf8() <= LONGEST).map(|(_, c)| c).collect::<String>();
        let taken = |name: &str| table.indexes.iter().any(|i| i.name.raw() == name.as_bytes());
        let names = (0..20).map(|n| if n == 0 { format!("{base}_idx") } else { format!("{base}_idx{n}") });
        names.into_iter().find(|n| !taken(n)).map(|n| Foreign::from(n.as_str()))
    }

    /// The index, to be tried on the planner: plain columns only.
    #[must_use]
    pub fn trial(&self, table: &PlannedTable) -> Option<TrialIndex> {
        let column = |(text, name): (&String, &Foreign)| {
            let quoted = identifier(name)?;
            let descending = text.strip_prefix(quoted.as_str())?;
            matches!(descending, "" | " DESC").then(|| (name.clone(), !descending.is_empty()))
        };
        let columns = self.columns.iter().zip(&self.names).map(column).collect::<Option<_>>()?;
        Some(TrialIndex { schema: table.schema.clone(), table: table.name.clone(), columns })
    }

    /// The statement that builds it beside the running load; `None` where a name cannot be written.
    #[must_use]
    pub fn command(&self, table: &PlannedTable) -> Option<String> {
        let name = identifier(&self.name(table)?)?;
        let on = qualified(&table.schema, &table.name)?;
        Some(format!("CREATE INDEX CONCURRENTLY {name} ON {on} ({});", self.columns.join(", ")))
    }

    /// Bytes that the index takes: entries of a leaf that is nine tenths full.
    #[must_use]
    pub fn bytes(&self, table: &PlannedTable) -> f64 {
        // Item pointer 4, header 8, the columns aligned to 8.
        table.rows * (12.0 + (self.width / 8.0).ceil() * 8.0) / 0.9 + 16_384.0
    }

    /// The tables to build it on: partitions each have their own.
    #[must_use]
    pub fn targets<'a>(&self, plan: &'a Plan) -> Vec<&'a PlannedTable> {
        const MOST: usize = 4;
        let Some(first) = plan.tables.get(self.table) else { return Vec::new() };
        if !first.partition {
            return Vec::new();
        }
        let alike = |t: &&PlannedTable| {
            t.partition
                && self.names.iter().all(|n| t.columns.iter().any(|c| c.name == *n))
                && t.columns.len() == first.columns.len()
        };
        plan.tables.iter().filter(alike).take(MOST).collect()
    }
}

/// The index that helps the plan most, if one is worth it.
#[must_use]
pub fn best(plan: &Plan, mean_ms: f64) -> Option<Advice> {
    let scans = plan.nodes.iter().enumerate().filter(|(_, n)| n.kind == "Seq Scan" || heavy(n));
    let mut all: Vec<Advice> = scans.filter_map(|(at, node)| scan(plan, at, node, mean_ms)).collect();
    all.extend(plan.nodes.iter().enumerate().filter_map(|(at, node)| join(plan, at, node, mean_ms)));
    all.retain(|a| a.cost_after <= WORTH * plan.cost());
    all.into_iter().min_by(|a, b| a.cost_after.total_cmp(&b.cost_after))
}

/// An index scan that throws most of what it finds away: its filter wants another index.
fn heavy(node: &Node) -> bool {
    let index = matches!(node.kind.as_str(), "Index Scan" | "Bitmap Heap Scan");
    index
        && node.conditions.iter().any(|(name, _)| name == "Filter")
        && node.total_cost > 500.0
        && node.rows * 20.0 < node.total_cost
}

fn table_of(plan: &Plan, node: &Node) -> Option<usize> {
    plan.tables.iter().position(|t| t.schema == node.schema && t.name == node.relation)
}

/// What a scan compares, of its own table's columns.
fn compared(node: &Node, table: &PlannedTable) -> Vec<Condition> {
    let texts = node.conditions.iter().filter(|(name, _)| name == "Filter" || name == "Index Cond" || name == "Recheck Cond");
    texts
        .flat_map(|(_, text)| conditions::parse(text.shown(), node.alias.shown()))
        .filter(|c| column(table, c).is_some_and(|col| serves(col, c)))
        .collect()
}

/// An index on the column serves the condition: no cast, or one that changes nothing.
fn serves(column: &PlannedColumn, c: &Condition) -> bool {
    match c.cast.as_deref() {
        None => true,
        Some("text") => column.kind == "text" || column.kind.starts_with("character varying"),
        Some(_) => false,
    }
}

/// The share of the table's rows that an equality leaves.
fn narrowed(table: &PlannedTable, column: &PlannedColumn, c: &Condition) -> f64 {
    // Statistics that are not known know of no row that is not NULL.
    if c.is_null { column.null_share.unwrap_or(1.0) } else { c.members / distinct(table, column) }
}

fn column<'a>(table: &'a PlannedTable, c: &Condition) -> Option<&'a PlannedColumn> {
    table.columns.iter().find(|col| col.name.raw() == c.column.as_bytes())
}

/// Distinct values of a column; negative `n_distinct` is a share of the rows.
fn distinct(table: &PlannedTable, column: &PlannedColumn) -> f64 {
    match column.distinct {
        Some(d) if d < 0.0 => (-d * table.rows).max(1.0),
        Some(d) if d > 0.0 => d,
        // Never analysed: as the planner does, 200.
        _ => 200.0,
    }
}

fn scan(plan: &Plan, at: usize, node: &Node, mean_ms: f64) -> Option<Advice> {
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
    let limited = order.as_ref().map(|o| o.limit);
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
            node.rows.min(table.rows * selectivity)
        }
        (None, None) => (table.rows * selectivity).min(node.rows.max(1.0) * 4.0).max(1.0),
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
    Some(advice(plan, index, columns, (node_rows(node, table) * count, before, once * loops * count), mean_ms))
}

fn random_page(plan: &Plan) -> f64 {
    if plan.random_page_cost > 0.0 { plan.random_page_cost } else { RANDOM_PAGE }
}

/// What a scan reads at each turn.
fn node_rows(node: &Node, table: &PlannedTable) -> f64 {
    if node.kind == "Seq Scan" { table.rows } else { node.total_cost / ROW.max(1e-9) / 10.0 }
}

/// How often the node runs: rows of the outer sides above it, of the parents of its subplans.
fn loops(plan: &Plan, at: usize) -> f64 {
    let mut times = 1.0;
    let mut depth = plan.nodes[at].depth;
    let mut inner = at;
    for up in (0..at).rev() {
        let node = &plan.nodes[up];
        if node.depth >= depth {
            continue;
        }
        let child = &plan.nodes[inner];
        if child.relationship == "SubPlan" {
            // Once for each row that the node above looks at: the rows of its own scan, before its filter.
            let rows =
                plan.tables.iter().find(|t| t.schema == node.schema && t.name == node.relation).map_or(node.rows, |t| t.rows);
            times *= rows.max(node.rows).max(1.0);
        } else if node.kind == "Nested Loop" && child.relationship == "Inner" {
            let outer = plan.nodes[up + 1..inner].iter().find(|n| n.depth == node.depth + 1);
            times *= outer.map_or(1.0, |n| n.rows.max(1.0));
        } else if node.kind == "Materialize" || node.kind == "Memoize" {
            // What is kept is read once.
            return 1.0;
        }
        (depth, inner) = (node.depth, up);
    }
    times
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

fn written(table: &PlannedTable, c: &Condition) -> Option<(String, Foreign, f64)> {
    let col = column(table, c)?;
    let quoted = identifier(&col.name)?;
    let text = match &c.function {
        Some(function) => format!("({function}({quoted}))"),
        None => quoted,
    };
    Some((text, col.name.clone(), col.width.unwrap_or(8.0)))
}

/// A valid index begins with the same columns already: the planner knows it and does not want it.
fn covered(table: &PlannedTable, columns: &[(String, Foreign, f64)]) -> bool {
    let expression = columns.iter().any(|(text, ..)| text.starts_with('('));
    let number = |name: &Foreign| table.columns.iter().find(|c| c.name == *name).map(|c| c.number);
    let wanted: Vec<i16> = columns.iter().filter_map(|(_, name, _)| number(name)).collect();
    !expression && table.indexes.iter().any(|i| i.valid && !i.partial && i.method == "btree" && i.columns.starts_with(&wanted))
}

/// A hash or merge join, or a loop without an index: one side is large, the other has few rows.
fn join(plan: &Plan, at: usize, node: &Node, mean_ms: f64) -> Option<Advice> {
    if !matches!(node.kind.as_str(), "Hash Join" | "Merge Join" | "Nested Loop") {
        return None;
    }
    let condition = node.conditions.iter().find(|(n, _)| n == "Hash Cond" || n == "Merge Cond" || n == "Join Filter")?;
    let below: Vec<usize> = (at + 1..plan.nodes.len())
        .take_while(|i| plan.nodes[*i].depth > node.depth)
        .filter(|i| plan.nodes[*i].depth == node.depth + 1)
        .collect();
    let [left, right] = below[..] else { return None };
    // A hash, a sort or a store stands between.
    let scan_below = |from: usize| {
        let mut i = from;
        while matches!(plan.nodes[i].kind.as_str(), "Hash" | "Sort" | "Materialize") {
            i += 1;
        }
        Some(i).filter(|i| plan.nodes.get(*i).is_some_and(|n| n.kind == "Seq Scan"))
    };
    let sides = [(left, right), (right, left)];
    let side = |(big, small): (usize, usize)| {
        let big = scan_below(big)?;
        let scan = &plan.nodes[big];
        let index = table_of(plan, scan)?;
        let table = &plan.tables[index];
        let outer_rows = plan.nodes[small].rows.max(1.0);
        let pair = conditions::join(condition.1.shown(), scan.alias.shown());
        let chosen: Vec<(String, Foreign, f64)> = pair
            .iter()
            .filter_map(|name| table.columns.iter().find(|c| c.name.raw() == name.as_bytes()).filter(|c| c.sortable))
            .filter_map(|c| Some((identifier(&c.name)?, c.name.clone(), c.width.unwrap_or(8.0))))
            .take(COLUMNS)
            .collect();
        let first = table.columns.iter().find(|c| chosen.first().is_some_and(|(_, name, _)| c.name == *name))?;
        let each = (table.rows / distinct(table, first)).max(1.0);
        let small_enough = table.pages >= SMALL_PAGES && !table.partitioned && outer_rows * each <= MANY * table.rows;
        if chosen.is_empty() || !small_enough || covered(table, &chosen) {
            return None;
        }
        let after = outer_rows * (random_page(plan) * (each.min(table.pages as f64) + 1.0) + each * (ROW + ENTRY));
        let times = loops(plan, at);
        Some(advice(plan, index, chosen, (table.rows, scan.total_cost * times, after * times), mean_ms))
    };
    sides.into_iter().filter_map(side).min_by(|a, b| a.cost_after.total_cmp(&b.cost_after))
}

/// `(rows read, cost before, cost after)` of the part that changes.
fn advice(
    plan: &Plan,
    table: usize,
    columns: Vec<(String, Foreign, f64)>,
    (rows_read, before, after): (f64, f64, f64),
    mean_ms: f64,
) -> Advice {
    // The part within the whole: a node below a loop may count more than the root says.
    let whole = plan.cost().max(before).max(1.0);
    let cost_after = (plan.cost().max(before) - before + after).min(plan.cost()).max(after.min(plan.cost()));
    let ratio = (cost_after / whole).clamp(0.0, 1.0);
    // Costs are no times: pages that are in memory are cheaper than the planner says, and a call takes something whatever it does.
    let floor = FLOOR_MS / mean_ms.max(FLOOR_MS);
    Advice {
        table,
        width: columns.iter().map(|(.., w)| w).sum(),
        names: columns.iter().map(|(_, name, _)| name.clone()).collect(),
        columns: columns.into_iter().map(|(text, ..)| text).collect(),
        rows_read,
        cost_after,
        gain_low: (1.0 - (ratio * 4.0).max(floor * 4.0)).clamp(0.3, 0.99),
        gain_high: (1.0 - (ratio / 20.0).max(LEAST_MS / mean_ms.max(LEAST_MS))).clamp(0.0, 0.9999),
    }
}
