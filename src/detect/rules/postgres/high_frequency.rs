//! postgres.query.high_frequency: one cheap query is called too often (N+1).

use crate::detect::finding::{Class, Fix, Horizon};
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::postgres::case::{Case, Kind};
use crate::detect::postgres::limits::{CALLS, CHEAP, FEW_ROWS, FLOOD};
use crate::detect::postgres::queries::Costly;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev};
use crate::model::facts::PgFacts;
use crate::model::subject::Subject;
use crate::model::unit::{count, short};

use super::query_found;
use super::query_rule::{self, LOST};
use super::support::{called, in_application, query_subject};
use super::writes;

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.query.high_frequency",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "one cheap query is called too often (N+1)",
    params: &[LOST, CALLS.param, CHEAP.param, FEW_ROWS.param, FLOOD.param],
    origins: &["postgres.activity", "postgres.statements", "ledger"],
    page: "\
A statement that takes next to nothing is called hundreds of times a second and more, several times over its baseline,
or it is new (in none of the earlier readings): a loop in an application that queries each row separately, or a lost
cache. The baseline is the median of the earlier readings; until it is known an old query counts when it keeps a whole
session busy. BEGIN, COMMIT, SET and the like are left out. The loss is 80 % of its time.

Where the baseline rate is known only growth counts: a server whose ordinary load is many small queries is healthy.

**Relief**, when it is new: roll back its deployment. **Cure**: one query for all rows (`WHERE id = ANY ($1)`); by
hand: a join, a cache in front of it. Of one that writes: many rows per statement, many changes per transaction.",
    judge: Judge::Postgres(judge),
};

/// What every transaction has.
const ENDS: [&str; 7] = ["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SET"];

/// Cheap, and called several times as often as before.
pub fn fits(case: &Case<'_>) -> Option<Kind> {
    let flood = case
        .usual
        .map_or(case.new || case.lost >= 1.0, |(_, usual_per_s)| case.per_s >= case.least(FLOOD) * usual_per_s.max(1.0));
    let often = case.per_s >= case.least(CALLS) && flood;
    let cheap = case.mean_ms <= case.most(CHEAP) && case.rows <= case.most(FEW_ROWS);
    (often && cheap && !ENDS.contains(&case.verb.as_str())).then_some(Kind::HighFrequency)
}

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    query_rule::judge(facts, params, prev, false, |k| matches!(k, Kind::HighFrequency), made)
}

fn made(pg: &PgFacts, params: &Params<'_>, costly: &Costly<'_>, _: &Kind) -> Option<(Subject, Found)> {
    let g = &costly.row.grown;
    let calls = g.calls.max(1) as f64;
    let per_s = g.calls as f64 / pg.interval_s().unwrap_or(1.0);
    let title = format!(
        "{} is called {} times a second at {} ms each: {} sessions busy",
        called(pg, costly.row),
        count(per_s),
        short(g.exec_ms / calls),
        short(costly.lost)
    );
    let mut found = query_found::found(pg, costly, title, 0.8);
    found.confidence = found.confidence.min(0.7);
    found.evidence.insert(0, params.row("calls", per_s, CALLS.param, "postgres.statements"));
    found.fixes = if writes::is_one(pg, costly) { writes::fixes(pg, costly) } else { batch(pg, costly) };
    Some((query_subject(pg, costly.row), found))
}

fn batch(pg: &PgFacts, costly: &Costly<'_>) -> Vec<Fix> {
    vec![in_application(
        pg,
        Horizon::ShortTerm,
        "Query many rows at once, in the application",
        "… WHERE id = ANY ($1) with all the ids, instead of one statement per id",
        format!("the application of role {}", costly.row.role),
        "the application changes",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Table;
    use crate::detect::bench::postgres::Statement;

    /// 440 calls a second, where so many were usual.
    fn flood(usual_per_s: f32) -> Statement {
        Statement { ms: 0.25, usual: Some((0.25, usual_per_s)), ..Statement::default() }
    }

    #[test]
    fn a_flood_of_calls_is_found_and_held() {
        let flooded = flood(100.0);
        Table { clear: flooded.busy(69), unknown: Statement::unread(), found: flooded.bench(), held: Some(flooded.busy(80)) }
            .check(&RULE);
        flooded.bench().must_say(&RULE, "found `SELECT id FROM orders WHERE customer_id = $1` is called 440 times a second");
    }

    #[test]
    fn many_calls_alone_are_no_flood() {
        flood(150.0).bench().must_say(&RULE, "clear");
        flood(205.0).bench().must_say_after(&RULE, Some(&flood(100.0).bench()), "found");
        flood(215.0).bench().must_say_after(&RULE, Some(&flood(100.0).bench()), "clear");
        Statement { rows: 11, ..flood(100.0) }.bench().must_say(&RULE, "clear");
        Statement { text: "COMMIT", ..flood(100.0) }.bench().must_say(&RULE, "clear");
        Statement { ms: 0.4, ..flood(10.0) }.bench().must_say(&RULE, "clear");
        // Without a baseline an old one counts from a whole session on.
        let unknown = Statement { usual: None, ..flood(100.0) };
        unknown.busy(990).must_say(&RULE, "clear");
        unknown.busy(1000).must_say(&RULE, "found");
    }
}
