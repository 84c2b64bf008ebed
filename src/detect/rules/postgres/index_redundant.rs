//! postgres.index.redundant_on_hot_table: a redundant index slows the writes of a busy table.

use super::object::Object;
use super::support::{self, sql};
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::ledger::State;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::postgres::DuplicateIndex;
use crate::model::seen::Lack;
use crate::model::subject::SubjectType;
use crate::model::unit::{Unit, count};

const WRITES: Param = Param {
    name: "writes",
    unit: Unit::PerSecond,
    default: 100.0,
    min: 1.0,
    max: 1000000.0,
    what: "rows written to the table per second",
};
const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.1,
    min: 0.001,
    max: 1000.0,
    what: "sessions that its maintenance costs",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.index.redundant_on_hot_table",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "a redundant index slows the writes of a busy table",
    params: &[WRITES, LOST],
    origins: &["postgres.indexes", "postgres.tables", "ledger"],
    page: "\
A table takes many writes, and has redundant indexes (those of postgres.index.duplicate). Each write updates them all.
The cost is an estimate, with a confidence of 0.5 at most:

    time of the statements that write x this table's share of all rows written x n / (n + 3)

for n redundant indexes beside the row, its WAL and one index that is needed; statements that write are INSERT,
UPDATE, DELETE, MERGE and COPY. The rate of writes comes from the visits to the database: it is known after five of
them and a minute.

**Cure**: drop one; the finding comes back while there are others. The statement that recreates it is shown with
postgres.index.duplicate.",
    judge: Judge::Postgres(judge),
};

/// A rate is known after this.
const KNOWN_S: f64 = 60.0;

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let catalogs = match support::visited(pg) {
        Ok(catalogs) => catalogs,
        Err(answer) => return answer,
    };
    if let Err(answer) = support::activity(pg) {
        return answer;
    }
    if pg.interval_s().is_none() {
        return support::unknown(pg, &pg.no_statements());
    }
    let busy = facts.queries.writing;
    // What is written to all tables: this one's share of the time is that of its rows.
    let written = pg.databases_rate(|d| Some(d.rows_written));
    let mut judged = Judged::default();
    for catalog in catalogs {
        for t in &catalog.tables {
            let writes = facts.trend(&format!("writes {} {}", catalog.oid, t.oid));
            let rate = writes.and_then(|s| s.growth()).map_or(0.0, |(rate, _)| rate);
            let extra: Vec<&DuplicateIndex> =
                catalog.duplicates.iter().filter(|d| d.table == t.name && d.schema == t.schema).collect();
            let Some(first) = extra.first() else { continue };
            let index = Object::of(pg, &catalog.database, &first.schema, &first.name, first.oid);
            let subject = index.subject(SubjectType::Index);
            let held = is_held(prev, &subject);
            if written.is_none() || writes.is_none_or(|s| s.span_s() < KNOWN_S) {
                judged.verdicts.extend(Judged::unknown(subject, &Lack::first_sample("rate of writes")).verdicts);
                continue;
            }
            // The row itself, its WAL, one index that is needed, and these.
            let n = extra.len() as f64;
            let share = written.filter(|w| *w > 0.0).map_or(0.0, |w| (rate / w).min(1.0));
            let lost = busy * share * n / (n + 3.0);
            if rate < params.limit(WRITES, held) || lost < params.limit(LOST, held) {
                continue;
            }
            let mut found = Found::new(
                Class::Live,
                match extra.len() {
                    1 => format!("A redundant index on {} slows its {} writes a second", t.name, count(rate)),
                    n => format!("{n} redundant indexes on {} slow its {} writes a second", t.name, count(rate)),
                },
            );
            found.losses = vec![(State::Working, lost)];
            found.waste = true;
            found.victims_time = busy * share;
            found.confidence = 0.5;
            found.evidence = vec![
                params.row("rows written", rate, WRITES, "postgres.tables"),
                evidence("redundant indexes", n, Unit::Count, None, "postgres.indexes"),
            ];
            let mut drop = sql(
                pg,
                Phase::Cure,
                Horizon::ShortTerm,
                "Drop one redundant index",
                index.statement("DROP INDEX CONCURRENTLY ", ""),
                &catalog.database,
            );
            drop.risk = "queries that preferred it use the other one. Run it outside a transaction".into();
            drop.needs = "owner of the table".into();
            found.fixes = vec![drop];
            judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
            judged.demands.extend(support::again(pg, catalog));
        }
    }
    support::of_visited(pg, judged, 10, "no redundant index slows a busy table")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::{Statement, catalogs, grows, shop};
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{Catalog, Cluster, DatabaseRow, TableRow};

    /// So many rows are written each second, those of one table, by statements that keep so many thousandths of a session busy.
    fn writes(text: &'static str, per_s: u32, busy: u32) -> Bench {
        let duplicate = DuplicateIndex {
            schema: "public".into(),
            table: "orders".into(),
            name: "orders_b".into(),
            kept: "orders_a".into(),
            ..DuplicateIndex::default()
        };
        let table = TableRow { oid: 5, schema: "public".into(), name: "orders".into(), ..TableRow::default() };
        let cluster = |rows_written| {
            std::sync::Arc::new(Cluster { databases: vec![DatabaseRow { rows_written, ..shop() }], ..Cluster::default() })
        };
        let insert = Statement { text, ..Statement::default() };
        let served = insert.busy(busy).served(|pg| {
            pg.catalogs = catalogs(Catalog { tables: vec![table], duplicates: vec![duplicate], ..Catalog::default() });
            pg.cluster = Ok(cluster(u64::from(per_s) * 10));
            pg.before = Some((cluster(0), 10.0));
        });
        served.knowing(grows("writes 1 5", per_s.into()))
    }

    #[test]
    fn a_redundant_index_of_a_busy_table_is_found_and_held() {
        const INSERT: &str = "INSERT INTO orders VALUES ($1)";
        Table {
            clear: writes(INSERT, 110, 250),
            unknown: Some(Bench::postgres(crate::model::postgres::PgState::default())),
            found: writes(INSERT, 110, 420),
            held: Some(writes(INSERT, 80, 300)),
        }
        .check(&RULE);
        writes(INSERT, 110, 420).must_say(&RULE, "found A redundant index on orders slows its 110 writes a second");
        writes(INSERT, 69, 420).must_say_after(&RULE, Some(&writes(INSERT, 110, 420)), "clear");
        writes("SELECT 1", 110, 420).must_say(&RULE, "clear");
        writes(INSERT, 110, 420).knowing(|l| l.servers.postgres.trends.clear()).must_say(&RULE, "unknown");
        writes(INSERT, 110, 420).served(|pg| pg.before = None).must_say(&RULE, "unknown");
    }
}
