//! postgres.sequence.exhaustion: a sequence or its integer column runs out; ETA.

use super::support::{self, nobody, sql};
use crate::detect::finding::Class;
use crate::detect::finding::{Fix, Horizon, Phase};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Rule, Verdict, evidence};
use crate::model::facts::PgFacts;
use crate::model::foreign::Foreign;
use crate::model::postgres::{identifier, qualified};
use crate::model::source::SourceKind;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, count, short};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.sequence.exhaustion",
    class: Class::Risk,
    source: SourceKind::Postgres,
    says: "a sequence or its integer column runs out; ETA",
    params: &[
        Param { name: "used", unit: Unit::Percent, default: 85.0, min: 10.0, max: 100.0, what: "of the numbers that are used" },
    ],
    origins: &["postgres.sequences"],
    page: "\
A sequence, or the integer column that it feeds, comes to its end: a 32-bit key ends at 2,147,483,647, and from then on every insert fails. What is nearer counts: the sequence's own end, or that of the column's type. The time left is that of the numbers
left at the rate seen.

**Cure**: a wider column. ALTER TYPE rewrites the table under a lock; a new column filled in steps does not.",
    judge,
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let Some(pg) = facts.postgres else { return nobody() };
    let catalogs = match support::visited(pg) {
        Ok(catalogs) => catalogs,
        Err(answer) => return answer,
    };
    let mut judged = Judged::default();
    let mut hidden = 0;
    for catalog in catalogs {
        hidden += catalog.hidden_sequences;
        for s in &catalog.sequences {
            let name = qualified(&s.schema, &s.name).unwrap_or_else(|| format!("{}.{}", s.schema, s.name));
            let database = identifier(&catalog.database).unwrap_or_else(|| catalog.database.shown().to_owned());
            let subject = Subject::new(SubjectType::Sequence, format!("{database}.{name}"), name.clone());
            let used = s.last as f64 / (s.limit as f64).max(1.0) * 100.0;
            if used < params.limit("used", is_held(prev, &subject)) {
                continue;
            }
            let left = (s.limit - s.last).max(0) as f64;
            let trend = facts.learned.trend(&pg.id, &format!("sequence {} {name}", catalog.oid)).and_then(|t| t.growth());
            let eta = trend.map(|(rate, slow)| (left / rate, left / slow));
            let what = s.column.as_ref().filter(|_| s.by_column).map_or_else(|| name.clone(), |c| format!("{c} (fed by {name})"));
            let mut found =
                Found::new(Class::Risk, format!("{what} has used {} % of its numbers: {} left", short(used), count(left)));
            (found.eta_s, found.eta_late_s) = (eta.map(|e| e.0), eta.map(|e| e.1));
            found.grows = used >= 95.0;
            found.evidence = vec![
                evidence("used", used, Unit::Percent, Some(params.get("used")), "postgres.sequences"),
                evidence("left", left, Unit::Count, None, "postgres.sequences"),
            ];
            found.fixes = widen(pg, &catalog.database, s);
            judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
            judged.demands.extend(support::again(pg, catalog));
        }
    }
    let blind = if hidden > 0 { format!("; the position of {hidden} or more could not be read") } else { String::new() };
    support::of_visited(pg, judged, 10, &format!("no sequence is near its end{blind}"))
}

/// Table and column of a quoted name: parted at the last dot that is in no quotes.
fn apart(name: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let dot = name.char_indices().filter(|(_, c)| {
        quoted ^= *c == '"';
        *c == '.' && !quoted
    });
    let (at, _) = dot.last()?;
    Some((&name[..at], &name[at + 1..]))
}

fn widen(pg: &PgFacts, database: &Foreign, s: &crate::model::postgres::SequenceRow) -> Vec<Fix> {
    let Some(name) = qualified(&s.schema, &s.name) else { return Vec::new() };
    let column = s.column.as_ref().and_then(|c| apart(c.shown())).filter(|_| s.by_column);
    let command = match column {
        Some((table, column)) => {
            format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE bigint; ALTER SEQUENCE {name} AS bigint NO MAXVALUE;")
        }
        None => format!("ALTER SEQUENCE {name} AS bigint NO MAXVALUE;"),
    };
    let mut fix = sql(pg, Phase::Cure, Horizon::ShortTerm, "Make it 64 bits wide", command, database);
    fix.risk = match column {
        Some(_) => {
            "rewrites the table and locks it against everyone meanwhile: at night, or by a new column filled in steps".into()
        }
        None => "none: it is quick".into(),
    };
    fix.needs = "owner of the table".into();
    fix.takes_s = None;
    vec![fix]
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_column_is_parted_from_its_table_outside_of_quotes() {
        assert_eq!(super::apart("public.t.id"), Some(("public.t", "id")));
        assert_eq!(super::apart("public.t.\"a.b\"\"c\""), Some(("public.t", "\"a.b\"\"c\"")));
    }
}
