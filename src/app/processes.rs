//! The process table: columns as data, sort, filter, selection by process.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::facts::{Facts, ProcFacts};
use crate::model::host::ProcId;
use crate::model::named::{self, Names};
use crate::model::subject::SubjectType;

use super::filter::Filter;
use super::query::Query;

/// The columns that can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "see `COLUMNS`")]
pub enum Column {
    Pid,
    Cpu,
    Runnable,
    IoWait,
    Read,
    Write,
    Memory,
    Threads,
    Weight,
    Name,
}

/// Column, heading, width, meaning.
pub const COLUMNS: &[(Column, &str, u16, &str)] = &[
    (Column::Pid, "PID", 8, "process id"),
    (Column::Cpu, "CPU", 6, "cores used; 1.0 is one CPU"),
    (Column::Runnable, "RUNQ", 6, "seconds per second waiting for a CPU"),
    (Column::IoWait, "IOWAIT", 7, "seconds per second waiting for IO"),
    (Column::Read, "READ/s", 9, "bytes per second from block devices"),
    (Column::Write, "WRITE/s", 9, "bytes per second dirtied"),
    (Column::Memory, "RSS", 9, "resident memory"),
    (Column::Threads, "THR", 5, "threads"),
    (Column::Weight, "FG", 5, "foreground weight: 1 someone waits for it, 0 nobody"),
    (Column::Name, "COMMAND", 0, "name and masked arguments"),
];

/// State of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessView {
    /// Sorted by.
    pub sort: Column,
    /// Smallest first.
    pub ascending: bool,
    /// Words and terms that must hold, see `query`.
    pub filter: Filter,
    /// The selected process.
    pub selected: Option<ProcId>,
    /// Flat, as a tree, or by group.
    pub shape: Shape,
    /// Kernel threads are shown.
    pub kernel: bool,
}

/// How the table is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One list.
    Flat,
    /// Children below their parents.
    Tree,
    /// By unit, container or control group, each with its sums.
    Groups,
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq)]
pub enum Row<'a> {
    /// A process, so deep in the tree.
    Process {
        /// Which.
        process: &'a ProcFacts,
        /// 0 at the top.
        depth: usize,
    },
    /// The sums of a group; its processes follow.
    Group {
        /// Its name.
        label: String,
        /// Its processes.
        members: Vec<&'a ProcFacts>,
    },
}

impl<'a> Row<'a> {
    /// The process of the row.
    #[must_use]
    pub fn process(&self) -> Option<&'a ProcFacts> {
        match self {
            Row::Process { process, .. } => Some(process),
            Row::Group { .. } => None,
        }
    }
}

/// Parents before their children, in the order that the sorted list has; one whose parent is not shown stands at the top.
fn tree<'a>(sorted: &[&'a ProcFacts]) -> Vec<Row<'a>> {
    const DEEP: usize = 32;
    let mut children: BTreeMap<i32, Vec<&'a ProcFacts>> = BTreeMap::new();
    let pids: BTreeSet<i32> = sorted.iter().map(|p| p.id.pid).collect();
    for p in sorted {
        let parent = if pids.contains(&p.ppid) && p.ppid != p.id.pid { p.ppid } else { 0 };
        children.entry(parent).or_default().push(p);
    }
    let mut rows = Vec::with_capacity(sorted.len());
    let mut open: Vec<(&'a ProcFacts, usize)> =
        children.remove(&0).unwrap_or_default().into_iter().rev().map(|p| (p, 0)).collect();
    while let Some((process, depth)) = open.pop() {
        rows.push(Row::Process { process, depth });
        let below = children.remove(&process.id.pid).unwrap_or_default();
        open.extend(below.into_iter().rev().map(|p| (p, (depth + 1).min(DEEP))));
    }
    rows
}

/// The unit, container or group that a process belongs to: the last telling part of its path.
#[must_use]
pub fn group_of(p: &ProcFacts, names: &Names) -> String {
    let Some(group) = p.cgroups.first() else { return if p.kernel { "kernel".into() } else { "/".into() } };
    let path = group.path.shown();
    match named::owner(path) {
        Some((SubjectType::Container, id)) => match names.of(path) {
            Some(name) => format!("container {name} ({id})"),
            None => format!("container {id}"),
        },
        Some((_, unit)) => unit,
        None => path.to_owned(),
    }
}

