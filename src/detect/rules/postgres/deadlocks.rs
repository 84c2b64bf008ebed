//! postgres.locks.deadlocks: deadlocks are happening.

use super::support::{in_application, instance, unknown};
use crate::detect::finding::{Class, Fix, Horizon};
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::PgFacts;
use crate::model::foreign::Foreign;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, short};

const TAIL: Param = Param {
    name: "tail",
    unit: Unit::Seconds,
    default: 60.0,
    min: 1.0,
    max: 3600.0,
    what: "how long one stays shown after the last, marked as ended",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.locks.deadlocks",
    class: Class::Error,
    culprit: Culprit::Many,
    says: "deadlocks are happening",
    params: &[TAIL],
    origins: &["postgres.databases"],
    page: "\
Two or more transactions wait for each other; the server waits for `deadlock_timeout` (one second by default), detects
the cycle, and ends one of them with an error. Each costs about that time for all in the cycle, and one transaction
that must be retried. The count is the server's, per database, between two readings; the statements are in its log.
Critical from 5 % of the transactions and one a second on; a warning from 0.5 % on, and while it is shown as ended.

**Cure**: take locks in the same order everywhere (sort the keys before an update of many); by hand: shorter
transactions, and a retry for SQLSTATE 40P01.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let cluster = match &pg.cluster {
        Ok(cluster) => cluster,
        Err(lack) => return unknown(pg, lack),
    };
    if pg.before.is_none() {
        return unknown(pg, &crate::model::seen::Lack::first_sample("pg_stat_database"));
    }
    let now_ms = facts.world.at.wall_ms;
    let mut judged = Judged::default();
    for d in &cluster.databases {
        let subject = Subject::new(SubjectType::Database, d.name.shown(), format!("database {}", d.name));
        let rate = pg.database_rate(d.oid, |d| Some(d.deadlocks)).unwrap_or(0.0);
        let attempts = pg.database_rate(d.oid, |d| Some(d.commits + d.rollbacks)).unwrap_or(0.0);
        let held = prev.and_then(|p| p.held(&subject.typed_key()));
        let tail = held.filter(|h| now_ms - h.active_ms < (params.get(TAIL) * 1000.0) as i64);
        if rate <= 0.0 && tail.is_none() {
            continue;
        }
        let shown = if rate > 0.0 { rate } else { tail.and_then(|h| h.failed_per_s).unwrap_or(0.0) };
        let mut found = Found::new(
            Class::Error,
            format!("Deadlocks in {}: {} a minute, each ends a transaction", d.name, short(shown * 60.0)),
        );
        found.failed_per_s = Some(shown);
        found.attempts_per_s = Some(attempts.max(shown));
        found.ended = rate <= 0.0;
        found.evidence = vec![
            evidence("deadlocks", shown, Unit::PerSecond, None, "postgres.databases"),
            evidence("transactions", attempts, Unit::PerSecond, None, "postgres.databases"),
        ];
        found.fixes = vec![order(pg, &d.name)];
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(instance(pg), "no deadlock since the previous reading");
    }
    judged
}

fn order(pg: &PgFacts, database: &Foreign) -> Fix {
    in_application(
        pg,
        Horizon::ShortTerm,
        "Lock rows in the same order everywhere",
        "SELECT … WHERE id = ANY ($1) ORDER BY id FOR UPDATE, before the updates",
        format!("the application of database {database}; the server's log names the statements"),
        "none beyond the code change",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::{readings, shop};
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{Cluster, DatabaseRow};

    /// So many deadlocks between two readings, so many milliseconds after the first ones.
    fn counted(more: u64, at_ms: i64) -> Bench {
        let cluster = |deadlocks| Cluster { databases: vec![DatabaseRow { deadlocks, ..shop() }], ..Cluster::default() };
        readings(cluster(3), cluster(3 + more)).with(|world| world.at.wall_ms = at_ms)
    }

    #[test]
    fn a_deadlock_is_found_and_shown_for_a_minute() {
        Table {
            clear: counted(0, 60_000),
            unknown: Some(Bench::cluster(Cluster::default())),
            found: counted(1, 0),
            held: Some(counted(0, 59_000)),
        }
        .check(&RULE);
        counted(1, 0).must_say(&RULE, "found Deadlocks in shop: 6");
    }
}
