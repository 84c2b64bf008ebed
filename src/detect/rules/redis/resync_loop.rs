//! redis.replication.resync_loop: a replica starts from the beginning again and again.

use crate::detect::finding::{Class, Phase};
use crate::detect::params::{Param, Params};
use crate::detect::redis::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::seen::Lack;
use crate::model::unit::{Unit, bytes};

use super::support::{info, instance, rate, set};

const OFTEN: Param = Param {
    name: "copies",
    unit: Unit::PerSecond,
    default: 0.02,
    min: 0.0001,
    max: 10.0,
    what: "whole copies per second over the last minutes: one in 50 s",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.replication.resync_loop",
    class: Class::Risk,
    culprit: Culprit::One,
    says: "a replica copies everything again and again",
    params: &[OFTEN],
    origins: &["redis.replication", "redis.stats", "redis.settings"],
    page: "\
`sync_full` counts whole copies: each forks, saves and sends all data. A loop comes from a backlog that is smaller than
what is written while the link is gone (`repl-backlog-size`, 1 MiB by default), or from an output buffer for replicas that
is smaller than what is written during the copy (`client-output-buffer-limit replica`): the link is cut, and it begins
again.

**Relief**: a larger backlog. **Cure**: a limit for replicas' buffers that fits the data and the rate of writes.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let r = view.server;
    let info = match info(view) {
        Ok(info) => info,
        Err(answer) => return answer,
    };
    if let Err(answer) = rate(view, "sync_full") {
        return answer;
    }
    let series = view.facts.learned.servers.redis.copies.get(&r.id);
    let Some((copies, span_s)) = series.and_then(|s| s.lately(180.0)).filter(|(_, span)| *span > 0.0) else {
        return Judged::unknown(instance(r), &Lack::first_sample("sync_full of INFO"));
    };
    let held = prev.is_some_and(|p| !p.held.is_empty());
    let per_s = copies / span_s.max(60.0);
    // Each new replica takes one.
    let replicas = info.number("connected_slaves").unwrap_or(0.0);
    if copies < replicas + 2.0 || per_s < params.limit(OFTEN, held) {
        return Judged::clear(instance(r), format!("{copies:.0} whole copies lately"));
    }
    let backlog = info.number("repl_backlog_size").unwrap_or(0.0);
    let title = format!("Replicas copied everything {copies:.0} times lately; the backlog is {}", bytes(backlog));
    let mut found = Found::new(Class::Risk, title);
    found.grows = true;
    found.never_critical = true;
    let written = r.rate("master_repl_offset").unwrap_or(0.0);
    found.evidence = vec![
        params.row("whole copies", per_s, OFTEN, "redis.stats"),
        evidence("written for replicas", written, Unit::BytesPerSecond, None, "redis.replication"),
        evidence("backlog", backlog, Unit::Bytes, None, "redis.replication"),
    ];
    // A tenth of the machine at most, for the backlog and each replica's buffer.
    let room = info.number("total_system_memory").unwrap_or(0.0) / 10.0;
    let wanted = (written * 120.0).max(backlog * 4.0).max(67_108_864.0).min(room).ceil();
    if wanted <= backlog {
        return Judged::found(instance(r), found);
    }
    let title = format!("A backlog for two minutes of writes: {}", bytes(wanted));
    let larger = set(r, Phase::Relief, title, "repl-backlog-size", &format!("{wanted:.0}"));
    found.fixes = larger
        .map(|mut fix| {
            fix.risk = format!("takes that memory as long as there is a replica; {}", fix.risk);
            fix
        })
        .into_iter()
        .collect();
    let limits = set(
        r,
        Phase::Cure,
        "Let a copy outlast the writes that come meanwhile",
        "client-output-buffer-limit",
        &format!("replica {:.0} {:.0} 60", (wanted * 4.0).max(268_435_456.0), wanted.max(67_108_864.0)),
    );
    found.fixes.extend(limits);
    Judged::found(instance(r), found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    use crate::detect::bench::redis::SERVER;

    fn copies(n: f64) -> Bench {
        Bench::redis(|_| ()).knowing(|learned| {
            let series = learned.servers.redis.copies.entry(SERVER.into()).or_default();
            series.push(0.0, 0.0);
            series.push(100.0, n);
        })
    }

    #[test]
    fn copies_again_and_again_are_found() {
        Table { clear: copies(1.0), unknown: Some(Bench::redis(|_| ())), found: copies(3.0), held: None }.check(&RULE);
        copies(3.0).must_say(&RULE, "found Replicas copied everything 3 times lately; the backlog is 1.0 MiB");
    }
}
