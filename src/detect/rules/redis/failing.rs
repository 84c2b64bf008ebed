//! redis.persistence.failing: saves fail, and writes are refused for it.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Phase};
use crate::detect::params::{NONE_IS_FINE, Params};
use crate::detect::redis::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::unit::{Unit, short};

use super::support::{fix, info, instance, set};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.persistence.failing",
    class: Class::Error,
    culprit: Culprit::One,
    says: "saves fail, writes are refused",
    params: &[],
    origins: &["redis.persistence", "redis.errors"],
    page: "\
The last save, rewrite or write of the append-only file failed (`rdb_last_bgsave_status`, `aof_last_write_status`,
`aof_last_bgrewrite_status`): the disk is full or read-only, a directory is gone, memory for the fork was refused. With
`stop-writes-on-bgsave-error` (the default) all writes fail with MISCONF until a save succeeds.

**Relief**: free the disk; then BGSAVE. To accept writes meanwhile risks the data since the last save. **Cure**: what the
server's log says.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    let r = view.server;
    let info = match info(view) {
        Ok(info) => info,
        Err(answer) => return answer,
    };
    let failed = r.errors_per_s().into_iter().find(|(word, _)| word == "MISCONF").map_or(0.0, |(_, n)| n);
    let ill = |name: &str| !info.word(name).is_empty() && info.word(name) != "ok";
    let what = match () {
        () if ill("aof_last_write_status") => "Writing the append-only file fails",
        () if ill("rdb_last_bgsave_status") => "Saving fails",
        () if ill("aof_last_bgrewrite_status") => "Rewriting the append-only file fails",
        () if failed > 0.0 => "Writes are refused (MISCONF)",
        () => return Judged::clear(instance(r), "the last save succeeded"),
    };
    let refused = if failed > 0.0 { format!(": {} writes a second are refused", short(failed)) } else { String::new() };
    // It hurts while writes are refused, or not kept; else it is a risk, and a note where nothing is to be saved any more.
    let saves = r.setting("save").is_none_or(|save| !save.is_empty()) || info.is_set("aof_enabled");
    let class = match () {
        () if failed > 0.0 || ill("aof_last_write_status") => Class::Error,
        () if saves => Class::Risk,
        () => Class::Hygiene,
    };
    let mut found = Found::new(class, format!("{what}{refused}"));
    found.grows = class == Class::Risk;
    found.failed_per_s = Some(failed).filter(|n| *n > 0.0);
    found.evidence = vec![
        evidence("refused with MISCONF", failed, Unit::PerSecond, NONE_IS_FINE, "redis.errors"),
        evidence(
            "changes since the last save",
            info.number("rdb_changes_since_last_save").unwrap_or(0.0),
            Unit::Count,
            None,
            "redis.persistence",
        ),
    ];
    found.fixes = fix(r, Phase::Relief, "Once there is space: save again", |cli| sh!("{} BGSAVE", cli))
        .map(|mut fix| {
            fix.risk = "a fork, and the whole data to disk".into();
            fix
        })
        .into_iter()
        .collect();
    let accept = set(r, Phase::Relief, "Accept writes although saves fail", "stop-writes-on-bgsave-error", "no");
    found.fixes.extend(accept.filter(|_| failed > 0.0).map(|mut fix| {
        fix.risk = "what is written now is lost when the server ends before a save succeeds".into();
        fix
    }));
    Judged::found(instance(r), found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    #[test]
    fn a_save_that_failed_is_found() {
        let ill = |word: &str| Bench::redis(|r| r.word("rdb_last_bgsave_status", word));
        Table { clear: ill("ok"), unknown: Some(Bench::silent_redis()), found: ill("err"), held: None }.check(&RULE);
        let refused = Bench::redis(|r| r.fail("MISCONF", 3.0));
        refused.must_say(&RULE, "found Writes are refused (MISCONF): 3.0 writes a second are refused");
    }
}
