//! A plan as `EXPLAIN (FORMAT JSON)` gives it. Parsed once, kept as a flat list in the order of the tree. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;
use crate::model::seen::Seen;

use super::{identifier, lexer, qualified};

/// A generic plan: of the statement for any parameters. It was not executed; rows and costs are the planner's estimates.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// The nodes, each before those below it.
    pub nodes: Vec<Node>,
    /// The tables that it touches, as the catalogue knows them.
    pub tables: Vec<PlannedTable>,
    /// The planner's price of a page at random (`random_page_cost`); 0 where it is not known.
    pub random_page_cost: f64,
    /// Milliseconds that the planner took for it, what it had to read of the catalogue for the first time among them.
    pub planning_ms: Option<f64>,
}

/// An index to be tried: plain columns of one table, each with "descending".
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "named by what they are")]
pub struct TrialIndex {
    pub schema: Foreign,
    pub table: Foreign,
    pub columns: Vec<(Foreign, bool)>,
}

impl TrialIndex {
    /// The statement that would build it, without a name; `None` where a name cannot be written.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        let column = |(name, descending): &(Foreign, bool)| {
            Some(format!("{}{}", identifier(name)?, if *descending { " DESC" } else { "" }))
        };
        let columns: Option<Vec<String>> = self.columns.iter().map(column).collect();
        Some(format!("CREATE INDEX ON {} ({})", qualified(&self.schema, &self.table)?, columns?.join(", ")))
    }
}

/// What the planner says of an index that is not there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The statement that would build it.
    pub index: Foreign,
    /// Cost of the whole plan with it.
    pub cost: f64,
    /// The plan uses it.
    pub used: bool,
    /// What it would take on disk, by its makers' estimate.
    pub bytes: Option<u64>,
}

/// Answers about statements, by database and query id, and when they came (CLOCK_MONOTONIC ns).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept<T>(BTreeMap<(String, i64), (u64, Seen<T>)>);

/// Plans that were made.
pub type Plans = Kept<Plan>;
/// Indexes that were tried.
pub type Trials = Kept<Trial>;

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

/// The statement that a plan is of: its database and its query id. Databases made from one template share the ids.
pub type Planned = (Foreign, i64);

impl<T: Clone> Kept<T> {
    /// So many are kept.
    const MOST: usize = 24;

    /// What was answered about a statement, and when it came.
    #[must_use]
    pub fn of(&self, database: &Foreign, query: i64) -> Option<&(u64, Seen<T>)> {
        self.0.get(&(database.shown().to_owned(), query))
    }

    /// The query ids of those statements.
    pub fn queries(&self) -> impl Iterator<Item = i64> {
        self.0.keys().map(|(_, query)| *query)
    }

    /// These and the fresh ones; the oldest make room.
    #[must_use]
    pub fn with(&self, fresh: Vec<(Planned, Seen<T>)>, mono_ns: u64) -> Self {
        let mut all = self.0.clone();
        for ((database, query), answer) in fresh {
            all.insert((database.shown().to_owned(), query), (mono_ns, answer));
        }
        while all.len() > Self::MOST {
            let oldest = all.iter().min_by_key(|(_, (at, _))| *at).map(|(key, _)| key.clone());
            oldest.iter().for_each(|key| _ = all.remove(key));
        }
        Self(all)
    }
}

/// One node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "EXPLAIN's names")]
pub struct Node {
    pub depth: u16,
    pub kind: String,
    pub schema: Foreign,
    pub relation: Foreign,
    pub alias: Foreign,
    pub index: Foreign,
    pub total_cost: f64,
    pub rows: f64,
    pub width: f64,
    /// Filter, Index Cond, Hash Cond …: name and text.
    pub conditions: Vec<(String, Foreign)>,
    pub sort_key: Vec<Foreign>,
    pub join: String,
    /// Initplan, subplan: run once or for each row.
    pub relationship: String,
    /// Runs once for each row of its parent's other side (below a nested loop's inner side, or a subplan).
    pub repeated: bool,
}

