//! redis.memory.near_limit: memory will be full.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Phase};
use crate::detect::params::{Param, Params};
use crate::detect::redis::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::seen::{Lack, Why};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes, seconds};

use super::support::{info, look, more_memory};

const HORIZON: Param = Param {
    name: "horizon",
    unit: Unit::Seconds,
    default: 86_400.0,
    min: 60.0,
    max: 2_592_000.0,
    what: "a credible time to full beyond this is not a risk yet",
};

const USED: Param = Param {
    name: "used",
    unit: Unit::Percent,
    default: 80.0,
    min: 1.0,
    max: 100.0,
    what: "of maxmemory from which it is not called fine before its trend is known",
};
/// Seconds of history that a trend takes.
const WATCHED_S: f64 = 60.0;

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.memory.near_limit",
    class: Class::Risk,
    culprit: Culprit::One,
    says: "memory reaches maxmemory at a time that can be estimated, and writes will be refused",
    params: &[HORIZON, USED],
    origins: &["redis.memory"],
    page: "\
Where nothing is evicted (`noeviction`, or no key that could be) writes fail once memory is at `maxmemory`. The time is
that of Theil-Sen over what is left, and only with a minute of history, a fall in three quarters of the steps and an
interval whose late end is within `horizon`. A server that is 95 % full and does not grow is fine, and so is a cache
that evicts.

**Relief**: more memory, where the host has it. **Cure**: expiries, a larger node.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, _: Option<&Prev>) -> Judged {
    let r = view.server;
    let info = match info(view) {
        Ok(info) => info,
        Err(answer) => return answer,
    };
    let subject = Subject::new(SubjectType::Setting, "maxmemory", "maxmemory");
    let Some(most) = info.number("maxmemory").filter(|m| *m > 0.0) else { return Judged::clear(subject, "no limit is set") };
    let expiring = info.keyspace.iter().any(|db| db.expires > 0);
    let policy = info.word("maxmemory_policy");
    let evicts = policy.starts_with("allkeys") || policy.starts_with("volatile") && expiring;
    let used = info.number("used_memory").unwrap_or(0.0);
    let state = format!("{} of {} in use", bytes(used), bytes(most));
    let room = view.facts.learned.servers.redis.room.get(&r.id);
    // Nobody knows where it goes before it was watched for a minute.
    if !evicts && used >= most * params.get(USED) / 100.0 && room.is_none_or(|s| s.span_s() < WATCHED_S) {
        return Judged::unknown(subject, &Lack::new(Why::NotYet, format!("{state}: whether it fills is known after a minute")));
    }
    let trend = room.and_then(|s| s.time_to_zero());
    let Some((eta, late)) = trend.filter(|(_, late)| !evicts && *late < params.get(HORIZON)) else {
        return Judged::clear(
            subject,
            if evicts { format!("{state}; {policy} evicts") } else { format!("{state}, not filling") },
        );
    };
    let mut found = Found::new(Class::Risk, format!("Memory will be full in {} at this rate: {state}", seconds(eta)));
    (found.eta_s, found.eta_late_s) = (Some(eta), Some(late));
    found.confidence = 0.8;
    found.evidence = vec![
        evidence("memory in use", used, Unit::Bytes, Some(most), "redis.memory").of_capacity(),
        params.row_below("time to full, upper bound", late, HORIZON, "redis.memory"),
    ];
    found.fixes = more_memory(view, r, most).into_iter().collect();
    found.fixes.extend(look(r, Phase::Cure, "See what takes the memory", |cli| sh!("{} MEMORY STATS", cli)));
    Judged::found(subject, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    use crate::detect::bench::host::trend;
    use crate::detect::bench::redis::SERVER;

    fn fills(per_s: f64, policy: &str) -> Bench {
        let bench = Bench::redis(|r| r.word("maxmemory_policy", policy));
        bench.knowing(|learned| _ = learned.servers.redis.room.insert(SERVER.into(), trend(1e7, -per_s)))
    }

    #[test]
    fn memory_that_fills_is_found_unless_it_evicts() {
        Table {
            clear: fills(0.0, "noeviction"),
            unknown: Some(Bench::silent_redis()),
            found: fills(10_000.0, "noeviction"),
            held: None,
        }
        .check(&RULE);
        fills(10_000.0, "allkeys-lru").must_say(&RULE, "clear");
        fills(10_000.0, "volatile-lru").must_say(&RULE, "found Memory will be full");
        // Nearly full, and nobody knows yet where it goes; half full it may go anywhere for a while.
        let watched = |used: f64, s: usize| {
            let bench = Bench::redis(|r| r.say("used_memory", used));
            bench.knowing(|learned| {
                let mut room = trend(1e7, 0.0);
                room.0.truncate(s);
                learned.servers.redis.room.insert(SERVER.into(), room);
            })
        };
        watched(9e7, 20).must_say(&RULE, "unknown");
        watched(9e7, 80).must_say(&RULE, "clear");
        watched(5e7, 20).must_say(&RULE, "clear");
    }
}
