//! redis.memory.oom_refused: writes are refused.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Phase};
use crate::detect::params::{NONE_IS_FINE, Params};
use crate::detect::redis::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::facts::RedisFacts;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes, short};

use super::support::{failed, info, look, more_memory, set};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.memory.oom_refused",
    class: Class::Error,
    culprit: Culprit::One,
    says: "writes are refused",
    params: &[],
    origins: &["redis.errors", "redis.memory"],
    page: "\
Memory is at `maxmemory` and the policy evicts nothing that would help (`noeviction`, or a `volatile-` one without keys
that expire): commands that may take memory fail with OOM. Counted are these errors per second (errorstats, 6.2 and
later); before that version they cannot be seen.

**Relief**: more memory, where the host has it. Another policy deletes data: only for a cache. **Cure**: expiries, a
larger node.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    let r = view.server;
    let info = match info(view) {
        Ok(info) => info,
        Err(answer) => return answer,
    };
    let subject = Subject::new(SubjectType::Setting, "maxmemory", "maxmemory");
    let failed = match failed(view, "OOM") {
        Ok(failed) => failed,
        Err(answer) => return answer,
    };
    if failed <= 0.0 {
        return Judged::clear(subject, "no write was refused because memory is full");
    }
    let (most, policy) = (info.number("maxmemory").unwrap_or(0.0), info.word("maxmemory_policy"));
    let title = format!(
        "{} writes a second are refused: memory is at maxmemory ({}), the policy is {policy}",
        short(failed),
        bytes(most)
    );
    let mut found = Found::new(Class::Error, title);
    found.failed_per_s = Some(failed);
    found.evidence = vec![
        evidence("refused with OOM", failed, Unit::PerSecond, NONE_IS_FINE, "redis.errors"),
        evidence("memory in use", info.number("used_memory").unwrap_or(0.0), Unit::Bytes, Some(most), "redis.memory")
            .of_capacity(),
    ];
    found.fixes = fixes(view, r, most);
    Judged::found(subject, found)
}

fn fixes(view: &View<'_>, r: &RedisFacts, most: f64) -> Vec<Fix> {
    let mut fixes: Vec<Fix> = more_memory(view, r, most).into_iter().collect();
    let evict = set(r, Phase::Relief, "Only for a cache: evict the keys used least", "maxmemory-policy", "allkeys-lru");
    fixes.extend(evict.map(|mut fix| {
        fix.risk = "deletes data of any key from now on; lost at the next restart unless CONFIG REWRITE follows".into();
        fix
    }));
    fixes.extend(look(r, Phase::Cure, "See what takes the memory", |cli| sh!("{} MEMORY STATS", cli)));
    fixes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    #[test]
    fn writes_that_are_refused_are_found() {
        Table {
            clear: Bench::redis(|r| r.say("used_memory", 1e8)),
            unknown: Some(Bench::silent_redis()),
            found: Bench::redis(|r| r.fail("OOM", 10.0)),
            held: None,
        }
        .check(&RULE);
        // Before the second reading, and before 6.2, nobody counts them: that is not "none".
        Bench::redis(|r| r.before = None).must_say(&RULE, "unknown");
        let old = Bench::redis(|r| {
            r.instance = r
                .instance
                .take()
                .map(|i| std::sync::Arc::new(crate::model::redis::Instance { version: "6.0.16".into(), ..(*i).clone() }))
        });
        old.must_say(&RULE, "unknown");
        let refused = Bench::redis(|r| r.fail("OOM", 10.0));
        refused
            .must_say(&RULE, "found 10 writes a second are refused: memory is at maxmemory (95 MiB), the policy is noeviction");
    }
}
