//! redis.memory.evictions: keys that are evicted are fetched again.

use crate::detect::finding::{Class, Fix};
use crate::detect::ledger::State;
use crate::detect::params::{Param, Params};
use crate::detect::redis::refill::Refill;
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
misses per second is what may have been lost by it. Where a PostgreSQL is watched and one of its queries was called as
often as look-ups missed (within a quarter, in two readings of its statements), the time of those calls is what is lost;
else each miss is taken for 2 ms, a query of a database, because the real cost is not known here. A cache that is full and evicts what nobody asks for is healthy: from a hit rate of `hits` on
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
    let refill = Refill::of(view.facts.world, r);
    let claimed = refill
        .map_or_else(|| vec![(State::RedisMiss, losses(r).miss)], |refill| refill.losses(view.facts.world, view.facts.ledger));
    let lost: f64 = claimed.iter().map(|(_, s)| s).sum();
    if lost < params.limit(LOST, held) || hits >= params.get(HITS) {
        let cost = refill.map_or_else(String::new, |_| format!(", whose queries take {} s/s", short(lost)));
        return Judged::clear(subject, format!("{} evictions/s, hit rate {} %{cost}", short(evicted), short(hits)));
    }
    let most = info.number("maxmemory").unwrap_or(0.0);
    let title = format!(
        "{} keys are evicted each second at {}, and {} look-ups miss: hit rate {} %",
        count(evicted),
        bytes(most),
        count(misses),
        short(hits)
    );
    let becomes = refill.map_or_else(String::new, |f| {
        format!(
            "; they become {} calls a second of {}, {} ms each, on {}",
            count(f.per_s()),
            called(&f),
            short(f.mean_ms()),
            f.pg.id
        )
    });
    let mut found = Found::new(Class::Live, format!("{title}{becomes}"));
    found.losses = claimed;
    found.waste = refill.is_some();
    found.victims_time = lost + r.requests_per_s().unwrap_or(0.0) * 0.0001;
    found.confidence = if refill.is_some() { 0.7 } else { 0.5 };
    let price =
        if refill.is_some() { "time of the queries that fetch them again" } else { "time to fetch them again, at 2 ms each" };
    found.evidence = vec![
        params.row(price, lost, LOST, "redis.stats"),
        params.row_below("hit rate", hits, HITS, "redis.keyspace"),
        evidence("evicted", evicted, Unit::PerSecond, None, "redis.stats"),
        evidence("misses", misses, Unit::PerSecond, None, "redis.stats"),
        evidence("maxmemory", most, Unit::Bytes, None, "redis.memory"),
    ];
    found
        .evidence
        .extend(refill.map(|f| evidence("calls of that query", f.per_s(), Unit::PerSecond, None, "postgres.statements")));
    found.fixes = fixes(view, r, most);
    Judged::found(subject, found)
}

/// The query as a title names it.
fn called(refill: &Refill<'_>) -> String {
    const MOST: usize = 48;
    let text = refill.pg.text(refill.row.key.query);
    let cut: String = text.chars().take(MOST).collect();
    let more = if text.chars().count() > MOST { "…" } else { "" };
    if text.is_empty() { format!("query {}", refill.row.key.query) } else { format!("`{cut}{more}`") }
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
    use crate::detect::bench::postgres::Statement;
    use crate::detect::bench::{Bench, SERVER, Table, redis};

    fn cache(evicted: f64, misses: f64, hits: f64) -> Bench {
        Bench::redis(|r| {
            r.grow("evicted_keys", evicted);
            r.grow("keyspace_misses", misses);
            r.grow("keyspace_hits", hits);
        })
    }

    /// Beside a database of which one query is called a hundred times a second, as often as look-ups miss, and takes so long.
    fn refilled(ms: f64) -> Bench {
        let query = Statement { busy: (ms * 100.0) as u32, ms, ..Statement::default() };
        query.bench().with(|world| {
            let mut r = redis::quiet();
            r.grow("evicted_keys", 80.0);
            r.grow("keyspace_misses", 100.0);
            r.grow("keyspace_hits", 100.0);
            r.refilled_by = Some((SERVER.to_owned(), 7));
            world.servers.redis = vec![r];
        })
    }

    #[test]
    fn misses_that_become_queries_cost_what_those_take() {
        refilled(6.0).must_say(
            &RULE,
            "found 80 keys are evicted each second at 95 MiB, and 100 look-ups miss: hit rate 50 %; they become 100 calls a second of \
             `SELECT id FROM orders WHERE customer_id = $1`, 6.0 ms each, on postgres:5432",
        );
        // Such a query is no trouble; by the guess of 2 ms it would be.
        refilled(0.5).must_say(&RULE, "clear");
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
