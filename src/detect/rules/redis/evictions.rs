//! redis.memory.evictions: keys that are evicted are fetched again.

use crate::detect::finding::{Class, Fix};
use crate::detect::ledger::State;
use crate::detect::params::{Param, Params};
use crate::detect::redis::{HITS as SERVES, View, losses};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::facts::RedisFacts;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes, count, short};

use super::support::{in_application, info, more_memory, rate};

const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.1,
    min: 0.01,
    max: 1000.0,
    what: "seconds per second that clients spend to fetch evicted keys again, at 2 ms each",
};
const HITS: Param = Param {
    name: "hits",
    unit: Unit::Percent,
    default: SERVES,
    min: 1.0,
    max: SERVES,
    what: "hit rate from which on a cache that evicts does its work",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.memory.evictions",
    class: Class::Live,
    culprit: Culprit::One,
    says: "evictions cause misses (a steady cache is fine)",
    params: &[LOST, HITS],
    origins: &["redis.stats", "redis.keyspace", "redis.memory"],
    page: "\
Memory is at `maxmemory`, keys are evicted, and clients ask for keys that are not there. The lesser of evictions and
misses per second is what may have been lost by it; each costs its client about 2 ms, a query of a database: the real
cost is not known here. A cache that is full and evicts what nobody asks for is healthy: from a hit rate of `hits` on
nothing is found.

**Relief**: more memory, where the host has it. **Cure**: shorter expiries, smaller values, a larger node or shards.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let r = view.server;
    let info = match info(view) {
        Ok(info) => info,
        Err(answer) => return answer,
    };
    let subject = Subject::new(SubjectType::Setting, "maxmemory", "maxmemory");
    let (evicted, misses) = match (rate(view, "evicted_keys"), rate(view, "keyspace_misses")) {
        (Ok(evicted), Ok(misses)) => (evicted, misses),
        (Err(answer), _) | (_, Err(answer)) => return answer,
    };
    let hits = r.hit_rate().map_or(100.0, |h| h * 100.0);
    let held = prev.is_some_and(|p| !p.held.is_empty());
    let lost = losses(r).miss;
    if lost < params.limit(LOST, held) || hits >= params.get(HITS) {
        return Judged::clear(subject, format!("{} evictions/s, hit rate {} %", short(evicted), short(hits)));
    }
    let most = info.number("maxmemory").unwrap_or(0.0);
    let title = format!(
        "{} keys are evicted each second at {}, and {} look-ups miss: hit rate {} %",
        count(evicted),
        bytes(most),
        count(misses),
        short(hits)
    );
    let mut found = Found::new(Class::Live, title);
    found.losses = vec![(State::RedisMiss, lost)];
    found.victims_time = lost + r.requests_per_s().unwrap_or(0.0) * 0.0001;
    found.confidence = 0.5;
    found.evidence = vec![
        params.row("time to fetch them again, at 2 ms each", lost, LOST, "redis.stats"),
        params.row_below("hit rate", hits, HITS, "redis.keyspace"),
        evidence("evicted", evicted, Unit::PerSecond, None, "redis.stats"),
        evidence("misses", misses, Unit::PerSecond, None, "redis.stats"),
        evidence("maxmemory", most, Unit::Bytes, None, "redis.memory"),
    ];
    found.fixes = fixes(view, r, most);
    Judged::found(subject, found)
}

fn fixes(view: &View<'_>, r: &RedisFacts, most: f64) -> Vec<Fix> {
    let mut fixes: Vec<Fix> = more_memory(view, r, most).into_iter().collect();
    fixes.push(in_application(
        r,
        "Keep less, or more memory",
        "expiries by what is asked for, smaller values, a larger node, shards",
    ));
    fixes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    fn cache(evicted: f64, misses: f64, hits: f64) -> Bench {
        Bench::redis(|r| {
            r.grow("evicted_keys", evicted);
            r.grow("keyspace_misses", misses);
            r.grow("keyspace_hits", hits);
        })
    }

    #[test]
    fn evictions_that_miss_are_found_and_held() {
        Table {
            clear: cache(1_000.0, 100.0, 9_900.0),
            unknown: Some(Bench::redis(|r| r.before = None)),
            found: cache(1_000.0, 100.0, 400.0),
            held: Some(cache(1_000.0, 40.0, 400.0)),
        }
        .check(&RULE);
        // Misses of what was never there.
        cache(0.0, 1_000.0, 400.0).must_say(&RULE, "clear");
    }
}
