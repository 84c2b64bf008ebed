//! A server's screen as data: tabs, their columns and rows, sort, filter, selection by key. Pure.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::config::Meaning;
use crate::model::demand::Demand;
use crate::model::facts::Facts;
use crate::model::source::SourceKind;

use super::filter::Filter;

/// Where the text of a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "words to the left, figures to the right")]
pub enum Side {
    Left,
    Right,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Heading.
    pub name: &'static str,
    /// Cells of the terminal; 0 takes the rest.
    pub width: u16,
    /// Below this width of the table it goes.
    pub least: u16,
    /// Where its text stands.
    pub side: Side,
}

/// A column of figures.
#[must_use]
pub const fn figure(name: &'static str, width: u16, least: u16) -> Column {
    Column { name, width, least, side: Side::Right }
}

/// A column of words.
#[must_use]
pub const fn words(name: &'static str, width: u16, least: u16) -> Column {
    Column { name, width, least, side: Side::Left }
}

/// What stands in a column of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// As it is drawn.
    pub text: String,
    /// What it is sorted by; `None`: by its letters, after all figures.
    pub value: Option<f64>,
}

impl Cell {
    /// A figure.
    #[must_use]
    pub const fn of(value: f64, text: String) -> Self {
        Self { text, value: Some(value) }
    }

    /// A figure that may be unknown: then `-`.
    pub fn maybe(value: Option<f64>, show: impl Fn(f64) -> String) -> Self {
        Self { text: value.map_or_else(|| "-".to_owned(), show), value }
    }

    /// Words.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), value: None }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is known by: selection sticks to it.
    pub key: String,
    /// One for each column.
    pub cells: Vec<Cell>,
    /// How it is drawn.
    pub meaning: Meaning,
}

/// What `c` copies from a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The very bytes.
    pub text: String,
    /// What it is.
    pub what: String,
}

/// A row, closely: a title, and lines of what each is about and what is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Card {
    /// What it is.
    pub title: String,
    /// Its lines; without a label one goes on.
    pub lines: Vec<(String, String)>,
}

/// One table of a server's screen. Its functions are given the facts and the server's source id.
#[derive(Debug, Clone, Copy)]
pub struct Tab {
    /// Its name.
    pub word: &'static str,
    /// Its columns.
    pub columns: &'static [Column],
    /// The column that it is sorted by at first; `None`: the order in which rows come.
    pub sort: Option<usize>,
    /// Figures of all time can be shown instead of those of the last interval.
    pub cumulative: bool,
    /// Its rows; `true`: of all time.
    pub rows: fn(&Facts, &str, bool) -> Vec<Row>,
    /// Why it has none.
    pub nothing: fn(&Facts, &str) -> String,
    /// What is copied of the selected row, by its key; or why nothing.
    pub copy: fn(&Facts, &str, Option<&str>) -> Result<Copied, &'static str>,
    /// The query behind a row, by its key.
    pub query: fn(&Facts, &str, &str) -> Option<i64>,
    /// A row closely, by its key.
    pub card: fn(&Facts, &str, &str) -> Option<Card>,
    /// What is asked for when a row is opened, by the server's source id and the row's key.
    pub asks: fn(&str, &str) -> Option<Demand>,
}

impl Tab {
    /// A table of these columns without rows, sorted as they come: the rest is said where there is more.
    #[must_use]
    pub const fn plain(word: &'static str, columns: &'static [Column]) -> Self {
        Self {
            word,
            columns,
            sort: None,
            cumulative: false,
            rows: |_, _, _| Vec::new(),
            nothing: |_, _| "not read yet".to_owned(),
            copy: |_, _, _| Err("nothing to copy here"),
            query: |_, _, _| None,
            card: |_, _, _| None,
            asks: |_, _| None,
        }
    }
}

/// The screen of a kind of server.
#[derive(Debug, Clone, Copy)]
pub struct ServerScreen {
    /// Which.
    pub kind: SourceKind,
    /// The digit that opens it.
    pub key: char,
    /// That digit, as it is shown.
    pub shown: &'static str,
    /// What the footer calls it.
    pub word: &'static str,
    /// Its tables.
    pub tabs: &'static [Tab],
    /// The servers that can be shown, by source id.
    pub servers: fn(&Facts) -> Vec<&str>,
    /// What its server can be asked for beside what is read anyway; none: the query of a row.
    pub more: &'static [More],
}

