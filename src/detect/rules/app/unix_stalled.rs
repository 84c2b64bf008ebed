//! The part of app.service.stalled that is about unix sockets: connections that nobody accepts.

use crate::detect::command::sh;
use crate::detect::finding::Class;
use crate::detect::fix;
use crate::detect::memory::is_held;
use crate::detect::params::HYSTERESIS;
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::{ProcFacts, QueueFacts};
use crate::model::shell::Word;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::Unit;

use super::asleep;

/// Seconds of samples before the first verdict.
const LOOKED_S: f64 = 2.0;

/// Unix sockets whose service accepts nobody; `young`: it was started a moment ago and may not have come to that yet; `idle`: it uses no CPU.
pub(super) fn judge(
    facts: &Facts<'_>,
    prev: Option<&Prev>,
    young: &dyn Fn(&ProcFacts) -> bool,
    idle: &dyn Fn(&ProcFacts) -> bool,
) -> Judged {
    let mut found = Judged::default();
    let Ok(sockets) = &facts.world.host.sockets else { return found };
    for queue in sockets.queues.iter().filter(|q| q.always && facts.world.window_s >= LOOKED_S) {
        let processes = facts.world.processes();
        let program = processes.iter().find(|p| Some(p.id) == queue.owner);
        let program = program.and_then(|p| processes.iter().find(|root| root.id == p.family)).or(program);
        let young = program.is_some_and(young);
        let mut subject = Subject::new(SubjectType::Service, queue.path.shown(), queue.path.shown());
        subject.also = program.iter().map(|p| format!("process:{}", p.id)).collect();
        let held = is_held(prev, &subject);
        if waits(facts, queue, young, held) {
            let standing = waits(facts, queue, young, false);
            let mut stalled = one(facts, queue, program, standing);
            // One that works may take them one after the other.
            stalled.never_critical = queue.queued < full(queue) && !program.is_some_and(idle);
            found.demands.extend(asleep::ask(facts, program.map(|p| p.family)));
            found.verdicts.push((subject, Verdict::Found(Box::new(stalled))));
        }
    }
    found
}

/// More than usual; where nothing is usual yet, half of what may wait at a service that does not warm up.
fn waits(facts: &Facts<'_>, queue: &QueueFacts, young: bool, held: bool) -> bool {
    let scale = if held { HYSTERESIS } else { 1.0 };
    match facts.learned.queues.usual(queue.path.shown()) {
        Some(usual) => queue.queued - 2.0 * usual >= scale,
        None => !young && queue.queued >= scale * full(queue),
    }
}

/// Half of what may wait there: from here on hardly anybody is accepted.
fn full(queue: &QueueFacts) -> f64 {
    f64::from(queue.backlog.max(1)) / 2.0
}

fn one(facts: &Facts<'_>, queue: &QueueFacts, program: Option<&ProcFacts>, standing: bool) -> Found {
    let path = queue.path.shown();
    let who = program.map_or_else(|| path.to_owned(), |p| format!("{} on {path}", p.label()));
    let n = queue.queued.round().max(1.0);
    let connections = if n <= 1.0 { "1 connection waits".to_owned() } else { format!("{n:.0} connections wait") };
    let family = program.map(|p| p.family);
    let waits = asleep::most(facts, family).map_or_else(String::new, |what| format!("; most of its threads wait for {what}"));
    let mut found = Found::new(Class::Outcome, format!("{who} is stalled: {connections} to be accepted{waits}"));
    found.standing = Some(standing);
    found.confidence = facts.ledger.coverage;
    let most = Some(f64::from(queue.backlog));
    found.evidence =
        vec![evidence("connections waiting to be accepted, mean", queue.queued, Unit::Count, most, "host.unix").of_capacity()];
    let usual = facts.learned.queues.usual(path);
    found.evidence.extend(usual.map(|n| evidence("usually waiting", n, Unit::Count, None, "host.unix")));
    found.evidence.extend(asleep::rows(facts, family));
    let path = Word::operand(queue.path.raw());
    let queue = path.map(|path| fix::look("See the queue (Recv-Q) and who listens", sh!("ss -xlp src {}", path)));
    found.fixes = program.map(fix::look_at_threads).into_iter().chain(queue).collect();
    found
}

#[cfg(test)]
mod tests {
    use crate::detect::bench::sockets::sockets;
    use crate::detect::bench::{Bench, Table};
    use crate::detect::rules::app::service_stalled::RULE;
    use crate::model::facts::{QueueFacts, SocketFacts};

    /// So many connections, of 100 that may, wait at a unix socket; in every sample or not.
    fn queue(queued: f64, always: bool) -> Bench {
        Bench::quiet().on(|host| {
            let queue = QueueFacts { path: "/run/app.sock".into(), owner: None, queued, backlog: 100, always };
            host.sockets = Ok(SocketFacts { queues: vec![queue], ..sockets(Vec::new(), Vec::new()) });
        })
    }

    #[test]
    fn a_socket_where_nobody_is_accepted_is_found_and_held() {
        Table { clear: queue(34.0, true), unknown: None, found: queue(50.0, true), held: Some(queue(49.0, true)) }.check(&RULE);
        queue(50.0, true).must_say(&RULE, "found /run/app.sock is stalled: 50 connections wait to be accepted");
        queue(50.0, false).must_say(&RULE, "clear");
    }

    #[test]
    fn where_nobody_waits_as_a_rule_one_is_enough() {
        let after = |queued| queue(queued, true).after(20, &Bench::quiet());
        Table { clear: after(0.6), unknown: None, found: after(1.0), held: Some(after(0.8)) }.check(&RULE);
        let usually = queue(3.0, true).after(20, &queue(1.5, true));
        usually.must_say(&RULE, "clear");
    }
}
