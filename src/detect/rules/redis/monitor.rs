//! redis.clients.monitor: MONITOR is attached.

use crate::detect::finding::Class;
use crate::detect::ledger::State;
use crate::detect::params::Params;
use crate::detect::redis::{View, losses};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::redis::RedisAsk;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes, short};

use super::support::{info, instance, kill};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.clients.monitor",
    class: Class::Hygiene,
    culprit: Culprit::Many,
    says: "MONITOR is attached",
    params: &[],
    origins: &["redis.clients", "redis.cpu"],
    page: "\
A client in MONITOR is sent every command of all others: one took a fifth of the throughput of a server that was full,
and shows data and passwords to whoever looks. Once the main
thread is full, the part of its queue that would be gone without it is its loss (1 µs for each command and 26 ns for each
byte of it, measured with Redis 7.0.15; queues by M/M/1); below that it is a note. CLIENT LIST is read each 30 s while there are fewer than 2,000 clients, and
when the command was called.

**Relief**: end it, by its id and address: it may be a colleague's.",
    judge: Judge::Redis(judge),
};

/// Requests that stand in the queue for it, on average, from which it is a loss; below that it is a note.
const COSTS: f64 = 0.1;
/// Clients are asked for once somebody came with MONITOR, and not more often than this.
const AGAIN_S: f64 = 3.0;

fn judge(view: &View<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    let r = view.server;
    if let Err(answer) = info(view) {
        return answer;
    }
    let mut judged = Judged::default();
    let came = r.commands.iter().flatten().any(|c| c.name == "monitor");
    // One that was there may be gone by now.
    let there = r.clients.iter().flat_map(|c| &c.rows).any(|c| c.is('O'));
    if (came || there) && r.clients_age_s > AGAIN_S {
        judged.demands.push(RedisAsk::Clients.of(&r.id));
    }
    let clients = match &r.clients {
        Ok(clients) => clients,
        Err(lack) => {
            judged.verdicts = Judged::unknown(instance(r), lack).verdicts;
            return judged;
        }
    };
    let those = clients.rows.iter().filter(|c| c.is('O')).count().max(1) as f64;
    let lost = losses(r).monitor / those;
    for client in clients.rows.iter().filter(|c| c.is('O')) {
        let subject = Subject::new(SubjectType::Client, client.id.to_string(), client.label());
        let buffer = client.total_bytes.max(client.output_bytes) as f64;
        let class = if lost >= COSTS { Class::Live } else { Class::Hygiene };
        let mut found = Found::new(class, format!("{} is in MONITOR: it is sent every command of all others", client.label()));
        if lost >= COSTS {
            found.title = format!("{}, and {} requests stand in the queue for that", found.title, short(lost));
            found.losses = vec![(State::RedisStall, lost)];
            found.victims_time = lost + r.main_thread().unwrap_or(0.0);
            found.confidence = 0.5;
            found.evidence.push(evidence(
                "requests that stand in the queue for it",
                lost,
                Unit::SecondsPerSecond,
                Some(COSTS),
                "redis.cpu",
            ));
        }
        found.age_s = Some(client.age_s as f64);
        found.evidence.extend([
            evidence("connected for", client.age_s as f64, Unit::Seconds, None, "redis.clients"),
            evidence("its buffers", buffer, Unit::Bytes, None, "redis.clients"),
        ]);
        if buffer > 1e6 {
            found.title = format!("{}, and does not read it: {} wait", found.title, bytes(buffer));
        }
        found.fixes = kill(r, client).into_iter().collect();
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        judged.verdicts = Judged::clear(instance(r), "nobody is in MONITOR").verdicts;
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    use crate::detect::bench::redis::{self, client};

    fn flags(flags: &str) -> Bench {
        let row = crate::model::redis::Client { flags: flags.into(), ..client(7, "10.0.0.9:5000") };
        Bench::redis(|r| r.clients = Ok(std::sync::Arc::new(crate::model::redis::Clients { rows: vec![row], all: 1 })))
    }

    #[test]
    fn a_monitor_is_found_a_subscriber_is_not() {
        Table { clear: flags("P"), unknown: Some(Bench::silent_redis()), found: flags("O"), held: None }.check(&RULE);
        flags("O").must_say(&RULE, "found 10.0.0.9:5000 is in MONITOR");
    }

    /// A full thread that reads so many bytes a second, with a monitor.
    fn full(busy: f64, bytes_per_s: f64) -> Bench {
        let row = crate::model::redis::Client { flags: "O".into(), ..client(7, "10.0.0.9:5000") };
        Bench::redis(|r| {
            r.clients = Ok(std::sync::Arc::new(crate::model::redis::Clients { rows: vec![row], all: 1 }));
            r.grow("used_cpu_user_main_thread", busy);
            r.grow("used_cpu_sys_main_thread", 0.0);
            r.grow("total_net_input_bytes", bytes_per_s);
            r.commands = Ok(vec![redis::command("set", 20_000.0, 0.000_01)]);
            r.trips = Some(redis::trips(0.6));
        })
    }

    #[test]
    fn a_monitor_of_a_full_thread_costs_what_the_queue_is_longer_by() {
        full(0.95, 1e7).must_say(&RULE, "found 10.0.0.9:5000 is in MONITOR: it is sent every command of all others, and 9.");
        // It stands in the queue as well, but next to nothing is written for it.
        full(0.95, 0.0).must_say(&RULE, "found 10.0.0.9:5000 is in MONITOR: it is sent every command of all others, and 3.");
        // There is no queue.
        assert_eq!(
            full(0.5, 1e7).says(&RULE, None),
            ["found 10.0.0.9:5000 is in MONITOR: it is sent every command of all others"]
        );
    }
}
