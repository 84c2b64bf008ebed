//! Specific fixes for an expensive query that reads, by the constructs in its text and its plan.

use crate::detect::command::Command;
use crate::detect::finding::{Fix, Horizon, Phase};
use crate::detect::postgres::queries::Costly;
use crate::model::facts::PgFacts;
use crate::model::foreign::Foreign;
use crate::model::postgres::lexer::{self, Kind};
use crate::model::postgres::plan::{Plan, PlannedTable};
use crate::model::postgres::{identifier, literal, qualified};
use crate::model::unit::{bytes, count};

use super::support::{in_application, sql};
use super::{bare_column, missing_index};

/// A table of fewer pages is read as fast as an index.
const SMALL_PAGES: u64 = 300;
/// Blocks that a call touches for each row that it returns, from which on most of what it reads is thrown away.
const WASTED: f64 = 10.0;

/// A statement as small words.
struct Words(Vec<(Kind, String)>);

impl Words {
    fn of(sql: &str) -> Self {
        let said = lexer::tokens(sql).into_iter().filter(|t| !matches!(t.kind, Kind::Space | Kind::Comment));
        Self(
            said.map(|t| (t.kind, if t.kind == Kind::Quoted { t.text.to_owned() } else { t.text.to_ascii_lowercase() }))
                .collect(),
        )
    }

    /// Where these words stand next to each other.
    fn find(&self, words: &[&str]) -> Option<usize> {
        self.0.windows(words.len()).position(|w| w.iter().zip(words).all(|((_, said), word)| said == word))
    }

    fn says(&self, words: &[&str]) -> bool {
        self.find(words).is_some()
    }

    /// Columns that are searched for a piece of text: what stands before LIKE and its kin.
    fn searched(&self) -> Vec<&str> {
        let like = |at: &usize| {
            matches!(self.0[*at].1.as_str(), "like" | "ilike" | "similar") || self.0[*at].1 == "~" && self.0[at - 1].1 != "~"
        };
        let column = |at: usize| {
            let (kind, name) = &self.0[at - 1];
            // What is not like it no index finds.
            (matches!(kind, Kind::Word | Kind::Quoted) && name != "not").then_some(name.as_str())
        };
        (1..self.0.len()).filter(like).filter_map(column).collect()
    }
}

/// The ways out, the surest first; empty where nothing stands out.
#[must_use]
pub fn fixes(pg: &PgFacts, costly: &Costly<'_>) -> Vec<Fix> {
    let words = Words::of(pg.text(costly.row.key.query));
    let plan = pg.plan(costly.row).and_then(|(_, plan)| plan.as_ref().ok());
    let g = &costly.row.grown;
    let (calls, blocks) = (g.calls.max(1) as f64, (g.hit_blocks + g.read_blocks) as f64);
    let thrown_away = blocks >= WASTED * (g.rows as f64).max(calls);
    let mut out: Vec<Fix> = plan.and_then(|plan| trigrams(pg, costly, plan, &words)).into_iter().flatten().collect();
    if let Some(plan) = plan.filter(|_| thrown_away) {
        out.extend(bare_column::fixes(pg, costly, plan, blocks / calls));
        if out.is_empty() {
            out.extend(beside_table(pg, costly, plan, blocks / calls));
        }
    }
    let known = !out.is_empty();
    let mut say = |title: &str, how: &str| {
        let whose = format!("the application of role {}", costly.row.role);
        out.push(in_application(pg, Horizon::ShortTerm, title, how, whose, "the application changes"));
    };
    if thrown_away && words.find(&["offset"]).is_some_and(|at| at > 0 && words.0[at - 1].1 != ".") {
        say(
            "Page by key instead of OFFSET",
            "WHERE (sort key) > (the last one shown) ORDER BY sort key LIMIT n, with an index on the sort key: OFFSET reads all that it skips",
        );
    }
    if words.says(&["order", "by", "random", "("]) {
        say(
            "Pick random rows without sorting the table",
            "TABLESAMPLE SYSTEM_ROWS, or WHERE id >= a random id ORDER BY id LIMIT n: ORDER BY random() reads and sorts all rows",
        );
    }
    if words.says(&["not", "in", "(", "select"]) {
        say(
            "NOT EXISTS instead of NOT IN",
            "WHERE NOT EXISTS (SELECT 1 FROM … WHERE …): NOT IN cannot be planned as a join, and returns no row once the subquery yields a NULL",
        );
    }
    if thrown_away && !known && words.says(&["count", "(", "*", ")"]) && !words.says(&["where"]) && (g.rows as f64) < 2.0 * calls
    {
        say(
            "Count less often, or not exactly",
            "keep the count in a table, cache it, or use the planner's estimate: SELECT reltuples::bigint FROM pg_class WHERE oid = 'the table'::regclass",
        );
    }
    out
}

