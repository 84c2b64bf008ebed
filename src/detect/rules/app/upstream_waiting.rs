//! app.upstream.waiting: requests here wait for a peer: another host, or a program of this one that does nothing meanwhile.

use std::net::SocketAddr;

use crate::detect::command::{Command, sh};
use crate::detect::finding::{Class, Evidence, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::{Actor, PeerWait, State};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::support::{confidence, interval};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::{ListenerFacts, PeerFacts, ProcFacts, SocketFacts};
use crate::model::host::ProcId;
use crate::model::service::{self, NAMES};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, short};

const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.05,
    min: 0.001,
    max: 1000.0,
    what: "requests waiting for one peer, on average, beyond its baseline",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "app.upstream.waiting",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "requests here wait for a peer: how many in flight, for which peer, from which process",
    params: &[LOST],
    origins: &["host.peers", "host.listeners", "ledger"],
    page: "\
TCP keeps two stamps for each socket: when data was sent last, and when it was received last. A client socket whose
last data went out after the last came in has a response pending. perftop dumps the sockets up to four times a second,
within 0.1 % of a CPU (sock_diag, no rights needed), so the mean number of such sockets is, by Little's law, the
number of requests waiting for that peer.

**What counts**: a wait counts while a request in flight of the same process is at least as old as the upstream
request: so a poll for work, a blocking pop or a subscription open for minutes counts as nobody's wait. At a terminal
or behind a unix socket waits younger than 10 s count. Processes that serve no one do not count, nor do upstream
requests sent less than once a second that fewer than a fifth of the requests in flight can be waiting for. A response
within the usual time of that peer (learned, 5 to 50 ms, 10 ms at first) and its round trip is productive time, not
loss.

**Name servers** are asked by UDP: a resolver opens a socket for each question and closes it with the answer. One that is still there
0.2 s later waits, for at most 30 s (older ones are kept open). A resolver on this host counts like any other name server: it waits for
others in turn.

**Unknown** and left out: sockets whose two stamps are equal (a response within one clock tick), and one-way data. The
share of sockets whose state is known is in the confidence. A connection that carries several requests at once
(HTTP/2) counts as one at most.

A program of this host that answers one is judged by its own processes: while it works, waits for a CPU or for a disk,
that is its time. One that is idle (no process of it busy for half of the time) and still does not answer sleeps, or waits
for a lock of its own: what its callers wait beyond its usual time counts, and it is named. A server whose sessions perftop reads, and a
pooler, are left out. One in another network namespace (a container) counts; where perftop can enter that namespace its
process is named and that process' own time is subtracted. Sockets of other namespaces are seen as root only.

**What looks like it**: packet loss on the path (`host.network.packet_loss`): retransmitting sockets are shown.

**Relief**: run perftop on that host, and look at the sockets: from here it cannot be seen why it is slow. **Cure**:
by hand, in the application: a deadline for the calls to it, and a cap on those in flight.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let sockets = match &facts.world.host.sockets {
        Ok(sockets) => sockets,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    let mut judged = Judged::default();
    for wait in &facts.ledger.peers {
        let subject = subject(wait, sockets);
        let lost = (wait.waiting - wait.baseline).max(0.0);
        let (few, here) =
            (lost < interval(wait.waiting, sockets.rounds), server(sockets, wait.peer).is_some_and(|(_, away)| !away));
        let verdict = if here && few {
            // One look of three may catch a request that takes a millisecond.
            Verdict::Clear(format!("{} responses pending in {} dumps of the sockets", short(wait.waiting), sockets.rounds))
        } else if lost >= params.limit(LOST, is_held(prev, &subject)) {
            Verdict::Found(Box::new(found(facts, sockets, wait, lost)))
        } else {
            Verdict::Clear(format!("{} responses pending, {} s/s beyond baseline", short(wait.waiting), short(lost)))
        };
        judged.verdicts.push((subject, verdict));
    }
    if judged.verdicts.is_empty() {
        let told = told_apart(sockets.peers.iter().filter(|l| !l.local));
        let share = if told < 0.995 { format!("; state known for {:.0} % of the sockets", told * 100.0) } else { String::new() };
        return Judged::clear(Subject::host(), format!("no request here waits for a peer{share}"));
    }
    judged
}

/// The process that serves the peer, when it is on this host; and whether it is in another network namespace: a container.
fn server(sockets: &SocketFacts, peer: SocketAddr) -> Option<(ProcId, bool)> {
    sockets.peers.iter().filter(|l| l.peer == peer).find_map(|l| Some((sockets.server_of(l)?, !l.local)))
}

