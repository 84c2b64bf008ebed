//! host.network.nic_errors: errors or drops on an interface, by rate and by share of its packets.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::shell::Word;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, short};

const SHARE: Param = Param {
    name: "share",
    unit: Unit::Percent,
    default: 0.5,
    min: 0.001,
    max: 100.0,
    what: "share of packets in error or dropped",
};
const BAD: Param = Param {
    name: "bad",
    unit: Unit::PerSecond,
    default: 2.0,
    min: 0.01,
    max: 1e6,
    what: "packets in error or dropped per second",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.network.nic_errors",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "errors or drops on an interface, by rate and by share of its packets",
    params: &[SHARE, BAD],
    origins: &["host.interfaces"],
    page: "\
An interface counts errors (a bad cable, a duplex mismatch) or drops (its ring is full, no protocol took the packet),
in both directions; both thresholds must be met. Some drops are harmless: protocols that nobody here speaks. What they
cost shows as packet loss, which is a separate finding; this one points to the interface, and is never above info.

**Relief**: see which counters grow. **Cure**: by hand: a larger ring for drops; cable, transceiver or port for
errors.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let interfaces = match &facts.world.host.interfaces {
        Ok(interfaces) => interfaces,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    let mut judged = Judged::default();
    for i in interfaces.iter().filter(|i| i.physical || i.name.shown() != "lo") {
        let subject = Subject::new(SubjectType::Interface, i.name.shown(), i.name.shown());
        let held = is_held(prev, &subject);
        let packets = i.rx_packets_per_s + i.tx_packets_per_s;
        let share = i.bad_packets_per_s / (packets + i.bad_packets_per_s).max(1e-9) * 100.0;
        if i.bad_packets_per_s < params.limit(BAD, held) || share < params.limit(SHARE, held) {
            continue;
        }
        let title = format!(
            "{} counts {} errors and drops a second ({} % of its packets)",
            i.name,
            short(i.bad_packets_per_s),
            short(share)
        );
        let mut found = Found::new(Class::Live, title);
        found.evidence = vec![
            params.row("errors and drops", i.bad_packets_per_s, BAD, "host.interfaces"),
            params.row("share of its packets", share, SHARE, "host.interfaces"),
            evidence("packets", packets, Unit::PerSecond, None, "host.interfaces"),
        ];
        found.fixes = fixes(i.name.raw());
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(Subject::host(), "no interface has many errors or drops");
    }
    judged
}

fn fixes(interface: &[u8]) -> Vec<Fix> {
    let Some(name) = Word::operand(interface) else { return Vec::new() };
    let mut look = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "See which counters grow",
        sh!("ip -s -s link show dev {}; ethtool -S {} | grep -iE 'err|drop|discard|miss' | grep -v ': 0$'", name, name),
    );
    look.risk = "none: read-only".into();
    let mut cure = look.clone();
    cure.phase = Phase::Cure;
    cure.horizon = Horizon::ShortTerm;
    cure.title = "A larger ring for drops; cable, transceiver or port for errors".into();
    cure.command = sh!("ethtool -g {}   # then: ethtool -G {} rx MAX", name, name);
    cure.needs = "root".into();
    vec![look, cure]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{interface, unread};
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::InterfaceFacts;

    fn counts(bad: f64, packets: f64) -> Bench {
        let nic = InterfaceFacts { bad_packets_per_s: bad, rx_packets_per_s: packets, ..interface("eth0") };
        Bench::quiet().on(|host| host.interfaces = Ok(vec![nic]))
    }

    #[test]
    fn errors_are_found_when_they_are_many_of_its_packets() {
        let found = counts(2.1, 300.0);
        found.must_say(&RULE, "found eth0 counts 2.1 errors and drops a second (0.7 % of its packets)");
        // A stray one on an idle link is a large share.
        counts(1.0, 10.0).must_say(&RULE, "clear");
        Table {
            clear: counts(30.0, 10_000.0),
            unknown: Some(Bench::quiet().on(|host| host.interfaces = Err(unread()))),
            found,
            held: Some(counts(1.5, 350.0)),
        }
        .check(&RULE);
    }
}