/// What the catalogue says of a table in the plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the catalogue's names; units in the names")]
pub struct PlannedTable {
    pub oid: u32,
    pub schema: Foreign,
    pub name: Foreign,
    pub rows: f64,
    pub pages: u64,
    pub partitioned: bool,
    pub partition: bool,
    pub owner: Foreign,
    pub columns: Vec<PlannedColumn>,
    pub indexes: Vec<PlannedIndex>,
    /// Rows written since statistics began, and seconds of that.
    pub writes: u64,
    pub seq_rows: u64,
    /// Rows changed since the last ANALYZE, and when that was, seconds ago.
    pub modified: u64,
    pub analyzed_s: Option<f64>,
    pub dead: u64,
    pub live: u64,
    /// The catalogue knows no size of it: rows and pages are from the counters, and what the planner believes of its columns is a constant.
    pub unknown: bool,
}

impl PlannedTable {
    /// A table that neither VACUUM nor ANALYZE ever read has no size in the catalogue: the rows that the server counted, and the
    /// pages that they fill at least (a header of 28 bytes, 32 bytes for a value of unknown width, as the planner has it).
    pub fn measure(&mut self) {
        const HEADER: f64 = 28.0;
        const UNKNOWN: f64 = 32.0;
        if self.rows <= 0.0 && self.pages == 0 && !self.partitioned {
            let width: f64 = self.columns.iter().map(|c| c.width.unwrap_or(UNKNOWN)).sum();
            self.unknown = true;
            self.rows = self.live as f64;
            self.pages = (self.rows * (width + HEADER) / 8192.0).ceil() as u64;
        }
    }

    /// Nobody ever analysed it: what the planner believes of its columns is a constant.
    #[must_use]
    pub fn never_analyzed(&self) -> bool {
        // Counters that were reset know of no analysis; the statistics do.
        self.analyzed_s.is_none() && self.columns.iter().all(|c| c.distinct.is_none())
    }
}

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "pg_attribute's and pg_stats' names")]
pub struct PlannedColumn {
    pub number: i16,
    pub name: Foreign,
    pub kind: String,
    /// Has an operator class for btree.
    pub sortable: bool,
    pub distinct: Option<f64>,
    pub null_share: Option<f64>,
    pub width: Option<f64>,
    pub correlation: Option<f64>,
}

/// An index of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "pg_index's names")]
pub struct PlannedIndex {
    pub name: Foreign,
    pub columns: Vec<i16>,
    pub valid: bool,
    pub unique: bool,
    pub partial: bool,
    pub method: String,
}

/// Deeper than this no plan is followed.
const DEEP: u16 = 64;
/// More nodes than this are left out.
const MOST: usize = 400;

