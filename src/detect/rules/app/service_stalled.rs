//! app.service.stalled: requests at a port of this host stand, or are answered late. What the users of this box feel, whatever the cause.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix};
use crate::detect::fix;
use crate::detect::ledger::Actor;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::stands::{Door, Usual, doors};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Rule, Verdict, evidence};
use crate::model::facts::{Facts as World, ProcFacts};
use crate::model::host::ProcId;
use crate::model::seen::{Lack, Why};
use crate::model::source::SourceKind;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, short};

use super::unix_stalled;

/// Its id.
pub const ID: &str = RULE.id;

const AGE: Param = Param {
    name: "age",
    unit: Unit::Seconds,
    default: 1.0,
    min: 0.1,
    max: 60.0,
    what: "a request in flight that is younger is never late",
};
const TIMES: Param = Param {
    name: "times",
    unit: Unit::Ratio,
    default: 10.0,
    min: 2.0,
    max: 1000.0,
    what: "a late request is older than this times what nine of ten requests in flight at that port usually are",
};
const REQUESTS: Param = Param {
    name: "requests",
    unit: Unit::Count,
    default: 2.0,
    min: 1.0,
    max: 1000.0,
    what: "requests that have to be late at the same time; one that stands alone may be a long report",
};
const SHARE: Param = Param {
    name: "share",
    unit: Unit::Percent,
    default: 5.0,
    min: 0.1,
    max: 100.0,
    what: "of all requests of the window have to be late; those that were answered meanwhile count",
};
const HALF: Param = Param {
    name: "half",
    unit: Unit::Percent,
    default: 50.0,
    min: 1.0,
    max: 100.0,
    what: "of them late makes it critical; a database that perftop reads shows its long statements itself, and is stalled only from here on",
};
const FALL: Param = Param {
    name: "fall",
    unit: Unit::Percent,
    default: 50.0,
    min: 1.0,
    max: 90.0,
    what: "answers per second below this share of the usual, while requests stand for a second",
};
const ANSWERS: Param = Param {
    name: "answers",
    unit: Unit::PerSecond,
    default: 1.0,
    min: 0.01,
    max: 1_000_000.0,
    what: "usual answers per second; of a service that answers less often nobody can say what is late",
};
const STUCK: Param = Param {
    name: "stuck",
    unit: Unit::SecondsPerSecond,
    default: 0.5,
    min: 0.01,
    max: 1000.0,
    what: "threads of the service in uninterruptible sleep; then a single request that stands is enough",
};
const IDLE: Param = Param {
    name: "idle",
    unit: Unit::Cores,
    default: 0.05,
    min: 0.0,
    max: 1000.0,
    what: "a service below this does nothing: what it does not read stands, though nobody knows what is usual there",
};
const YOUNG: Param = Param {
    name: "young",
    unit: Unit::Seconds,
    default: 60.0,
    min: 0.0,
    max: 3600.0,
    what: "a service that was started less long ago may still warm up: nothing is said of it before its usual is known",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "app.service.stalled",
    class: Class::Outcome,
    source: SourceKind::Host,
    says: "requests at a listening port stand, or are answered late; nothing is configured",
    params: &[AGE, TIMES, REQUESTS, SHARE, HALF, FALL, ANSWERS, STUCK, IDLE, YOUNG],
    origins: &["host.stands", "host.requests", "host.iodelay", "host.unix"],
    page: "\
The kernel stamps when each accepted connection last received and last sent data. Received after sent: a request is in flight, and the
stamp is its age. perftop learns per port how old requests in flight usually are and how many are answered per second, and says so when
that breaks: requests stand for longer than a second and ten times as long as usual, or answers fell below half while requests stand,
or more of them than usual were not even read (or their connections not accepted) for a second.

Long polls, streams, subscriptions and idle chats are not late: their own usual is their measure. At a port that was not seen for 10
seconds, or answers less than once a second, nothing is late, but for what a service that does nothing does not read or accept, and what hangs in the kernel with the
service's own threads; and not even those while it was started within the last minute and may be warming up. A single long request
beside others that are answered is no stall.

At a unix socket the kernel tells only how many connections wait to be accepted: more than usual at every look is a stall too.

This is an **outcome**: it names no cause. Where a cause holds that keeps this service waiting, that stands first and names the service.
Where none holds, the requests stand all the same, and the host is not healthy. It is critical after five seconds with more than half of
the requests late.

**What looks like it**: long statements at a database that perftop reads count from half of all requests on only; a batch job that waits
for its own long request is one request.

**Relief**: look at where the service's threads wait (the commands do that); restart it only when that shows why. **Cure**: that of the
cause; timeouts in the service for what it calls, so that one slow part does not keep all its workers.",
    judge,
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    if let Err(lack) = &facts.world.host.sockets {
        return Judged::unknown(Subject::host(), lack);
    }
    let Some(doors) = doors(facts.world) else {
        return Judged::unknown(Subject::host(), &Lack::new(Why::NotRecorded, "ages of requests"));
    };
    let judged: Vec<(Subject, Standing)> = doors
        .iter()
        .map(|door| {
            let subject = subject(facts.world, door);
            let held = is_held(prev, &subject);
            let standing = Standing::of(facts, params, door, held);
            (subject, standing)
        })
        .collect();
    let mut verdicts: Vec<(Subject, Verdict)> = Vec::new();
    for ((subject, standing), door) in judged.iter().zip(&doors) {
        if let Some(says) = &standing.says {
            verdicts.push((subject.clone(), Verdict::Found(Box::new(found(facts, params, door, standing, says)))));
        }
    }
    let young = |p: &ProcFacts| age_s(facts.world, Some(p.id)).is_some_and(|s| s < params.get(YOUNG));
    verdicts.extend(unix_stalled::judge(facts, prev, &young));
    if verdicts.is_empty() {
        let open = judged.iter().zip(&doors).find(|((_, standing), door)| standing.usual.is_none() && door.noticed >= 1.0);
        verdicts.push(match open {
            Some(((subject, _), door)) => (subject.clone(), Verdict::Unknown { because: not_known(door), lift: None }),
            None => {
                (Subject::host(), Verdict::Clear(format!("none of {} ports with connections has late requests", doors.len())))
            }
        });
    }
    Judged { verdicts, ..Judged::default() }
}

