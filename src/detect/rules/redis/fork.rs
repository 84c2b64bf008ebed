//! redis.persistence.fork: forks stall the loop.

use crate::detect::finding::{Class, Phase};
use crate::detect::ledger::State;
use crate::detect::params::{Param, Params};
use crate::detect::redis::{View, losses};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::unit::{Unit, bytes, short};

use super::support::{in_application, info, instance, rate, set};

const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.1,
    min: 0.01,
    max: 1000.0,
    what: "requests that stand still during forks, on average",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.persistence.fork",
    class: Class::Live,
    culprit: Culprit::One,
    says: "fork stalls",
    params: &[LOST],
    origins: &["redis.persistence", "redis.commands"],
    page: "\
A save or a rewrite forks: the kernel copies the page tables while the main thread stands still, 10 to 40 ms for each
GiB on most machines, more with huge pages off and memory large. `latest_fork_usec` times forks per second (`total_forks`,
6.2 and later): λ d² / 2 requests stand still, d times the clients at most.

**Relief**: fewer saves (`save \"\"` on a primary whose replica saves). **Cure**: smaller shards; transparent huge pages
off, which make each write after a fork copy 2 MiB.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let r = view.server;
    let info = match info(view) {
        Ok(info) => info,
        Err(answer) => return answer,
    };
    let forks = match rate(view, "total_forks") {
        Ok(forks) => forks,
        Err(answer) => return answer,
    };
    let each_s = info.number("latest_fork_usec").unwrap_or(0.0) / 1e6;
    let held = prev.is_some_and(|p| !p.held.is_empty());
    let lost = losses(r).fork;
    if lost < params.limit(LOST, held) {
        return Judged::clear(instance(r), format!("{} forks/s of {} ms", short(forks), short(each_s * 1000.0)));
    }
    let title = format!("Forks stop the server for {} ms each: {} requests stand still", short(each_s * 1000.0), short(lost));
    let mut found = Found::new(Class::Live, title);
    found.losses = vec![(State::RedisFork, lost)];
    found.victims_time = lost + r.main_thread().unwrap_or(0.0);
    found.confidence = 0.7;
    found.evidence = vec![
        params.row("requests that stand still", lost, LOST, "redis.persistence"),
        evidence("newest fork", each_s * 1000.0, Unit::Milliseconds, None, "redis.persistence"),
        evidence("forks", forks, Unit::PerSecond, None, "redis.persistence"),
        evidence("resident memory", info.number("used_memory_rss").unwrap_or(0.0), Unit::Bytes, None, "redis.memory"),
    ];
    let saves = r.setting("save").is_some_and(|s| !s.is_empty());
    found.fixes = set(r, Phase::Relief, "Do not save on a schedule: only where a replica does", "save", "")
        .filter(|_| saves)
        .map(|mut fix| {
            fix.risk = format!("after a crash the data of this server is as old as its last save; {}", fix.risk);
            fix
        })
        .into_iter()
        .collect();
    let size = bytes(info.number("used_memory").unwrap_or(0.0));
    found.fixes.push(in_application(r, format!("Split the {size} of it"), "shards of a few GiB; saves on a replica only"));
    Judged::found(instance(r), found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    fn forks(ms: f64) -> Bench {
        Bench::redis(|r| {
            r.say("latest_fork_usec", ms * 1000.0);
            r.grow("total_forks", 0.2);
        })
    }

    #[test]
    fn forks_that_stall_are_found_and_held() {
        Table {
            clear: forks(20.0),
            unknown: Some(Bench::redis(|r| r.before = None)),
            found: forks(40.0),
            held: Some(forks(30.0)),
        }
        .check(&RULE);
        // A slow one of long ago.
        Bench::redis(|r| r.say("latest_fork_usec", 900_000.0)).must_say(&RULE, "clear");
    }
}
