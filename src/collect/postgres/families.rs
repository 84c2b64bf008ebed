//! Statements that differ only in the length of their lists, joined before they are kept: each length has an entry of its own in the view, and a
//! list of a thousand lengths would hide in a thousand cheap statements. The first that was seen stands for all.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;

use crate::model::foreign::Foreign;
use crate::model::postgres::{Grown, StatementKey, StatementRow, shape};

/// Statements remembered; when there are more, all are forgotten and learned again.
const MOST: usize = 20_000;
/// Of a text that was cut, characters that must be alike.
const LEAST: usize = 24;

/// What statements have in common.
#[derive(Debug, Default)]
pub struct Families {
    /// Shapes, and the number of each.
    shapes: BTreeMap<String, usize>,
    /// The shape of each statement, and the number of its text where that is whole.
    of: HashMap<i64, (usize, Option<u32>)>,
    /// By database and shape whose text that is.
    texts: HashMap<(u32, usize, u32), i64>,
    /// Of these two statements have the same text, and so other tables by their search_path: they are never joined.
    twins: HashSet<(u32, usize)>,
    /// Who stands for a shape in a database.
    heads: HashMap<(u32, usize), i64>,
    /// Who stands for a statement, by the rows that were joined and the sessions that were seen.
    joined: HashMap<i64, i64>,
    /// Sessions' statements that nothing was known of since the last reading.
    unknown: HashSet<i64>,
    /// Statements that were joined with others, by database and shape.
    members: HashMap<(u32, usize), HashSet<i64>>,
    /// Databases by name.
    databases: HashMap<Foreign, u32>,
}

impl Families {
    /// Takes the text of a statement in.
    pub fn learn(&mut self, query: i64, text: &str, cut: bool) {
        // Who stood for it was guessed by the beginning of a session's text.
        self.joined.remove(&query);
        let shape = shape::shape(text, cut);
        let number = self.number(&shape, cut).unwrap_or_else(|| {
            let next = self.shapes.len();
            self.shapes.insert(shape, next);
            next
        });
        self.of.insert(query, (number, (!cut).then(|| crc32fast::hash(text.as_bytes()))));
    }

    fn number(&self, shape: &str, cut: bool) -> Option<usize> {
        let mut fit = self
            .shapes
            .range::<str, _>((Bound::Included(shape), Bound::Unbounded))
            .take_while(|(known, _)| known.starts_with(shape));
        match (fit.next(), fit.next()) {
            (Some((known, n)), _) if known == shape => Some(*n),
            // Of several that begin so nobody knows which it is.
            (Some((_, n)), None) if cut && shape.len() >= LEAST => Some(*n),
            _ => None,
        }
    }

    /// True when there is no room for more, and it must be reset.
    #[must_use]
    pub fn full(&self) -> bool {
        self.of.len() >= MOST
    }

    /// Who stands for a statement: itself, mostly.
    #[must_use]
    pub fn head(&self, query: i64) -> i64 {
        self.joined.get(&query).copied().unwrap_or(query)
    }

    /// Who stands for what a session runs: the view has a statement only once it ended, its session has its text before that.
    pub fn running(&mut self, query: i64, database: &Foreign, text: &str, cut: bool) -> i64 {
        if self.of.contains_key(&query) || self.joined.contains_key(&query) || self.unknown.contains(&query) {
            return self.head(query);
        }
        let place = || {
            let database = *self.databases.get(database)?;
            let shape = self.number(&shape::shape(text, cut), cut)?;
            Some((database, shape)).filter(|place| !self.twins.contains(place))
        };
        let head = place().and_then(|place| self.heads.get(&place).copied()).unwrap_or(query);
        // Of one that nobody stands for the next reading tells more.
        match head == query {
            true if self.unknown.len() < MOST => _ = self.unknown.insert(query),
            false if self.joined.len() < MOST => _ = self.joined.insert(query, head),
            _ => {}
        }
        head
    }

    /// Joins the rows that are one, most execution time first; of all entries of the view come the sums since each is there.
    pub fn join(&mut self, rows: Vec<StatementRow>, entries: &HashMap<StatementKey, Grown>) -> Vec<StatementRow> {
        self.unknown.clear();
        let mut places: HashMap<StatementKey, usize> = HashMap::with_capacity(rows.len());
        let mut joined: Vec<StatementRow> = Vec::with_capacity(rows.len());
        for row in &rows {
            self.is_twin(row.key.database, row.key.query);
            if self.databases.get(&row.database) != Some(&row.key.database) {
                self.databases.insert(row.database.clone(), row.key.database);
            }
        }
        let mut new = HashSet::new();
        for mut row in rows {
            let place = self.of.get(&row.key.query).map(|(shape, _)| (row.key.database, *shape));
            if let Some(place) = place.filter(|place| !self.twins.contains(place)) {
                let fresh = !self.heads.contains_key(&place);
                let head = *self.heads.entry(place).or_insert(row.key.query);
                if fresh {
                    new.insert(place);
                }
                let members = self.members.entry(place).or_default();
                members.insert(row.key.query);
                row.alike = members.len() as u32 - 1;
                if head == row.key.query {
                    self.joined.remove(&row.key.query);
                } else {
                    self.joined.insert(row.key.query, head);
                    row.key.query = head;
                    // Another length of what was sent before is nothing new.
                    row.came &= new.contains(&place);
                }
            }
            match places.entry(row.key) {
                Entry::Occupied(place) => joined[*place.get()].add(&row),
                Entry::Vacant(place) => {
                    place.insert(joined.len());
                    joined.push(row);
                }
            }
        }
        let mut sums: HashMap<StatementKey, (u64, f64)> =
            joined.iter().filter(|row| row.alike > 0).map(|row| (row.key, (0, 0.0))).collect();
        let some = !sums.is_empty();
        for (key, entry) in entries.iter().filter(|_| some) {
            if let Some((calls, ms)) = sums.get_mut(&StatementKey { query: self.head(key.query), ..*key }) {
                (*calls, *ms) = (calls.saturating_add(entry.calls), *ms + entry.exec_ms);
            }
        }
        for row in &mut joined {
            (row.calls_all, row.ms_all) = sums.get(&row.key).copied().unwrap_or((row.calls_all, row.ms_all));
        }
        joined.sort_by(|a, b| b.grown.exec_ms.total_cmp(&a.grown.exec_ms).then(a.key.cmp(&b.key)));
        joined
    }

