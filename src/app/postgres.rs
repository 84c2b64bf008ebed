//! The tables of the PostgreSQL screen: views, columns and rows as values, sort, filter, selection by key. Pure.

use std::cmp::Ordering;

use crate::model::facts::{Facts, PgFacts, Root};
use crate::model::postgres::Session;

use super::pg_rows::{self, Row};

/// The views, in the order of their tabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named by what they show")]
pub enum Tab {
    Queries,
    Sessions,
    Locks,
    Tables,
    Upkeep,
    Settings,
}

impl Tab {
    /// All of them with their words.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Queries, "Queries"),
        (Self::Sessions, "Sessions"),
        (Self::Locks, "Locks"),
        (Self::Tables, "Tables, indexes"),
        (Self::Upkeep, "WAL, vacuum, replication"),
        (Self::Settings, "Settings"),
    ];
}

/// A column: heading, cells (0 = the rest), right-aligned, sorts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Heading.
    pub name: &'static str,
    /// Cells; 0 takes the rest.
    pub width: u16,
    /// Below this width of the table it goes.
    pub least: u16,
}

const fn column(name: &'static str, width: u16, least: u16) -> Column {
    Column { name, width, least }
}

/// The state of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgView {
    /// Which view.
    pub tab: usize,
    /// Which server, by its source id; the first one until it is chosen or seen.
    pub server: Option<String>,
    /// The column that is sorted by, by view; `None`: the order in which they come.
    pub sort: [Option<usize>; 6],
    /// Sorted from the smallest.
    pub ascending: bool,
    /// Key of the selected row.
    pub selected: Option<String>,
    /// Queries since their entries are there, not of the last interval.
    pub cumulative: bool,
    /// Words that a row must hold.
    pub filter: String,
    /// The filter is being typed.
    pub editing: bool,
}

impl Default for PgView {
    fn default() -> Self {
        Self {
            tab: 0,
            server: None,
            sort: [Some(0), None, None, None, None, None],
            ascending: false,
            selected: None,
            cumulative: false,
            filter: String::new(),
            editing: false,
        }
    }
}

const QUERIES: &[Column] = &[
    column("BUSY", 8, 0),
    column("CALLS/s", 9, 0),
    column("MEAN ms", 9, 0),
    column("ROWS", 8, 70),
    column("HIT %", 6, 90),
    column("TEMP/s", 9, 110),
    column("WAL/s", 9, 120),
    column("USUAL", 7, 100),
    column("DATABASE", 12, 100),
    column("QUERY", 0, 0),
];
const SESSIONS: &[Column] = &[
    column("PID", 8, 0),
    column("AGE", 8, 0),
    column("OPEN", 8, 70),
    column("WAIT", 22, 0),
    column("STATE", 10, 60),
    column("DATABASE", 10, 100),
    column("ROLE", 10, 100),
    column("APPLICATION", 16, 120),
    column("CLIENT", 20, 150),
    column("QUERY", 0, 0),
];
const LOCKS: &[Column] = &[column("WAITING", 8, 0), column("FOR", 8, 0), column("LOCK", 22, 70), column("WHO", 0, 0)];
const TABLES: &[Column] = &[
    column("SIZE", 9, 0),
    column("ROWS", 8, 60),
    column("DEAD", 8, 0),
    column("DUE", 7, 70),
    column("SEQ ROWS", 9, 80),
    column("INDEX", 8, 80),
    column("WRITES", 8, 90),
    column("CLEANED", 9, 100),
    column("TABLE OR INDEX", 0, 0),
];
const UPKEEP: &[Column] = &[column("WHAT", 30, 0), column("FIGURE", 24, 0), column("MORE", 0, 0)];
const SETTINGS: &[Column] = &[
    column("SETTING", 38, 0),
    column("VALUE", 30, 0),
    column("UNIT", 6, 60),
    column("FROM", 20, 80),
    column("TAKES EFFECT", 0, 0),
];

impl PgView {
    /// The view that is open.
    #[must_use]
    pub fn open_tab(&self) -> Tab {
        Tab::ALL[self.tab % Tab::ALL.len()].0
    }

