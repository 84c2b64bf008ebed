//! postgres.index.duplicate: another index makes it redundant.

use super::object::Object;
use super::support::{self, sql};
use crate::detect::command::Command;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::postgres::index_definition;
use crate::model::subject::SubjectType;
use crate::model::unit::{Unit, bytes};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.index.duplicate",
    class: Class::Hygiene,
    culprit: Culprit::Many,
    says: "another index makes it redundant",
    params: &[],
    origins: &["postgres.indexes"],
    page: "\
The index has the same first columns, in the same order, with the same operators, collations and condition, as another
valid one of the same kind, and enforces nothing. The other index serves every query that this one does; every write
updates both. Of two with the same columns the newer one is named. It leaves out indexes on expressions or with INCLUDE
columns, and those smaller than 32 KiB.

**Cure**: drop it; the statement that recreates it is the undo, where it could be read. First, by hand: check that no
name in the code depends on it.",
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
        for i in &catalog.duplicates {
            let index = Object::of(pg, &catalog.database, &i.schema, &i.name, i.oid);
            let (subject, name) = (index.subject(SubjectType::Index), &index.label);
            let size = i.pages as f64 * 8192.0;
            let how = if i.same { "the same columns as" } else { "the first columns of" };
            let mut found =
                Found::new(Class::Hygiene, format!("Index {name} on {} has {how} {}: {}", i.table, i.kept, bytes(size)));
            found.evidence = vec![evidence("index size", size, Unit::Bytes, None, "postgres.indexes")];
            let mut drop = sql(
                pg,
                Phase::Cure,
                Horizon::ShortTerm,
                "Drop it",
                index.statement("DROP INDEX CONCURRENTLY ", ""),
                &catalog.database,
            );
            drop.undo = i.definition.as_ref().and_then(index_definition).map(Command::sql);
            drop.risk = "queries that preferred it use the other one. Run it outside a transaction".into();
            drop.needs = "owner of the table".into();
            found.fixes = vec![drop];
            judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
            judged.demands.extend(support::again(pg, catalog));
        }
    }
    support::of_visited(pg, judged, 10, "no index is redundant")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::visited;
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{Catalog, DuplicateIndex, IndexRow, PgState};

    fn twice(same: bool) -> Bench {
        let duplicate = DuplicateIndex {
            schema: "public".into(),
            table: "orders".into(),
            name: "orders_b".into(),
            kept: "orders_a".into(),
            pages: 128,
            same,
            ..DuplicateIndex::default()
        };
        visited(Catalog { duplicates: vec![duplicate], ..Catalog::default() })
    }

    #[test]
    fn a_redundant_index_is_found() {
        let other = IndexRow { name: "orders_b".into(), valid: true, pages: 128, ..IndexRow::default() };
        Table {
            clear: visited(Catalog { indexes: vec![other], ..Catalog::default() }),
            unknown: Some(Bench::postgres(PgState::default())),
            found: twice(true),
            held: None,
        }
        .check(&RULE);
        twice(true).must_say(&RULE, "found Index public.orders_b on orders has the same columns as orders_a: 1.0 MiB");
        twice(false).must_say(&RULE, "found Index public.orders_b on orders has the first columns of orders_a");
    }
}
