//! host.network.conntrack_full: the connection tracking table is nearly full, or full and dropping.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::memory::is_held;
use crate::detect::params::{NONE_IS_FINE, Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, evidence};
use crate::model::subject::Subject;
use crate::model::unit::{Unit, count, short};

const FULL: Param = Param {
    name: "full",
    unit: Unit::Percent,
    default: 90.0,
    min: 50.0,
    max: 100.0,
    what: "share of the table in use; below it, drops have another cause",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.network.conntrack_full",
    class: Class::Error,
    culprit: Culprit::Many,
    says: "connection tracking table nearly full, or full and dropping",
    params: &[FULL],
    origins: &["host.conntrack"],
    page: "\
The firewall tracks every connection in one table. When it is full, packets of new connections are dropped: connects
time out at random while established ones work. Many short connections fill it, with each entry kept for minutes after
the end.

Below `full` the table is fine, and drops are ignored. When full and dropping, drops are compared with attempts: the
TCP connections that this host opened and accepted, plus the drops; forwarded ones are not included. From 5 % and one
a second on it is critical, from 0.5 % on a warning. Without drops it is a risk, at info.

**Relief**: a table twice as large (each entry takes about 320 bytes). **Cure**: see whose connections fill it; by
hand: shorter time-outs, notrack where it is not needed, fewer and longer connections.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = Subject::host();
    let limits = &facts.world.host.limits;
    let Some((now, most)) = limits.raw.conntrack.filter(|(_, most)| *most > 0) else {
        return Judged::clear(host, "connections are not tracked here");
    };
    let share = now as f64 / most as f64 * 100.0;
    let drops = limits.conntrack_drops_per_s.unwrap_or(0.0);
    if share < params.limit(FULL, is_held(prev, &host)) {
        return Judged::clear(host, format!("{} % of the table in use, {} drops/s", short(share), short(drops)));
    }
    let class = if drops > 0.0 { Class::Error } else { Class::Risk };
    let word = if drops > 0.0 {
        format!("drops {} packets of new connections a second", short(drops))
    } else {
        "drops new connections when it is full".to_owned()
    };
    let mut found =
        Found::new(class, format!("Connection tracking holds {} of {}: it {word}", count(now as f64), count(most as f64)));
    if drops > 0.0 {
        found.failed_per_s = Some(drops);
        let opens = facts
            .world
            .host
            .tcp
            .as_ref()
            .ok()
            .map(|t| t.active_opens_per_s.unwrap_or(0.0) + t.passive_opens_per_s.unwrap_or(0.0));
        found.attempts_per_s = Some(opens.unwrap_or(0.0) + drops);
    }
    found.evidence = vec![
        params.row("share of the table in use", share, FULL, "host.conntrack"),
        evidence("packets dropped", drops, Unit::PerSecond, NONE_IS_FINE, "host.conntrack"),
    ];
    let mut raise = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        format!("Raise the table size to {}", most.saturating_mul(2)),
        sh!("sysctl -w net.netfilter.nf_conntrack_max={}", most.saturating_mul(2)),
    );
    raise.undo = Some(sh!("sysctl -w net.netfilter.nf_conntrack_max={}", most));
    raise.needs = "root".into();
    raise.needs_bytes = Some(most.saturating_mul(320));
    raise.risk = "kernel memory for each entry".into();
    let mut cure = raise.clone();
    cure.phase = Phase::Cure;
    cure.horizon = Horizon::ShortTerm;
    cure.title = "See whose connections fill it, and shorten the timeouts of finished ones".into();
    cure.command = sh!(
        "conntrack -L 2>/dev/null | awk '{print $4, $5, $6}' | sort | uniq -c | sort -rn | head; sysctl net.netfilter | grep timeout"
    );
    cure.undo = None;
    cure.risk = "none: read-only".into();
    found.fixes = vec![raise, cure];
    Judged::found(host, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    fn tracking(connections: u64, drops: f64) -> Bench {
        Bench::quiet().on(|host| {
            host.limits.raw.conntrack = Some((connections, 100_000));
            host.limits.conntrack_drops_per_s = Some(drops);
        })
    }

    #[test]
    fn drops_count_only_when_the_table_is_full() {
        let found = tracking(91_000, 5.0);
        found.must_say(&RULE, "found Connection tracking holds 91k of 100k: it drops 5.0 packets of new connections a second");
        tracking(91_000, 0.0).must_say(&RULE, "found Connection tracking holds 91k of 100k: it drops new connections when");
        // A kernel without connection tracking has no table: that is fine, and known.
        Bench::quiet().must_say(&RULE, "clear");
        Table { clear: tracking(62_000, 5.0), unknown: None, found, held: Some(tracking(70_000, 0.0)) }.check(&RULE);
    }
}
