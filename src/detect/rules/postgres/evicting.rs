//! postgres.statements.evicting: pg_stat_statements has no room, and forgets queries.

use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::memory::is_held;
use crate::detect::params::{NONE_IS_FINE, Param, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::seen::{Lack, Why};
use crate::model::unit::{Unit, count};

use super::support::{called, in_application, instance, setting, unknown};

const FULL: Param = Param {
    name: "full",
    unit: Unit::Percent,
    default: 90.0,
    min: 10.0,
    max: 100.0,
    what: "entries against pg_stat_statements.max: a finding that was there goes once it is emptier than that",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.statements.evicting",
    class: Class::Hygiene,
    culprit: Culprit::Many,
    says: "pg_stat_statements evicts: its table of queries is not to be trusted",
    params: &[FULL],
    origins: &["postgres.statements"],
    page: "\
pg_stat_statements keeps as many queries as `pg_stat_statements.max` says and forgets those that are called least, five percent
at a time. What was forgotten is missing in every total, and comes back with its first call only: shares of the statement time and
the baselines of queries are lower bounds then. Counted by the server from PostgreSQL 14 on.

The usual reason is an application that writes constants into lists or names of temporary tables, so that each statement is a new
one. **Cure**: parameters instead of constants; a larger `pg_stat_statements.max`, which needs a restart.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let statements = match &pg.statements {
        Ok(statements) if statements.interval_s > 0.0 => statements,
        _ => return unknown(pg, &pg.no_statements()),
    };
    let subject = instance(pg);
    let Some(evictions) = statements.evictions else {
        return unknown(
            pg,
            &Lack::new(Why::Unsupported, "how often pg_stat_statements makes room (counted from PostgreSQL 14 on)"),
        );
    };
    let room = f64::from(statements.capacity);
    let full = if room > 0.0 { 100.0 * f64::from(statements.entries) / room } else { 0.0 };
    if evictions == 0 && !(is_held(prev, &subject) && full >= params.get(FULL)) {
        return Judged::clear(subject, format!("{} of {} entries used, none evicted", statements.entries, statements.capacity));
    }
    let all = if room > 0.0 { format!("its {} entries are full", count(room)) } else { "its entries are full".to_owned() };
    let mut found = Found::new(Class::Hygiene, format!("pg_stat_statements forgets queries: {all}"));
    found.evidence = vec![params.either("entries used", full, FULL, "postgres.statements")];
    if evictions > 0 {
        let times = evidence(
            "times it made room, between two readings",
            evictions as f64,
            Unit::Count,
            NONE_IS_FINE,
            "postgres.statements",
        );
        found.evidence.insert(0, times);
    }
    if let Some(row) = pg.rows().max_by_key(|row| (row.alike, row.key)).filter(|row| row.alike > 0) {
        let label = format!("entries that differ from {} only in list length", called(pg, row));
        found.evidence.push(evidence(label, f64::from(row.alike), Unit::Count, None, "postgres.statements"));
    }
    let twice = (room * 2.0).max(10_000.0);
    let title = "Room for twice as many queries";
    // Beyond that reading them costs more than they tell: parameters instead of constants are the cure.
    let more = setting(pg, Phase::Cure, Horizon::LongTerm, title, "pg_stat_statements.max", &format!("{twice:.0}"))
        .filter(|_| twice <= MOST);
    found.fixes = more.into_iter().collect();
    found.fixes.push(in_application(
        pg,
        Horizon::ShortTerm,
        "Send fewer different statements",
        "parameters instead of constants, = ANY ($1) instead of lists of changing length, the same names of temporary tables",
        "the application".into(),
        "the application changes",
    ));
    Judged::found(subject, found)
}

/// More entries than this are no cure.
const MOST: f64 = 100_000.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::Statement;
    use crate::detect::bench::{Bench, Table};

    fn evicts(evictions: u64, entries: u32) -> Bench {
        Statement::default().bench().served(|pg| {
            let statements = std::sync::Arc::make_mut(pg.statements.as_mut().unwrap());
            (statements.evictions, statements.entries, statements.capacity) = (Some(evictions), entries, 5_000);
        })
    }

    #[test]
    fn a_view_that_forgets_is_found_and_held_while_it_is_full() {
        Table { clear: evicts(0, 2_000), unknown: Statement::unread(), found: evicts(1, 4_900), held: Some(evicts(0, 4_800)) }
            .check(&RULE);
        evicts(1, 4_900).must_say(&RULE, "found pg_stat_statements forgets queries: its 5.0k entries are full");
    }
}
