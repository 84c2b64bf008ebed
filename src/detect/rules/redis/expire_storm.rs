//! redis.expire.storm: mass expiry steals the loop.

use crate::detect::finding::Class;
use crate::detect::ledger::State;
use crate::detect::params::{Param, Params};
use crate::detect::redis::{EXPIRES, View, expire_busy, losses};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::unit::{Unit, count, short};

use super::support::{in_application, info, instance, rate};

const BUSY: Param = Param {
    name: "busy",
    unit: Unit::Percent,
    default: EXPIRES,
    min: EXPIRES,
    max: 100.0,
    what: "of the main thread that active expiry takes; the server allows it 25 %",
};
const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.1,
    min: 0.01,
    max: 1000.0,
    what: "requests that stand behind it, on average",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.expire.storm",
    class: Class::Live,
    culprit: Culprit::One,
    says: "mass expiry steals the loop",
    params: &[BUSY, LOST],
    origins: &["redis.stats", "redis.commands"],
    page: "\
Many keys expire at once. The server removes them in slices of up to 25 ms in which nobody is served
(`expire_cycle_cpu_milliseconds`, 6.0 and later). The loss is λ d² / 2 for each slice, d being a tenth of what it takes of a
second, 25 ms at most: an upper bound.

**Relief**: none that is safe: it ends by itself. **Cure**: expiries that differ, by a random part of their length.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let r = view.server;
    if let Err(answer) = info(view).and(rate(view, "expire_cycle_cpu_milliseconds")) {
        return answer;
    }
    let busy = expire_busy(r) * 100.0;
    let held = prev.is_some_and(|p| !p.held.is_empty());
    let lost = losses(r).expiry;
    if busy < params.limit(BUSY, held) || lost < params.limit(LOST, held) {
        return Judged::clear(instance(r), format!("expiry takes {} % of the main thread", short(busy)));
    }
    let expired = r.rate("expired_keys").unwrap_or(0.0);
    let title = format!(
        "{} keys expire each second: that takes {} % of the main thread, {} requests stand behind it",
        count(expired),
        short(busy),
        short(lost)
    );
    let mut found = Found::new(Class::Live, title);
    found.losses = vec![(State::RedisStall, lost)];
    found.victims_time = lost + r.main_thread().unwrap_or(0.0);
    found.confidence = 0.5;
    found.evidence = vec![
        params.row("main thread in expiry", busy, BUSY, "redis.stats"),
        params.row("requests that stand behind it", lost, LOST, "redis.stats"),
        evidence("keys expired", expired, Unit::PerSecond, None, "redis.stats"),
    ];
    if let Some(stale) = r.info.as_ref().ok().and_then(|i| i.number("expired_stale_perc")) {
        found.evidence.push(evidence("expired and not removed yet", stale, Unit::Percent, None, "redis.stats"));
    }
    found.fixes = vec![in_application(r, "Let keys expire at different times", "EX seconds plus a random tenth of them")];
    Judged::found(instance(r), found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::redis::command;
    use crate::detect::bench::{Bench, Table};

    fn expires(share: f64) -> Bench {
        Bench::redis(|r| {
            r.grow("expire_cycle_cpu_milliseconds", share * 1000.0);
            r.commands = Ok(vec![command("get", 10_000.0, 0.000_01)]);
        })
    }

    #[test]
    fn expiry_that_takes_the_loop_is_found_and_held() {
        Table {
            clear: expires(0.06),
            unknown: Some(Bench::redis(|r| r.before = None)),
            found: expires(0.12),
            held: Some(expires(0.08)),
        }
        .check(&RULE);
    }
}