    /// The server that is looked at.
    #[must_use]
    pub fn of<'a>(&self, facts: &'a Facts) -> Option<&'a PgFacts> {
        let chosen = facts.postgres.iter().find(|pg| Some(&pg.id) == self.server.as_ref());
        chosen.or(facts.postgres.first())
    }

    /// Stays with the server that is looked at, whichever others come.
    pub fn stay(&mut self, facts: &Facts) {
        self.server = self.of(facts).map(|pg| pg.id.clone());
    }

    /// To the next server.
    pub fn next_server(&mut self, facts: &Facts) {
        let all = &facts.postgres;
        let at = all.iter().position(|pg| Some(&pg.id) == self.server.as_ref()).map_or(0, |at| at + 1);
        self.server = all.get(at).or(all.first()).map(|pg| pg.id.clone());
        self.selected = None;
    }

    /// Its columns at that width.
    #[must_use]
    pub fn columns(&self) -> &'static [Column] {
        match self.open_tab() {
            Tab::Queries => QUERIES,
            Tab::Sessions => SESSIONS,
            Tab::Locks => LOCKS,
            Tab::Tables => TABLES,
            Tab::Upkeep => UPKEEP,
            Tab::Settings => SETTINGS,
        }
    }

    /// The rows to show, filtered and sorted.
    #[must_use]
    pub fn rows(&self, facts: &Facts) -> Vec<Row> {
        let Some(pg) = self.of(facts) else { return Vec::new() };
        let mut rows = match self.open_tab() {
            Tab::Queries => pg_rows::queries(pg, self.cumulative),
            Tab::Sessions => pg_rows::sessions(pg),
            Tab::Locks => pg_rows::locks(pg),
            Tab::Tables => pg_rows::tables(pg),
            Tab::Upkeep => super::upkeep::rows(pg),
            Tab::Settings => pg_rows::settings(pg),
        };
        let words: Vec<String> = self.filter.split_whitespace().map(str::to_lowercase).collect();
        rows.retain(|r| words.iter().all(|w| r.cells.iter().any(|c| c.to_lowercase().contains(w))));
        if let Some(by) = self.sort[self.tab % 6] {
            rows.sort_by(|a, b| {
                let order = compare(a, b, by);
                if self.ascending { order.reverse() } else { order }
            });
        }
        rows
    }

    /// Moves the selection by so many rows.
    pub fn step(&mut self, facts: &Facts, by: isize) {
        let rows = self.rows(facts);
        let at = rows.iter().position(|r| Some(&r.key) == self.selected.as_ref());
        let next = at.map_or(0, |at| at.saturating_add_signed(by).min(rows.len().saturating_sub(1)));
        self.selected = rows.get(next).map(|r| r.key.clone());
    }

    /// To the next or the view before.
    pub fn turn(&mut self, by: isize) {
        let n = Tab::ALL.len() as isize;
        self.tab = (self.tab as isize + by).rem_euclid(n) as usize;
        (self.selected, self.ascending) = (None, false);
    }

    /// Sorts by a column; by the same one again the other way round.
    pub fn sort_by(&mut self, at: usize) {
        let sort = &mut self.sort[self.tab % 6];
        (self.ascending, *sort) = (*sort == Some(at) && !self.ascending, Some(at));
    }

    /// Sorts by the next column or the one before.
    pub fn shift_sort(&mut self, by: isize) {
        let n = self.columns().len() as isize;
        let sort = &mut self.sort[self.tab % 6];
        *sort = Some((sort.map_or(-1, |s| s as isize) + by).rem_euclid(n) as usize);
    }

    /// The session of the selected row, if it is one, with its server.
    #[must_use]
    pub fn session<'a>(&self, facts: &'a Facts) -> Option<(&'a PgFacts, Session)> {
        let pg = self.of(facts)?;
        let key = self.selected.as_ref()?;
        // A holder that sleeps is in no newest sample.
        let holder = || pg.chains.as_ref().ok()?.roots.iter().filter_map(Root::session).find(|s| s.key() == *key).cloned();
        Some((pg, pg_rows::session(pg, key).or_else(holder)?))
    }

    /// The query of the selected row, if it has one: what its plan is asked for.
    #[must_use]
    pub fn query(&self, facts: &Facts) -> Option<(String, i64)> {
        let pg = self.of(facts)?;
        let key = self.selected.as_ref()?;
        let id = match self.open_tab() {
            Tab::Queries => key.split('/').nth(2)?.parse().ok()?,
            _ => pg_rows::session(pg, key)?.query_id?,
        };
        Some((pg.id.clone(), id))
    }
}

/// Largest first; text by its letters.
fn compare(a: &Row, b: &Row, by: usize) -> Ordering {
    match (a.values.get(by).copied().flatten(), b.values.get(by).copied().flatten()) {
        (Some(x), Some(y)) => y.total_cmp(&x),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cells.get(by).cmp(&b.cells.get(by)),
    }
    .then(a.key.cmp(&b.key))
}
