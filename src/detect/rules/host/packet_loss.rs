//! host.network.packet_loss: retransmission time-outs cost time.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::State;
use crate::detect::ledger::loss;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::seen::Lack;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, short};

const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.05,
    min: 0.001,
    max: 1000.0,
    what: "time that retransmissions to one address cost",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.network.packet_loss",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "retransmission time-outs cost time",
    params: &[LOST],
    origins: &["host.tcp", "host.peers"],
    page: "\
Segments are lost on the path, and TCP waits for its time-out (200 ms at least) before it retransmits. It counts
time, not the percentage: one lost segment in a hundred can cost nine tenths of the throughput.

The loss is modelled: time-outs and loss probes per second (`TCPTimeouts`, `TCPLossProbes`) x 0.2 s, and a round trip,
where it is known, for each segment retransmitted sooner; shared among the addresses by the segments retransmitted to
them, at most one second per second and socket. It is taken from the pending responses of that address as far as there
are late ones; below 0.3 of those it is never critical. Loopback and other network namespaces are left out.

**What looks like it**: a slow server (no retransmits), a closed window (`host.network.slow_receiver`).

**Relief**: see where on the path packets are lost; by hand: another path or another replica. **Cure**: see drops and
errors on this end; by hand: the cable, the port, the policer, the overloaded middle box.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = &facts.world.host;
    let sockets = match (&host.sockets, &host.tcp) {
        (Ok(sockets), Ok(_)) => sockets,
        (Err(lack), _) | (_, Err(lack)) => return Judged::unknown(Subject::host(), lack),
    };
    let Some(timeouts) = host.tcp.as_ref().ok().and_then(|t| t.timeouts_per_s) else {
        return Judged::unknown(Subject::host(), &Lack::first_sample("TCPTimeouts"));
    };
    let probes = host.tcp.as_ref().ok().and_then(|t| t.loss_probes_per_s).unwrap_or(0.0);
    let mut judged = Judged::default();
    for loss in loss::by_address(facts.world) {
        let subject = Subject::new(SubjectType::Peer, format!("{}:*", loss.ip), loss.ip.to_string());
        if loss.lost < params.limit(LOST, is_held(prev, &subject)) {
            continue;
        }
        let path = sockets.paths.iter().find(|p| p.ip == loss.ip);
        let (again, sent) = path.map_or((0.0, 0.0), |p| (p.retransmits_per_s, p.segments_per_s));
        // What waits for a reply meanwhile is the same second: it is taken from there, the rest is modelled.
        let waits: f64 = facts.ledger.peers.iter().filter(|w| w.peer.ip() == loss.ip).map(|w| w.waiting - w.baseline).sum();
        let mut found =
            Found::new(Class::Live, format!("Packets to {} are lost: {} segments/s retransmitted", loss.ip, short(again)));
        found.losses = vec![(State::PeerReply, loss.lost.min(waits)), (State::NetworkRetransmit, (loss.lost - waits).max(0.0))];
        found.victims_time = waits.max(loss.lost);
        found.held_share = 1.0;
        found.evidence = vec![
            evidence("segments retransmitted", again, Unit::PerSecond, None, "host.peers"),
            evidence("time-outs, all sockets", timeouts, Unit::PerSecond, None, "host.tcp"),
            evidence("loss probes, all sockets", probes, Unit::PerSecond, None, "host.tcp"),
            evidence("sockets to the address", path.map_or(0.0, |p| f64::from(p.sockets)), Unit::Count, None, "host.peers"),
        ];
        if sent > 0.0 {
            found.evidence.push(evidence("share of its segments", again / sent * 100.0, Unit::Percent, None, "host.peers"));
        }
        // A bulk copy loses segments too; only pending responses show that someone waits for it.
        found.never_critical = waits < 0.3;
        found.confidence = 0.8;
        let mut path = fix::shell_fix(
            Phase::Relief,
            Horizon::Immediate,
            "See where on the path packets are lost",
            sh!("mtr -rwzc 50 {}   # or: ping -c 100 -i 0.2 -q {}", loss.ip, loss.ip),
        );
        path.risk = "none: read-only".into();
        path.needs = "mtr or ping".into();
        path.takes_s = Some(50.0);
        let mut cure = path.clone();
        cure.phase = Phase::Cure;
        cure.horizon = Horizon::ShortTerm;
        cure.title = "Repair the path: interface errors here, the switch port, a policer, an overloaded middle box".into();
        cure.command = sh!("ip -s -s link; tc -s qdisc   # drops and errors on this end");
        found.fixes = vec![path, cure];
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(Subject::host(), format!("{} TCP time-outs/s", short(timeouts)));
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{path, unread};
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::PathFacts;

    /// Segments retransmitted to one address, and how often the host waited for a time-out first.
    fn loses(retransmits_per_s: f64, timeouts: Option<f64>) -> Bench {
        Bench::quiet().on(|host| {
            host.sockets.as_mut().unwrap().paths = vec![PathFacts { retransmits_per_s, ..path([10, 0, 0, 9]) }];
            host.tcp.as_mut().unwrap().timeouts_per_s = timeouts;
        })
    }

    #[test]
    fn loss_is_found_by_the_time_it_costs_not_by_its_count() {
        let found = loses(1.0, Some(0.3));
        found.must_say(&RULE, "found Packets to 10.0.0.9 are lost: 1.0 segments/s retransmitted");
        loses(1.0, Some(0.3)).on(|host| host.tcp = Err(unread())).must_say(&RULE, "unknown");
        Table { clear: loses(50.0, Some(0.1)), unknown: Some(loses(1.0, None)), found, held: Some(loses(1.0, Some(0.2))) }
            .check(&RULE);
    }
}
