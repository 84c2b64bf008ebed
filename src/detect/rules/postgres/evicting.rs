//! postgres.statements.evicting: pg_stat_statements has no room, and forgets queries.

use crate::detect::command::Command;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::memory::is_held;
use crate::detect::params::{NONE_IS_FINE, Param, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::foreign::Foreign;
use crate::model::unit::{Unit, count};

use super::support::{instance, sql, unknown};

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
    let room = f64::from(statements.capacity);
    let full = if room > 0.0 { 100.0 * f64::from(statements.entries) / room } else { 0.0 };
    let evictions = statements.evictions.unwrap_or(0);
    if evictions == 0 && !(is_held(prev, &subject) && full >= params.get(FULL)) {
        return Judged::clear(subject, format!("{} of {} entries used, none evicted", statements.entries, statements.capacity));
    }
    let title = format!("pg_stat_statements forgets queries: its {} entries are full", count(room));
    let mut found = Found::new(Class::Hygiene, title);
    found.evidence = vec![
        evidence("times it made room, between two readings", evictions as f64, Unit::Count, NONE_IS_FINE, "postgres.statements"),
        params.either("entries used", full, FULL, "postgres.statements"),
    ];
    let mut more = sql(pg, Phase::Cure, Horizon::LongTerm, "Room for twice as many queries", String::new(), &Foreign::default());
    let twice = (room * 2.0).clamp(10_000.0, 100_000.0);
    more.command =
        Command::sql(format!("ALTER SYSTEM SET pg_stat_statements.max = {twice:.0};   -- takes effect at the next restart"));
    more.undo = Some(Command::sql("ALTER SYSTEM RESET pg_stat_statements.max;".to_owned()));
    more.risk = "some more shared memory; reading it takes longer".into();
    more.needs = "a superuser; a restart".into();
    found.fixes = vec![more];
    Judged::found(subject, found)
}

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
