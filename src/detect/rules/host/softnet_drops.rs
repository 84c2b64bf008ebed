//! host.network.softnet_drops: the kernel drops packets before any socket sees them.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::State;
use crate::detect::ledger::loss;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, evidence};
use crate::model::seen::Lack;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, short};

const DROPS: Param = Param {
    name: "drops",
    unit: Unit::PerSecond,
    default: 1.0,
    min: 0.01,
    max: 1e6,
    what: "packets per second dropped because a CPU's backlog is full",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.network.softnet_drops",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "the kernel drops packets before any socket sees them",
    params: &[DROPS],
    origins: &["host.softnet", "ledger"],
    page: "\
A CPU takes packets from the NICs more slowly than they arrive; its backlog (`netdev_max_backlog`) is full, and the
rest is dropped before any socket sees it. Squeezes alone (the budget ran out, the rest was processed a moment later)
are not a loss.

The loss is modelled, a lower bound: of the segments that come in for sockets here (requests to listeners, responses
of peers on other hosts) the share dropped / (dropped + taken), at 0.2 s each, the sender's first time-out; at most
one per connection. Of what is awaited from peers at least the time-outs that were seen, at 0.2 s each, as far as packets dropped account
for the retransmits; those account for connects without an answer as well. Never critical.

**Relief**: a longer backlog and a larger budget. **Cure**: see where the interrupts go; by hand: spread them over
CPUs (RSS, RPS), find what occupies that CPU.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = Subject::host();
    let limits = &facts.world.host.limits;
    let Some(drops) = limits.softnet_drops_per_s else {
        return Judged::unknown(host, &Lack::first_sample("/proc/net/softnet_stat"));
    };
    let squeezes = limits.squeezes_per_s.unwrap_or(0.0);
    if drops < params.limit(DROPS, is_held(prev, &host)) {
        return Judged::clear(host, format!("{} packets/s dropped, {} squeezes/s", short(drops), short(squeezes)));
    }
    let lost = loss::before_sockets(facts.world);
    let mut found =
        Found::new(Class::Live, format!("The kernel drops {} packets a second before any socket sees them", short(drops)));
    found.losses = vec![(State::NetworkRetransmit, lost.requests), (State::PeerReply, lost.replies)];
    found.victims_time = lost.requests + facts.ledger.state(State::PeerReply).max(lost.replies);
    found.never_critical = true;
    found.confidence = 0.5;
    found.evidence = vec![
        params.row("packets dropped", drops, DROPS, "host.softnet"),
        evidence("packets processed", limits.packets_per_s.unwrap_or(0.0), Unit::PerSecond, None, "host.softnet"),
        evidence("squeezes (budget ran out)", squeezes, Unit::PerSecond, None, "host.softnet"),
    ];
    let mut raise = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "A longer backlog and a larger budget",
        sh!("sysctl -w net.core.netdev_max_backlog=10000 net.core.netdev_budget=600"),
    );
    raise.undo =
        Some(sh!("sysctl -w net.core.netdev_max_backlog=OLD net.core.netdev_budget=OLD   # OLD: what sysctl -n printed before"));
    raise.needs = "root".into();
    raise.risk = "memory, and packets that wait longer".into();
    let mut cure = raise.clone();
    cure.phase = Phase::Cure;
    cure.title = "Spread the interrupts over the CPUs".into();
    cure.command = sh!("cat /proc/interrupts | grep -E 'CPU|eth|ens|virtio|mlx'; cat /sys/class/net/*/queues/rx-*/rps_cpus");
    cure.undo = None;
    cure.risk = "none: read-only".into();
    found.fixes = vec![raise, cure];
    Judged::found(host, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    fn drops(drops: Option<f64>, squeezes: f64) -> Bench {
        Bench::quiet().on(|host| {
            host.limits.softnet_drops_per_s = drops;
            host.limits.squeezes_per_s = Some(squeezes);
        })
    }

    #[test]
    fn drops_are_found_squeezes_are_no_loss() {
        let found = drops(Some(1.1), 0.0);
        found.must_say(&RULE, "found The kernel drops 1.1 packets a second before any socket sees them");
        Table { clear: drops(Some(0.6), 500.0), unknown: Some(drops(None, 0.0)), found, held: Some(drops(Some(0.8), 0.0)) }
            .check(&RULE);
    }
}
