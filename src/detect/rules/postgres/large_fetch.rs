//! postgres.query.large_fetch: a query returns far more rows than anyone can use.

use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::params::{Param, Params};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Rule, evidence};
use crate::model::facts::PgFacts;
use crate::model::foreign::Foreign;
use crate::model::source::SourceKind;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, count, short};

use super::queries::{self, Costly, Kind};
use super::query_rule;
use super::support::{query_subject, sql};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.query.large_fetch",
    class: Class::Live,
    source: SourceKind::Postgres,
    says: "a query returns far more rows than anyone can use",
    params: &[Param {
        name: "lost",
        unit: Unit::SecondsPerSecond,
        default: 0.1,
        min: 0.001,
        max: 1000.0,
        what: "sessions that the query must keep busy",
    }],
    origins: &["postgres.activity", "postgres.statements", "ledger"],
    page: "\
A statement returns tens of thousands of rows at each call. No person reads them; an application that needs one of them throws the rest away, after the server has found,
sent and the network carried all of it.

**Cure**: LIMIT, keyset pagination, a cursor, or the aggregate that the application makes of it.",
    judge,
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    query_rule::judge(facts, params, prev, false, |k| matches!(k, Kind::LargeFetch), made)
}

fn made(pg: &PgFacts, costly: &Costly<'_>, _: &Kind) -> Option<(Subject, Found)> {
    let g = &costly.row.grown;
    let calls = g.calls.max(1) as f64;
    let per_s = g.calls as f64 / pg.interval_s().unwrap_or(1.0);
    let rows = g.rows as f64 / calls;
    let title = format!("Query {} returns {} rows a call, {} times a second", costly.row.key.query, count(rows), short(per_s));
    let mut found = queries::found(pg, costly, title, 0.9);
    // What it takes to send is its own too.
    let client = pg
        .activity
        .as_ref()
        .ok()
        .and_then(|a| a.by_query.get(&costly.row.key.query)?.get(&crate::model::postgres::WaitClass::Client).copied());
    if let Some(client) = client {
        found.losses.push((crate::detect::ledger::State::PostgresClient, client * 0.9));
    }
    found.evidence.insert(
        0,
        evidence("rows returned", g.rows as f64 / pg.interval_s().unwrap_or(1.0), Unit::PerSecond, None, "postgres.statements"),
    );
    found.fixes = paginate(pg, costly);
    Some((query_subject(pg, costly.row), found))
}

fn paginate(pg: &PgFacts, costly: &Costly<'_>) -> Vec<Fix> {
    let mut fix = sql(
        pg,
        Phase::Cure,
        Horizon::ShortTerm,
        "Ask for what is used: a page at a time",
        "-- application: … WHERE id > LAST_ID ORDER BY id LIMIT 100".into(),
        &Foreign::default(),
    );
    fix.language = crate::detect::finding::Language::Config;
    fix.needs = format!("the application of role {}", costly.row.role);
    fix.risk = "the application must ask for the next page".into();
    fix.takes_s = None;
    vec![fix]
}
