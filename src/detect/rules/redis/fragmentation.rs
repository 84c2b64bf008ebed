//! redis.memory.fragmentation: bytes lost to fragmentation.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Phase};
use crate::detect::params::{Param, Params};
use crate::detect::redis::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::seen::{Lack, Why};
use crate::model::unit::{Unit, bytes, short};

use super::support::{fix, info, instance, set};

const WASTED: Param = Param {
    name: "wasted",
    unit: Unit::Bytes,
    default: 104_857_600.0,
    min: 1_048_576.0,
    max: 1e13,
    what: "bytes lost: below this a ratio of twelve is harmless",
};
const RATIO: Param = Param {
    name: "ratio",
    unit: Unit::Ratio,
    default: 1.4,
    min: 1.01,
    max: 100.0,
    what: "the allocator's memory over what is used of it",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.memory.fragmentation",
    class: Class::Hygiene,
    culprit: Culprit::One,
    says: "bytes lost to fragmentation (never the ratio alone)",
    params: &[WASTED, RATIO],
    origins: &["redis.memory"],
    page: "\
The allocator holds pages that are only partly used: `allocator_frag_bytes` is what is lost. Judged by the bytes: a
small server has a high ratio that costs nothing, and `mem_fragmentation_ratio` counts the program itself and memory
that was given back.

**Relief**: active defragmentation, where the allocator has it (Debian's Redis has not: it says so). **Cure**: a restart
or a failover to a fresh replica.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let r = view.server;
    let info = match info(view) {
        Ok(info) => info,
        Err(answer) => return answer,
    };
    let Some((wasted, ratio)) = info.number("allocator_frag_bytes").zip(info.number("allocator_frag_ratio")) else {
        return Judged::unknown(instance(r), &Lack::new(Why::Absent, "allocator_frag_bytes of INFO"));
    };
    let held = prev.is_some_and(|p| !p.held.is_empty());
    if wasted < params.limit(WASTED, held) || ratio < params.limit(RATIO, held) {
        return Judged::clear(instance(r), format!("{} lost", bytes(wasted.max(0.0))));
    }
    let mut found =
        Found::new(Class::Hygiene, format!("{} are lost to fragmentation: {} times what is in use", bytes(wasted), short(ratio)));
    found.evidence = vec![
        params.row("lost to fragmentation", wasted, WASTED, "redis.memory"),
        params.row("allocated over used", ratio, RATIO, "redis.memory"),
        evidence("memory in use", info.number("used_memory").unwrap_or(0.0), Unit::Bytes, None, "redis.memory"),
    ];
    found.fixes = set(r, Phase::Relief, "Defragment while it runs", "activedefrag", "yes")
        .map(|mut fix| {
            fix.risk = "takes 1 to 25 % of the main thread; refused where the allocator cannot".into();
            fix
        })
        .into_iter()
        .collect();
    found.fixes.extend(fix(r, Phase::Cure, "Give unused pages back", |cli| sh!("{} MEMORY PURGE", cli)).map(|mut fix| {
        fix.risk = "a short stall".into();
        fix
    }));
    Judged::found(instance(r), found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    fn lost(bytes: f64, ratio: f64) -> Bench {
        Bench::redis(|r| {
            r.say("allocator_frag_bytes", bytes);
            r.say("allocator_frag_ratio", ratio);
        })
    }

    #[test]
    fn bytes_count_and_a_ratio_alone_does_not() {
        Table {
            clear: lost(9e6, 12.0),
            unknown: Some(Bench::redis(|r| r.info = Ok(std::sync::Arc::default()))),
            found: lost(2e8, 1.5),
            held: Some(lost(8e7, 1.5)),
        }
        .check(&RULE);
        lost(2e8, 1.05).must_say_after(&RULE, Some(&lost(2e8, 1.5)), "found");
        lost(2e8, 0.9).must_say_after(&RULE, Some(&lost(2e8, 1.5)), "clear");
    }
}
