//! postgres.query.large_fetch: a query returns very many rows per call.

use crate::detect::finding::{Class, Fix, Horizon};
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::postgres::case::{Case, Kind};
use crate::detect::postgres::limits::ROWS;
use crate::detect::postgres::queries::Costly;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::facts::PgFacts;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, count, short};

use super::query_found;
use super::query_rule::{self, LOST};
use super::support::{called, in_application, query_subject};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.query.large_fetch",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "a query returns very many rows per call",
    params: &[LOST, ROWS.param],
    origins: &["postgres.activity", "postgres.statements", "ledger"],
    page: "\
A statement (SELECT, WITH, FETCH) returns `rows` rows or more per call, on average. No person reads that many; an
application that needs one of them discards the rest, after the server has read and sent all of them. Whether they are
used cannot be seen here: an export needs them all. The loss is 90 % of its time, its waits for the client included.

**Relief**, when it is new: roll back its deployment. **Cure**: keyset pagination with LIMIT; by hand: a cursor, or
compute the application's aggregate in SQL.",
    judge: Judge::Postgres(judge),
};

/// It returns more rows than anyone reads.
pub fn fits(case: &Case<'_>) -> Option<Kind> {
    let returns = ["SELECT", "WITH", "FETCH"].contains(&case.verb.as_str());
    (returns && case.rows >= case.least(ROWS)).then_some(Kind::LargeFetch)
}

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    query_rule::judge(facts, params, prev, false, |k| matches!(k, Kind::LargeFetch), made)
}

fn made(pg: &PgFacts, params: &Params<'_>, costly: &Costly<'_>, _: &Kind) -> Option<(Subject, Found)> {
    let g = &costly.row.grown;
    let calls = g.calls.max(1) as f64;
    let per_s = g.calls as f64 / pg.interval_s().unwrap_or(1.0);
    let rows = g.rows as f64 / calls;
    let title = format!("{} returns {} rows per call, {} times a second", called(pg, costly.row), count(rows), short(per_s));
    let mut found = query_found::found(pg, costly, title, 0.9);
    // What it takes to send is its own too.
    let client = pg
        .activity
        .as_ref()
        .ok()
        .and_then(|a| a.by_query.get(&costly.row.key.query)?.get(&crate::model::postgres::WaitClass::Client).copied());
    if let Some(client) = client {
        found.losses.push((crate::detect::ledger::State::PostgresClient, client * 0.9));
    }
    found.evidence.insert(0, params.row("rows per call", rows, ROWS.param, "postgres.statements"));
    found.evidence.insert(
        1,
        evidence("rows returned", g.rows as f64 / pg.interval_s().unwrap_or(1.0), Unit::PerSecond, None, "postgres.statements"),
    );
    found.fixes = paginate(pg, costly);
    Some((query_subject(pg, costly.row), found))
}

fn paginate(pg: &PgFacts, costly: &Costly<'_>) -> Vec<Fix> {
    vec![in_application(
        pg,
        Horizon::ShortTerm,
        "Fetch what is used: one page at a time",
        "… WHERE id > LAST_ID ORDER BY id LIMIT 100",
        format!("the application of role {}", costly.row.role),
        "the application must request the next page",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Table;
    use crate::detect::bench::postgres::Statement;

    fn returns(rows: u64, text: &'static str) -> Statement {
        Statement { rows, text, ..Statement::default() }
    }

    #[test]
    fn a_large_fetch_is_found_and_held() {
        let all = returns(10_000, "SELECT * FROM orders");
        Table { clear: all.busy(60), unknown: Statement::unread(), found: all.bench(), held: Some(all.busy(80)) }.check(&RULE);
        all.bench().must_say(&RULE, "found `SELECT * FROM orders` returns 10k rows per call, 22 times a second");
        returns(9_999, "SELECT * FROM orders").bench().must_say(&RULE, "clear");
        returns(7_000, "SELECT * FROM orders").bench().must_say_after(&RULE, Some(&all.bench()), "found");
        returns(6_999, "SELECT * FROM orders").bench().must_say_after(&RULE, Some(&all.bench()), "clear");
        returns(10_000, "UPDATE orders SET state = $1").bench().must_say(&RULE, "clear");
    }
}
