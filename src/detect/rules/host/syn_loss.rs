//! host.network.syn_loss: connects need SYN retransmits.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::detect::command::sh;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::State;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::ConnectingFacts;
use crate::model::host::MessageKind;
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

const HOSTS: Param = Param {
    name: "hosts",
    unit: Unit::Count,
    default: 4.0,
    min: 2.0,
    max: 1000.0,
    what: "addresses that do not answer at once: from here on they are one finding, about what they share",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.network.syn_loss",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "connects need SYN retransmits",
    params: &[LOST, HOSTS],
    origins: &["host.peers", "host.tcp", "host.kmsg"],
    page: "\
A connect gets no answer: the kernel retransmits the SYN after one second, then after two, four … Each such connect
costs at least a second. The loss is the mean number of sockets in SYN_SENT towards that address and port; a retry
shows that it is loss and not a slow round trip. The sockets are dumped every 0.25 to 3 s, each second while no
process here has a connection to another host. One address is never critical: nobody may wait for that connect.

Where `hosts` addresses do not answer at once, what they share is likelier at fault than each of them: one finding about this
host, with what all of them wait together. A full table of neighbours is named where the kernel says so; else it may lie on the
way or be a probe of dead hosts, and is never critical.

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
    let unanswered: Vec<&ConnectingFacts> = sockets.connecting.iter().filter(|c| c.again > 0.0).collect();
    let addresses: BTreeSet<IpAddr> = unanswered.iter().filter(|c| c.waiting >= params.get(LOST)).map(|c| c.peer.ip()).collect();
    let ours = Subject::host();
    let hosts = if is_held(prev, &ours) { 2.0 } else { params.get(HOSTS) };
    if addresses.len() as f64 >= hosts {
        return Judged::found(ours, common(facts, params, &unanswered, &addresses, again_per_s));
    }
    let mut judged = Judged::default();
    for row in unanswered {
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

/// What many addresses have in common that do not answer: this side.
fn common(
    facts: &Facts<'_>,
    params: &Params<'_>,
    all: &[&ConnectingFacts],
    addresses: &BTreeSet<IpAddr>,
    again_per_s: f64,
) -> Found {
    let waiting: f64 = all.iter().map(|c| c.waiting).sum();
    let messages = facts.world.host.messages.iter().flatten();
    let full = messages.filter(|m| m.kind == MessageKind::NeighbourFull).count();
    let because = if full > 0 { ": the table of neighbours is full" } else { ": look for what they share, here or on the way" };
    let mut found = Found::new(Class::Live, format!("Connects to {} addresses get no answer{because}", addresses.len()));
    found.losses = vec![(State::NetworkConnect, waiting)];
    found.victims_time = waiting;
    found.evidence = vec![
        evidence("connections without an answer", waiting, Unit::Count, Some(params.get(LOST)), "host.peers"),
        params.row("addresses that do not answer at once", addresses.len() as f64, HOSTS, "host.peers"),
        evidence("SYNs retransmitted", again_per_s, Unit::PerSecond, None, "host.tcp"),
    ];
    if full > 0 {
        found.evidence.push(evidence(
            "messages of the kernel: neighbour table overflow",
            full as f64,
            Unit::Count,
            None,
            "host.kmsg",
        ));
    }
    found.confidence = if full > 0 { 0.9 } else { 0.5 };
    // A monitor that asks dead hosts looks the same, unless the kernel names the cause.
    found.never_critical = full == 0;
    let first = addresses.iter().next().copied().unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
    let mut look = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "See which way leads there, and whether the next hop answers",
        sh!("ip route get {}; ip neigh show nud failed | head; ip -s link; nft list ruleset | grep -n drop", first),
    );
    look.risk = "none: read-only".into();
    found.fixes = vec![look];
    if full > 0 {
        let v6 = first.is_ipv6();
        let limit = if v6 { "net.ipv6.neigh.default.gc_thresh3" } else { "net.ipv4.neigh.default.gc_thresh3" };
        let mut raise = fix::shell_fix(
            Phase::Relief,
            Horizon::Immediate,
            "Double the hard limit of the table of neighbours",
            sh!("t=$(sysctl -n {}) && sysctl -w {}=$((t * 2))", limit, limit),
        );
        raise.undo = Some(sh!("t=$(sysctl -n {}) && sysctl -w {}=$((t / 2))", limit, limit));
        raise.risk = "kernel memory for each entry, some 400 bytes".into();
        raise.needs = "root".into();
        found.fixes.insert(0, raise);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::unread;
    use crate::detect::bench::{Bench, Table};
    use crate::model::host::KernelMessage;

    fn connecting(waiting: f64, again: f64) -> Bench {
        let row = ConnectingFacts { peer: "10.0.0.9:443".parse().unwrap(), waiting, again };
        Bench::quiet().on(|host| host.sockets.as_mut().unwrap().connecting = vec![row])
    }

    /// So many addresses that each keep one connect waiting.
    fn addresses(n: u8) -> Bench {
        let row = |i: u8| ConnectingFacts { peer: format!("10.0.0.{i}:443").parse().unwrap(), waiting: 1.0, again: 1.0 };
        Bench::quiet().on(|host| host.sockets.as_mut().unwrap().connecting = (1..=n).map(row).collect())
    }

    #[test]
    fn many_that_do_not_answer_are_one_finding() {
        addresses(52)
            .must_say(&RULE, "found Connects to 52 addresses get no answer: look for what they share, here or on the way");
        assert_eq!(addresses(52).says(&RULE, None).len(), 1, "one finding");
        let full = addresses(52).on(|host| {
            let text = "neighbour: arp_cache: neighbor table overflow!".into();
            host.messages = Some(vec![KernelMessage { at_us: 1, kind: MessageKind::NeighbourFull, device: None, text }]);
        });
        full.must_say(&RULE, "found Connects to 52 addresses get no answer: the table of neighbours is full");
        let fixes = full.pastes(&RULE).join("\n");
        assert!(fixes.contains("gc_thresh3=$((t * 2))"), "doubled, whatever it is: {fixes}");
        // Three that are down, and one that is asked at five ports, are what they are.
        assert_eq!(addresses(3).says(&RULE, None).len(), 3);
        let port = |p: u16| ConnectingFacts { peer: format!("10.0.0.9:{p}").parse().unwrap(), waiting: 1.0, again: 1.0 };
        let one = Bench::quiet().on(|host| host.sockets.as_mut().unwrap().connecting = (1..=5).map(port).collect());
        assert_eq!(one.says(&RULE, None).len(), 5);
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