/// Groups in the order of their first, which is their largest, process.
fn groups<'a>(sorted: &[&'a ProcFacts], names: &Names) -> Vec<Row<'a>> {
    let mut order: Vec<String> = Vec::new();
    let mut members: BTreeMap<String, Vec<&'a ProcFacts>> = BTreeMap::new();
    for p in sorted {
        let label = group_of(p, names);
        if !members.contains_key(&label) {
            order.push(label.clone());
        }
        members.entry(label).or_default().push(p);
    }
    let mut rows = Vec::new();
    for label in order {
        let members = members.remove(&label).unwrap_or_default();
        let processes: Vec<Row<'a>> = members.iter().map(|p| Row::Process { process: p, depth: 1 }).collect();
        rows.push(Row::Group { label, members });
        rows.extend(processes);
    }
    rows
}

impl Default for ProcessView {
    fn default() -> Self {
        Self { sort: Column::Cpu, ascending: false, filter: Filter::default(), selected: None, shape: Shape::Flat, kernel: true }
    }
}

impl ProcessView {
    /// The rows to show, filtered, sorted and in their shape; ties by pid, unknown last. A filter that is wrong shows all.
    #[must_use]
    pub fn rows<'a>(&self, facts: &'a Facts) -> Vec<Row<'a>> {
        let query = Query::parse(self.filter.text()).unwrap_or_default();
        let mut chosen: Vec<&ProcFacts> =
            facts.processes().iter().filter(|p| (self.kernel || !p.kernel) && query.holds(p)).collect();
        chosen.sort_by(|a, b| {
            let order = self.compare(a, b);
            if self.ascending { order.reverse() } else { order }.then(a.id.cmp(&b.id))
        });
        match self.shape {
            Shape::Flat => chosen.into_iter().map(|process| Row::Process { process, depth: 0 }).collect(),
            Shape::Tree => tree(&chosen),
            Shape::Groups => groups(&chosen, &facts.host.names),
        }
    }

    /// What is wrong with the filter.
    #[must_use]
    pub fn wrong(&self) -> Option<String> {
        Query::parse(self.filter.text()).err()
    }

    /// Largest first.
    fn compare(&self, a: &ProcFacts, b: &ProcFacts) -> Ordering {
        let by = |value: &dyn Fn(&ProcFacts) -> Option<f64>| {
            let of = |p: &ProcFacts| value(p).unwrap_or(f64::NEG_INFINITY);
            of(b).total_cmp(&of(a))
        };
        match self.sort {
            Column::Pid => a.id.cmp(&b.id),
            Column::Cpu => by(&|p| p.cpu),
            Column::Runnable => by(&|p| p.runnable),
            Column::IoWait => by(&|p| p.io_wait),
            Column::Read => by(&|p| p.read_bytes_per_s),
            Column::Write => by(&|p| p.write_bytes_per_s),
            Column::Memory => by(&|p| Some(p.rss_bytes as f64)),
            Column::Threads => by(&|p| Some(f64::from(p.threads))),
            Column::Weight => by(&|p| Some(p.weight.value)),
            Column::Name => a.name.cmp(&b.name),
        }
    }

    /// Sorts by the neighbour column.
    pub fn shift_sort(&mut self, by: isize) {
        let at = COLUMNS.iter().position(|c| c.0 == self.sort).unwrap_or(0);
        let next = at.saturating_add_signed(by).min(COLUMNS.len() - 1);
        self.sort = COLUMNS[next].0;
    }

    /// Flat, tree, groups, and round again.
    pub const fn turn(&mut self) {
        self.shape = match self.shape {
            Shape::Flat => Shape::Tree,
            Shape::Tree => Shape::Groups,
            Shape::Groups => Shape::Flat,
        };
    }

    /// Takes back how it is laid out; true when something of that had been changed.
    pub fn undo(&mut self) -> bool {
        let first = Self { filter: self.filter.clone(), selected: self.selected, ..Self::default() };
        let changed = *self != first;
        *self = first;
        changed
    }

    /// Moves the selection by so many rows.
    pub fn step(&mut self, facts: &Facts, by: isize) {
        let rows: Vec<&ProcFacts> = self.rows(facts).iter().filter_map(Row::process).collect();
        let at = rows.iter().position(|p| Some(p.id) == self.selected);
        let next = match at {
            Some(at) => at.saturating_add_signed(by).min(rows.len().saturating_sub(1)),
            None => 0,
        };
        let chosen = rows.get(next).map(|p| p.id);
        self.selected = chosen;
    }
}
