//! redis.big_key: a key makes commands slow.

use std::collections::BTreeMap;

use crate::detect::finding::{Class, Fix};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::redis::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::RedisFacts;
use crate::model::foreign::Foreign;
use crate::model::redis::{BigKey, SlowEntry};
use crate::model::seen::{Lack, Why};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes, short};

use super::support::{in_application, info, instance, measure};

const OFTEN: Param = Param {
    name: "calls",
    unit: Unit::Count,
    default: 2.0,
    min: 1.0,
    max: 32.0,
    what: "entries of the slow log about one key in the last minute",
};
const LONG: Param =
    Param { name: "long", unit: Unit::Milliseconds, default: 10.0, min: 0.1, max: 60_000.0, what: "time of the longest of them" };

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.big_key",
    class: Class::Hygiene,
    culprit: Culprit::Many,
    says: "a key makes commands slow",
    params: &[OFTEN, LONG],
    origins: &["redis.slowlog", "redis.keys"],
    page: "\
Several entries of the slow log in the last minute are about one key: whatever reads or deletes all of it takes as long
as the key is large. The time that others lose by that stands in `redis.command.slow`; this one names the key, and its
size where big keys were looked for (`x` on the screen of Redis: SCAN and MEMORY USAGE, 1,000 keys a second, for a minute
at most). Always info.

**What looks like it**: a command with a pattern or a script has no key of its own and is left out; so is one long entry
alone, which may have waited for a CPU.

**Cure**: split the key (by day, by a hash of the field), read parts of it (HSCAN, SSCAN, ranges), UNLINK instead of DEL.",
    judge: Judge::Redis(judge),
};

/// Commands whose first argument is a key, and that may take long by its size.
const OF_A_KEY: [&str; 70] = [
    "GET",
    "SET",
    "SETEX",
    "GETSET",
    "GETDEL",
    "GETEX",
    "GETRANGE",
    "SETRANGE",
    "APPEND",
    "DEL",
    "UNLINK",
    "RENAME",
    "EXPIRE",
    "PERSIST",
    "COPY",
    "DUMP",
    "RESTORE",
    "SORT",
    "SORT_RO",
    "TYPE",
    "MGET",
    "HGETALL",
    "HKEYS",
    "HVALS",
    "HMGET",
    "HSET",
    "HMSET",
    "HDEL",
    "HSCAN",
    "HRANDFIELD",
    "SMEMBERS",
    "SADD",
    "SREM",
    "SPOP",
    "SRANDMEMBER",
    "SSCAN",
    "SUNION",
    "SINTER",
    "SDIFF",
    "SUNIONSTORE",
    "SINTERSTORE",
    "SDIFFSTORE",
    "LRANGE",
    "LREM",
    "LTRIM",
    "LINSERT",
    "LINDEX",
    "LSET",
    "LPOS",
    "RPUSH",
    "LPUSH",
    "LPOP",
    "RPOP",
    "ZRANGE",
    "ZREVRANGE",
    "ZRANGEBYSCORE",
    "ZREVRANGEBYSCORE",
    "ZRANGEBYLEX",
    "ZREMRANGEBYSCORE",
    "ZREMRANGEBYRANK",
    "ZADD",
    "ZREM",
    "ZSCAN",
    "ZCOUNT",
    "XRANGE",
    "XREVRANGE",
    "XTRIM",
    "BITCOUNT",
    "PFCOUNT",
    "GEOSEARCH",
];

/// Seconds of the log that count.
const LATELY_S: f64 = 60.0;

fn judge(view: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let r = view.server;
    let info = match info(view) {
        Ok(info) => info,
        Err(answer) => return answer,
    };
    let log = match &r.slowlog {
        Ok(log) => log,
        Err(lack) => return Judged::unknown(instance(r), r.missing("SLOWLOG GET").unwrap_or(lack)),
    };
    let Some(now_s) = info.number("server_time_usec").map(|us| us / 1e6) else {
        return Judged::unknown(instance(r), &Lack::new(Why::Absent, "server_time_usec of INFO: 6.0 and later"));
    };
    let mut by_key: BTreeMap<&str, Vec<&SlowEntry>> = BTreeMap::new();
    for entry in log.entries.iter().filter(|e| now_s - e.at_s as f64 <= LATELY_S && !e.key.is_empty()) {
        if OF_A_KEY.contains(&command(entry)) {
            by_key.entry(entry.key.shown()).or_default().push(entry);
        }
    }
    let mut judged = Judged::default();
    for (key, entries) in by_key {
        let subject = Subject::new(SubjectType::Key, key, key);
        let longest_ms = entries.iter().map(|e| e.usec).max().unwrap_or(0) as f64 / 1000.0;
        let held = is_held(prev, &subject);
        if (entries.len() as f64) < params.get(OFTEN) || longest_ms < params.limit(LONG, held) {
            continue;
        }
        judged.verdicts.push((subject, Verdict::Found(Box::new(found(r, params, &entries, longest_ms)))));
    }
    match judged.verdicts.is_empty() {
        true => Judged::clear(instance(r), "no key recurs in the slow log"),
        false => judged,
    }
}

