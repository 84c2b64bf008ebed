//! postgres.vacuum.bloat: dead space makes a table slow.

use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::params::Params;
use crate::detect::queries::{Costly, Kind};
use crate::detect::query_limits::DEAD;
use crate::detect::verdict::{Facts, Found, Judged, Prev, Rule, evidence};
use crate::model::facts::PgFacts;
use crate::model::postgres::plan::PlannedTable;
use crate::model::source::SourceKind;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, bytes};

use super::object::Object;
use super::queries;
use super::query_rule::{self, LOST};
use super::support::{called, sql};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.vacuum.bloat",
    class: Class::Live,
    source: SourceKind::Postgres,
    says: "dead space makes the table slow",
    params: &[LOST, DEAD.param],
    origins: &["postgres.activity", "postgres.statements", "postgres.plan", "ledger"],
    page: "\
A query scans a table most of whose pages are dead rows or empty space: rows that were updated or deleted and not cleaned, or cleaned and never given back. What
it needs is less than half of what it reads. The share is estimated: dead rows by the server's own count, empty space by the width of the rows.

**Relief**: VACUUM makes dead space reusable, and scans skip it sooner; first end what holds the horizon, if anything does. **Cure**: only rewriting gives the
space back: pg_repack beside the running load, or VACUUM FULL, which locks the table.",
    judge,
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    query_rule::judge(facts, params, prev, false, |k| matches!(k, Kind::Bloat(..)), made)
}

fn made(pg: &PgFacts, params: &Params<'_>, costly: &Costly<'_>, kind: &Kind) -> Option<(Subject, Found)> {
    let Kind::Bloat(table, share) = kind else { return None };
    let (table, object, subject) = queries::planned(pg, costly, *table)?;
    let name = &object.label;
    let size = table.pages as f64 * 8192.0;
    let title =
        format!("{:.0} % of {name} ({}) is dead space, and {} reads it", share * 100.0, bytes(size), called(pg, costly.row));
    let mut found = queries::found(pg, costly, title, *share);
    found.confidence = found.confidence.min(0.7);
    found.evidence.insert(0, params.row("of the table is dead or empty", share * 100.0, DEAD.param, "postgres.plan"));
    found.evidence.insert(1, evidence("dead rows", table.dead as f64, Unit::Count, None, "postgres.plan"));
    found.fixes = fixes(pg, costly, table, &object);
    Some((subject, found))
}

fn fixes(pg: &PgFacts, costly: &Costly<'_>, table: &PlannedTable, object: &Object) -> Vec<Fix> {
    let vacuum = object.vacuum(pg, &costly.row.database, "Make the dead space reusable", &table.owner, table.pages);
    let mut full = sql(
        pg,
        Phase::Cure,
        Horizon::LongTerm,
        "Rewrite the table, in a window where nobody uses it",
        object.statement("VACUUM (FULL, ANALYZE) ", ""),
        &costly.row.database,
    );
    full.risk =
        "locks the table against everyone until it is done; needs its size again on disk. pg_repack does it without the lock"
            .into();
    full.needs = vacuum.needs.clone();
    full.needs_bytes = Some(table.pages * 8192);
    full.takes_s = Some((table.pages as f64 * 8192.0 / 25e6).max(1.0).round());
    vec![vacuum, full]
}
