//! app.pool.queueing: clients queue for a pooled connection: all connections of the pool are taken.

use crate::detect::command::{Command, sh};
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::{PoolWait, State};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::support::{confidence, interval};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::PgFacts;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, short};

const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.2,
    min: 0.001,
    max: 1000.0,
    what: "clients waiting in the pool's queue, on average",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "app.pool.queueing",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "clients queue for a pooled connection: all connections of the pool are taken",
    params: &[LOST],
    origins: &["host.listeners", "host.peers", "postgres.activity", "ledger"],
    page: "\
A pooler (pgbouncer, odyssey, pgcat, pgpool, supavisor, by the name of its process) has more client requests in flight
than requests outstanding at its servers: the difference waits in its queue, and is the loss. A pooler hands out a
free connection at once, so a queue means that all are taken, even by transactions that are idle. For a server that
perftop monitors, the finding shows whether the server has room; where its sessions wait for a lock, the queue hangs
under that.

Seen from the sockets alone, so that no access to the pooler is needed; its console (`SHOW POOLS`: cl_waiting,
maxwait) says the same.

**Relief**: for pgbouncer, twice the `default_pool_size` that is set now; the fix sets no upper limit, but beyond two
or three connections per CPU of the server nothing gets faster. Other poolers: by hand.
**Cure**: keep that size in its configuration; by hand: shorter transactions, transaction pooling.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    if let Err(lack) = &facts.world.host.sockets {
        return Judged::unknown(Subject::host(), lack);
    }
    let mut judged = Judged::default();
    for pool in &facts.ledger.pools {
        let name = facts.world.processes().iter().find(|p| p.id == pool.owner).map_or("pooler", |p| p.name.shown());
        let mut subject = Subject::new(SubjectType::Pool, pool.port.to_string(), format!("{name} on :{}", pool.port));
        subject.also = vec![format!("process:{}", pool.owner)];
        if pool.waiting < params.limit(LOST, is_held(prev, &subject)) {
            judged
                .verdicts
                .push((subject, Verdict::Clear(format!("{} clients are queued for its connections", short(pool.waiting)))));
            continue;
        }
        let server = facts.world.servers.postgres.iter().find(|pg| {
            pg.server.as_ref().is_some_and(|s| {
                s.listens.is_some_and(|at| pool.upstreams.contains(&at))
                    || pool
                        .upstreams
                        .iter()
                        .any(|u| u.ip().is_loopback() && pg.local() && pg.id.ends_with(&format!(":{}", u.port())))
            })
        });
        subject.also.extend(server.map(|pg| format!("instance:{}", pg.id)));
        judged.verdicts.push((subject, Verdict::Found(Box::new(found(facts, pool, server, name)))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(Subject::host(), "no pooler with clients and server connections is seen here");
    }
    judged
}

fn found(facts: &Facts<'_>, pool: &PoolWait, server: Option<&PgFacts>, name: &str) -> Found {
    let active = server.and_then(|pg| pg.activity.as_ref().ok()).map(|a| a.active());
    let idle = active.map_or_else(String::new, |a| format!(" while {} sessions are active on the server", short(a)));
    let title = format!(
        "{} clients queue in {name} on :{}: its {} connections to the server are taken{idle}",
        short(pool.waiting),
        pool.port,
        pool.connections
    );
    let mut found = Found::new(Class::Live, title);
    found.losses = vec![(State::PoolWait, pool.waiting)];
    found.victims_time = pool.in_flight;
    found.ci = Some(interval(pool.waiting, facts.world.host.sockets.as_ref().map_or(0, |s| s.rounds)));
    found.confidence = confidence(facts.ledger, pool.waiting, 0);
    found.lacks = usize::from(active.is_none());
    found.evidence = vec![
        evidence("client requests in flight", pool.in_flight, Unit::Count, None, "host.listeners"),
        evidence("requests outstanding upstream", pool.asked, Unit::Count, Some(f64::from(pool.connections)), "host.peers")
            .of_capacity(),
    ];
    if let Some(active) = active {
        found.against = vec![evidence(
            "active sessions on the server",
            active,
            Unit::Count,
            Some(facts.world.cpus() * 0.7),
            "postgres.activity",
        )];
    }
    found.fixes = if name == "pgbouncer" { fixes(pool) } else { Vec::new() };
    found
}

fn fixes(pool: &PoolWait) -> Vec<Fix> {
    // What is set now is for each pair of database and user, and stands nowhere that is read here.
    let set = sh!(
        "now=$(psql -p {} -U pgbouncer pgbouncer -Atc 'SHOW CONFIG' | awk -F'|' '$1 == \"default_pool_size\" {print $2}') && [ \"${now:-0}\" -gt 0 ] && \
         psql -p {} -U pgbouncer pgbouncer -c \"SET default_pool_size = $((now * 2))\"",
        pool.port,
        pool.port
    );
    let mut raise = fix::shell_fix(Phase::Relief, Horizon::Immediate, "Double the pool's connections", set);
    raise.undo = Some(sh!("psql -p {} -U pgbouncer pgbouncer -c RELOAD   # to what its file says", pool.port));
    raise.risk = "per pair of database and user; beyond two or three per CPU of the server nothing gets faster. \
                  Lasts until pgbouncer restarts"
        .into();
    raise.needs = "a user in pgbouncer's admin_users".into();
    raise.verify = sh!("psql -p {} -U pgbouncer pgbouncer -c 'SHOW POOLS'", pool.port);
    let mut keep = raise.clone();
    (keep.phase, keep.horizon) = (Phase::Cure, Horizon::ShortTerm);
    keep.title = "Make it permanent in the configuration".into();
    keep.command = Command::note("# pgbouncer.ini: default_pool_size = what SHOW CONFIG says now");
    keep.undo = None;
    keep.needs = "the pooler's configuration".into();
    vec![raise, keep]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::service;
    use crate::detect::bench::sockets::{listener, peer, sockets, unread};
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::ListenerFacts;

    /// So many requests of clients at a program with one outstanding at its server.
    fn pool(name: &str, in_flight: f64) -> Bench {
        Bench::quiet().on(|host| {
            let pooler = service(200, name, 6432);
            let clients = ListenerFacts { in_flight, ..listener(pooler.id, 6432) };
            host.sockets = Ok(sockets(vec![clients], vec![peer(pooler.id, 1.0)]));
            host.processes = Ok(vec![pooler]);
        })
    }

    #[test]
    fn clients_that_queue_in_a_pooler_are_found_and_held() {
        Table {
            clear: pool("pgbouncer", 1.13),
            unknown: Some(unread()),
            found: pool("pgbouncer", 1.21),
            held: Some(pool("pgbouncer", 1.15)),
        }
        .check(&RULE);
        pool("pgbouncer", 1.21).must_say(&RULE, "found 0.2 clients queue in pgbouncer on :6432: its 10 connections");
        pool("api", 1.21).must_say(&RULE, "clear");
    }
}
