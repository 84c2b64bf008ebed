//! app.workload_growth: a service waits for a CPU because it has more requests than before, at the same CPU time each.

use crate::detect::command::{Command, sh};
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::{Actor, State};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::support::{Program, confidence, demand, programs};
use crate::detect::stands::port_key;
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::ListenerFacts;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, count, short};

const GROWTH: Param = Param {
    name: "growth",
    unit: Unit::Ratio,
    default: 1.3,
    min: 1.05,
    max: 100.0,
    what: "requests per second over the median of the previous two minutes",
};
const COST: Param = Param {
    name: "cost",
    unit: Unit::Ratio,
    default: 1.25,
    min: 1.01,
    max: 10.0,
    what: "CPU time per request over its baseline: above this, or below its inverse, the requests are different ones",
};
const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.1,
    min: 0.001,
    max: 100.0,
    what: "run delay of the service that its growth must explain",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "app.workload_growth",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "a service waits for a CPU because it has more requests than before, at the same CPU time each",
    params: &[GROWTH, COST, LOST],
    origins: &["host.requests", "host.schedstat", "host.processes"],
    page: "\
A service that waits for a CPU need not be broken: its load may simply have grown. perftop counts the segments with
data that its accepted connections receive (requests, when they are small and connections are kept), and compares
their rate and the CPU time of each with the medians of up to two minutes before, the newest fifteen evaluations left
out. Known after 35 evaluations with 5 requests per second or more. More requests at the same cost each is growth; a
different cost each is something else.

The loss is what the service waits for a CPU x (1 - 1 / growth). The service must have half of the CPU use that
competes, weighted by nice values; otherwise who takes it is the cause.

Clients that could not get through send later what they have not sent. While a service has no more than what it missed in the last
minute or so (requests below half of the baseline while some stood there unaccepted, unread or for a second, or nobody listened), they
catch up: that ends by itself, and is info.

**What looks like it**: requests that became more expensive (a new version, a cold cache); a neighbour
(`host.cpu.contention`); a quota (`host.cpu.throttled`); clients that retry because responses are late: the cost each
stays the same then too, so look for the first cause.

**Relief**: see who sends the requests; by hand: shed load, or limit the callers that grew. **Cure**: by hand: more
CPUs or instances.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let sockets = match &facts.world.host.sockets {
        Ok(sockets) => sockets,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    let all = programs(facts.world, demand);
    let total: f64 = all.iter().map(|p| p.amount).sum();
    let mut grown = "no service has more requests than its baseline".to_owned();
    for listener in &sockets.listeners {
        let Some(program) = all.iter().find(|p| p.members.iter().any(|m| Some(m.id) == listener.owner)) else { continue };
        let Some(before) = facts.learned.usual(listener) else { continue };
        let mut subject =
            Subject::new(SubjectType::Port, port_key(listener.at.port(), listener.namespace), format!(":{}", listener.at.port()));
        subject.also = vec![program.subject().typed_key()];
        let held = is_held(prev, &subject);
        let growth = listener.requests_per_s / before.rate.max(1e-9);
        // The line lies between "as before" and the limit, so that one that is held does not leave at 0.9.
        let limit = if held { 1.0 + (params.get(GROWTH) - 1.0) * 0.7 } else { params.get(GROWTH) };
        if growth < limit {
            continue;
        }
        let cores: f64 = program.members.iter().filter_map(|p| p.cpu).sum();
        let cost_ratio = cores / listener.requests_per_s.max(1e-9) / before.cost_s.max(1e-9);
        grown = format!(
            ":{} has {} times its baseline requests, at {} times the CPU time each",
            listener.at.port(),
            short(growth),
            short(cost_ratio)
        );
        let member = |a: &Actor| a.family == program.root;
        let waits = facts.ledger.sum(member, |a| a.in_state(State::CpuRunnable));
        let lost = waits * (1.0 - 1.0 / growth);
        let largest = program.amount >= 0.5 * total;
        let cost = params.get(COST);
        // Much cheaper each is other work, such as an upload in many segments.
        if !(1.0 / cost..=cost).contains(&cost_ratio) || lost < params.limit(LOST, held) || !largest {
            continue;
        }
        let missed = facts.learned.missed(listener);
        let mut found = found(params, listener, program, growth, cost_ratio, before.rate);
        if missed > before.rate {
            found.title = catching_up(listener, program, before.rate);
            found.evidence.push(evidence("requests missed lately", missed, Unit::Count, None, "host.requests"));
            // It is over before anything could be done about it.
            found.recoverable = 0.0;
        }
        found.losses = vec![(State::CpuRunnable, lost)];
        found.victims_time = facts.ledger.sum(member, Actor::time);
        found.held_share = program.amount / total.max(1e-9);
        found.evidence.push(params.row("the service's run delay", waits, LOST, "host.schedstat"));
        found.confidence = confidence(facts.ledger, lost, 0);
        return Judged { verdicts: vec![(subject, Verdict::Found(Box::new(found)))], ..Judged::default() };
    }
    Judged::clear(Subject::host(), grown)
}

