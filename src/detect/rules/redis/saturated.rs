//! redis.main_thread.saturated: the single thread is full without a slow command.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Phase};
use crate::detect::ledger::State;
use crate::detect::params::{Param, Params};
use crate::detect::redis::{FULL, View, losses};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::facts::RedisFacts;
use crate::model::seen::Lack;
use crate::model::unit::{Unit, count, short};

use super::support::{in_application, info, instance, kill, look};

const BUSY: Param = Param {
    name: "busy",
    unit: Unit::Percent,
    default: FULL,
    min: FULL,
    max: 100.0,
    what: "of one core that the main thread uses; below 70 no queue is counted",
};
const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.1,
    min: 0.01,
    max: 1000.0,
    what: "requests that stand in its queue, on average, behind no single command",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.main_thread.saturated",
    class: Class::Live,
    culprit: Culprit::One,
    says: "the single thread is full without a slow command",
    params: &[BUSY, LOST],
    origins: &["redis.cpu", "redis.commands", "redis.round_trip"],
    page: "\
The main thread reads, runs and answers all commands; when it is on a CPU all the time, requests queue. Its CPU is
measured (`used_cpu_*_main_thread`, 6.2 and later), not summed up from the commands: reading and writing sockets takes
more than the commands themselves, which commandstats does not count. The loss is the queue by Little's law, requests
per second times what the median round trip of a PING is above that of rest, less what stands behind single long
commands.

**Relief**: end a client in MONITOR, for which every command is written once more; see which commands and clients make
the load. **Cure**: pipelines and MGET, replicas for readers, io-threads
(a restart), shards.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let r = view.server;
    if let Err(answer) = info(view) {
        return answer;
    }
    let Some(busy) = r.main_thread().map(|b| b * 100.0) else {
        return Judged::unknown(instance(r), &Lack::first_sample("used_cpu of INFO"));
    };
    let held = prev.is_some_and(|p| !p.held.is_empty());
    let lost = losses(r).full;
    if busy < params.limit(BUSY, held) || lost < params.limit(LOST, held) {
        return Judged::clear(instance(r), format!("{} % of a core", short(busy)));
    }
    let rate = r.requests_per_s().unwrap_or(0.0);
    let top = r.commands.iter().flatten().max_by(|a, b| a.per_s.total_cmp(&b.per_s));
    let mostly = top.map_or_else(String::new, |c| format!(", mostly {}", c.name.to_uppercase()));
    let title =
        format!("The main thread is full with {} requests a second{mostly}: {} stand in its queue", count(rate), short(lost));
    let mut found = Found::new(Class::Live, title);
    found.losses = vec![(State::RedisStall, lost)];
    found.victims_time = lost + busy / 100.0;
    found.confidence = 0.7;
    found.evidence = vec![
        params.row("main thread on a CPU", busy, BUSY, "redis.cpu"),
        params.row("requests in its queue", lost, LOST, "redis.round_trip"),
        evidence("requests", rate, Unit::PerSecond, None, "redis.commands"),
    ];
    if let Some(c) = top {
        found.evidence.push(evidence(
            format!("of these {}", c.name.to_uppercase()),
            c.per_s,
            Unit::PerSecond,
            None,
            "redis.commands",
        ));
    }
    if let Some(batch) = r.rate("total_commands_processed").zip(r.rate("total_reads_processed")).filter(|(_, reads)| *reads > 0.0)
    {
        found.evidence.push(evidence("commands per read of a socket", batch.0 / batch.1, Unit::Ratio, None, "redis.stats"));
    }
    found.fixes = fixes(r);
    Judged::found(instance(r), found)
}

fn fixes(r: &RedisFacts) -> Vec<Fix> {
    // The thread writes each command again for each MONITOR: nobody counts what that takes, and it goes first.
    let monitors = r.clients.iter().flat_map(|c| &c.rows).filter(|c| c.is('O'));
    let mut fixes: Vec<Fix> = monitors.filter_map(|c| kill(r, c)).collect();
    fixes.extend(look(r, Phase::Relief, "See which commands take the thread", |cli| sh!("{} INFO commandstats", cli)));
    fixes.push(in_application(
        r,
        "Ask for more at a time, or spread the load",
        "pipelines, MGET and HMGET; a cache in the process; replicas for readers; io-threads in redis.conf (needs a restart); more shards",
    ));
    fixes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table, redis};

    /// So much of a core, and so many milliseconds to an answer, at 50,000 requests a second.
    fn full(busy: f64, trip_ms: f64) -> Bench {
        Bench::redis(|r| {
            r.grow("used_cpu_user_main_thread", busy);
            r.grow("used_cpu_sys_main_thread", 0.0);
            r.commands = Ok(vec![redis::command("get", 50_000.0, 0.000_001)]);
            r.trips = Some(redis::trips(trip_ms));
        })
    }

    #[test]
    fn a_full_thread_is_found_and_held() {
        // What is not counted as a queue below the limit cannot be held there.
        Table { clear: full(0.5, 0.4), unknown: Some(Bench::silent_redis()), found: full(0.95, 0.4), held: None }.check(&RULE);
        full(0.95, 0.4).must_say(&RULE, "found The main thread is full with 50k requests a second, mostly GET: 15 stand");
        // Full, and nobody waits.
        full(0.95, 0.001).must_say(&RULE, "clear");
    }

    #[test]
    fn a_monitor_is_ended_first_and_a_subscriber_is_not() {
        let first = |flags: &str| {
            let row = crate::model::redis::Client { flags: flags.into(), ..redis::client(7, "10.0.0.9:5000") };
            let clients = Ok(std::sync::Arc::new(crate::model::redis::Clients { rows: vec![row], all: 1 }));
            fixes(&RedisFacts { clients, ..redis::quiet() })[0].title.clone()
        };
        assert_eq!(first("O"), "End client 10.0.0.9:5000");
        assert_eq!(first("P"), "See which commands take the thread");
    }
}
