//! host.network.listen_overflow: a listener's accept queue overflows.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::State;
use crate::detect::memory::is_held;
use crate::detect::params::{NONE_IS_FINE, Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::stands::port_key;
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::{ListenerFacts, ProcFacts};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, short};

const FULL: Param = Param {
    name: "full",
    unit: Unit::Percent,
    default: 90.0,
    min: 10.0,
    max: 100.0,
    what: "peak fill of the accept queue; 0.3 connections must wait in it on average too, fewer where some are dropped",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.network.listen_overflow",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "a listener's accept queue is full: connections wait in it, or are dropped",
    params: &[FULL],
    origins: &["host.listeners", "host.tcp"],
    page: "\
Connections are complete and wait to be accepted; the queue is as long as the program's backlog (and `somaxconn`)
allows, and connections arriving when it is full are dropped: the client retries a second later. The loss is the mean
length of the queue (Little's law: connections that wait). Drops are not charged: the overflow counter is per host and
does not tell which listener dropped.

The program accepts too slowly: it is busy, stopped, blocked, or has too few workers. Where it waits itself, for a CPU,
a disk, memory or another host, the queue stands under what it waits for. A longer backlog only hides a
program that cannot keep up; it does help with bursts.

**Relief**: see what the program does instead of accepting. **Cure**: by hand: more workers that accept; a longer
backlog for bursts.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let sockets = match &facts.world.host.sockets {
        Ok(sockets) => sockets,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    let overflows = facts.world.host.tcp.as_ref().ok().and_then(|t| t.listen_overflows_per_s);
    let mut judged = Judged::default();
    for (listener, fill) in sockets.listeners.iter().filter_map(|l| Some((l, l.fill()?))) {
        let mut subject =
            Subject::new(SubjectType::Port, port_key(listener.at.port(), listener.namespace), format!(":{}", listener.at.port()));
        let owner = listener.owner.and_then(|id| facts.world.processes().iter().find(|p| p.id == id));
        subject.also = owner.iter().map(|p| format!("process:{}", p.id)).collect();
        let taken = fill * 100.0;
        let held = is_held(prev, &subject);
        if taken < params.limit(FULL, held) || !(listener.backs_up(overflows) || held && listener.queued >= 0.05) {
            continue;
        }
        judged.verdicts.push((subject, Verdict::Found(Box::new(found(params, listener, owner, overflows, taken)))));
    }
    if judged.verdicts.is_empty() {
        let rate = overflows.map_or_else(String::new, |o| format!(", {} overflows/s", short(o)));
        return Judged::clear(Subject::host(), format!("no accept queue is full{rate}"));
    }
    judged
}

fn found(params: &Params<'_>, listener: &ListenerFacts, owner: Option<&ProcFacts>, overflows: Option<f64>, taken: f64) -> Found {
    let who = owner.map_or_else(|| "its program".to_owned(), ProcFacts::label);
    let title = format!(
        "The accept queue of :{} is full ({} of {}): {who} does not accept fast enough",
        listener.at.port(),
        listener.queue_max,
        listener.backlog
    );
    let mut found = Found::new(Class::Live, title);
    found.losses = vec![(State::NetworkAccept, listener.queued)];
    found.victims_time = listener.queued;
    found.evidence = vec![
        evidence("connections not accepted, mean", listener.queued, Unit::Count, None, "host.listeners"),
        params.row("share of the queue in use", taken, FULL, "host.listeners"),
        evidence("backlog", f64::from(listener.backlog), Unit::Count, None, "host.listeners"),
        evidence("overflows", overflows.unwrap_or(0.0), Unit::PerSecond, NONE_IS_FINE, "host.tcp"),
    ];
    found.against = vec![evidence("connections accepted", f64::from(listener.accepted), Unit::Count, None, "host.listeners")];
    found.confidence = 0.9;
    found.fixes = fixes(listener, owner);
    found
}

fn fixes(listener: &ListenerFacts, owner: Option<&ProcFacts>) -> Vec<Fix> {
    let port = listener.at.port();
    let mut look = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "See what its program does instead of accepting",
        match owner {
            Some(p) => sh!("ss -ltnp sport = :{}; cat /proc/{}/task/*/wchan | sort | uniq -c", port, p.id.pid),
            None => sh!("ss -ltnp sport = :{}", port),
        },
    );
    look.risk = "none: read-only".into();
    let mut cure = look.clone();
    cure.phase = Phase::Cure;
    cure.horizon = Horizon::ShortTerm;
    cure.title = "More workers that accept; a longer backlog for bursts".into();
    cure.command = sh!("sysctl net.core.somaxconn   # the program's own backlog is capped by it; it is {} now", listener.backlog);
    cure.needs = "the program's configuration and a restart".into();
    vec![look, cure]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{service, unread};
    use crate::detect::bench::{Bench, Table};

    /// A queue of 128: the most that was in it, the mean, and how many connections a second the host dropped.
    fn queue(queue_max: u32, queued: f64, overflows: f64) -> Bench {
        let listener = ListenerFacts {
            at: "0.0.0.0:8080".parse().unwrap(),
            namespace: 0,
            owner: Some(service(100, "api", 8080).id),
            queue_max,
            queued,
            backlog: 128,
            accepted: 10,
            in_flight: 0.0,
            requests_per_s: 0.0,
            unclear: 0.0,
            answers_per_s: 0.0,
            ages: None,
            rounds: 20.0,
            unserved: 0.0,
        };
        Bench::quiet().on(|host| {
            host.sockets.as_mut().unwrap().listeners = vec![listener];
            host.tcp.as_mut().unwrap().listen_overflows_per_s = Some(overflows);
        })
    }

    #[test]
    fn a_full_accept_queue_is_found_when_connections_stay_in_it() {
        let found = queue(116, 60.0, 2.0);
        found.must_say(&RULE, "found The accept queue of :8080 is full (116 of 128): api (pid 100) does not accept fast");
        queue(129, 60.0, 0.0).must_say(&RULE, "found The accept queue of :8080 is full (129 of 128)");
        // Nothing was dropped yet, and half of it stands there.
        queue(128, 60.0, 0.0).must_say(&RULE, "found The accept queue of :8080 is full (128 of 128)");
        queue(128, 0.2, 0.0).must_say(&RULE, "clear");
        Table {
            // A burst that was accepted at once; what was dropped may be another listener's.
            clear: queue(128, 0.04, 2.0),
            unknown: Some(queue(116, 60.0, 2.0).on(|host| host.sockets = Err(unread()))),
            found,
            held: Some(queue(90, 30.0, 0.0)),
        }
        .check(&RULE);
    }
}