impl Plan {
    /// Parses what `EXPLAIN (FORMAT JSON)` printed; `None` when it is none.
    #[must_use]
    pub fn parse(json: &[u8]) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_slice(json).ok()?;
        let root = value.get(0)?.get("Plan")?;
        let planning_ms = value.get(0)?.get("Planning Time").and_then(serde_json::Value::as_f64).filter(|ms| *ms >= 0.0);
        let mut plan = Self { planning_ms, ..Self::default() };
        plan.push(root, 0, false);
        Some(plan)
    }

    fn push(&mut self, value: &serde_json::Value, depth: u16, repeated: bool) {
        if depth > DEEP || self.nodes.len() >= MOST {
            return;
        }
        let text = |name: &str| value.get(name).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
        let name = |name: &str| Foreign::from(text(name).as_str());
        let number = |name: &str| value.get(name).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
        const CONDITIONS: [&str; 8] =
            ["Filter", "Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "One-Time Filter", "TID Cond"];
        // Views, policies and texts that were never normalised bring literals: masked before anything keeps them.
        let masked = |text: &str| Foreign::from(lexer::mask(text).as_str());
        let conditions = CONDITIONS.iter().filter_map(|c| Some(((*c).to_owned(), masked(value.get(*c)?.as_str()?))));
        let keys = value.get("Sort Key").and_then(|k| k.as_array());
        let relationship = text("Parent Relationship");
        let kind = text("Node Type");
        self.nodes.push(Node {
            depth,
            schema: name("Schema"),
            relation: name("Relation Name"),
            alias: name("Alias"),
            index: name("Index Name"),
            total_cost: number("Total Cost"),
            rows: number("Plan Rows"),
            width: number("Plan Width"),
            conditions: conditions.collect(),
            sort_key: keys.map_or_else(Vec::new, |k| k.iter().filter_map(|k| k.as_str()).map(masked).collect()),
            join: text("Join Type"),
            repeated: repeated || relationship == "SubPlan",
            relationship,
            kind: kind.clone(),
        });
        for below in value.get("Plans").and_then(|p| p.as_array()).into_iter().flatten() {
            let inner = below.get("Parent Relationship").and_then(|r| r.as_str()) == Some("Inner");
            let subplan = below.get("Parent Relationship").and_then(|r| r.as_str()) == Some("SubPlan");
            self.push(below, depth + 1, repeated || subplan || (kind == "Nested Loop" && inner));
        }
    }

    /// Cost of the whole.
    #[must_use]
    pub fn cost(&self) -> f64 {
        self.nodes.first().map_or(0.0, |n| n.total_cost)
    }

    /// A node's cost without those below it, never below zero.
    #[must_use]
    pub fn own_cost(&self, at: usize) -> f64 {
        let Some(node) = self.nodes.get(at) else { return 0.0 };
        let below = self.nodes[at + 1..].iter().take_while(|n| n.depth > node.depth).filter(|n| n.depth == node.depth + 1);
        (node.total_cost - below.map(|n| n.total_cost).sum::<f64>()).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_plan_is_read_in_the_order_of_its_tree() {
        let json = br#"[{"Plan":{"Node Type":"Nested Loop","Total Cost":100.0,"Plan Rows":5,"Plans":[
            {"Node Type":"Seq Scan","Parent Relationship":"Outer","Relation Name":"a","Schema":"public","Total Cost":40.0,"Filter":"(x = $1)"},
            {"Node Type":"Index Scan","Parent Relationship":"Inner","Relation Name":"b","Total Cost":8.0,"Index Cond":"(id = a.id)"}]}}]"#;
        let plan = Plan::parse(json).unwrap();
        let kinds: Vec<(&str, u16, bool)> = plan.nodes.iter().map(|n| (n.kind.as_str(), n.depth, n.repeated)).collect();
        assert_eq!(kinds, [("Nested Loop", 0, false), ("Seq Scan", 1, false), ("Index Scan", 1, true)]);
        assert_eq!((plan.cost(), plan.own_cost(0)), (100.0, 52.0));
        assert_eq!(plan.nodes[1].conditions, [("Filter".to_owned(), Foreign::from("(x = $1)"))]);
    }

    #[test]
    fn literals_of_views_and_policies_are_masked() {
        let json = br#"[{"Plan":{"Node Type":"Seq Scan","Total Cost":1.0,"Filter":"((note = 'secret'::text) AND (id = $1))","Sort Key":["(x + 4711)"]}}]"#;
        let node = &Plan::parse(json).unwrap().nodes[0];
        assert_eq!(node.conditions[0].1.shown(), "((note = ?::text) AND (id = $1))");
        assert_eq!(node.sort_key[0].shown(), "(x + ?)");
    }

    proptest! {
        #[test]
        fn garbage_is_no_plan(bytes: Vec<u8>) {
            prop_assert!(Plan::parse(&bytes).is_none_or(|p| !p.nodes.is_empty()));
        }
    }
}