    fn is_twin(&mut self, database: u32, query: i64) {
        let Some((shape, Some(text))) = self.of.get(&query).copied() else { return };
        if *self.texts.entry((database, shape, text)).or_insert(query) != query && self.twins.insert((database, shape)) {
            self.joined.retain(|id, _| self.of.get(id).is_none_or(|(n, _)| *n != shape));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(query: i64, database: u32, exec_ms: f64) -> StatementRow {
        let key = StatementKey { query, database, top: true, ..StatementKey::default() };
        let grown = Grown { calls: 1, exec_ms, ..Grown::default() };
        let name = if database == 5 { "shop" } else { "bench" };
        StatementRow {
            key,
            grown,
            database: name.into(),
            came: query > 1,
            calls_all: 2,
            ms_all: exec_ms,
            ..StatementRow::default()
        }
    }

    /// With what each entry holds since it is there.
    fn join(families: &mut Families, rows: Vec<StatementRow>) -> Vec<StatementRow> {
        let entries = rows.iter().map(|r| (r.key, Grown { calls: 7, ..r.grown })).collect();
        families.join(rows, &entries)
    }

    fn said(rows: &[StatementRow]) -> Vec<(i64, u32, f64, u32)> {
        rows.iter().map(|r| (r.key.query, r.key.database, r.grown.exec_ms, r.alike)).collect()
    }

    fn list(n: usize) -> String {
        let all: Vec<String> = (1..=n).map(|n| format!("${n}")).collect();
        format!("SELECT a FROM t WHERE b IN ({})", all.join(", "))
    }

    #[test]
    fn lengths_of_a_list_are_one_statement_in_each_database() {
        let mut families = Families::default();
        for n in 1..=9 {
            families.learn(n, &list(n as usize), false);
        }
        families.learn(100, "SELECT 1", false);
        let rows = join(
            &mut families,
            vec![row(3, 5, 9.0), row(100, 5, 8.0), row(1, 5, 2.0), row(2, 6, 2.0), row(4, 6, 1.0), row(50, 5, 7.0)],
        );
        assert_eq!(said(&rows), [(3, 5, 11.0, 1), (100, 5, 8.0, 0), (50, 5, 7.0, 0), (2, 6, 3.0, 1)]);
        assert!(!rows[0].came && rows[3].came, "one of the first was there before");
        assert_eq!((families.head(1), families.head(4), families.head(50)), (3, 2, 50));
        // A length that nobody has seen, while it runs for the first time; the shape of nobody's; another database's.
        let mut runs = |query, database: &str, text: &str| families.running(query, &database.into(), text, false);
        assert_eq!(
            (runs(70, "shop", "select a from t where b in (?)"), runs(71, "shop", "select b from t where b in (?)")),
            (3, 71)
        );
        assert_eq!(
            (runs(72, "bench", "select a from t where b in (?)"), runs(73, "none", "select a from t where b in (?)")),
            (2, 73)
        );
        assert_eq!((rows[0].calls_all, rows[1].calls_all), (14, 2), "both lengths, and one's own");
        // Whoever stands for them does so for as long as it is watched.
        assert_eq!(said(&join(&mut families, vec![row(1, 5, 9.0)])), [(3, 5, 9.0, 1)]);
    }

    #[test]
    fn the_same_text_of_two_tables_is_two_statements() {
        let mut families = Families::default();
        families.learn(1, &list(2), false);
        families.learn(2, &list(3), false);
        assert_eq!(join(&mut families, vec![row(1, 5, 2.0), row(2, 5, 1.0)]).len(), 1);
        // The same again is no twin, and in another database it is another's.
        families.learn(2, &list(3), false);
        families.learn(3, &list(3), false);
        assert_eq!(join(&mut families, vec![row(1, 5, 2.0), row(2, 5, 1.0), row(3, 6, 1.0)]).len(), 2);
        assert_eq!(families.head(2), 1);
        // By another search_path.
        assert_eq!(join(&mut families, vec![row(1, 5, 2.0), row(2, 5, 1.0), row(3, 5, 1.0)]).len(), 3);
        assert_eq!(families.head(2), 2);
    }

    #[test]
    fn a_list_too_long_to_be_read_is_of_its_kind() {
        let mut families = Families::default();
        families.learn(1, &list(2), false);
        families.learn(2, &list(900)[..1_000], true);
        assert_eq!(join(&mut families, vec![row(1, 5, 2.0), row(2, 5, 1.0)]).len(), 1);
    }
}
