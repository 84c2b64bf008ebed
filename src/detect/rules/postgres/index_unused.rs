//! postgres.index.unused: an index was never used since statistics began.

use super::object::Object;
use super::support::{self, instance, sql};
use crate::detect::command::Command;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::PgFacts;
use crate::model::postgres::index_definition;
use crate::model::postgres::{Catalog, IndexRow};
use crate::model::subject::SubjectType;
use crate::model::unit::{Unit, bytes, seconds};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.index.unused",
    class: Class::Hygiene,
    culprit: Culprit::Many,
    says: "an index was never used since statistics began",
    params: &[],
    origins: &["postgres.indexes"],
    page: "\
No scan has used the index since the statistics were reset (where they never were: since the server started), two
weeks ago at least. It is older than two weeks by the transactions since it was made: the server does not record when
that was. It is not unique, enforces nothing, and has 1 MiB or more. Standbys count for themselves: on one of them it
may be used; on a standby nothing is judged.

**Cure**: drop it; first, by hand: check the standbys. The statement that recreates it is the undo, where it could be
read.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let catalogs = match support::visited(pg) {
        Ok(catalogs) => catalogs,
        Err(answer) => return answer,
    };
    if pg.server.as_ref().is_some_and(|s| s.standby) {
        return Judged::clear(instance(pg), "a standby does not know which indexes its primary uses");
    }
    let mut judged = Judged::default();
    for catalog in catalogs {
        let known_s = catalog.reset_us.map_or(f64::INFINITY, |r| (catalog.server_us - r) as f64 / 1e6);
        let up_s = pg.server.as_ref().map_or(0.0, |s| (catalog.server_us - s.started_us) as f64 / 1e6);
        // Statistics survive a clean restart; without a reset the age of the server is the least that is known.
        let looked_s = if known_s.is_finite() { known_s } else { up_s };
        if looked_s < TWO_WEEKS_S {
            continue;
        }
        let young = transactions(facts, pg, catalog, looked_s);
        // One that was made lately had no time to be used; when it was made nobody notes, but how many transactions ago.
        let old = |i: &&IndexRow| i.changed_age.is_some_and(|age| age as f64 > young);
        let unused = |i: &&IndexRow| i.valid && !i.needed && i.scans == 0 && i.pages >= 128;
        for i in catalog.indexes.iter().filter(unused).filter(old) {
            let index = Object::of(pg, &catalog.database, &i.schema, &i.name, i.oid);
            let (subject, name) = (index.subject(SubjectType::Index), &index.label);
            let size = i.pages as f64 * 8192.0;
            let mut found = Found::new(
                Class::Hygiene,
                format!("Index {name} on {} is unused: no scan in {} of statistics, {}", i.table, seconds(looked_s), bytes(size)),
            );
            found.evidence = vec![
                evidence("index size", size, Unit::Bytes, None, "postgres.indexes"),
                evidence("scans", 0.0, Unit::Count, None, "postgres.indexes"),
            ];
            let mut drop = sql(
                pg,
                Phase::Cure,
                Horizon::LongTerm,
                "Drop it, if no standby uses it",
                index.statement("DROP INDEX CONCURRENTLY ", ""),
                &catalog.database,
            );
            drop.undo = i.definition.as_ref().and_then(index_definition).map(Command::sql);
            drop.risk = "a query run once a quarter may need it".into();
            drop.needs = "owner of the table".into();
            found.fixes = vec![drop];
            judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
            judged.demands.extend(support::again(pg, catalog));
        }
    }
    support::of_visited(pg, judged, 10, "no index of 1 MiB or more is unused, or the statistics are younger than two weeks")
}

const TWO_WEEKS_S: f64 = 14.0 * 86_400.0;

/// Ids that two weeks use: at the rate of now where that is known, but no more than transactions have ended since statistics began.
fn transactions(facts: &Facts<'_>, pg: &PgFacts, catalog: &Catalog, looked_s: f64) -> f64 {
    let databases = pg.cluster.as_ref().map_or(&[] as &[_], |c| c.databases.as_slice());
    let ended: u64 = databases.iter().map(|d| d.commits + d.rollbacks).sum();
    let known_s =
        databases.iter().filter_map(|d| d.reset_us).map(|r| (catalog.server_us - r) as f64 / 1e6).fold(looked_s, f64::max);
    let most = ended as f64 / known_s.max(1.0) * TWO_WEEKS_S;
    let ids = facts.learned.servers.postgres.trend(&pg.id, &format!("ids {}", catalog.oid)).and_then(|s| s.growth());
    // A quiet night says little of the days before: twice the rate of now.
    ids.map_or(most, |(rate, _)| most.min(rate * 2.0 * TWO_WEEKS_S))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::{catalogs, server, shop};
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{Cluster, DatabaseRow, PgState, Server};

    const DAY_US: i64 = 86_400_000_000;

    /// Statistics are so many days old, and a million transactions each day have ended since.
    fn index(days: i64, change: impl Fn(&mut IndexRow)) -> PgState {
        let mut index = IndexRow {
            schema: "public".into(),
            table: "orders".into(),
            name: "orders_a".into(),
            pages: 128,
            valid: true,
            changed_age: Some(15_000_000),
            ..IndexRow::default()
        };
        change(&mut index);
        let catalog = Catalog {
            server_us: 100 * DAY_US,
            reset_us: Some((100 - days) * DAY_US),
            indexes: vec![index],
            ..Catalog::default()
        };
        let commits = u64::try_from(days).unwrap() * 1_000_000;
        let databases = vec![DatabaseRow { commits, ..shop() }];
        PgState {
            server: Some(server().into()),
            cluster: Ok(Cluster { databases, ..Cluster::default() }.into()),
            catalogs: catalogs(catalog),
            ..PgState::default()
        }
    }

    #[test]
    fn an_index_that_nobody_used_is_found() {
        let bench = |days, change: fn(&mut IndexRow)| Bench::postgres(index(days, change));
        Table {
            clear: bench(15, |i| i.scans = 1),
            unknown: Some(Bench::postgres(PgState::default())),
            found: bench(15, |_| ()),
            held: None,
        }
        .check(&RULE);
        bench(15, |_| ()).must_say(&RULE, "found Index public.orders_a on orders is unused: no scan in 15");
        bench(13, |_| ()).must_say(&RULE, "clear");
        bench(15, |i| i.needed = true).must_say(&RULE, "clear");
        bench(15, |i| i.pages = 127).must_say(&RULE, "clear");
        // It is no older than two weeks by the transactions since.
        bench(15, |i| i.changed_age = Some(14_000_000)).must_say(&RULE, "clear");
        bench(15, |i| i.changed_age = None).must_say(&RULE, "clear");
    }

    #[test]
    fn a_standby_judges_no_index() {
        let standby = Server { standby: true, ..server() };
        Bench::postgres(PgState { server: Some(standby.into()), ..index(15, |_| ()) }).must_say(&RULE, "clear");
    }
}
