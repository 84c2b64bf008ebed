//! app.service.stalled: requests at a port of this host hang, or are answered late. What the users of this box feel, whatever the
//! cause.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix};
use crate::detect::fix;
use crate::detect::ledger::{Actor, State};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::stands::{ListeningPort, Usual, listeners};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::{Facts as World, ProcFacts};
use crate::model::host::ProcId;
use crate::model::seen::{Lack, Why};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::Unit;

use super::asleep;
use super::late::{ANSWERS, FALL, HALF, Measured, REQUESTS, SHARE, STUCK, requests, says};
use super::unix_stalled;

/// Its id.
pub const ID: &str = RULE.id;

const AGE: Param = Param {
    name: "age",
    unit: Unit::Seconds,
    default: 0.3,
    min: 0.1,
    max: 60.0,
    what: "a younger request in flight is never late; one not read or accepted counts from 1 s on, whatever this is",
};
const TIMES: Param = Param {
    name: "times",
    unit: Unit::Ratio,
    default: 10.0,
    min: 2.0,
    max: 1000.0,
    what: "a late request is older than this times the usual 90th percentile of ages at that port",
};
const IDLE: Param = Param {
    name: "idle",
    unit: Unit::Cores,
    default: 0.05,
    min: 0.0,
    max: 1000.0,
    what: "a service below this is idle: what it does not read or accept is stalled, even before its baseline is known",
};
const YOUNG: Param = Param {
    name: "young",
    unit: Unit::Seconds,
    default: 60.0,
    min: 0.0,
    max: 3600.0,
    what: "a service started more recently may be warming up: it is not judged before its baseline is known",
};

/// Requests that are late by less than a second count where so many of the window's are, percent, or where answers fell.
const YOUNG_SHARE: f64 = 25.0;
/// Processes that are looked at closely at most.
const DEMANDS: usize = 6;

