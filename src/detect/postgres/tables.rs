//! Tables in a plan that are another by now than the planner believes, or mostly dead space. Pure.

use crate::model::postgres::plan::{Node, Plan, PlannedIndex, PlannedTable};

use super::conditions;

/// The table whose estimate is `off` times off: estimated rows of the plan, against rows that a call returns, with a table in it of which
/// that part was changed since it was analysed, or that never was.
#[must_use]
pub fn stale(plan: &Plan, rows_per_call: f64, off: f64, part: f64) -> Option<(usize, f64)> {
    let root = plan.nodes.first()?;
    let never = PlannedTable::never_analyzed;
    let changed = |t: &PlannedTable| t.live + t.dead > 1000 && (never(t) || t.modified as f64 >= part * t.rows.max(1000.0));
    let table = plan.tables.iter().position(changed).filter(|_| open(plan, rows_per_call))?;
    // What an aggregate returns says nothing of what is below it.
    let aggregate = plan.nodes.iter().take(3).any(|n| n.kind.contains("Aggregate") || n.kind == "Group");
    let (estimated, real) = (root.rows.max(1.0), rows_per_call.max(1.0));
    let missed = (estimated / real).max(real / estimated) >= off;
    // The catalogue's own count of rows, against the planner's.
    let t = &plan.tables[table];
    let counted = t.live as f64;
    let grown = counted / t.rows.max(1.0) >= off || never(t);
    ((missed && !aggregate) || grown).then_some((table, estimated))
}

/// A table in the plan of which that part or more was changed since it was analysed: what the planner believes of it is of another table.
#[must_use]
pub fn changed(plan: &Plan, rows_per_call: f64, part: f64) -> Option<usize> {
    let table = plan.tables.iter().position(|t| t.live + t.dead > 1000 && t.modified as f64 >= part * t.rows.max(1000.0));
    table.filter(|_| open(plan, rows_per_call))
}

/// Good statistics could choose another plan: tables are joined, an index that is not used begins with a column that is compared or sorted
/// by, or one is used that reads so much that the table itself would be read faster. Where there is one way only, the planner takes it
/// whatever it believes.
fn open(plan: &Plan, rows_per_call: f64) -> bool {
    const MUCH: f64 = 0.2;
    let scans: Vec<&Node> = plan.nodes.iter().filter(|n| !n.relation.is_empty() && n.kind != "ModifyTable").collect();
    // A bitmap's index and heap are one scan: only the heap has a relation.
    if scans.len() > 1 {
        return true;
    }
    let other = |node: &&Node| {
        let Some(table) = plan.tables.iter().find(|t| t.schema == node.schema && t.name == node.relation) else { return false };
        // What an aggregate returns says nothing of how much the index reads.
        let grouped = plan.nodes.iter().any(|n| n.kind.contains("Aggregate") || n.kind == "Group");
        let by_index = plan.nodes.iter().any(|n| !n.index.is_empty());
        if by_index && (grouped || rows_per_call >= MUCH * table.live as f64) {
            return true;
        }
        let texts = node.conditions.iter().map(|(_, text)| text.shown());
        let compared = texts.flat_map(|text| conditions::parse(text, node.alias.shown())).map(|c| c.column);
        let keys = plan.nodes.iter().flat_map(|n| &n.sort_key);
        let sorted = keys.filter_map(|key| conditions::sort_key(key.shown(), node.alias.shown())).map(|(name, _)| name);
        let wanted: Vec<String> = compared.chain(sorted).collect();
        let number = |name: &String| table.columns.iter().find(|c| c.name.raw() == name.as_bytes()).map(|c| c.number);
        let leads = |first: &i16| wanted.iter().any(|name| number(name) == Some(*first));
        let used = |i: &PlannedIndex| plan.nodes.iter().any(|n| n.index == i.name);
        table.indexes.iter().any(|i| i.valid && !used(i) && i.columns.first().is_some_and(leads))
    };
    scans.iter().any(other)
}

/// The table of which that part is dead or empty, with the share of it. Live and dead rows are counted from a crash, an immediate stop or a reset on,
/// and say how many there are only after a read of the table: without one since then nothing is known.
#[must_use]
pub fn bloated(plan: &Plan, dead: f64) -> Option<(usize, f64)> {
    const HEADER: f64 = 28.0;
    let scanned =
        |t: &PlannedTable| plan.nodes.iter().any(|n| n.kind == "Seq Scan" && n.relation == t.name && n.schema == t.schema);
    let share = |t: &PlannedTable| {
        if t.analyzed_s.is_none() {
            return 0.0;
        }
        let rows = t.dead as f64 / (t.dead + t.live).max(1) as f64;
        let width: f64 = t.columns.iter().filter_map(|c| c.width).sum();
        let needed = t.live as f64 * (width + HEADER) / 8192.0 / 0.85;
        let known = t.columns.iter().all(|c| c.width.is_some());
        let empty = if known { 1.0 - needed / t.pages.max(1) as f64 } else { 0.0 };
        rows.max(empty)
    };
    let all = plan.tables.iter().enumerate().filter(|(_, t)| t.pages >= 1000 && scanned(t)).map(|(at, t)| (at, share(t)));
    all.filter(|(_, share)| *share >= dead).max_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::postgres::plan::PlannedColumn;

    /// A table of 768 MiB that is scanned, with so many rows by the server's counters.
    fn scanned(live: u64, dead: u64, analyzed_s: Option<f64>) -> Plan {
        let columns = vec![PlannedColumn { width: Some(700.0), ..PlannedColumn::default() }];
        let table = PlannedTable {
            name: "t".into(),
            pages: 98_304,
            live,
            dead,
            analyzed_s,
            rows: 1e6,
            columns,
            ..PlannedTable::default()
        };
        let node = Node { kind: "Seq Scan".into(), relation: "t".into(), ..Node::default() };
        Plan { nodes: vec![node], tables: vec![table], ..Plan::default() }
    }

    /// A crash throws the counters away: what is left is what happened since, and no table is dead because of it.
    #[test]
    fn after_a_crash_a_table_is_not_dead() {
        assert_eq!(bloated(&scanned(0, 245, None), 0.5), None);
        assert_eq!(bloated(&scanned(1_000_000, 245, Some(60.0)), 0.5), None);
        assert!(bloated(&scanned(100_000, 900_000, Some(60.0)), 0.5).is_some_and(|(_, share)| share > 0.8));
    }
}
