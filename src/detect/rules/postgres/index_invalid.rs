//! postgres.index.invalid: an index is invalid: no query uses it, and writes may still keep it up to date.

use super::object::Object;
use super::support::{self, sql};
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::PgFacts;
use crate::model::foreign::Foreign;
use crate::model::subject::SubjectType;
use crate::model::unit::{Unit, bytes};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.index.invalid",
    class: Class::Hygiene,
    culprit: Culprit::Many,
    says: "an index is invalid: no query uses it, and writes may still keep it up to date",
    params: &[],
    origins: &["postgres.indexes"],
    page: "\
A build of the index failed or was cancelled (CREATE INDEX CONCURRENTLY that met a deadlock, a time-out or a
duplicate). The remnant is used by no query, and updated by every write unless the build failed early (`indisready` is
not read). One that is being built, or whose table is locked as for a build, is left alone.

**Cure**: drop it, or rebuild it (first, by hand: remove what violates a unique one). Both wait for older
transactions, and block neither reads nor writes.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let catalogs = match support::visited(pg) {
        Ok(catalogs) => catalogs,
        Err(answer) => return answer,
    };
    let mut judged = Judged::default();
    for catalog in catalogs {
        for i in catalog.indexes.iter().filter(|i| !i.valid && !i.building) {
            let index = Object::of(pg, &catalog.database, &i.schema, &i.name, i.oid);
            let (subject, name) = (index.subject(SubjectType::Index), &index.label);
            let size = i.pages as f64 * 8192.0;
            let mut found =
                Found::new(Class::Hygiene, format!("Index {name} is invalid: {} on {} that no query uses", bytes(size), i.table));
            found.evidence = vec![evidence("index size", size, Unit::Bytes, None, "postgres.indexes")];
            found.fixes = fixes(pg, &catalog.database, &index);
            judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
            judged.demands.extend(support::again(pg, catalog));
        }
    }
    support::of_visited(pg, judged, 10, "no index is invalid")
}

fn fixes(pg: &PgFacts, database: &Foreign, index: &Object) -> Vec<Fix> {
    let mut drop = sql(pg, Phase::Cure, Horizon::Immediate, "Drop it", index.statement("DROP INDEX CONCURRENTLY ", ""), database);
    drop.risk = "none for queries: no query uses it. Run it outside a transaction; waits for older transactions".into();
    drop.needs = "owner of the table".into();
    drop.verify = index.gone();
    let mut build =
        sql(pg, Phase::Cure, Horizon::ShortTerm, "Or rebuild it", index.statement("REINDEX INDEX CONCURRENTLY ", ""), database);
    build.risk = "reads the table twice; waits for older transactions".into();
    build.needs = "owner of the index".into();
    build.takes_s = None;
    vec![drop, build]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::visited;
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{Catalog, IndexRow, PgState};

    fn index(valid: bool, building: bool) -> Bench {
        let index = IndexRow {
            schema: "public".into(),
            table: "orders".into(),
            name: "orders_a".into(),
            pages: 128,
            valid,
            building,
            ..IndexRow::default()
        };
        visited(Catalog { indexes: vec![index], ..Catalog::default() })
    }

    #[test]
    fn an_invalid_index_is_found() {
        Table {
            clear: index(false, true),
            unknown: Some(Bench::postgres(PgState::default())),
            found: index(false, false),
            held: None,
        }
        .check(&RULE);
        index(false, false).must_say(&RULE, "found Index public.orders_a is invalid: 1.0 MiB on orders");
        index(true, false).must_say(&RULE, "clear");
    }
}