fn command(entry: &SlowEntry) -> &str {
    entry.shape.shown().split(' ').next().unwrap_or_default()
}

fn found(r: &RedisFacts, params: &Params<'_>, entries: &[&SlowEntry], longest_ms: f64) -> Found {
    let (first, key) = (entries[0], &entries[0].key);
    let known = measured(r, key);
    let size = known.map_or_else(String::new, |k| format!(", {} in a {}", bytes(k.bytes as f64), k.kind));
    let title =
        format!("Key {key} makes {} slow: {} calls of up to {} ms{size}", command(first), entries.len(), short(longest_ms));
    let mut found = Found::new(Class::Hygiene, title);
    found.evidence = vec![
        params.row("entries of the slow log in the last minute", entries.len() as f64, OFTEN, "redis.slowlog"),
        params.row("the longest", longest_ms, LONG, "redis.slowlog"),
    ];
    found.evidence.extend(known.map(|k| evidence("memory of the key", k.bytes as f64, Unit::Bytes, None, "redis.keys")));
    found.fixes = fixes(r, command(first), key, known);
    found
}

/// Its size, where it was looked for lately and there is one database only: the slow log does not say which.
fn measured<'a>(r: &'a RedisFacts, key: &Foreign) -> Option<&'a BigKey> {
    const OLD_S: f64 = 600.0;
    let only = r.known.as_ref().is_some_and(|info| info.keyspace.len() == 1);
    let keys = r.keys.as_ref().ok().filter(|_| only && r.keys_age_s <= OLD_S)?;
    keys.rows.iter().find(|row| row.key == *key)
}

fn fixes(r: &RedisFacts, command: &str, key: &Foreign, known: Option<&BigKey>) -> Vec<Fix> {
    // The slow log does not say which database.
    let only = r.known.as_ref().filter(|info| info.keyspace.len() == 1).map_or(0, |info| info.keyspace[0].db);
    let guess = BigKey { key: key.clone(), whole: key.raw().len() < SlowEntry::KEY, database: only, ..BigKey::default() };
    let mut fixes: Vec<Fix> = measure(r, known.unwrap_or(&guess)).into_iter().collect();
    let note = match command {
        "DEL" => "UNLINK instead of DEL, and smaller keys",
        _ => "several smaller keys (by day, by a hash of the field), or a part of it for each call: HSCAN, SSCAN, ranges",
    };
    fixes.push(in_application(r, "Split the key, or ask for less of it", note));
    fixes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::bench::{Bench, Table};
    use crate::model::redis::Slowlog;

    /// So many calls that took so long, this many seconds ago.
    fn slow(shape: &str, calls: usize, ms: u64, ago_s: i64) -> Bench {
        Bench::redis(|r| {
            r.say("server_time_usec", 1e9 * 1e6);
            let key = shape.split(' ').nth(1).unwrap_or_default().into();
            let one =
                SlowEntry { at_s: 1_000_000_000 - ago_s, usec: ms * 1000, shape: shape.into(), key, ..SlowEntry::default() };
            r.slowlog = Ok(Arc::new(Slowlog { entries: vec![one; calls] }));
        })
    }

    #[test]
    fn a_key_that_makes_commands_slow_is_found_and_held() {
        Table {
            clear: slow("HGETALL user:1", 1, 80, 3),
            unknown: Some(Bench::redis(|r| r.slowlog = Err(Lack::new(Why::Denied, "SLOWLOG GET")))),
            found: slow("HGETALL user:1", 3, 20, 3),
            held: Some(slow("HGETALL user:1", 3, 8, 3)),
        }
        .check(&RULE);
        slow("HGETALL user:1", 3, 20, 3).must_say(&RULE, "found Key user:1 makes HGETALL slow: 3 calls of up to 20 ms");
        slow("HGETALL user:1", 3, 20, 90).must_say(&RULE, "clear");
        // A pattern is no key.
        slow("KEYS user:*", 3, 20, 3).must_say(&RULE, "clear");
        slow("ZUNION 2", 3, 20, 3).must_say(&RULE, "clear");
    }
}