fn catching_up(listener: &ListenerFacts, program: &Program<'_>, before: f64) -> String {
    format!(
        "Clients of {} on :{} catch up on what they could not send ({}/s, usually {}/s)",
        program.label(),
        listener.at.port(),
        count(listener.requests_per_s),
        count(before)
    )
}

fn found(
    params: &Params<'_>,
    listener: &ListenerFacts,
    program: &Program<'_>,
    growth: f64,
    cost_ratio: f64,
    before: f64,
) -> Found {
    let (now, was) = (count(listener.requests_per_s), count(before));
    let title = format!(
        "{} on :{} has {} times its baseline requests ({now}/s, was {was}/s) at the same cost each",
        program.label(),
        listener.at.port(),
        short(growth)
    );
    let mut found = Found::new(Class::Live, title);
    found.evidence = vec![
        evidence("requests", listener.requests_per_s, Unit::PerSecond, Some(before * params.get(GROWTH)), "host.requests"),
        evidence("requests, baseline median", before, Unit::PerSecond, None, "host.requests"),
        params.row_below("CPU time per request over baseline", cost_ratio, COST, "host.processes"),
    ];
    found.fixes = fixes(listener);
    found
}

fn fixes(listener: &ListenerFacts) -> Vec<Fix> {
    let port = listener.at.port();
    let mut look = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "See who sends them, and limit whoever grew",
        sh!(
            "ss -tnH state established sport = :{} | awk '{sub(/:[0-9]+$/, \"\", $4); print $4}' | sort | uniq -c | sort -rn | head",
            port
        ),
    );
    look.risk = "none: read-only".into();
    let mut cure =
        fix::shell_fix(Phase::Cure, Horizon::LongTerm, "More CPUs or another instance of the service", Command::note(""));
    cure.command = Command::note(format!(
        "# the service on :{port} has the same work as before, {} times a second",
        count(listener.requests_per_s)
    ));
    cure.needs = "capacity".into();
    vec![look, cure]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{process, service};
    use crate::detect::bench::sockets::{listener, sockets, unread};
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::ProcFacts;

    /// A service with so many requests a second, each of so many milliseconds on a CPU, that waits for one as well.
    fn serves(per_s: f64, ms: f64) -> Bench {
        Bench::quiet().on(|host| {
            let api = ProcFacts { cpu: Some(per_s * ms / 1e3), runnable: Some(0.4), ..service(100, "api", 8080) };
            host.sockets = Ok(sockets(vec![ListenerFacts { requests_per_s: per_s, ..listener(api.id, 8080) }], Vec::new()));
            host.processes = Ok(vec![api]);
        })
    }

    /// The same, after a hundred a second of two milliseconds each.
    fn grown(per_s: f64, ms: f64) -> Bench {
        serves(per_s, ms).after(40, &serves(100.0, 2.0))
    }

    #[test]
    fn more_requests_at_the_same_cost_are_found_and_held() {
        Table { clear: grown(120.0, 2.0), unknown: Some(unread()), found: grown(140.0, 2.0), held: Some(grown(125.0, 2.0)) }
            .check(&RULE);
        grown(140.0, 2.0).must_say(&RULE, "found api (pid 100) on :8080 has 1.4 times its baseline requests (140/s, was 100/s)");
    }

    /// After a gap of ten seconds in which requests stood there unread: what is sent later is owed, for so long as that takes.
    #[test]
    fn clients_that_catch_up_are_no_growth() {
        let stands = serves(0.0, 0.0).on(|host| host.sockets.as_mut().unwrap().listeners[0].unserved = 3.0);
        let usually = || serves(200.0, 2.0).after(40, &serves(100.0, 2.0));
        let after = |seconds: usize| usually().after(10, &stands).after(seconds, &serves(200.0, 2.0));
        after(2).must_say(
            &RULE,
            "found Clients of api (pid 100) on :8080 catch up on what they could not send (200/s, usually 100/s)",
        );
        assert_eq!(after(2).gains(&RULE), 0.0, "nothing to do about it");
        after(14).must_say(&RULE, "found api (pid 100) on :8080 has 2.0 times its baseline requests");
        assert!(after(14).gains(&RULE) > 0.1);
    }

    #[test]
    fn other_requests_and_other_programs_are_no_growth() {
        grown(140.0, 2.4).must_say(&RULE, "found");
        grown(140.0, 2.6).must_say(&RULE, "clear");
        grown(140.0, 1.5).must_say(&RULE, "clear");
        // Nothing is usual yet.
        serves(140.0, 2.0).must_say(&RULE, "clear");
        let neighbour = grown(140.0, 2.0).on(|host| {
            host.processes.iter_mut().for_each(|all| all.push(ProcFacts { cpu: Some(0.3), ..process(101, "build") }));
        });
        neighbour.must_say(&RULE, "clear");
    }
}