/// A statement that reads one table once cannot touch several times its pages by itself: what is stored out of line is read beside it, and what
/// it calls for each row reads, a function or a policy of row security. No plan shows either.
fn beside_table(pg: &PgFacts, costly: &Costly<'_>, plan: &Plan, blocks: f64) -> Option<Fix> {
    const TIMES: f64 = 3.0;
    let once = ["Seq Scan", "Aggregate", "Sort", "Limit", "Gather", "Gather Merge", "Result"];
    let [table] = plan.tables.as_slice() else { return None };
    let plain = plan.nodes.iter().all(|n| once.contains(&n.kind.as_str())) && !table.partitioned;
    // One that grew since its size was counted has more.
    let plain = plain && !table.unknown && table.modified as f64 <= table.rows;
    if !plain || blocks < TIMES * (table.pages as f64).max(SMALL_PAGES as f64 / 3.0) {
        return None;
    }
    let target = qualified(&table.schema, &table.name)?;
    let name = literal(&Foreign::from(target.as_str()))?;
    let command = format!(
        "SELECT pg_size_pretty(pg_relation_size(reltoastrelid)) AS out_of_line, (SELECT string_agg(pg_get_expr(polqual, polrelid), '; ') FROM pg_policy \
         WHERE polrelid = c.oid) AS policies FROM pg_class c WHERE oid = {name}::regclass;"
    );
    let (touches, pages) = (count(blocks), count(table.pages as f64));
    let title = format!("See what it reads beside {target}, which has {pages} pages: a call touches {touches}");
    let mut fix = sql(pg, Phase::Cure, Horizon::ShortTerm, &title, command, &costly.row.database);
    fix.risk = "large values: select fewer of them, or keep what is searched in a column of its own; a policy or function that runs for each row: give it an index, or let it run once, (SELECT f())".into();
    fix.needs = "any role; it only reads the catalogue".into();
    Some(fix)
}

/// An index of trigrams, where a table is read as a whole for a piece of text in a column.
fn trigrams(pg: &PgFacts, costly: &Costly<'_>, plan: &Plan, words: &Words) -> Option<[Fix; 2]> {
    let scanned = |table: &&PlannedTable| {
        let scans = plan.nodes.iter().any(|n| n.kind == "Seq Scan" && n.relation == table.name && n.schema == table.schema);
        scans && table.pages >= SMALL_PAGES && !table.partitioned
    };
    let bare = |name: &str| name.trim_matches('"').replace("\"\"", "\"");
    let of_table = |table: &PlannedTable| {
        let named = |c: &&crate::model::postgres::plan::PlannedColumn| {
            words.searched().iter().any(|w| bare(w).as_bytes() == c.name.raw())
        };
        let text = |c: &&crate::model::postgres::plan::PlannedColumn| c.kind == "text" || c.kind.starts_with("character");
        let served = |number: i16| {
            table.indexes.iter().any(|i| matches!(i.method.as_str(), "gin" | "gist") && i.columns.contains(&number))
        };
        table
            .columns
            .iter()
            .filter(named)
            .filter(text)
            .find(|c| !served(c.number))
            .map(|c| (c.name.clone(), c.width.unwrap_or(32.0)))
    };
    let (table, (column, width)) = plan.tables.iter().filter(scanned).find_map(|t| Some((t, of_table(t)?)))?;
    let title = "First install the extension for substring searches, if it is missing";
    let command = "CREATE EXTENSION IF NOT EXISTS pg_trgm;";
    let mut extension = sql(pg, Phase::Cure, Horizon::ShortTerm, title, command.into(), &costly.row.database);
    extension.needs = "CREATE on the database".into();
    extension.risk = "adds functions and operators to the database; changes no table".into();
    extension.undo = Some(Command::sql("DROP EXTENSION pg_trgm;   -- where it was not there before"));
    let (schema, quoted) = (identifier(&table.schema)?, identifier(&column)?);
    let name: String = format!("{}_{}", table.name.shown(), column.shown()).chars().take(50).collect();
    let index = identifier(&Foreign::from(format!("{name}_trgm").as_str()))?;
    let target = qualified(&table.schema, &table.name)?;
    let command = format!("CREATE INDEX CONCURRENTLY {index} ON {target} USING gin ({quoted} gin_trgm_ops);");
    let title = "Build a trigram index for the substring search";
    let mut fix = sql(pg, Phase::Cure, Horizon::ShortTerm, title, command, &costly.row.database);
    fix.undo = Some(Command::sql(format!("DROP INDEX CONCURRENTLY {schema}.{index};")));
    fix.preflight = missing_index::preflight(pg, costly);
    // About a posting of some bytes for each character.
    let size = table.rows * width * 4.0;
    fix.risk = format!(
        "reads the table twice; about {} more to update on writes; helps only search terms of three characters or more",
        bytes(size)
    );
    fix.needs = format!("owner of the table ({})", table.owner);
    fix.needs_bytes = Some(size as u64);
    fix.takes_s = Some((table.pages as f64 * 8192.0 * 2.0 / 50e6).max(1.0).round());
    let name = literal(&Foreign::from(format!("{schema}.{index}").as_str()))?;
    fix.verify = Command::sql(format!("SELECT indisvalid FROM pg_index WHERE indexrelid = {name}::regclass;"));
    Some([extension, fix])
}

