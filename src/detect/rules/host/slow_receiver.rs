//! host.network.slow_receiver: a peer's receive window holds data back: it reads too slowly, or its window is too small.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::Unit;

const LIMITED: Param = Param {
    name: "limited",
    unit: Unit::SecondsPerSecond,
    default: 0.2,
    min: 0.01,
    max: 1000.0,
    what: "time in which receive windows of one address hold data back",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.network.slow_receiver",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "a peer's receive window holds data back: it reads too slowly, or its window is too small",
    params: &[LIMITED],
    origins: &["host.peers", "ledger"],
    page: "\
A receiver that reads too slowly closes its window, and the sender must wait (`tcpi_rwnd_limited`, exact kernel time,
summed over the sockets to one address). A window that is too small for a long path holds data back as well. The wait
is on the other end: what it costs is what sessions of servers here wait for that client, as far as its window was closed; a
warning at most, and info where no session is seen to wait. It is shown because from outside it looks like a slow server.
Loopback and other network namespaces are left out.

**Relief**: see the windows. **Cure**: by hand, on the other end: read faster, or allow larger receive buffers.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let sockets = match &facts.world.host.sockets {
        Ok(sockets) => sockets,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    let mut judged = Judged::default();
    for path in sockets.paths.iter().filter(|p| !p.ip.is_loopback()) {
        let subject = Subject::new(SubjectType::Peer, format!("{}:*", path.ip), path.ip.to_string());
        if path.window_limited_s_per_s < params.limit(LIMITED, is_held(prev, &subject)) {
            continue;
        }
        let title =
            format!("The receive window of {} holds our data back: it reads too slowly, or its window is too small", path.ip);
        let mut found = Found::new(Class::Live, title);
        found.evidence = vec![
            params.row("time limited by the receive window", path.window_limited_s_per_s, LIMITED, "host.peers"),
            evidence("sockets to the address", f64::from(path.sockets), Unit::Count, None, "host.peers"),
        ];
        found.never_critical = true;
        for to in facts.ledger.sending.iter().filter(|s| s.to == path.ip) {
            found.losses.push((to.state, to.by_window(facts.world)));
            found.victims_time += to.time;
        }
        found.losses.retain(|(_, s)| *s > 0.0);
        if found.lost() > 0.0 {
            let lost = found.lost();
            found.evidence.push(evidence("sessions that wait for it to read", lost, Unit::SecondsPerSecond, None, "ledger"));
        }
        found.against = vec![evidence("segments retransmitted", path.retransmits_per_s, Unit::PerSecond, None, "host.peers")];
        let mut look = fix::shell_fix(
            Phase::Relief,
            Horizon::Immediate,
            "See the windows",
            sh!("ss -tin dst {} | grep -B1 rwnd_limited", path.ip),
        );
        look.risk = "none: read-only".into();
        found.fixes = vec![look];
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(Subject::host(), "no peer's window holds data back");
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{path, unread};
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::PathFacts;

    fn limited(ip: [u8; 4], window_limited_s_per_s: f64) -> Bench {
        let path = PathFacts { window_limited_s_per_s, ..path(ip) };
        Bench::quiet().on(|host| host.sockets.as_mut().unwrap().paths = vec![path])
    }

    #[test]
    fn a_closed_window_is_found_and_held() {
        let found = limited([10, 0, 0, 9], 0.21);
        found.must_say(&RULE, "found The receive window of 10.0.0.9 holds our data back");
        limited([127, 0, 0, 1], 0.9).must_say(&RULE, "clear");
        Table {
            clear: limited([10, 0, 0, 9], 0.13),
            unknown: Some(Bench::quiet().on(|host| host.sockets = Err(unread()))),
            found,
            held: Some(limited([10, 0, 0, 9], 0.15)),
        }
        .check(&RULE);
    }
}
