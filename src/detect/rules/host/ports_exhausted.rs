//! host.network.ports_exhausted: no ephemeral ports left towards one destination, or nearly none.

use crate::detect::command::{Command, sh};
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::ProcFacts;
use crate::model::host::{LimitsRaw, PortUse};
use crate::model::seen::{Lack, Why};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, count};

const FULL: Param = Param {
    name: "full",
    unit: Unit::Percent,
    default: 98.0,
    min: 50.0,
    max: 100.0,
    what: "share of the ports in use at which connects are taken to fail",
};
const NEARLY: Param = Param {
    name: "nearly",
    unit: Unit::Percent,
    default: 80.0,
    min: 30.0,
    max: 100.0,
    what: "share of the ports in use at which it is a risk",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.network.ports_exhausted",
    class: Class::Error,
    culprit: Culprit::Many,
    says: "no ephemeral ports left towards one destination, or nearly none",
    params: &[FULL, NEARLY],
    origins: &["host.ports"],
    page: "\
A connection is identified by both addresses and both ports. From one address towards one port of one peer there are
only as many connections as `ip_local_port_range` has ports: 28,232 by default. One that was closed keeps its port for
60 s (TIME_WAIT) on the side that closed first, unless `tcp_tw_reuse` lets the next connection reuse it after a
second. When none is left, connect fails with EADDRNOTAVAIL, and long before that each connect spends milliseconds
searching for a free one. From `full` on it is an error, though failing connects cannot be seen; from `nearly` on a
risk. Other network namespaces are left out.

**Who is to blame**: the program with most of the open connections to that peer: it opens one per request, or never
closes any.

**What looks like it**: many sockets in TIME_WAIT spread over many peers, or on the port of a server here: they use no
local ports.

**Relief**: a wider range; reuse, where most are closed. **Cure**: by hand: keep-alive, or a pool of connections.",
    judge: Judge::Host(judge),
};

/// Ports taken, of how many.
struct Taken {
    used: u32,
    of: u32,
}

impl Taken {
    fn by(row: &PortUse, limits: &LimitsRaw) -> Option<Self> {
        let (low, high) = limits.ports?;
        // A closed one may be had again: everywhere, or on loopback.
        let reused = match limits.reuse {
            Some(1) => true,
            Some(2) => row.local.is_loopback(),
            _ => false,
        };
        let used = row.open + if reused { 0 } else { row.closing };
        Some(Self { used, of: u32::from(high.saturating_sub(low)) + 1 })
    }

    fn percent(&self) -> f64 {
        f64::from(self.used) / f64::from(self.of) * 100.0
    }
}

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = &facts.world.host;
    let sockets = match &host.sockets {
        Ok(sockets) => sockets,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    let limits = &host.limits.raw;
    if limits.ports.is_none() {
        return Judged::unknown(Subject::host(), &Lack::new(Why::Unsupported, "net.ipv4.ip_local_port_range"));
    }
    let mut judged = Judged::default();
    for row in &sockets.ports {
        let Some(taken) = Taken::by(row, limits) else { continue };
        let owner = row.owner.and_then(|id| facts.world.processes().iter().find(|p| p.id == id));
        let mut subject = Subject::new(SubjectType::Peer, row.peer.to_string(), row.peer.to_string());
        subject.also = row.owner.iter().map(|id| format!("process:{id}")).collect();
        // No hysteresis here: below it connects do not fail.
        let full = taken.percent() >= params.get(FULL);
        if full || taken.percent() >= params.limit(NEARLY, is_held(prev, &subject)) {
            judged.verdicts.push((subject, Verdict::Found(Box::new(found(params, row, &taken, (owner, limits), full)))));
        }
    }
    if judged.verdicts.is_empty() {
        let most = sockets.ports.first().and_then(|row| Some((row, Taken::by(row, limits)?)));
        let most = most.map_or_else(
            || "no peer uses many local ports".to_owned(),
            |(row, taken)| format!("{} of {} ports towards {}", count(taken.used.into()), count(taken.of.into()), row.peer),
        );
        return Judged::clear(Subject::host(), most);
    }
    judged
}

fn found(
    params: &Params<'_>,
    row: &PortUse,
    taken: &Taken,
    (owner, limits): (Option<&ProcFacts>, &LimitsRaw),
    full: bool,
) -> Found {
    let who = owner.map_or_else(|| "a process here".to_owned(), ProcFacts::label);
    let (used, of) = (count(taken.used.into()), count(taken.of.into()));
    let (class, title) = if full {
        (
            Class::Error,
            format!(
                "Few local ports left towards {}: {used} of {of} in use, most by {who}; connects fail or soon will",
                row.peer
            ),
        )
    } else {
        (Class::Risk, format!("{used} of the {of} local ports towards {} are in use, most by {who}", row.peer))
    };
    let mut found = Found::new(class, title);
    found.evidence = vec![
        evidence("ports in use towards it", f64::from(taken.used), Unit::Count, Some(f64::from(taken.of)), "host.ports")
            .of_capacity(),
        params.row("share of the range", taken.percent(), NEARLY, "host.ports"),
        evidence("connections open", f64::from(row.open), Unit::Count, None, "host.ports"),
        evidence("closing connections (TIME_WAIT etc.)", f64::from(row.closing), Unit::Count, None, "host.ports"),
    ];
    found.fixes = fixes(row, owner, limits);
    found
}