#[cfg(test)]
mod tests {
    use super::super::expensive::RULE;
    use crate::detect::bench::postgres::{Statement, orders, scan};
    use crate::model::postgres::plan::PlannedTable;

    /// Slow, with many blocks for the row that it returns.
    fn asks(text: &'static str) -> Statement {
        let mut table = orders();
        table.columns[2].kind = "text".into();
        Statement {
            text,
            ms: 40.0,
            rows: 1,
            reads: 6_000,
            plan: scan(table, "(state ~~* $1)", 200_000.0),
            ..Statement::default()
        }
    }

    fn advised(text: &'static str) -> String {
        asks(text).bench().pastes(&RULE).join("\n")
    }

    #[test]
    fn each_dear_construction_has_its_way_out() {
        for (text, way) in [
            ("SELECT id FROM orders ORDER BY id LIMIT $1 OFFSET $2", "OFFSET reads all that it skips"),
            ("SELECT id FROM orders ORDER BY random() LIMIT $1", "TABLESAMPLE"),
            ("SELECT id FROM orders WHERE id NOT IN (SELECT id FROM gone)", "NOT EXISTS"),
            ("SELECT count(*) FROM orders", "reltuples"),
            ("SELECT id FROM orders o WHERE o.state ILIKE $1", "USING gin (state gin_trgm_ops)"),
            ("SELECT id FROM orders WHERE \"state\" ~* $1", "USING gin (state gin_trgm_ops)"),
        ] {
            assert!(advised(text).contains(way), "{text}: {}", advised(text));
        }
    }

    #[test]
    fn what_reads_more_than_its_table_reads_something_else() {
        let reading = |pages: u64, reads: u64| {
            let plan = scan(PlannedTable { pages, ..orders() }, "", 1_000_000.0);
            let asked = Statement { text: "SELECT count(*) FROM orders", ms: 40.0, rows: 1, reads, plan, ..Statement::default() };
            asked.bench().pastes(&RULE).join("\n")
        };
        let said = reading(400, 6_000);
        assert!(
            said.contains("AS policies FROM pg_class c WHERE oid = 'public.orders'::regclass") && !said.contains("reltuples"),
            "{said}"
        );
        assert!(reading(6_000, 6_000).contains("reltuples"));
        // So small a table may be read by the catalogue's own pages.
        assert!(!reading(10, 150).contains("policies"));
    }

    #[test]
    fn what_is_not_there_is_not_advised() {
        for text in [
            "SELECT id, state FROM orders",
            "SELECT id FROM orders WHERE state NOT LIKE $1",
            "SELECT id FROM orders WHERE id = $1",
            "SELECT id FROM orders WHERE note LIKE $1",
            "SELECT likes FROM orders",
        ] {
            let said = advised(text);
            assert!(!said.contains("gin") && !said.contains("OFFSET") && said.contains("let it read less"), "{text}: {said}");
        }
    }
}
