//! redis.main_thread.saturated: the single thread is full without a slow command.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Evidence, Fix, Phase};
use crate::detect::ledger::State;
use crate::detect::params::{Param, Params};
use crate::detect::redis::{FULL, View, losses};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::facts::RedisFacts;
use crate::model::seen::Lack;
use crate::model::unit::{Unit, bytes, count, short};

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
    origins: &["redis.cpu", "redis.commands", "redis.round_trip", "redis.stats", "redis.clients"],
    page: "\
The main thread reads, runs and answers all commands; when it is on a CPU all the time, requests queue. Its CPU is
measured (`used_cpu_*_main_thread`, 6.2 and later), not summed up from the commands: reading and writing sockets takes
more than the commands themselves, which commandstats does not count. Where that is most of it, and so much is written (messages to many
subscribers, or 20 MB/s of answers of 4 kB and more), the finding says what is written and to whom. The loss is the queue by Little's law, requests
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
    let writes = Writes::of(r, busy / 100.0);
    let title = match &writes {
        Some(writes) => format!("The main thread is full, {}: {} requests stand in its queue", writes.words(), short(lost)),
        None => {
            format!("The main thread is full with {} requests a second{mostly}: {} stand in its queue", count(rate), short(lost))
        }
    };
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
    found.evidence.extend(writes.iter().flat_map(Writes::evidence));
    found.fixes = fixes(r);
    if let Some(writes) = &writes {
        // After who watches and what to look at, before what is advised to all.
        let at = found.fixes.len().saturating_sub(1);
        found.fixes.insert(at, writes.cure(r));
    }
    Judged::found(instance(r), found)
}

/// What the thread does that no command's time counts: it writes answers, and messages to subscribers.
struct Writes {
    bytes_per_s: f64,
    /// Of the thread's time, what is in no command, 0..1.
    outside: f64,
    /// Messages published a second, and how many clients listen.
    published: Option<(f64, usize)>,
    /// No more than those listen.
    all_of_them: bool,
    /// Bytes for each command, where those are no messages.
    each: f64,
}

impl Writes {
    /// Where most of the thread's time is in no command, and so much goes out, or to so many, that it is that.
    fn of(r: &RedisFacts, busy: f64) -> Option<Self> {
        const MUCH: f64 = 20e6;
        const LARGE: f64 = 4096.0;
        const MANY: usize = 10;
        const MOST: f64 = 0.5;
        let commands = r.commands.as_ref().ok()?;
        let outside = 1.0 - (commands.iter().map(|c| c.busy).sum::<f64>() / busy.max(1e-9)).min(1.0);
        let bytes_per_s = r.rate("total_net_output_bytes")?;
        let publishes = commands.iter().filter(|c| matches!(c.name.as_str(), "publish" | "spublish"));
        let (published, all): (f64, f64) = (publishes.map(|c| c.per_s).sum(), commands.iter().map(|c| c.per_s).sum());
        // Counted from 7.4 on; before that among the clients that are listed, which may not be all.
        let listed = r
            .clients
            .as_ref()
            .map_or((0, true), |c| (c.rows.iter().filter(|c| c.is('P')).count(), c.rows.len() >= c.all as usize));
        let told = r.info.as_ref().ok().and_then(|info| info.number("pubsub_clients")).map(|n| (n as usize, true));
        let (listening, all_of_them) = told.unwrap_or(listed);
        // More goes to them than is asked for.
        let published = (listening >= MANY && published * listening as f64 > all).then_some((published, listening));
        let each = bytes_per_s / all.max(1.0);
        let large = bytes_per_s >= MUCH && each >= LARGE;
        (published.is_some() || large)
            .then_some(Self { bytes_per_s, outside, published, all_of_them, each })
            .filter(|w| w.outside >= MOST || w.published.is_some())
    }

    fn words(&self) -> String {
        let bytes_per_s = bytes(self.bytes_per_s);
        match self.published {
            Some((per_s, clients)) => {
                let least = if self.all_of_them { "" } else { "at least " };
                format!("delivering {} messages a second to {least}{clients} subscribers each, {bytes_per_s}/s", count(per_s))
            }
            None => format!("writing {bytes_per_s}/s of answers, {} each", bytes(self.each)),
        }
    }

    fn evidence(&self) -> Vec<Evidence> {
        let mut rows = vec![
            evidence("written to clients", self.bytes_per_s, Unit::BytesPerSecond, None, "redis.stats"),
            evidence(
                "share of the main thread's time outside commands",
                self.outside * 100.0,
                Unit::Percent,
                None,
                "redis.commands",
            ),
        ];
        if let Some((per_s, clients)) = self.published {
            rows.push(evidence("messages published", per_s, Unit::PerSecond, None, "redis.commands"));
            let claim = if self.all_of_them { "subscribers" } else { "subscribers among the clients that were listed" };
            rows.push(evidence(claim, clients as f64, Unit::Count, None, "redis.clients"));
        }
        rows
    }

    fn cure(&self, r: &RedisFacts) -> Fix {
        match self.published {
            Some(_) => in_application(
                r,
                "Send each message to fewer subscribers",
                "a channel for each group that needs it instead of one for all; one subscriber a process that hands on; sharded channels (SPUBLISH, 7.0) or a stream; an instance of its own for messages",
            ),
            None => in_application(
                r,
                "Ask for less at a time",
                "parts of a value (HMGET, GETRANGE, LRANGE with a limit) instead of the whole; a copy in the process; compressed values; io-threads in redis.conf (needs a restart), which share the writing",
            ),
        }
    }
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
    fn what_is_written_is_told_from_what_is_asked() {
        let asks = |name: &str, per_s, out_per_s: f64| {
            let row = crate::model::redis::Client { flags: "P".into(), ..redis::client(7, "10.0.0.9:5000") };
            let clients = Ok(std::sync::Arc::new(crate::model::redis::Clients { rows: vec![row; 60], all: 60 }));
            Bench::redis(|r| {
                r.grow("used_cpu_user_main_thread", 0.95);
                r.grow("used_cpu_sys_main_thread", 0.0);
                r.trips = Some(redis::trips(0.4));
                r.commands = Ok(vec![redis::command(name, per_s, 0.000_005)]);
                r.clients = clients;
                r.grow("total_net_output_bytes", out_per_s);
            })
        };
        let fan_out = asks("publish", 2_000.0, 12e6);
        fan_out
            .must_say(&RULE, "found The main thread is full, delivering 2.0k messages a second to 60 subscribers each, 11 MiB/s");
        assert!(fan_out.pastes(&RULE).iter().any(|fix| fix.contains("SPUBLISH")));
        asks("get", 4_000.0, 400e6).must_say(&RULE, "found The main thread is full, writing 381 MiB/s of answers, 98 KiB each");
        // Small ones by the thousand, and few messages.
        asks("get", 90_000.0, 30e6).must_say(&RULE, "found The main thread is full with 90k requests");
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