fn fixes(row: &PortUse, owner: Option<&ProcFacts>, limits: &LimitsRaw) -> Vec<Fix> {
    let (low, high) = limits.ports.unwrap_or_default();
    let mut fixes = Vec::new();
    if row.closing > row.open && limits.reuse.is_some_and(|r| r != 1) {
        let mut reuse = fix::shell_fix(
            Phase::Relief,
            Horizon::Immediate,
            "Let new connections reuse ports in TIME_WAIT after a second",
            sh!("sysctl -w net.ipv4.tcp_tw_reuse=1"),
        );
        reuse.undo = Some(sh!("sysctl -w net.ipv4.tcp_tw_reuse={}", limits.reuse.unwrap_or(2)));
        reuse.risk = "needs TCP time stamps at both ends; acts on outgoing connections only".into();
        reuse.needs = "root".into();
        fixes.push(reuse);
    }
    let (wide_low, wide_high) = (low.min(10_240), u16::MAX);
    if low > 10_240 || high < 65_000 {
        let mut wider = fix::shell_fix(
            Phase::Relief,
            Horizon::Immediate,
            "Widen the range of local ports",
            sh!("sysctl -w net.ipv4.ip_local_port_range=\"{} {}\"", wide_low, wide_high),
        );
        wider.undo = Some(sh!("sysctl -w net.ipv4.ip_local_port_range=\"{} {}\"", low, high));
        wider.risk =
            "a server about to listen on a port in the wider range may find it in use: reserve it with ip_local_reserved_ports"
                .into();
        wider.needs = "root".into();
        fixes.push(wider);
    }
    let who = owner.map_or_else(|| "the program".to_owned(), ProcFacts::label);
    let mut cure = fix::shell_fix(
        Phase::Cure,
        Horizon::ShortTerm,
        format!("Let {who} keep its connections to {}", row.peer),
        Command::note(""),
    );
    cure.command = Command::note(format!("# keep-alive or a pool towards {}: one connection for many requests", row.peer));
    cure.needs = "the program's configuration".into();
    cure.verify = sh!("ss -tan dst {} dport = :{} | wc -l", row.peer.ip(), row.peer.port());
    fixes.push(cure);
    fixes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{service, unread};
    use crate::detect::bench::{Bench, Table};

    #[test]
    fn a_port_that_may_be_reused_is_not_taken() {
        let limits = |reuse| LimitsRaw { ports: Some((32_768, 33_767)), reuse, ..LimitsRaw::default() };
        let row = |local: &str| PortUse {
            local: local.parse().unwrap(),
            peer: "10.0.0.9:80".parse().unwrap(),
            open: 100,
            closing: 850,
            owner: None,
        };
        let percent = |local, reuse| Taken::by(&row(local), &limits(reuse)).unwrap().percent();
        assert!((percent("10.0.0.1", Some(2)) - 95.0).abs() < 1e-9);
        assert!((percent("10.0.0.1", None) - 95.0).abs() < 1e-9, "a kernel that does not say so reuses nothing");
        assert!((percent("127.0.0.1", Some(2)) - 10.0).abs() < 1e-9);
        assert!((percent("10.0.0.1", Some(1)) - 10.0).abs() < 1e-9);
        assert!((percent("127.0.0.1", Some(0)) - 95.0).abs() < 1e-9);
    }

    /// Of the 1000 ports towards one peer of this host connections hold so many, and closed ones so many more, which may be reused.
    fn towards(open: u32, closing: u32) -> Bench {
        let owner = Some(service(100, "api", 8080).id);
        let (local, peer) = ("127.0.0.1".parse().unwrap(), "127.0.0.1:5432".parse().unwrap());
        let row = PortUse { local, peer, open, closing, owner };
        Bench::quiet().on(|host| {
            (host.limits.raw.ports, host.limits.raw.reuse) = (Some((32_768, 33_767)), Some(2));
            host.sockets.as_mut().unwrap().ports = vec![row];
        })
    }

    #[test]
    fn ports_that_run_out_are_found_closed_ones_that_come_back_do_not_count() {
        let found = towards(810, 0);
        found.must_say(&RULE, "found 810 of the 1.0k local ports towards 127.0.0.1:5432 are in use, most by api (pid 100)");
        towards(980, 0).must_say(&RULE, "found Few local ports left towards 127.0.0.1:5432: 980 of 1.0k in use");
        towards(810, 0).on(|host| host.sockets = Err(unread())).must_say(&RULE, "unknown");
        Table {
            clear: towards(50, 940),
            unknown: Some(towards(810, 0).on(|host| host.limits.raw.ports = None)),
            found,
            held: Some(towards(600, 0)),
        }
        .check(&RULE);
    }
}
