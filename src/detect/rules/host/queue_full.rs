//! host.network.queue_full: a queue other than that of a TCP listener overflows: a UDP socket, a unix socket.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::support::process_subject;
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::{DatagramFacts, ProcFacts, QueueFacts};
use crate::model::host::ProcId;
use crate::model::seen::Lack;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, short};

const DROPS: Param = Param {
    name: "drops",
    unit: Unit::PerSecond,
    default: 1.0,
    min: 0.01,
    max: 1e9,
    what: "datagrams dropped by one UDP socket",
};
const SHARE: Param = Param {
    name: "share",
    unit: Unit::Percent,
    default: 1.0,
    min: 0.01,
    max: 100.0,
    what: "share of all datagrams that come in and find a full buffer",
};
const FULL: Param = Param {
    name: "full",
    unit: Unit::Percent,
    default: 90.0,
    min: 10.0,
    max: 100.0,
    what: "connections that wait at a unix socket, of those that may",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.network.queue_full",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "a queue other than a TCP listener's overflows (UDP socket, unix socket)",
    params: &[DROPS, SHARE, FULL],
    origins: &["host.datagrams", "host.unix"],
    page: "\
**Datagrams**: a UDP socket whose program does not read fast enough fills its receive buffer, and the kernel drops what comes then,
without a word to the sender: lost metrics and log lines, names that are asked for again after seconds. Found when a socket drops
`drops` a second and they are `share` of all that come in.

**Unix sockets**: connections wait to be accepted, `full` of what `listen` allows, at every look: the next connect blocks or fails.

It costs nobody's seconds here, so it is a warning once it has stood in three of four evaluations, and never critical. A TCP
listener's queue is `host.network.listen_overflow`.

**Relief**: see what the program does instead. **Cure**, by hand: read sooner or by several readers, a larger receive buffer
(`SO_RCVBUF`, `net.core.rmem_max`), a longer backlog.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let mut judged = Judged::default();
    let limits = &facts.world.host.limits;
    let dropped = limits.datagrams_dropped_per_s.unwrap_or(0.0);
    let share = 100.0 * dropped / (dropped + limits.datagrams_per_s.unwrap_or(0.0)).max(1e-9);
    for socket in &facts.world.host.datagrams {
        let process = process(facts, socket.raw.owner);
        let subject = process.map_or_else(|| port(socket), process_subject);
        let held = is_held(prev, &subject);
        if socket.dropped_per_s >= params.limit(DROPS, held) && share >= params.limit(SHARE, held) {
            judged.verdicts.push((subject, Verdict::Found(Box::new(datagrams(params, socket, process, share)))));
        }
    }
    let queues = facts.world.host.sockets.iter().flat_map(|s| &s.queues);
    for queue in queues.filter(|q| q.always && q.backlog > 0) {
        let process = process(facts, queue.owner);
        let Some(subject) = process.map(process_subject) else { continue };
        let full = 100.0 * queue.queued / f64::from(queue.backlog);
        if full >= params.limit(FULL, is_held(prev, &subject)) {
            judged.verdicts.push((subject, Verdict::Found(Box::new(unix(params, queue, process, full)))));
        }
    }
    if judged.verdicts.is_empty() {
        if limits.datagrams_dropped_per_s.is_none() {
            return Judged::unknown(Subject::host(), &Lack::first_sample("datagrams that found no room"));
        }
        return Judged::clear(Subject::host(), format!("{} datagrams a second find no room", short(dropped)));
    }
    judged
}

fn process<'a>(facts: &Facts<'a>, id: Option<ProcId>) -> Option<&'a ProcFacts> {
    facts.world.processes().iter().find(|p| Some(p.id) == id)
}

fn port(socket: &DatagramFacts) -> Subject {
    let port = socket.raw.port;
    Subject::new(SubjectType::Port, port.to_string(), format!("UDP :{port}"))
}

fn datagrams(params: &Params<'_>, socket: &DatagramFacts, process: Option<&ProcFacts>, share: f64) -> Found {
    let (port, drops) = (socket.raw.port, socket.dropped_per_s);
    let who = process.map_or_else(|| "A process that cannot be seen".to_owned(), ProcFacts::label);
    let mut found = Found::new(
        Class::Live,
        format!("{who} does not read UDP port {port} fast enough: {} datagrams a second are lost", short(drops)),
    );
    found.standing = Some(true);
    found.never_critical = true;
    found.evidence = vec![
        params.row("datagrams dropped", drops, DROPS, "host.datagrams"),
        params.row("share of all datagrams that come in", share, SHARE, "host.datagrams"),
        evidence("bytes in its buffer", socket.raw.queued as f64, Unit::Bytes, None, "host.datagrams"),
    ];
    found.fixes = vec![fix::look("See its buffer and what it drops", sh!("ss -uanmp 'sport = :{}'", port))];
    found.fixes.extend(process.map(fix::look_at_threads));
    found.fixes.push(larger());
    found
}