fn subject(wait: &PeerWait, sockets: &SocketFacts) -> Subject {
    let mut subject = Subject::new(SubjectType::Peer, wait.peer.to_string(), named(wait.peer));
    let mut owners = wait.owners.clone();
    owners.sort_unstable();
    owners.dedup();
    let server = server(sockets, wait.peer).map(|(id, _)| id);
    subject.also = server.iter().chain(&owners).take(16).map(|id| format!("process:{id}")).collect();
    subject
}

/// The address with what usually answers there.
fn named(peer: SocketAddr) -> String {
    match service::by_port(peer.port()) {
        Some(service) => format!("{peer} ({service} by its port)"),
        None => peer.to_string(),
    }
}

/// Share of these client sockets that are not at rest whose state is known, 0..1.
fn told_apart<'a>(links: impl Iterator<Item = &'a PeerFacts>) -> f64 {
    let (told, unclear) = links.fold((0.0, 0.0), |(told, unclear), l| (told + l.waiting, unclear + l.unclear));
    if told + unclear > 0.0 { told / (told + unclear) } else { 1.0 }
}

fn found(facts: &Facts<'_>, sockets: &SocketFacts, wait: &PeerWait, lost: f64) -> Found {
    let links: Vec<&PeerFacts> = sockets.peers.iter().filter(|l| l.peer == wait.peer).collect();
    let owned = |id: &ProcId| wait.owners.contains(id);
    let listeners: Vec<&ListenerFacts> = sockets.listeners.iter().filter(|l| l.owner.as_ref().is_some_and(owned)).collect();
    let mut found = Found::new(Class::Live, title(facts, wait, (&links, &listeners), server(sockets, wait.peer)));
    found.losses = vec![(State::PeerReply, lost)];
    found.victims_time = facts.ledger.sum(|a| owned(&a.id), Actor::time).max(wait.waiting);
    found.ci = Some(interval(wait.waiting, sockets.rounds));
    found.evidence = rows(facts, wait, &links, &listeners);
    found.against = against(&links);
    found.confidence = confidence(facts.ledger, lost, sockets.rounds) * told_apart(links.iter().copied());
    // Without rights all sockets belong to nobody known, and one user's requests may meet another's polls.
    found.never_critical = wait.owners.is_empty() || lost < interval(wait.waiting, sockets.rounds);
    found.fixes = match wait.peer.port() {
        NAMES => name_server(wait.peer),
        _ => fixes(wait.peer, server(sockets, wait.peer)),
    };
    found
}

fn title(
    facts: &Facts<'_>,
    wait: &PeerWait,
    (links, listeners): (&[&PeerFacts], &[&ListenerFacts]),
    server: Option<(ProcId, bool)>,
) -> String {
    let peer = named(wait.peer);
    let who = wait.owners.first().and_then(|id| facts.world.processes().iter().find(|p| p.id == *id));
    let who = who.map_or_else(|| "processes not visible".to_owned(), ProcFacts::label);
    let busiest = listeners.iter().max_by(|a, b| a.in_flight.total_cmp(&b.in_flight)).filter(|d| d.in_flight >= 0.05);
    let process = |id: ProcId| facts.world.processes().iter().find(|p| p.id == id);
    let (place, peer) = match server.and_then(|(id, elsewhere)| Some((process(id)?, elsewhere))) {
        Some((p, true)) => ("In another namespace of this host", format!("{}, {peer}", p.label())),
        Some((p, false)) => ("On this host", format!("{}, {peer}", p.label())),
        None if wait.peer.ip().is_loopback() => ("On this host", peer),
        None => ("Not on this host", peer),
    };
    let reply = links.iter().find_map(|l| l.reply_ms()).map_or_else(String::new, |ms| format!(", {} ms each", short(ms)));
    match busiest {
        Some(listener) => format!(
            "{place}: {} of {} requests in flight on :{} wait for {peer}{reply}",
            short(wait.waiting.min(listener.in_flight)),
            short(listener.in_flight),
            listener.at.port()
        ),
        None => format!("{place}: {who} waits for {peer}{reply}"),
    }
}

