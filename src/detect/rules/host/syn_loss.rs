//! host.network.syn_loss: connects need SYN retransmits.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::State;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, short};

const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.05,
    min: 0.001,
    max: 1000.0,
    what: "connections waiting for an answer to their SYN, on average",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.network.syn_loss",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "connects need SYN retransmits",
    params: &[LOST],
    origins: &["host.peers", "host.tcp"],
    page: "\
A connect gets no answer: the kernel retransmits the SYN after one second, then after two, four … Each such connect
costs at least a second. The loss is the mean number of sockets in SYN_SENT towards that address and port; a retry
shows that it is loss and not a slow round trip. The sockets are dumped every 0.25 to 3 s, each second while no
process here has a connection to another host. Never critical: nobody may wait for that connect.

**What causes it**: a firewall that drops, a host that is down, a full accept queue on the other side
(`host.network.listen_overflow` there), packet loss.

**Relief**: see whether anyone answers there; by hand: another address of that service. **Cure**: look on that host;
by hand: the firewall, the listener's backlog, the host.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let sockets = match &facts.world.host.sockets {
        Ok(sockets) => sockets,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    let again_per_s = facts.world.host.tcp.as_ref().ok().and_then(|t| t.syn_retransmits_per_s).unwrap_or(0.0);
    let mut judged = Judged::default();
    for row in sockets.connecting.iter().filter(|c| c.again > 0.0) {
        let subject = Subject::new(SubjectType::Peer, row.peer.to_string(), row.peer.to_string());
        if row.waiting < params.limit(LOST, is_held(prev, &subject)) {
            continue;
        }
        let mut found = Found::new(Class::Live, format!("Connects to {} get no answer: the SYN is retransmitted", row.peer));
        found.losses = vec![(State::NetworkConnect, row.waiting)];
        found.victims_time = row.waiting;
        found.evidence = vec![
            evidence("connections without an answer", row.waiting, Unit::Count, Some(params.get(LOST)), "host.peers"),
            evidence("of these, retried", row.again, Unit::Count, None, "host.peers"),
            evidence("SYNs retransmitted", again_per_s, Unit::PerSecond, None, "host.tcp"),
        ];
        // Whose connects these are, and whether anyone waits for them, is not known here: a probe of a dead host looks the same.
        found.never_critical = true;
        found.confidence = 0.8;
        let ip = row.peer.ip();
        let mut look = fix::shell_fix(
            Phase::Relief,
            Horizon::Immediate,
            "See whether anyone answers there",
            sh!("nc -vz -w 3 {} {}; ip route get {}", ip, row.peer.port(), ip),
        );
        look.risk = "opens one connection".into();
        look.needs = "nc".into();
        let mut cure = look.clone();
        cure.phase = Phase::Cure;
        cure.title = "On that host: a full accept queue or a firewall that drops".into();
        cure.target = ip.to_string();
        cure.command =
            sh!("ss -ltn sport = :{}; nstat -az TcpExtListenOverflows; nft list ruleset | grep -n drop", row.peer.port());
        found.fixes = vec![look, cure];
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(
            Subject::host(),
            format!("every connect is answered ({} SYNs/s retransmitted)", short(again_per_s)),
        );
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::unread;
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::ConnectingFacts;

    fn connecting(waiting: f64, again: f64) -> Bench {
        let row = ConnectingFacts { peer: "10.0.0.9:443".parse().unwrap(), waiting, again };
        Bench::quiet().on(|host| host.sockets.as_mut().unwrap().connecting = vec![row])
    }

    #[test]
    fn a_connect_that_is_retried_is_found_a_slow_one_is_not() {
        let found = connecting(0.06, 0.06);
        found.must_say(&RULE, "found Connects to 10.0.0.9:443 get no answer: the SYN is retransmitted");
        Table {
            clear: connecting(0.9, 0.0),
            unknown: Some(Bench::quiet().on(|host| host.sockets = Err(unread()))),
            found,
            held: Some(connecting(0.04, 0.04)),
        }
        .check(&RULE);
    }
}