fn not_known(door: &Door) -> String {
    format!(
        "{} at :{} in flight for over a second; what is usual there is known after some 10 s",
        requests(door.noticed),
        door.port
    )
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
    fn of(facts: &Facts<'_>, params: &Params<'_>, door: &Door, held: bool) -> Self {
        let usual = facts.learned.usual_stands(door);
        let stuck = stuck(facts, door.family);
        let limit_s = usual.map_or(0.0, |u| params.get(TIMES) * u.below_ms / 1e3).max(params.get(AGE));
        let young = age_s(facts.world, door.family).is_some_and(|s| s < params.get(YOUNG));
        let late = door.older(limit_s * 1e3);
        let answered = door.answers_per_s * facts.world.window_s;
        let of_all = |n: f64| if n > 0.0 { 100.0 * n / (n + answered) } else { 0.0 };
        let measured = Measured {
            late,
            share: of_all(late),
            noticed_share: of_all(door.noticed),
            stuck,
            idle: !young && cores(facts.world, door.family).is_some_and(|c| c < params.get(IDLE)),
            young,
            read: read_here(facts.world, door),
        };
        let judged = |held: bool| says(params, door, usual, &measured, held);
        let late = if late > 0.0 { late } else { door.noticed };
        Self { usual, limit_s, late, share: of_all(late), stuck, says: judged(held), standing: judged(false).is_some() }
    }
}

struct Measured {
    late: f64,
    share: f64,
    noticed_share: f64,
    stuck: f64,
    /// The service uses no CPU, and not because it has just begun.
    idle: bool,
    young: bool,
    read: bool,
}