fn rows(facts: &Facts<'_>, wait: &PeerWait, links: &[&PeerFacts], listeners: &[&ListenerFacts]) -> Vec<Evidence> {
    let sum = |part: fn(&PeerFacts) -> f64| links.iter().map(|l| part(l)).sum::<f64>();
    let mut rows = vec![
        evidence("responses pending", wait.waiting, Unit::Count, Some(wait.baseline.max(0.05)), "host.peers"),
        evidence("sockets to the peer", sum(|l| f64::from(l.sockets)), Unit::Count, None, "host.peers"),
    ];
    if !listeners.is_empty() {
        let in_flight = listeners.iter().map(|d| d.in_flight).sum::<f64>();
        rows.push(evidence("requests in flight here", in_flight, Unit::Count, None, "host.listeners"));
    }
    if let Some(slowest) = links.iter().filter_map(|l| Some((l.reply_ms()?, *l))).max_by(|a, b| a.0.total_cmp(&b.0)) {
        let usual = facts.learned.baseline_reply_ms(slowest.1);
        rows.push(evidence("response time", slowest.0, Unit::Milliseconds, Some(usual), "host.peers"));
    }
    let longest = links.iter().map(|l| l.longest_s).fold(0.0, f64::max);
    rows.push(evidence("the longest wait now", longest, Unit::Seconds, None, "host.peers"));
    let rtt = links.iter().map(|l| l.rtt_ms).filter(|ms| *ms > 0.0).fold(f64::INFINITY, f64::min);
    if rtt.is_finite() {
        rows.push(evidence("network round trip", rtt, Unit::Milliseconds, None, "host.peers"));
    }
    rows
}

fn against(links: &[&PeerFacts]) -> Vec<Evidence> {
    let sum = |part: fn(&PeerFacts) -> f64| links.iter().map(|l| part(l)).sum::<f64>();
    vec![
        evidence("sockets retransmitting", sum(|l| l.resending), Unit::Count, None, "host.peers"),
        evidence(
            "sockets in unknown state",
            (1.0 - told_apart(links.iter().copied())) * 100.0,
            Unit::Percent,
            None,
            "host.peers",
        ),
    ]
}

/// A name server that does not answer.
fn name_server(peer: SocketAddr) -> Vec<Fix> {
    let ip = peer.ip();
    let mut ask = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "Ask it yourself, and see which name servers are used",
        match ip.is_loopback() {
            // A resolver on this host waits for others in turn.
            true => sh!("resolvectl statistics; resolvectl dns || cat /etc/resolv.conf; dig +time=2 +tries=1 @{} . NS", ip),
            false => sh!("cat /etc/resolv.conf; dig +time=2 +tries=1 @{} . NS", ip),
        },
    );
    ask.risk = "none: read-only".into();
    ask.verify = sh!("perftop check --for 10s --only app.upstream.waiting");
    let mut other = ask.clone();
    (other.phase, other.horizon) = (Phase::Cure, Horizon::Immediate);
    other.title = "Use a name server that answers, and wait less for one that does not".into();
    other.command = Command::note(format!(
        "# /etc/resolv.conf (or what writes it): a name server that answers instead of {ip}; options timeout:1 attempts:2"
    ));
    other.needs = "root; restart programs that read resolv.conf only once".into();
    other.needs += if ip.is_loopback() { "; the servers behind it are set in its own configuration" } else { "" };
    other.risk = "names that only the old server knows are not found".into();
    other.takes_s = None;
    vec![ask, other]
}

