//! What an index is and what it changes in a plan. Pure.

use crate::model::foreign::Foreign;
use crate::model::postgres::plan::{Node, Plan, PlannedColumn, PlannedTable, TrialIndex};
use crate::model::postgres::{Grown, identifier, lexer, qualified};

use crate::detect::postgres::conditions::Condition;

/// Tables smaller than this are read faster than an index is opened.
pub(super) const SMALL_PAGES: u64 = 30;
/// Of the table: what wants more than this reads it as well without an index.
pub(super) const MANY: f64 = 0.1;
/// Columns of one index.
pub(super) const COLUMNS: usize = 3;
/// The planner's price of a page at random, of a row, and of an index entry (its defaults).
const RANDOM_PAGE: f64 = 4.0;
pub(super) const ROW: f64 = 0.01;
pub(super) const ENTRY: f64 = 0.005;
/// What a call takes at the very least, whatever its plan: parsing, planning, the way through the executor. Milliseconds; an upper and
/// a lower bound (measured on 27 shapes: 0.006 to 0.05).
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
    /// An index on an expression of one column: what it would give the planner alone knows.
    #[must_use]
    pub fn on_expression(text: String, column: &PlannedColumn) -> Self {
        Self {
            table: 0,
            columns: vec![text],
            names: vec![column.name.clone()],
            width: column.width.unwrap_or(32.0),
            rows_read: 0.0,
            cost_after: 0.0,
            gain_low: 0.0,
            gain_high: 0.0,
        }
    }

    /// A name that says what it is and that no index of the table has; `None` where the name is not text.
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

/// What a call of the statement is measured at, and what its text says that its plan does not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Call {
    /// Milliseconds.
    pub mean_ms: f64,
    /// Rows that it returns or changes, where they are known.
    pub rows: Option<f64>,
    /// `EXISTS` or `IN (SELECT`, and nothing that groups: an aggregate in its plan only takes double keys away.
    pub semi: bool,
}

impl Call {
    /// By the growth of its counters and its text.
    #[must_use]
    pub fn of(grown: &Grown, text: &str) -> Self {
        let rows = (grown.calls > 0).then(|| grown.rows as f64 / grown.calls as f64);
        Self::new(grown.mean_ms().unwrap_or(1.0), rows, text)
    }

    /// By its figures and its text.
    #[must_use]
    pub fn new(mean_ms: f64, rows: Option<f64>, text: &str) -> Self {
        let words: Vec<String> = lexer::tokens(text)
            .into_iter()
            .filter(|t| t.kind != lexer::Kind::Space && t.kind != lexer::Kind::Comment)
            .map(|t| t.text.to_ascii_uppercase())
            .collect();
        let has = |word: &str| words.iter().any(|w| w == word);
        let within = words.windows(3).any(|w| w[0] == "IN" && w[1] == "(" && w[2] == "SELECT");
        Self { mean_ms, rows, semi: (has("EXISTS") || within) && !has("GROUP") && !has("DISTINCT") }
    }
}

pub(super) fn table_of(plan: &Plan, node: &Node) -> Option<usize> {
    plan.tables.iter().position(|t| t.schema == node.schema && t.name == node.relation)
}

pub(super) fn column<'a>(table: &'a PlannedTable, c: &Condition) -> Option<&'a PlannedColumn> {
    table.columns.iter().find(|col| col.name.raw() == c.column.as_bytes())
}

/// Distinct values of a column; negative `n_distinct` is a share of the rows.
pub(super) fn distinct(table: &PlannedTable, column: &PlannedColumn) -> f64 {
    match column.distinct {
        Some(d) if d < 0.0 => (-d * table.rows).max(1.0),
        Some(d) if d > 0.0 => d,
        // Never analysed: as the planner does, 200.
        _ => 200.0,
    }
}

pub(super) fn random_page(plan: &Plan) -> f64 {
    if plan.random_page_cost > 0.0 { plan.random_page_cost } else { RANDOM_PAGE }
}

/// How often the node runs: rows of the outer sides above it, of the parents of its subplans.
pub(super) fn loops(plan: &Plan, at: usize) -> f64 {
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
            // Once for each row that the node above reads: the rows of its own scan, before its filter.
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

/// A valid index begins with the same columns already: the planner knows it and does not want it.
pub(super) fn covered(table: &PlannedTable, columns: &[(String, Foreign, f64)]) -> bool {
    let expression = columns.iter().any(|(text, ..)| text.starts_with('('));
    let number = |name: &Foreign| table.columns.iter().find(|c| c.name == *name).map(|c| c.number);
    let wanted: Vec<i16> = columns.iter().filter_map(|(_, name, _)| number(name)).collect();
    !expression && table.indexes.iter().any(|i| i.valid && !i.partial && i.method == "btree" && i.columns.starts_with(&wanted))
}

/// What an index changes in a plan.
pub(super) struct Change {
    /// Rows that are read now.
    pub(super) rows_read: f64,
    /// Cost of the part that changes, now and with the index.
    pub(super) before: f64,
    pub(super) after: f64,
    /// Share of what the planner counts for the rest that is really there: 1, unless it guesses more rows than come.
    pub(super) rest: f64,
}

pub(super) fn advice(plan: &Plan, table: usize, columns: Vec<(String, Foreign, f64)>, change: &Change, mean_ms: f64) -> Advice {
    let Change { rows_read, before, after, rest } = *change;
    // The part within the whole: a node below a loop may count more than the root says.
    let whole = plan.cost().max(before).max(1.0);
    let cost_after = ((plan.cost().max(before) - before) * rest + after).min(plan.cost()).max(after.min(plan.cost()));
    let ratio = (cost_after / whole).clamp(0.0, 1.0);
    // Costs are not times: pages in memory are cheaper than the planner assumes, and every call has a floor.
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