/// The rule.
pub const RULE: Rule = Rule {
    id: "app.service.stalled",
    class: Class::Outcome,
    culprit: Culprit::Many,
    says: "requests at a listening port hang or are answered late, or nobody accepts on a unix socket; needs no configuration",
    params: &[AGE, TIMES, REQUESTS, SHARE, HALF, FALL, ANSWERS, STUCK, IDLE, YOUNG],
    origins: &["host.stands", "host.requests", "host.iodelay", "host.unix", "host.threads"],
    page: "\
The kernel stamps when each accepted connection last received and last sent data. Received after sent: a request is in
flight, and the stamp is its age. perftop learns per port how old requests in flight usually are and how many are
answered per second, and reports when that changes. A request is late when older than 0.3 s and ten times the usual age; one that is younger than
a second counts only where answers fell below half of the usual, or a quarter of the requests of the window are late.
A port is stalled when (1) two requests are late at once and make 5 % of the requests of the window, answered ones
included; or (2) answers fell below half of the usual while two requests more than twice the usual are pending for a
second; or (3) one request more than twice the usual was not read, or its connection not accepted, for a second, and
those of a second or more are 5 % of the window: here a single one is enough. (3) does not apply to a database that
perftop monitors.

Where the service's threads are in state D (0.5 s/s), one request is enough instead of two. Long polls, streams,
subscriptions and idle chats are not late: they have their own baseline. A stalled port that goes on answering at
least half as often as before gets its new ages as its baseline after ten minutes.

At a port that was seen for less than 10 seconds, or that answers less than once a second, nothing is late. There only
two things count: what is not read or accepted (before the usual is known: by a service that uses less than 0.05
CPUs), and requests pending for a second, half of all in the window, while its threads are in state D. A service whose
usual is not known and that was started within the last minute may be warming up: it is not judged.

At a unix socket the kernel tells only how many connections wait to be accepted: one more than twice the usual (before
that is known, half of the backlog) in every sample is a stall too; critical only from half of the backlog on, or when
the service is idle.

Where the threads of a stalled service sleep is read from the kernel (`wchan`, as root): another thread of its own, the reader of a pipe, a
terminal, a child, a time that it set itself; that is evidence, and the way to the cause.

This is an **outcome**: it names no cause. A cause that keeps this service waiting is ranked first and names the
service. Without one the requests are pending all the same, and the host is not healthy. It is critical after five
seconds with half of the requests late or more.

**What looks like it**: long statements at a database that perftop monitors count only from half of all requests on; a
batch job that waits for its own long request is one request.

**Relief**: see where the service's threads wait, and its connections; by hand: restart it, but only when that shows
why.
**Cure**: by hand: the cure of the cause; timeouts in the service for its own calls, so that one slow part does not
keep all its workers.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    if let Err(lack) = &facts.world.host.sockets {
        return Judged::unknown(Subject::host(), lack);
    }
    let Some(listeners) = listeners(facts.world) else {
        return Judged::unknown(Subject::host(), &Lack::new(Why::NotRecorded, "request ages"));
    };
    let judged: Vec<(Subject, Standing)> = listeners
        .iter()
        .map(|listener| {
            let subject = subject(facts.world, listener);
            let held = is_held(prev, &subject);
            let standing = Standing::of(facts, params, listener, held);
            (subject, standing)
        })
        .collect();
    let mut verdicts: Vec<(Subject, Verdict)> = Vec::new();
    for ((subject, standing), listener) in judged.iter().zip(&listeners) {
        if let Some(says) = &standing.says {
            verdicts.push((subject.clone(), Verdict::Found(Box::new(found(facts, params, listener, standing, says)))));
        }
    }
    let young = |p: &ProcFacts| age_s(facts.world, Some(p.id)).is_some_and(|s| s < params.get(YOUNG));
    let idle = |p: &ProcFacts| cores(facts.world, Some(p.family)).is_some_and(|c| c < params.get(IDLE));
    let unix = unix_stalled::judge(facts, prev, &young, &idle);
    verdicts.extend(unix.verdicts);
    if verdicts.is_empty() {
        let told = |s: &Standing| s.usual.is_some_and(|u| u.answers_per_s >= params.get(ANSWERS));
        let open = judged.iter().zip(&listeners).find(|((_, standing), listener)| !told(standing) && listener.noticed >= 1.0);
        let mut others = listeners.len();
        if let Some(((subject, standing), listener)) = open {
            let because = not_known(listener, standing.usual.is_some());
            verdicts.push((subject.clone(), Verdict::Unknown { because, lift: None }));
            others -= 1;
        }
        if open.is_none() || others > 0 {
            let clear = match open {
                Some(_) => format!("none of the {others} other ports with connections has late requests"),
                None => format!("none of {others} ports with connections has late requests"),
            };
            verdicts.push((Subject::host(), Verdict::Clear(clear)));
        }
    }
    // Where the threads of a stalled one sleep is asked for, and told by the next evaluations.
    let stalled = judged.iter().zip(&listeners).filter(|((_, standing), _)| standing.says.is_some());
    let demands =
        stalled.flat_map(|(_, listener)| asleep::ask(facts, listener.family)).chain(unix.demands).take(DEMANDS).collect();
    Judged { verdicts, demands }
}

fn not_known(listener: &ListeningPort, seldom: bool) -> String {
    let why = if seldom { "it answers too rarely to judge what is late" } else { "its baseline is known after some 10 s" };
    format!("{} at :{} in flight for over a second; {why}", requests(listener.noticed), listener.port)
}

/// How it stands with one port.
struct Standing {
    usual: Option<Usual>,
    /// From this age on a request is late, seconds.
    limit_s: f64,
    /// Requests that are late, mean.
    late: f64,
    /// Of the requests of the window, percent.
    share: f64,
    /// Threads of the service that hang in the kernel, s/s.
    stuck: f64,
    /// Why it is stalled; `None`: it is not.
    says: Option<String>,
    /// Beyond the limits that are lower for what is held.
    standing: bool,
}