/// Why the port is stalled. `held`: it was at the evaluation before, and stays so for less.
fn says(params: &Params<'_>, door: &Door, usual: Option<Usual>, m: &Measured, held: bool) -> Option<String> {
    let limit = |param| params.limit(param, held);
    let hangs = m.stuck >= limit(STUCK);
    // One that hangs with the service's own threads is enough.
    let enough = if hangs { limit(REQUESTS).min(limit_of_one(held)) } else { limit(REQUESTS) };
    let some = if m.read { limit(HALF) } else { limit(SHARE) };
    let usually = usual.map_or(0.0, |u| 2.0 * u.unserved);
    let told = usual.is_some() || m.idle;
    if told && door.unserved - usually >= limit_of_one(held) && m.noticed_share >= some && !m.read {
        return Some(format!("{} were not even read for a second", requests(door.unserved)));
    }
    let Some(usual) = usual else {
        let hang = hangs && !m.young && door.noticed >= enough && m.noticed_share >= limit(HALF);
        return hang
            .then(|| format!("{} in flight for over a second, and its threads hang in the kernel", requests(door.noticed)));
    };
    let answers = usual.answers_per_s >= params.get(ANSWERS);
    if answers && m.late >= enough && m.share >= some {
        return Some(format!("{} in flight are late", requests(m.late)));
    }
    // What is held is allowed to come back a little before it is over.
    let fall = params.get(FALL) / if held { crate::detect::params::HYSTERESIS } else { 1.0 };
    let fell = answers && 100.0 * door.answers_per_s < fall * usual.answers_per_s;
    let stands = door.noticed - 2.0 * usual.noticed >= enough && (!m.read || m.noticed_share >= some);
    (fell && stands).then(|| {
        format!(
            "{} in flight for over a second, and {} answers per second instead of {}",
            requests(door.noticed),
            short(door.answers_per_s),
            short(usual.answers_per_s)
        )
    })
}

fn requests(mean: f64) -> String {
    match mean.round() {
        n if n <= 1.0 => "1 request".to_owned(),
        n => format!("{n:.0} requests"),
    }
}

fn limit_of_one(held: bool) -> f64 {
    if held { crate::detect::params::HYSTERESIS } else { 1.0 }
}