fn fixes(peer: SocketAddr, server: Option<(ProcId, bool)>) -> Vec<Fix> {
    let ip = peer.ip();
    let mut there = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "Run perftop on that host: the cause is there",
        sh!("ssh {} -t perftop", ip),
    );
    there.target = format!("{ip}");
    there.needs = "an account and perftop on that host".into();
    there.risk = "none: read-only".into();
    there.verify = sh!("perftop check --for 10s --only app.upstream.waiting");
    if let Some((id, elsewhere)) = server {
        (there.title, there.command) = match elsewhere {
            true => (
                "Inspect the serving process in its own namespace".into(),
                sh!("nsenter -t {} -n -- ss -tinp; cat /proc/{}/task/*/wchan | sort | uniq -c", id.pid, id.pid),
            ),
            false => (
                "See what the serving process waits for: its connections, and where its threads wait in the kernel".into(),
                sh!("ss -tnp | grep pid={},; grep -H . /proc/{}/task/*/wchan; grep {} /proc/locks", id.pid, id.pid, id.pid),
            ),
        };
        there.target = "this host".into();
        there.needs = "root".into();
    }
    let mut sockets = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "See the sockets: how long each waits, and whether it retransmits",
        sh!("ss -tinp dst {} dport = :{}", ip, peer.port()),
    );
    sockets.risk = "none: read-only".into();
    sockets.verify = there.verify.clone();
    let mut cure = there.clone();
    cure.phase = Phase::Cure;
    cure.horizon = Horizon::ShortTerm;
    cure.title =
        "Set a timeout and a concurrency limit on calls to it, so that requests here fail fast instead of piling up".into();
    cure.command =
        Command::note(format!("# client of {peer}: a time-out below that of the callers, and a cap on calls in flight"));
    cure.needs = "the application's configuration".into();
    cure.target = "this host".into();
    cure.takes_s = None;
    vec![there, sockets, cure]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::service;
    use crate::detect::bench::sockets::{listener, peer, sockets, unread};
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::HostFacts;

    /// So many requests wait for a peer that is asked so often, of so many in flight.
    fn asks(waiting: f64, per_s: f64, in_flight: f64) -> Bench {
        Bench::quiet().on(|host| {
            let owner = service(100, "api", 8080).id;
            let link = PeerFacts { segments_per_s: per_s, ..peer(owner, waiting) };
            host.sockets = Ok(sockets(vec![ListenerFacts { in_flight, ..listener(owner, 8080) }], vec![link]));
        })
    }

    #[test]
    fn requests_that_wait_for_a_peer_are_found_and_held() {
        Table {
            clear: asks(0.035, 1.0, 0.5),
            unknown: Some(unread()),
            found: asks(0.06, 1.0, 0.5),
            held: Some(asks(0.045, 1.0, 0.5)),
        }
        .check(&RULE);
        asks(0.06, 1.0, 0.5)
            .must_say(&RULE, "found Not on this host: 0.06 of 0.5 requests in flight on :8080 wait for 192.0.2.5:9000");
    }

    #[test]
    fn a_name_server_has_its_own_cure() {
        let bench = Bench::quiet().on(|host| {
            let owner = service(100, "api", 8080).id;
            let link = PeerFacts { peer: "192.0.2.53:53".parse().unwrap(), segments_per_s: 0.0, ..peer(owner, 0.5) };
            host.sockets = Ok(sockets(vec![ListenerFacts { in_flight: 0.5, ..listener(owner, 8080) }], vec![link]));
        });
        bench.must_say(
            &RULE,
            "found Not on this host: 0.5 of 0.5 requests in flight on :8080 wait for 192.0.2.53:53 (dns by its port)",
        );
        assert!(bench.pastes(&RULE)[0].ends_with("dig +time=2 +tries=1 @192.0.2.53 . NS"));
    }

    /// A service whose fifteen requests wait for another program of this host, which is so busy.
    fn beside(cpu: f64) -> Bench {
        Bench::quiet().on(|host| {
            let (api, inner) = (service(100, "api", 8080), service(200, "render", 9000));
            let peer =
                PeerFacts { local: true, peer: "127.0.0.1:9000".parse().unwrap(), segments_per_s: 60.0, ..peer(api.id, 15.0) };
            let listeners = vec![ListenerFacts { in_flight: 15.0, ..listener(api.id, 8080) }, listener(inner.id, 9000)];
            host.sockets = Ok(sockets(listeners, vec![peer]));
            host.processes = Ok(vec![api, ProcFacts { cpu: Some(cpu), ..inner }]);
        })
    }

    /// A sidecar that sleeps: nothing else shows it. One that works has that time itself.
    #[test]
    fn a_program_of_this_host_that_is_idle_and_does_not_answer_is_named() {
        beside(0.02).must_say(
            &RULE,
            "found On this host: 15 of 15 requests in flight on :8080 wait for render (pid 200), 127.0.0.1:9000, 250 ms each",
        );
        assert!(beside(0.02).pastes(&RULE)[0].contains("/proc/200/task/*/wchan"));
        beside(0.8).must_say(&RULE, "clear");
        let anybody = beside(0.02).on(|host| host.processes.as_mut().unwrap()[1].name = "pgbouncer".into());
        anybody.must_say(&RULE, "clear");
        // It waits in turn for a server whose sessions are read: theirs is the time.
        let waits = |host: &mut HostFacts| {
            let (inner, sockets) = (host.processes.as_ref().unwrap()[1].id, host.sockets.as_mut().unwrap());
            sockets.peers.push(PeerFacts {
                local: true,
                peer: "127.0.0.1:5432".parse().unwrap(),
                segments_per_s: 60.0,
                ..peer(inner, 15.0)
            });
        };
        beside(0.02).on(waits).must_say(&RULE, "clear");
    }

    #[test]
    fn what_a_quick_peer_or_a_poll_takes_is_nobodys_wait() {
        // Half a millisecond each.
        asks(0.06, 120.0, 0.5).must_say(&RULE, "clear");
        // Asked less than once a second: a poll, unless most requests in flight may wait for it.
        asks(0.06, 0.5, 0.5).must_say(&RULE, "clear");
        asks(0.06, 0.5, 0.2).must_say(&RULE, "found");
        // Without a listener of this host nobody knows who serves it.
        let local = asks(0.06, 1.0, 0.5).on(|host| host.sockets.iter_mut().for_each(|s| s.peers[0].local = true));
        local.must_say(&RULE, "clear");
    }
}