impl Standing {
    fn of(facts: &Facts<'_>, params: &Params<'_>, listener: &ListeningPort, held: bool) -> Self {
        let usual = facts.learned.stands.usual(listener);
        let stuck = stuck(facts, listener.family);
        let limit_s = usual.map_or(0.0, |u| params.get(TIMES) * u.below_ms / 1e3).max(params.get(AGE));
        let young = age_s(facts.world, listener.family).is_some_and(|s| s < params.get(YOUNG));
        let answered = listener.answers_per_s * facts.world.window_s;
        let of_all = |n: f64| if n > 0.0 { 100.0 * n / (n + answered) } else { 0.0 };
        // Of those that are younger than a second several come after each other in a window. Some slow ones beside a service that answers
        // as ever are no stall of it.
        let in_window = |late: f64| late + (late - listener.noticed).max(0.0) * (facts.world.window_s - 1.0).max(0.0);
        let all_late = listener.older(limit_s * 1e3);
        let fell = usual.is_some_and(|u| 100.0 * listener.answers_per_s < params.get(FALL) * u.answers_per_s);
        let counts = fell || of_all(in_window(all_late)) >= YOUNG_SHARE;
        let late = if counts { all_late } else { all_late.min(listener.older(limit_s.max(1.0) * 1e3)) };
        let late_in_window = in_window(late);
        let measured = Measured {
            late,
            share: of_all(late_in_window),
            noticed_share: of_all(listener.noticed),
            stuck,
            idle: !young && cores(facts.world, listener.family).is_some_and(|c| c < params.get(IDLE)),
            young,
            read: read_here(facts.world, listener),
        };
        let judged = |held: bool| says(params, listener, usual, &measured, held);
        let (late, share) = match late > 0.0 {
            true => (late, of_all(late_in_window)),
            false => (listener.noticed, of_all(listener.noticed)),
        };
        Self { usual, limit_s, late, share, stuck, says: judged(held), standing: judged(false).is_some() }
    }
}

fn subject(world: &World, listener: &ListeningPort) -> Subject {
    let mut subject = Subject::new(SubjectType::Port, listener.key(), format!(":{}", listener.port));
    subject.also = program(world, listener.family).iter().map(|p| format!("process:{}", p.id)).collect();
    subject
}

fn program(world: &World, family: Option<ProcId>) -> Option<&ProcFacts> {
    world.processes().iter().find(|p| Some(p.id) == family)
}

/// Seconds since that program was started.
fn age_s(world: &World, family: Option<ProcId>) -> Option<f64> {
    let ticks = world.identity.as_ref()?.ticks_per_s as f64;
    Some(world.at.boot_ns as f64 / 1e9 - family?.start as f64 / ticks)
}

/// CPUs that the program uses; `None` when it is not seen.
fn cores(world: &World, family: Option<ProcId>) -> Option<f64> {
    let mut members = world.processes().iter().filter(|p| Some(p.family) == family).filter_map(|p| p.cpu).peekable();
    members.peek().is_some().then(|| members.sum())
}

/// A server whose sessions perftop reads serves that port.
fn read_here(world: &World, listener: &ListeningPort) -> bool {
    if listener.family.is_some() {
        return world.servers.here().any(|s| s.root == listener.family);
    }
    // Whose sockets they are is not seen without rights.
    listener.namespace == 0 && world.servers.here().any(|s| s.port == Some(listener.port))
}

/// Threads of the program in uninterruptible sleep, s/s.
fn stuck(facts: &Facts<'_>, family: Option<ProcId>) -> f64 {
    facts.ledger.sum(|a| Some(a.family) == family, |a: &Actor| a.in_state(State::TaskBlocked))
}

fn found(facts: &Facts<'_>, params: &Params<'_>, listener: &ListeningPort, s: &Standing, says: &str) -> Found {
    let program = program(facts.world, listener.family);
    let who = program.map_or_else(|| format!(":{}", listener.port), |p| format!("{} on :{}", p.label(), listener.port));
    let waits =
        asleep::most(facts, listener.family).map_or_else(String::new, |what| format!("; most of its threads wait for {what}"));
    let mut found = Found::new(Class::Outcome, format!("{who} is stalled: {says}{waits}"));
    found.standing = Some(s.standing);
    found.never_critical = s.share < params.get(HALF);
    found.confidence = facts.ledger.coverage;
    found.evidence = vec![
        params.either("late requests in flight", s.late, REQUESTS, "host.stands"),
        params.either("share of the window's requests", s.share, SHARE, "host.stands"),
        evidence("age from which a request is late", s.limit_s, Unit::Seconds, None, "host.stands"),
        evidence("requests in flight", listener.in_flight, Unit::Count, None, "host.stands"),
        evidence("of these unread, or not accepted", listener.unserved, Unit::Count, None, "host.stands"),
    ];
    match s.usual {
        Some(usual) => {
            let least = usual.answers_per_s * params.get(FALL) / 100.0;
            found.evidence.push(evidence("answers", listener.answers_per_s, Unit::PerSecond, Some(least), "host.requests"));
            found.evidence.push(evidence("answers before, median", usual.answers_per_s, Unit::PerSecond, None, "host.requests"));
        }
        None => found.evidence.push(evidence("answers", listener.answers_per_s, Unit::PerSecond, None, "host.requests")),
    }
    found.evidence.extend(asleep::rows(facts, listener.family));
    if s.stuck > 0.0 {
        let row = params.either("service threads in uninterruptible sleep", s.stuck, STUCK, "host.iodelay");
        found.evidence.push(row);
    }
    found.fixes = fixes(listener, program);
    found
}