impl ServerScreen {
    /// A screen of these tables, whose servers are asked for nothing more; `key` opens it, and `shown` is how that is written.
    #[must_use]
    pub const fn plain(
        kind: SourceKind,
        (key, shown): (char, &'static str),
        tabs: &'static [Tab],
        servers: fn(&Facts) -> Vec<&str>,
    ) -> Self {
        Self { kind, key, shown, word: kind.word(), tabs, servers, more: &[] }
    }
}

/// What is only read when it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct More {
    /// What, as the footer and the help call it.
    pub what: &'static str,
    /// The tables that show it, by their places; the first is opened for it.
    pub tabs: &'static [usize],
    /// The demand, by the server's source id.
    pub demand: fn(&str) -> Demand,
    /// What is said meanwhile.
    pub says: &'static str,
    /// Asked for when it is opened, and again after so many seconds while it is open.
    pub again_s: Option<u64>,
    /// It is a screen of its own.
    pub own: bool,
    /// What tells a server that nobody looks at it any more; none: it answers at once.
    pub leave: Option<fn(&str) -> Demand>,
    /// It has been answered.
    pub there: fn(&Facts, &str) -> bool,
}

/// The state of a server's screen.
#[derive(Debug, Clone)]
pub struct ServerView {
    screen: &'static ServerScreen,
    /// Which table, by its place.
    pub tab: usize,
    /// Which server, by its source id; the first one until it is chosen or seen.
    pub server: Option<String>,
    /// The column that each table is sorted by.
    pub sort: Vec<Option<usize>>,
    /// Sorted from the smallest.
    pub ascending: bool,
    /// Key of the selected row.
    pub selected: Option<String>,
    /// Figures of all time, not of the last interval.
    pub cumulative: bool,
    /// Words that a row must hold.
    pub filter: Filter,
    /// When a server was asked for more last (CLOCK_MONOTONIC ns): which, and for what.
    pub asked_ns: BTreeMap<(String, &'static str), u64>,
}

impl ServerView {
    /// At the first table.
    #[must_use]
    pub fn new(screen: &'static ServerScreen) -> Self {
        Self {
            screen,
            tab: 0,
            server: None,
            sort: screen.tabs.iter().map(|tab| tab.sort).collect(),
            ascending: false,
            selected: None,
            cumulative: false,
            filter: Filter::default(),
            asked_ns: BTreeMap::new(),
        }
    }

    /// What its server can be asked for: what the open table shows, else the first.
    #[must_use]
    pub fn more(&self) -> Option<More> {
        self.shows().or(self.screen.more.first().copied())
    }

    /// What is only asked for and shown by the open table.
    #[must_use]
    pub fn shows(&self) -> Option<More> {
        self.screen.more.iter().find(|more| more.tabs.contains(&self.tab)).copied()
    }

    /// What it can be asked for by that name.
    #[must_use]
    pub fn offers(&self, what: &str) -> Option<More> {
        self.screen.more.iter().find(|more| more.what == what).copied()
    }

    /// What is a screen of its own.
    #[must_use]
    pub fn own(&self) -> Option<More> {
        self.screen.more.iter().find(|more| more.own).copied()
    }

    /// The kind of its servers.
    #[must_use]
    pub const fn kind(&self) -> SourceKind {
        self.screen.kind
    }

    /// Its tables.
    #[must_use]
    pub const fn tabs(&self) -> &'static [Tab] {
        self.screen.tabs
    }

