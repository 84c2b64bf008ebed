//! redis.persistence.fsync: each write waits for the disk.

use crate::detect::finding::{Class, Phase};
use crate::detect::ledger::State;
use crate::detect::params::{Param, Params};
use crate::detect::redis::{View, flushes, losses};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::seen::{Lack, Why};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, short};

use super::support::{info, instance, set, trips};

const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.1,
    min: 0.01,
    max: 1000.0,
    what: "requests that wait for flushes to disk, on average",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.persistence.fsync",
    class: Class::Live,
    culprit: Culprit::One,
    says: "appendfsync or a slow disk delays every write",
    params: &[LOST],
    origins: &["redis.persistence", "redis.round_trip", "redis.settings"],
    page: "\
With `appendfsync always` the main thread flushes the append-only file before it answers; with `everysec` it waits when
the flush of the second before is not done (`aof_delayed_fsync` counts these). No command takes longer by its own clock:
commandstats and the slow log see nothing of it. The loss is the queue by Little's law, requests per second times what the
median round trip of a PING is above that of rest, less what stands behind long commands.

**Relief**: `appendfsync everysec`, which may lose a second or two of writes when the host fails. **Cure**: a faster disk
for it.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let r = view.server;
    let info = match info(view) {
        Ok(info) => info,
        Err(answer) => return answer,
    };
    let subject = Subject::new(SubjectType::Setting, "appendfsync", "appendfsync");
    if !info.is_set("aof_enabled") {
        return Judged::clear(subject, "there is no append-only file");
    }
    let Some(policy) = r.setting("appendfsync") else {
        let lack = r.missing("CONFIG GET").cloned().unwrap_or_else(|| Lack::new(Why::NotYet, "CONFIG GET"));
        return Judged::unknown(instance(r), &lack);
    };
    let held = prev.is_some_and(|p| !p.held.is_empty());
    let lost = losses(r).fsync;
    if !flushes(r) || lost < params.limit(LOST, held) {
        return Judged::clear(subject, format!("appendfsync is {policy}, no flush is late"));
    }
    let median = r.trips.map_or(0.0, |t| t.median_ms);
    let title = format!(
        "Every write waits for the disk (appendfsync {policy}): {} requests stand still, {} ms each",
        short(lost),
        short(median)
    );
    let mut found = Found::new(Class::Live, title);
    found.losses = vec![(State::RedisFsync, lost)];
    found.victims_time = lost + r.main_thread().unwrap_or(0.0);
    found.confidence = 0.7;
    found.evidence = vec![params.row("requests that wait for it", lost, LOST, "redis.round_trip")];
    found.evidence.extend(trips(r));
    if let Some(delayed) = r.rate("aof_delayed_fsync") {
        found.evidence.push(evidence("flushes that were late", delayed, Unit::PerSecond, None, "redis.persistence"));
    }
    if let Some(aof) = r.rate("eventloop_duration_aof_sum") {
        found.evidence.push(evidence(
            "event loop in the append-only file",
            aof / 1e6,
            Unit::SecondsPerSecond,
            None,
            "redis.stats",
        ));
    }
    let relief = if policy == "always" {
        set(r, Phase::Relief, "Flush once a second", "appendfsync", "everysec")
    } else {
        set(r, Phase::Relief, "Do not flush while a save or a rewrite runs", "no-appendfsync-on-rewrite", "yes")
    };
    found.fixes = relief
        .map(|mut fix| {
            fix.risk = format!("writes of the last seconds are lost when the host fails; {}", fix.risk);
            fix
        })
        .into_iter()
        .collect();
    Judged::found(subject, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    fn flushed(policy: &str, trip_ms: f64) -> Bench {
        Bench::redis(|r| {
            r.say("aof_enabled", 1.0);
            r.set("appendfsync", policy);
            r.trips = Some(crate::detect::bench::redis::trips(trip_ms));
        })
    }

    #[test]
    fn writes_that_wait_for_the_disk_are_found_and_held() {
        Table {
            clear: flushed("everysec", 5.0),
            unknown: Some(Bench::redis(|r| {
                r.say("aof_enabled", 1.0);
                r.settings = Err(Lack::new(Why::Denied, "CONFIG GET"));
            })),
            found: flushed("always", 0.25),
            held: Some(flushed("always", 0.18)),
        }
        .check(&RULE);
        // The same latency without an append-only file is another story.
        Bench::redis(|r| r.trips = Some(crate::detect::bench::redis::trips(5.0))).must_say(&RULE, "clear");
    }
}