fn larger() -> Fix {
    let mut larger = fix::shell_fix(
        Phase::Cure,
        Horizon::ShortTerm,
        "Allow larger receive buffers, which the program must ask for (SO_RCVBUF)",
        sh!(
            "v=$(sysctl -n net.core.rmem_max); echo \"before: $v\"; [ \"$v\" -ge 16777216 ] || sysctl -w net.core.rmem_max=16777216"
        ),
    );
    larger.undo = Some(sh!("sysctl -w net.core.rmem_max=OLD   # OLD: what was printed as before"));
    larger.needs = "root".into();
    larger.risk = "kernel memory for each socket; a buffer hides short bursts only".into();
    larger
}

fn unix(params: &Params<'_>, queue: &QueueFacts, process: Option<&ProcFacts>, full: f64) -> Found {
    let who = process.map_or_else(|| "A process that cannot be seen".to_owned(), ProcFacts::label);
    let title =
        format!("{who} does not accept at {}: {} connections wait, {} may", queue.path, short(queue.queued), queue.backlog);
    let mut found = Found::new(Class::Live, title);
    found.standing = Some(true);
    found.never_critical = true;
    found.evidence = vec![
        params.row("connections that wait, of those that may", full, FULL, "host.unix"),
        evidence("connections that wait", queue.queued, Unit::Count, Some(f64::from(queue.backlog)), "host.unix").of_capacity(),
    ];
    found.fixes = process.map(fix::look_at_threads).into_iter().collect();
    let mut backlog = fix::shell_fix(
        Phase::Cure,
        Horizon::ShortTerm,
        "A longer backlog, which its program must ask for as well",
        sh!("v=$(sysctl -n net.core.somaxconn); echo \"before: $v\"; [ \"$v\" -ge 4096 ] || sysctl -w net.core.somaxconn=4096"),
    );
    backlog.undo = Some(sh!("sysctl -w net.core.somaxconn=OLD   # OLD: what was printed as before"));
    backlog.needs = "root".into();
    backlog.risk = "more connections wait instead of failing".into();
    found.fixes.push(backlog);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::process;
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::HostFacts;
    use crate::model::host::DatagramRaw;

    fn drops(per_s: f64, received: f64) -> Bench {
        let statsd = process(300, "statsd");
        let raw = DatagramRaw { port: 8125, inode: 7, owner: Some(statsd.id), dropped: 9_000, queued: 212_992 };
        Bench::quiet().running(vec![statsd]).on(|host| {
            host.limits.datagrams_per_s = Some(received);
            host.limits.datagrams_dropped_per_s = Some(per_s);
            host.datagrams = vec![DatagramFacts { raw, dropped_per_s: per_s }];
        })
    }

    #[test]
    fn a_socket_that_drops_datagrams_is_found_and_held() {
        let found = drops(120.0, 900.0);
        found.must_say(&RULE, "found statsd (pid 300) does not read UDP port 8125 fast enough: 120 datagrams a second are lost");
        assert!(found.stands(&RULE));
        let unread = Bench::quiet().on(|host| host.limits.datagrams_dropped_per_s = None);
        Table { clear: drops(0.5, 10.0), unknown: Some(unread), found, held: Some(drops(0.8, 10.0)) }.check(&RULE);
        drops(5.0, 90_000.0).must_say(&RULE, "clear");
    }

    #[test]
    fn a_unix_socket_that_nobody_accepts_at_is_found() {
        let waits = |queued: f64, always: bool| {
            let server = process(300, "php-fpm");
            let known = |host: &mut HostFacts| host.limits.datagrams_dropped_per_s = Some(0.0);
            let queue = QueueFacts { path: "/run/php.sock".into(), owner: Some(server.id), queued, backlog: 128, always };
            Bench::quiet().running(vec![server]).on(known).on(|host| host.sockets.as_mut().unwrap().queues = vec![queue])
        };
        waits(128.0, true)
            .must_say(&RULE, "found php-fpm (pid 300) does not accept at /run/php.sock: 128 connections wait, 128 may");
        waits(128.0, false).must_say(&RULE, "clear");
        waits(20.0, true).must_say(&RULE, "clear");
    }
}