    /// The table that is open.
    #[must_use]
    pub fn open(&self) -> &'static Tab {
        &self.screen.tabs[self.tab % self.screen.tabs.len()]
    }

    /// The column that the open table is sorted by.
    #[must_use]
    pub fn sorted(&self) -> Option<usize> {
        self.sort.get(self.tab).copied().flatten()
    }

    /// The server that is shown.
    #[must_use]
    pub fn of<'a>(&self, facts: &'a Facts) -> Option<&'a str> {
        let all = (self.screen.servers)(facts);
        all.iter().copied().find(|id| Some(*id) == self.server.as_deref()).or(all.first().copied())
    }

    /// Stays with the server that is shown, whichever others come.
    pub fn stay(&mut self, facts: &Facts) {
        self.server = self.of(facts).map(ToOwned::to_owned);
    }

    /// To the next server.
    pub fn next_server(&mut self, facts: &Facts) {
        let all = (self.screen.servers)(facts);
        let at = all.iter().position(|id| Some(*id) == self.server.as_deref()).map_or(0, |at| at + 1);
        self.server = all.get(at).or(all.first()).map(|id| (*id).to_owned());
        self.selected = None;
    }

    /// The rows to show, filtered and sorted.
    #[must_use]
    pub fn rows(&self, facts: &Facts) -> Vec<Row> {
        let Some(server) = self.of(facts) else { return Vec::new() };
        let tab = self.open();
        let mut rows = (tab.rows)(facts, server, self.cumulative && tab.cumulative);
        let words: Vec<String> = self.filter.text().split_whitespace().map(str::to_lowercase).collect();
        rows.retain(|r| words.iter().all(|w| r.cells.iter().any(|c| c.text.to_lowercase().contains(w))));
        if let Some(by) = self.sorted() {
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

    /// To the next table or the one before.
    pub fn turn(&mut self, by: isize) {
        let n = self.screen.tabs.len() as isize;
        self.tab = (self.tab as isize + by).rem_euclid(n) as usize;
        (self.selected, self.ascending) = (None, false);
    }

    /// Sorts by a column; by the same one again the other way round.
    pub fn sort_by(&mut self, at: usize) {
        self.ascending = self.sorted() == Some(at) && !self.ascending;
        self.set_sort(at);
    }

    /// Sorts by the next column or the one before.
    pub fn shift_sort(&mut self, by: isize) {
        let n = self.open().columns.len() as isize;
        self.set_sort((self.sorted().map_or(-1, |s| s as isize) + by).rem_euclid(n) as usize);
    }

    /// Takes back how the open table is laid out; true when something of that had been changed.
    pub fn undo(&mut self) -> bool {
        let first = (self.open().sort, false, false);
        let changed = (self.sorted(), self.ascending, self.cumulative) != first;
        if let Some(sort) = self.sort.get_mut(self.tab) {
            *sort = first.0;
        }
        (self.ascending, self.cumulative) = (false, false);
        changed
    }

    fn set_sort(&mut self, at: usize) {
        if let Some(sort) = self.sort.get_mut(self.tab) {
            *sort = Some(at);
        }
    }

    /// The query of the selected row, if it has one, with its server.
    #[must_use]
    pub fn query(&self, facts: &Facts) -> Option<(String, i64)> {
        let server = self.of(facts)?;
        Some((server.to_owned(), (self.open().query)(facts, server, self.selected.as_ref()?)?))
    }

    /// The key of the selected row, when it can be shown closely.
    #[must_use]
    pub fn openable(&self, facts: &Facts) -> Option<String> {
        let key = self.selected.clone()?;
        (self.open().card)(facts, self.of(facts)?, &key).map(|_| key)
    }

    /// What is copied of the selected row, or why nothing.
    ///
    /// # Errors
    /// Why nothing.
    pub fn copy(&self, facts: &Facts) -> Result<Copied, &'static str> {
        let server = self.of(facts).ok_or("nothing to copy: no server")?;
        (self.open().copy)(facts, server, self.selected.as_deref())
    }
}

/// Largest first; text by its letters.
fn compare(a: &Row, b: &Row, by: usize) -> Ordering {
    let value = |row: &Row| row.cells.get(by).and_then(|c| c.value);
    let text = |row: &Row| row.cells.get(by).map(|c| c.text.clone());
    match (value(a), value(b)) {
        (Some(x), Some(y)) => y.total_cmp(&x),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => text(a).cmp(&text(b)),
    }
    .then(a.key.cmp(&b.key))
}