fn fixes(listener: &ListeningPort, program: Option<&ProcFacts>) -> Vec<Fix> {
    let list = sh!("ss -tinp state established sport = :{}", listener.port);
    let there = program.filter(|_| listener.namespace != 0).map(|p| sh!("nsenter -t {} -n {}", p.id.pid, &list));
    let requests = fix::look(
        "See the connections: unread bytes (Recv-Q), time since data was received (lastrcv) and sent (lastsnd)",
        there.unwrap_or(list),
    );
    program.map(fix::look_at_threads).into_iter().chain([requests]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::service;
    use crate::detect::bench::sockets::{listener, sockets, unread};
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::ListenerFacts;
    use crate::model::host::Ages;

    /// A port with so many answers a second, where so many requests are in flight for over a second.
    fn port(answers_per_s: f64, old: u32) -> Bench {
        stands(answers_per_s, Some(Ages([1, 0, 0, 0, 0, old, 0, 0, 0, 0])))
    }

    fn stands(answers_per_s: f64, ages: Option<Ages>) -> Bench {
        Bench::quiet().on(|host| {
            let at = listener(service(100, "api", 8080).id, 8080);
            host.sockets = Ok(sockets(vec![ListenerFacts { answers_per_s, ages, ..at }], Vec::new()));
        })
    }

    /// The same, after ten quick answers a second.
    fn late(answers_per_s: f64, old: u32) -> Bench {
        port(answers_per_s, old).after(12, &port(10.0, 0))
    }

    #[test]
    fn requests_that_hang_are_found_and_held() {
        // Of some fifty requests within the window.
        Table { clear: late(10.0, 1), unknown: Some(unread()), found: late(10.0, 3), held: Some(late(10.0, 2)) }.check(&RULE);
        late(10.0, 3).must_say(&RULE, "found api (pid 100) on :8080 is stalled: 3 requests in flight are late");
        late(4.0, 2).must_say(&RULE, "found");
    }

    /// Late by half a second: found where the service hardly answers, or hardly anything is quick; not for some slow ones beside many.
    #[test]
    fn late_by_less_than_a_second_counts_where_the_service_answers_less() {
        let young = |answers_per_s: f64, late: u32| {
            stands(answers_per_s, Some(Ages([1, 0, 0, 0, late, 0, 0, 0, 0, 0]))).after(12, &port(100.0, 0))
        };
        young(10.0, 4).must_say(&RULE, "found api (pid 100) on :8080 is stalled: 4 requests in flight are late");
        young(95.0, 60).must_say(&RULE, "found");
        young(95.0, 4).must_say(&RULE, "clear");
    }

    #[test]
    fn a_port_that_is_not_known_yet_is_unknown() {
        port(10.0, 3).must_say(&RULE, "unknown");
        port(10.0, 0).must_say(&RULE, "clear");
        stands(10.0, None).must_say(&RULE, "unknown");
    }

    #[test]
    fn what_nobody_reads_is_found_at_once() {
        let unread =
            |port: Bench, unserved| port.on(|host| host.sockets.iter_mut().for_each(|s| s.listeners[0].unserved = unserved));
        let usually_read = |n| unread(late(0.0, 1), n);
        Table { clear: usually_read(0.6), unknown: None, found: usually_read(1.0), held: Some(usually_read(0.8)) }.check(&RULE);
        // Before anything is usual the service must be idle.
        let busy = |cpu| unread(port(0.0, 1), 1.0).on(|host| host.processes.iter_mut().for_each(|all| all[0].cpu = Some(cpu)));
        busy(0.04).must_say(&RULE, "found api (pid 100) on :8080 is stalled: 1 request unread or not accepted");
        busy(0.06).must_say(&RULE, "unknown");
    }
}
