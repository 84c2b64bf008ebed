//! host.network.link_saturated: a link is full or its queue drops.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::InterfaceFacts;
use crate::model::seen::{Lack, Why};
use crate::model::shell::Word;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes, short};

const UTIL: Param = Param {
    name: "util",
    unit: Unit::Percent,
    default: 90.0,
    min: 10.0,
    max: 100.0,
    what: "share of line rate, in the busier direction",
};
const DROPS: Param = Param {
    name: "drops",
    unit: Unit::PerSecond,
    default: 1.0,
    min: 0.01,
    max: 1e6,
    what: "packets dropped by its queue, where the speed is unknown or not reached (a shaper)",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.network.link_saturated",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "a link is full or its queue drops",
    params: &[UTIL, DROPS],
    origins: &["host.interfaces", "host.queues", "ledger"],
    page: "\
One direction of a link carries nearly what it can. Queues grow, then drop. It counts the busier direction against
the speed that the driver reports, and drops of the interface's outermost queue: that is how a shaper (tc) shows.
Either is enough. Shaping by a cloud provider cannot be seen from here.

A full link is not a loss by itself: a backup may fill it while nobody waits. What it costs is what sessions of servers here wait
for clients on other hosts to take their answers, less the part in which a client's closed window held the data back
(`host.network.slow_receiver`), provided that one link only is full, and full in the direction that goes out: a warning at most, as
whether those clients are behind it is likely and not seen. Where nobody is seen to wait it stays info. Packet loss and pending
responses are findings of their own, and this may be why.

**Relief**: see who sends and receives most; stop or slow it by hand. **Cure**: see what limits the link; by hand: a
faster link, a wider shaper, compression, another time for bulk copies.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let interfaces = match &facts.world.host.interfaces {
        Ok(interfaces) => interfaces,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    let mut judged = Judged::default();
    let mut fullest: f64 = 0.0;
    if !interfaces.is_empty() && interfaces.iter().all(|i| i.util.is_none() && i.queue_drops_per_s.is_none()) {
        return Judged::unknown(Subject::host(), &Lack::new(Why::Absent, "speed of the links, and drops of their queues"));
    }
    let is_full = |i: &InterfaceFacts| {
        let held = is_held(prev, &link(i));
        i.util.is_some_and(|u| u * 100.0 >= params.limit(UTIL, held))
            || i.queue_drops_per_s.is_some_and(|d| d >= params.limit(DROPS, held))
    };
    // Through which of two full links a client is reached is not known.
    let alone = interfaces.iter().filter(|i| is_full(i)).count() == 1;
    for i in interfaces {
        let util = i.util.map_or(0.0, |u| u * 100.0);
        let drops = i.queue_drops_per_s.unwrap_or(0.0);
        fullest = fullest.max(util);
        let subject = link(i);
        let held = is_held(prev, &subject);
        let full = util >= params.limit(UTIL, held);
        if !full && drops < params.limit(DROPS, held) {
            continue;
        }
        let (name, received, sent) = (&i.name, bytes(i.rx_bytes_per_s), bytes(i.tx_bytes_per_s));
        let title = if full {
            format!("{name} is full: {received}/s in, {sent}/s out of {} Mbit/s", i.speed_mbit.unwrap_or(0))
        } else {
            format!("The queue of {name} is full: {} packets a second are dropped, {sent}/s go out", short(drops))
        };
        let mut found = Found::new(Class::Live, title);
        found.confidence = 0.7;
        // Whether the clients are behind it is likely, and not seen.
        found.never_critical = true;
        if alone && sends(i, params) && facts.world.host.sockets.is_ok() {
            cost(facts, &mut found);
        }
        found.evidence = vec![
            params.either("busier direction, share of line rate", util, UTIL, "host.interfaces"),
            evidence("errors and drops", i.bad_packets_per_s, Unit::PerSecond, None, "host.interfaces"),
        ];
        let dropped = i.queue_drops_per_s;
        found.evidence.extend(dropped.map(|d| params.either("dropped by its queue", d, DROPS, "host.queues")));
        found.evidence.extend(i.queued_packets.map(|n| evidence("packets queued, mean", n, Unit::Count, None, "host.queues")));
        let mut look = fix::shell_fix(
            Phase::Relief,
            Horizon::Immediate,
            "See who sends and receives most",
            sh!(
                "ss -tinp state established | grep -oE 'users:.*|bytes_sent:[0-9]+|delivery_rate [0-9]+[A-Za-z]*bps' | paste - - - | head -n 40"
            ),
        );
        look.risk = "none: read-only".into();
        let mut cure = look.clone();
        cure.phase = Phase::Cure;
        cure.horizon = Horizon::LongTerm;
        cure.title = "A faster link, a wider shaper, or another time for bulk copies".into();
        let name = Word::operand(i.name.raw());
        let cure = name.map(|name| {
            cure.command = sh!("ethtool {}; tc -s qdisc show dev {}   # what it could do, and what limits it", name, name);
            cure
        });
        found.fixes = std::iter::once(look).chain(cure).collect();
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(Subject::host(), format!("at most {fullest:.0} % of line rate in use"));
    }
    judged
}

/// It is full in the direction in which answers go.
fn sends(i: &InterfaceFacts, params: &Params<'_>) -> bool {
    let drops = i.queue_drops_per_s.is_some_and(|d| d >= params.limit(DROPS, true));
    let speed = i.speed_mbit.map(|mbit| mbit as f64 * 125_000.0).filter(|speed| *speed > 0.0);
    drops || speed.is_some_and(|speed| 100.0 * i.tx_bytes_per_s / speed >= params.limit(UTIL, true))
}

fn link(i: &InterfaceFacts) -> Subject {
    Subject::new(SubjectType::Interface, i.name.shown(), i.name.shown())
}

/// What sessions here wait for clients elsewhere, where those would take it.
fn cost(facts: &Facts<'_>, found: &mut Found) {
    for to in facts.ledger.sending.iter().filter(|s| !s.to.is_loopback()) {
        let lost = to.waiting - to.by_window(facts.world);
        match found.losses.iter_mut().find(|(state, _)| *state == to.state) {
            Some((_, so_far)) => *so_far += lost,
            None if lost > 0.0 => found.losses.push((to.state, lost)),
            None => continue,
        }
        found.victims_time += to.time;
    }
    let lost = found.lost();
    if lost > 0.0 {
        found.evidence.push(evidence("sessions that wait to send to other hosts", lost, Unit::SecondsPerSecond, None, "ledger"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{interface, path, unread};
    use crate::detect::bench::postgres::{seen, server, waits};
    use crate::detect::bench::{Bench, Table};
    use crate::detect::rules::host::slow_receiver;
    use crate::model::facts::PathFacts;
    use crate::model::postgres::{Server, Session, WaitKind};
    use crate::model::source::Place;

    /// A link of 1 Gbit/s is used to that share, and its queue drops that many packets a second.
    fn link(share: f64, drops: f64) -> Bench {
        let link = InterfaceFacts {
            tx_bytes_per_s: share * 125e6,
            util: Some(share),
            queue_drops_per_s: Some(drops),
            ..interface("eth0")
        };
        Bench::quiet().on(|host| host.interfaces = Ok(vec![link]))
    }

    #[test]
    fn a_full_link_is_found_and_held() {
        let found = link(0.91, 0.0);
        found.must_say(&RULE, "found eth0 is full: 0 B/s in, 108 MiB/s out of 1000 Mbit/s");
        Table {
            clear: link(0.62, 0.6),
            unknown: Some(Bench::quiet().on(|host| host.interfaces = Err(unread()))),
            found,
            held: Some(link(0.7, 0.0)),
        }
        .check(&RULE);
    }

    #[test]
    fn so_is_a_queue_that_drops_below_line_rate() {
        let found = link(0.1, 1.1);
        found.must_say(&RULE, "found The queue of eth0 is full: 1.1 packets a second are dropped, 12 MiB/s go out");
        Table { clear: link(0.1, 0.6), unknown: None, found, held: Some(link(0.1, 0.8)) }.check(&RULE);
    }

    /// A session here sends to a client elsewhere; that client's window is closed for so long.
    fn sends(link: InterfaceFacts, closed: f64) -> Bench {
        let session = Session { client: "10.0.0.9:5000".into(), ..waits(30, WaitKind::Client, "ClientWrite") };
        let way = PathFacts { window_limited_s_per_s: closed, ..path([10, 0, 0, 9]) };
        let here = Server { place: Place::Local, ..server() };
        seen(vec![(session, 900)]).served(|pg| pg.server = Some(here.into())).on(|host| {
            host.interfaces = Ok(vec![link]);
            host.sockets.as_mut().unwrap().paths = vec![way];
        })
    }

    #[test]
    fn it_costs_what_sessions_wait_to_send_and_no_window_explains() {
        let lost = |bench: &Bench| bench.loses(&RULE);
        let full = || InterfaceFacts { queue_drops_per_s: Some(30.0), ..interface("eth0") };
        assert!((lost(&sends(full(), 0.0)) - 0.9).abs() < 0.01);
        assert!((lost(&sends(full(), 0.6)) - 0.3).abs() < 0.01);
        assert!(lost(&sends(full(), 2.0)).abs() < 0.01, "the client does not read");
        let both = sends(full(), 0.0).on(|host| {
            host.interfaces.as_mut().unwrap().push(InterfaceFacts { queue_drops_per_s: Some(30.0), ..interface("eth1") });
        });
        assert!(lost(&both).abs() < 0.01, "which of two is not known");
        assert!((sends(interface("eth0"), 0.6).loses(&slow_receiver::RULE) - 0.6).abs() < 0.01);
    }
}