fn subject(world: &World, door: &Door) -> Subject {
    let mut subject = Subject::new(SubjectType::Port, door.port.to_string(), format!(":{}", door.port));
    subject.also = program(world, door.family).iter().map(|p| format!("process:{}", p.id)).collect();
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
fn read_here(world: &World, door: &Door) -> bool {
    world.postgres.iter().any(|pg| door.family.is_some() && pg.server.as_ref().is_some_and(|s| s.postmaster == door.family))
}

/// Threads of the program in uninterruptible sleep, s/s.
fn stuck(facts: &Facts<'_>, family: Option<ProcId>) -> f64 {
    facts.ledger.sum(|a| Some(a.family) == family, |a: &Actor| a.io_wait + a.blocked)
}

fn found(facts: &Facts<'_>, params: &Params<'_>, door: &Door, s: &Standing, says: &str) -> Found {
    let program = program(facts.world, door.family);
    let who = program.map_or_else(|| format!(":{}", door.port), |p| format!("{} on :{}", p.label(), door.port));
    let mut found = Found::new(Class::Outcome, format!("{who} is stalled: {says}"));
    found.standing = Some(s.standing);
    found.never_critical = s.share < params.get(HALF);
    found.confidence = facts.ledger.coverage;
    found.evidence = vec![
        params.either("late requests in flight", s.late, REQUESTS, "host.stands"),
        params.either("of all requests of the window", s.share, SHARE, "host.stands"),
        evidence("age from which on a request is late", s.limit_s, Unit::Seconds, None, "host.stands"),
        evidence("requests in flight", door.in_flight, Unit::Count, None, "host.stands"),
        evidence("of them not even read, or their connection not accepted", door.unserved, Unit::Count, None, "host.stands"),
    ];
    match s.usual {
        Some(usual) => {
            let least = usual.answers_per_s * params.get(FALL) / 100.0;
            found.evidence.push(evidence("answers", door.answers_per_s, Unit::PerSecond, Some(least), "host.requests"));
            found.evidence.push(evidence("answers before, median", usual.answers_per_s, Unit::PerSecond, None, "host.requests"));
        }
        None => found.evidence.push(evidence("answers", door.answers_per_s, Unit::PerSecond, None, "host.requests")),
    }
    if s.stuck > 0.0 {
        let row = params.either("threads of the service in uninterruptible sleep", s.stuck, STUCK, "host.iodelay");
        found.evidence.push(row);
    }
    found.fixes = fixes(door, program);
    found
}

fn fixes(door: &Door, program: Option<&ProcFacts>) -> Vec<Fix> {
    let requests = fix::look(
        "See the connections: what was not read (Recv-Q), how long ago data came (lastrcv) and went (lastsnd)",
        sh!("ss -tinp state established sport = :{}", door.port),
    );
    program.map(fix::look_at_threads).into_iter().chain([requests]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::params::ParamOverrides;

    const QUICK: Usual = Usual { answers_per_s: 100.0, noticed: 0.0, unserved: 0.0, below_ms: 10.0 };

    /// Whether a port is stalled: its answers a second, the requests in flight by class of age (the sixth begins at 1 s), those not read.
    fn stalled(usual: Option<Usual>, answers: f64, ages: [u32; 10], unserved: f64, change: impl Fn(&mut Measured)) -> bool {
        let overrides = ParamOverrides::default();
        let params = Params::new(RULE.id, &overrides);
        let door = Door::seen(answers, ages, unserved);
        let limit_s = usual.map_or(0.0, |u| 10.0 * u.below_ms / 1e3).max(1.0);
        let of_all = |n: f64| 100.0 * n / (n + answers * 5.0).max(1e-9);
        let late = door.older(limit_s * 1e3);
        let mut measured = Measured {
            late,
            share: of_all(late),
            noticed_share: of_all(door.noticed),
            stuck: 0.0,
            idle: false,
            young: false,
            read: false,
        };
        change(&mut measured);
        says(&params, &door, usual, &measured, false).is_some()
    }

    const fn old(n: u32) -> [u32; 10] {
        [0, 0, 0, 0, 0, n, 0, 0, 0, 0]
    }

    #[test]
    fn what_is_late_goes_by_what_is_usual_there() {
        let as_it_is = |_: &mut Measured| ();
        assert!(stalled(Some(QUICK), 0.0, old(6), 0.0, as_it_is), "all stand");
        assert!(stalled(Some(QUICK), 10.0, old(4), 0.0, as_it_is), "some of them");
        assert!(!stalled(Some(QUICK), 100.0, old(2), 0.0, as_it_is), "two of five hundred");
        assert!(!stalled(Some(QUICK), 90.0, old(1), 0.0, as_it_is), "one report");
        assert!(!stalled(Some(QUICK), 0.0, old(1), 0.0, as_it_is), "a batch that waits for its own");
        let idle = Usual { answers_per_s: 0.1, ..QUICK };
        assert!(!stalled(Some(idle), 0.0, old(6), 0.0, as_it_is), "the first long polls of an idle service");
        let polls = Usual { noticed: 8.0, below_ms: 30_000.0, ..QUICK };
        assert!(!stalled(Some(polls), 100.0, old(9), 0.0, as_it_is), "long polls");
        assert!(stalled(Some(polls), 3.0, old(20), 0.0, as_it_is), "their quick neighbours hang");
        assert!(!stalled(Some(polls), 3.0, old(9), 0.0, as_it_is), "their quick neighbours left");
    }

    #[test]
    fn what_is_not_read_by_an_idle_service_needs_no_usual() {
        let idle = |m: &mut Measured| m.idle = true;
        assert!(stalled(None, 0.0, old(3), 3.0, idle));
        assert!(!stalled(None, 0.0, old(3), 3.0, |_| ()), "it works at something");
        assert!(!stalled(None, 0.0, old(3), 0.0, idle), "long polls, for all one knows");
        let hangs = |m: &mut Measured| m.stuck = 1.0;
        assert!(stalled(None, 0.0, old(1), 0.0, hangs), "its threads hang in the kernel");
        assert!(!stalled(None, 0.0, old(1), 0.0, |m| (m.stuck, m.young) = (1.0, true)), "it warms up");
        assert!(!stalled(Some(QUICK), 20.0, old(9), 0.0, |m| m.read = true), "long statements are shown as such");
    }
}
