//! postgres.vacuum.bloat: dead space makes a table slow.

use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::postgres::case::{Case, Kind};
use crate::detect::postgres::limits::DEAD;
use crate::detect::postgres::queries::Costly;
use crate::detect::postgres::tables;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::facts::PgFacts;
use crate::model::postgres::plan::PlannedTable;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, bytes};

use super::horizon;
use super::object::Object;
use super::query_found;
use super::query_rule::{self, LOST};
use super::support::{called, sql};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.vacuum.bloat",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "dead space makes the table slow",
    params: &[LOST, DEAD.param],
    origins: &["postgres.activity", "postgres.statements", "postgres.plan", "ledger"],
    page: "\
The plan of a query scans a whole table of 8 MiB or more, most of which is dead rows or empty space: rows that were
updated or deleted and not vacuumed, or vacuumed and never given back. The share is the larger of two: dead rows of
all rows, by the server's counters; and pages beyond those that the live rows need by the widths of their columns (85
% full). A table that was not analysed since its counters began is not judged, nor a query whose plan shows a missing
index or stale statistics. The loss is that share of the query's time.

**Relief**: VACUUM makes the dead space reusable and hardly shrinks the table; first, by hand: end what holds back the
horizon; when the query is new: roll back its deployment. **Cure**: only a rewrite gives the space back: VACUUM FULL,
which locks the table; by hand: pg_repack beside the running load.",
    judge: Judge::Postgres(judge),
};

/// Its plan scans a table that is mostly dead space.
pub fn fits(case: &Case<'_>) -> Option<Kind> {
    tables::bloated(case.plan?, case.least(DEAD) / 100.0).map(|(table, share)| Kind::Bloat(table, share))
}

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    query_rule::judge(facts, params, prev, false, |k| matches!(k, Kind::Bloat(..)), made)
}

fn made(pg: &PgFacts, params: &Params<'_>, costly: &Costly<'_>, kind: &Kind) -> Option<(Subject, Found)> {
    let Kind::Bloat(table, share) = kind else { return None };
    let (table, object, mut subject) = query_found::planned(pg, costly, *table)?;
    let name = &object.label;
    let size = table.pages as f64 * 8192.0;
    let title =
        format!("{:.0} % of {name} ({}) is dead space, and {} reads it", share * 100.0, bytes(size), called(pg, costly.row));
    let mut found = query_found::found(pg, costly, title, *share);
    found.confidence = found.confidence.min(0.7);
    found.evidence.insert(0, params.row("share of the table dead or empty", share * 100.0, DEAD.param, "postgres.plan"));
    found.evidence.insert(1, evidence("dead rows", table.dead as f64, Unit::Count, None, "postgres.plan"));
    found.fixes = fixes(pg, costly, table, &object);
    // A snapshot keeps rows that died, not pages that are empty.
    if table.dead as f64 >= 0.5 * share * (table.dead + table.live) as f64 {
        horizon::release_first(pg, (&costly.row.database, Some(costly.row.key.query)), &mut subject, &mut found);
    }
    Some((subject, found))
}

fn fixes(pg: &PgFacts, costly: &Costly<'_>, table: &PlannedTable, object: &Object) -> Vec<Fix> {
    let vacuum = object.vacuum(pg, &costly.row.database, "Make the dead space reusable", &table.owner, table.pages);
    let mut full = sql(
        pg,
        Phase::Cure,
        Horizon::LongTerm,
        "Rewrite the table, in a maintenance window",
        object.statement("VACUUM (FULL, ANALYZE) ", ""),
        &costly.row.database,
    );
    full.risk = "locks the table exclusively until done; needs its size again on disk. pg_repack does it without the lock".into();
    full.needs = vacuum.needs.clone();
    full.needs_bytes = Some(table.pages * 8192);
    full.takes_s = Some((table.pages as f64 * 8192.0 / 25e6).max(1.0).round());
    vec![vacuum, full]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Table;
    use crate::detect::bench::postgres::{Statement, client, index, orders, scan};
    use crate::model::postgres::{Cluster, HorizonRow, Session};

    /// It reads a table with so many dead rows, on so many pages.
    fn reads(dead: u64, pages: u64) -> Statement {
        let table = PlannedTable { dead, pages, indexes: vec![index(&[2])], ..orders() };
        Statement { plan: scan(table, "(customer_id = $1)", 1.0), ..Statement::default() }
    }

    #[test]
    fn dead_space_that_a_query_reads_is_found_and_held() {
        let bloated = reads(1_000_000, 6_000);
        Table { clear: bloated.busy(60), unknown: Statement::unread(), found: bloated.bench(), held: Some(bloated.busy(80)) }
            .check(&RULE);
        bloated.bench().must_say(&RULE, "found 50 % of public.orders (47 MiB) is dead space, and `SELECT id FROM orders");
        reads(900_000, 6_000).bench().must_say(&RULE, "clear");
        reads(600_000, 6_000).bench().must_say_after(&RULE, Some(&bloated.bench()), "found");
        reads(500_000, 6_000).bench().must_say_after(&RULE, Some(&bloated.bench()), "clear");
        // Behind an old snapshot a vacuum removes nothing: that is ended first, where it is of that database.
        let behind_of = |table: &Statement, database: &str, since_s: f64| {
            let row = HorizonRow { who: "44".into(), age: 5000, since_s: Some(since_s), ..HorizonRow::default() };
            table.bench().served(|pg| {
                let state = "idle in transaction".into();
                let holder = Session { database: database.into(), xact_s: Some(since_s), state, ..client(44) };
                let mut now = (*pg.activity.as_ref().unwrap().newest).clone();
                now.sessions.push(holder);
                pg.activity.as_mut().unwrap().newest = now.into();
                pg.cluster = Ok(Cluster { horizon: vec![row], ..Cluster::default() }.into());
            })
        };
        let behind = |database: &str, since_s: f64| behind_of(&bloated, database, since_s);
        // No snapshot keeps pages that are empty.
        assert!(behind_of(&reads(0, 12_500), "shop", 300.0).pastes(&RULE)[0].starts_with("VACUUM"));
        assert!(behind("shop", 300.0).pastes(&RULE)[0].contains("pg_terminate_backend"));
        assert!(behind("other", 300.0).pastes(&RULE)[0].starts_with("VACUUM"));
        assert!(behind("shop", 200.0).pastes(&RULE)[0].starts_with("VACUUM"));
        // A report that works is named, and not ended for the sake of a vacuum.
        let works = behind("shop", 300.0).served(|pg| {
            let mut now = (*pg.activity.as_ref().unwrap().newest).clone();
            now.sessions.iter_mut().for_each(|s| s.state = "active".into());
            pg.activity.as_mut().unwrap().newest = now.into();
        });
        assert!(works.pastes(&RULE)[0].starts_with("VACUUM"));
        // It has begun another transaction since.
        let another = behind("shop", 300.0).served(|pg| {
            let mut now = (*pg.activity.as_ref().unwrap().newest).clone();
            now.sessions.iter_mut().for_each(|s| s.xact_s = Some(1.0));
            pg.activity.as_mut().unwrap().newest = now.into();
        });
        assert!(another.pastes(&RULE)[0].starts_with("VACUUM"));
        // Pages that hold nothing count as well.
        reads(0, 12_500).bench().must_say(&RULE, "found 5");
        reads(0, 11_000).bench().must_say(&RULE, "clear");
    }
}
