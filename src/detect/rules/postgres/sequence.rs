//! postgres.sequence.exhaustion: a sequence or its integer column runs out; ETA.

use super::object::Object;
use super::support::{self, sql};
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::PgFacts;
use crate::model::foreign::Foreign;
use crate::model::postgres::identifier;
use crate::model::subject::SubjectType;
use crate::model::unit::{Unit, count, short};

const USED: Param =
    Param { name: "used", unit: Unit::Percent, default: 85.0, min: 10.0, max: 100.0, what: "share of its numbers used" };

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.sequence.exhaustion",
    class: Class::Risk,
    culprit: Culprit::Many,
    says: "a sequence or its integer column runs out; ETA",
    params: &[USED],
    origins: &["postgres.sequences"],
    page: "\
A sequence, or the integer column that owns it (serial, identity), comes to its end: a 32-bit key ends at
2,147,483,647, and from then on every insert that draws from it fails. The nearer limit counts: the sequence's own
end, or that of the column's type. It leaves out sequences that go down or cycle; a column that uses one only in its
default is not seen. The time left is that of the numbers left at the rate between the visits, once it grows steadily
over five of them and a minute. A warning from 95 % on, or by that time.

**Cure**: a wider column and sequence. ALTER TYPE rewrites the table under a lock; by hand: a new column filled in
steps does not; columns that refer to it must be as wide.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let catalogs = match support::visited(pg) {
        Ok(catalogs) => catalogs,
        Err(answer) => return answer,
    };
    let mut judged = Judged::default();
    let mut hidden = 0;
    for catalog in catalogs {
        hidden += catalog.hidden_sequences;
        for s in &catalog.sequences {
            let sequence = Object::of(pg, &catalog.database, &s.schema, &s.name, s.oid);
            let (subject, name) = (sequence.subject(SubjectType::Sequence), &sequence.label);
            let used = s.last as f64 / (s.limit as f64).max(1.0) * 100.0;
            if used < params.limit(USED, is_held(prev, &subject)) {
                continue;
            }
            let left = (s.limit - s.last).max(0) as f64;
            let trend = facts.trend(&format!("sequence {} {name}", catalog.oid)).and_then(|t| t.growth());
            let eta = trend.map(|(rate, slow)| (left / rate, left / slow));
            let column = s.feeds.as_ref().filter(|_| s.by_column).map(|f| {
                let table = Object::of(pg, &catalog.database, &f.schema, &f.table, f.table_oid);
                let column = identifier(&f.column);
                let label = column.as_deref().unwrap_or(f.column.shown());
                (format!("{}.{label} (fed by {name})", table.label), table, column)
            });
            let what = column.as_ref().map_or(name, |(label, ..)| label);
            let mut found =
                Found::new(Class::Risk, format!("{what} has used {} % of its numbers: {} left", short(used), count(left)));
            (found.eta_s, found.eta_late_s) = (eta.map(|e| e.0), eta.map(|e| e.1));
            found.grows = used >= 95.0;
            found.evidence = vec![
                params.row("used", used, USED, "postgres.sequences"),
                evidence("numbers left", left, Unit::Count, None, "postgres.sequences"),
            ];
            found.fixes =
                widen(pg, &catalog.database, &sequence, column.map(|(_, table, column)| (table, column))).into_iter().collect();
            judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
            judged.demands.extend(support::again(pg, catalog));
        }
    }
    let blind = if hidden > 0 { format!("; the position of {hidden} or more could not be read") } else { String::new() };
    support::of_visited(pg, judged, 10, &format!("no sequence is near its end{blind}"))
}

/// `column`: the table and the column that end first; a column whose name cannot be written has no fix.
fn widen(pg: &PgFacts, database: &Foreign, sequence: &Object, column: Option<(Object, Option<String>)>) -> Option<Fix> {
    let mut command = sequence.statement("ALTER SEQUENCE ", " AS bigint NO MAXVALUE");
    let mut risk = "none: it is fast";
    if let Some((table, column)) = column {
        let first = table.statement("ALTER TABLE ", &format!(" ALTER COLUMN {} TYPE bigint", column?));
        // A command of psql ends with its line.
        command = format!("{first}{}{command}", if first.ends_with(';') { " " } else { "\n" });
        risk = "rewrites the table under an exclusive lock: do it at night, or add a new column and fill it in batches";
    }
    let mut fix = sql(pg, Phase::Cure, Horizon::ShortTerm, "Change the sequence and its column to bigint", command, database);
    fix.risk = risk.into();
    fix.needs = "owner of the table".into();
    fix.takes_s = None;
    Some(fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::{grows, visited};
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{Catalog, ColumnOf, PgState, SequenceRow};

    fn used(last: i64, by_column: bool) -> Bench {
        let column = ColumnOf { table_oid: 5, schema: "public".into(), table: "orders".into(), column: "id".into() };
        let sequence = SequenceRow {
            oid: 6,
            schema: "public".into(),
            name: "orders_id_seq".into(),
            feeds: Some(column),
            last,
            limit: 1_000,
            by_column,
        };
        visited(Catalog { sequences: vec![sequence], ..Catalog::default() })
    }

    #[test]
    fn a_sequence_near_its_end_is_found_and_held() {
        Table {
            clear: used(590, false),
            unknown: Some(Bench::postgres(PgState::default())),
            found: used(850, false),
            held: Some(used(840, false)),
        }
        .check(&RULE);
        used(850, false).must_say(&RULE, "found public.orders_id_seq has used 85 % of its numbers: 150 left");
        used(850, true).must_say(&RULE, "found public.orders.id (fed by public.orders_id_seq) has used 85 %");
        used(850, true).knowing(grows("sequence 1 public.orders_id_seq", 1.0)).must_say(&RULE, "found");
    }
}
