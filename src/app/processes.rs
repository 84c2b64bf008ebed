//! The process table: columns as data, sort, filter, selection by process.

use std::cmp::Ordering;

use crate::model::facts::ProcFacts;
use crate::model::host::ProcId;

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
    (Column::Weight, "FG", 5, "foreground weight: 1 someone waits for it, 0 nobody does"),
    (Column::Name, "COMMAND", 0, "name and masked arguments"),
];

/// State of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessView {
    /// Sorted by.
    pub sort: Column,
    /// Smallest first.
    pub ascending: bool,
    /// Text that name, arguments or pid must hold.
    pub filter: String,
    /// The filter is being typed.
    pub editing: bool,
    /// The selected process.
    pub selected: Option<ProcId>,
}

impl Default for ProcessView {
    fn default() -> Self {
        Self { sort: Column::Cpu, ascending: false, filter: String::new(), editing: false, selected: None }
    }
}

impl ProcessView {
    /// The rows to show, filtered and sorted; ties by pid, unknown last.
    #[must_use]
    pub fn rows<'a>(&self, processes: &'a [ProcFacts]) -> Vec<&'a ProcFacts> {
        let needle = self.filter.to_lowercase();
        let holds = |p: &&ProcFacts| {
            let command = p.command.as_ref().map_or("", |c| c.shown());
            needle.is_empty()
                || p.name.shown().to_lowercase().contains(&needle)
                || command.to_lowercase().contains(&needle)
                || p.id.pid.to_string() == needle
        };
        let mut rows: Vec<&ProcFacts> = processes.iter().filter(holds).collect();
        rows.sort_by(|a, b| {
            let order = self.compare(a, b);
            if self.ascending { order.reverse() } else { order }.then(a.id.cmp(&b.id))
        });
        rows
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

    /// Moves the selection by so many rows.
    pub fn step(&mut self, processes: &[ProcFacts], by: isize) {
        let rows = self.rows(processes);
        let at = rows.iter().position(|p| Some(p.id) == self.selected);
        let next = match at {
            Some(at) => at.saturating_add_signed(by).min(rows.len().saturating_sub(1)),
            None => 0,
        };
        let chosen = rows.get(next).map(|p| p.id);
        self.selected = chosen;
    }
}
