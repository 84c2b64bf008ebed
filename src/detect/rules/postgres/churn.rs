//! postgres.connections.churn: connections are opened and closed all the time.

use super::support::{in_application, instance, unknown};
use crate::detect::finding::{Class, Horizon};
use crate::detect::ledger::State;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::seen::{Lack, Why};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, short};

const OPENED: Param = Param {
    name: "opened",
    unit: Unit::PerSecond,
    default: 20.0,
    min: 1.0,
    max: 100000.0,
    what: "connections opened per second",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.connections.churn",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "connections are opened and closed all the time",
    params: &[OPENED],
    origins: &["postgres.connections", "postgres.databases", "host.cpu", "ledger"],
    page: "\
Every connection is a new process of the server, with a login, caches to fill and a page table to build. Each is
charged 8 ms, a fixed cost that was measured on one machine; most of it is CPU time of the kernel. The rate is that of
the whole server, from its own count of sessions (14 and later; unknown before): short ones appear in no sample. Named
is the application, role and host with the most connections younger than ten seconds; its share of the rate is not
known.

**Cure**: keep connections open: a pool in the application, or a pooler in front of the server.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let cluster = match &pg.cluster {
        Ok(cluster) => cluster,
        Err(lack) => return unknown(pg, lack),
    };
    let Some(opened) = pg.databases_rate(|d| d.sessions) else {
        let lack = match pg.server.as_ref().is_some_and(|s| s.major() < 14) {
            true => Lack::new(Why::Absent, "pg_stat_database counts no sessions before PostgreSQL 14"),
            false => Lack::first_sample("pg_stat_database"),
        };
        return unknown(pg, &lack);
    };
    let held = prev.is_some_and(|p| !p.held.is_empty());
    if opened < params.limit(OPENED, held) {
        return Judged::clear(instance(pg), format!("{} connections/s opened", short(opened)));
    }
    let young = cluster.connections.iter().filter(|c| c.application.raw() != b"perftop").max_by_key(|c| c.young);
    let name = young.map_or("?", |c| if c.application.is_empty() { c.role.shown() } else { c.application.shown() });
    let from = young.map_or("", |c| c.client.shown());
    let from = if from.is_empty() { "the local socket" } else { from };
    let subject = Subject::new(SubjectType::Application, name, format!("{name} from {from}"));
    let cost = facts.ledger.state(State::PostgresConnect);
    let title = format!("{} connections/s opened, mostly by {name}: logins cost {} sessions", short(opened), short(cost));
    let mut found = Found::new(Class::Live, title);
    found.losses = vec![(State::PostgresConnect, cost)];
    found.waste = true;
    found.victims_time = cost;
    found.confidence = 0.7;
    found.evidence = vec![
        params.row("connections opened", opened, OPENED, "postgres.databases"),
        evidence("login time, at 8 ms each", cost, Unit::SecondsPerSecond, None, "postgres.connections"),
    ];
    if let Some(forks) = facts.world.host.cpu.as_ref().ok().filter(|_| pg.local()).and_then(|c| c.forks_per_s) {
        found.evidence.push(evidence("forks of this host", forks, Unit::PerSecond, None, "host.cpu"));
    }
    found.fixes = vec![in_application(
        pg,
        Horizon::ShortTerm,
        "Keep connections open: a pool in the application, or pgbouncer in front",
        "a pool; or pgbouncer.ini: pool_mode = transaction, default_pool_size = 2 x CPUs",
        "the application, or a host for pgbouncer".into(),
        "with pool_mode = transaction no session state survives the transaction",
    )];
    Judged::found(subject, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::{readings, shop};
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{Cluster, ConnectionRow, DatabaseRow};

    fn opens(per_s: u64) -> Bench {
        let cluster = |sessions| {
            let web = ConnectionRow { application: "web".into(), young: 9, ..ConnectionRow::default() };
            let databases = vec![DatabaseRow { sessions: Some(sessions), ..shop() }];
            Cluster { databases, connections: vec![web], ..Cluster::default() }
        };
        readings(cluster(500), cluster(500 + per_s * 10))
    }

    #[test]
    fn connections_that_are_opened_all_the_time_are_found_and_held() {
        Table { clear: opens(13), unknown: Some(Bench::cluster(Cluster::default())), found: opens(21), held: Some(opens(15)) }
            .check(&RULE);
        opens(21).must_say(&RULE, "found 21 connections/s opened, mostly by web");
    }
}
