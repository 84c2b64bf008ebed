//! How a command that holds up the loop is judged: those of scripts by their rule, all others by theirs.

use crate::detect::finding::{Class, Fix};
use crate::detect::ledger::State;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::redis::{View, losses};
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::demand::Demand;
use crate::model::facts::{CommandFacts, RedisFacts};
use crate::model::redis::{RedisAsk, SlowEntry};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, count, seconds, short};

use super::support::{info, instance, sender, trips};

/// What both have. Below a warning, so that a command near that line is listed as info and does not come and go.
pub const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.03,
    min: 0.01,
    max: 1000.0,
    what: "requests that stand still behind the command, on average",
};
/// What both have.
pub const LONG: Param = Param {
    name: "long",
    unit: Unit::Milliseconds,
    default: CommandFacts::LONG_MS,
    min: CommandFacts::LONG_MS,
    max: 60_000.0,
    what: "time of the longest call from which a command is long: shorter ones are a matter of their number",
};

/// Commands that run code.
#[must_use]
pub fn runs_code(name: &str) -> bool {
    ["eval", "eval_ro", "evalsha", "evalsha_ro", "fcall", "fcall_ro", "function", "script"].contains(&name)
}

/// Judges the commands that `mine` picks.
pub fn judge(
    view: &View<'_>,
    params: &Params<'_>,
    prev: Option<&Prev>,
    mine: impl Fn(&str) -> bool,
    fixes: impl Fn(&RedisFacts, &CommandFacts) -> Vec<Fix>,
) -> Judged {
    let r = view.server;
    if let Err(answer) = info(view) {
        return answer;
    }
    let commands = match &r.commands {
        Ok(commands) => commands,
        Err(lack) => return Judged::unknown(instance(r), lack),
    };
    let mut judged = Judged::default();
    // Together they keep no more waiting than there are clients.
    let all: f64 = commands.iter().filter(|c| c.long()).map(|c| c.stall).sum();
    let part = (losses(r).named / all.max(1e-9)).min(1.0);
    for command in commands.iter().filter(|c| mine(&c.name)) {
        let subject = Subject::new(SubjectType::Command, command.name.as_str(), command.name.to_uppercase());
        let held = is_held(prev, &subject);
        let lost = command.stall * part;
        if lost < params.limit(LOST, held) || !command.long() || command.longest_ms() < params.get(LONG) {
            continue;
        }
        let mut found = Found::new(Class::Live, title(command, lost));
        found.losses = vec![(State::RedisStall, lost)];
        found.victims_time = lost + (r.main_thread().unwrap_or(0.0) - command.busy).max(0.0);
        found.confidence = if command.longest_s.is_some() { 0.8 } else { 0.6 };
        found.held_share = command.stall / all.max(1e-9);
        found.evidence = vec![
            params.row("requests that stand still behind it", lost, LOST, "redis.latency"),
            params.row("longest call, upper bound", command.longest_ms(), LONG, "redis.latency"),
            evidence("mean time per call", command.mean_s * 1000.0, Unit::Milliseconds, None, "redis.commands"),
            evidence("calls", command.per_s, Unit::PerSecond, None, "redis.commands"),
            evidence("main thread it takes", command.busy, Unit::SecondsPerSecond, None, "redis.commands"),
        ];
        found.evidence.extend(trips(r));
        found.fixes = fixes(r, command);
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        let longest = commands.iter().filter(|c| mine(&c.name)).max_by(|a, b| a.mean_s.total_cmp(&b.mean_s));
        let why = longest.map_or_else(
            || "no such command was called".to_owned(),
            |c| format!("the longest is {} with {} per call", c.name.to_uppercase(), seconds(c.mean_s)),
        );
        return Judged::clear(instance(r), why);
    }
    judged
}

/// The newest entry of the slow log with that command.
#[must_use]
pub fn entry<'a>(r: &'a RedisFacts, command: &CommandFacts) -> Option<&'a SlowEntry> {
    let name = command.name.split('|').next().unwrap_or_default().to_uppercase();
    r.slowlog.as_ref().ok()?.entries.iter().find(|e| e.shape.shown().split(' ').next() == Some(name.as_str()))
}

/// Who sent what was found is not among the clients that were listed: it came later. They are asked for again.
#[must_use]
pub fn unknown_client(r: &RedisFacts, judged: &Judged) -> Option<Demand> {
    const AGAIN_S: f64 = 3.0;
    let found = judged.verdicts.iter().filter(|(_, v)| matches!(v, Verdict::Found(_)));
    let commands = found.filter_map(|(subject, _)| r.commands.as_ref().ok()?.iter().find(|c| c.name == subject.key));
    let unknown = commands.filter_map(|c| entry(r, c)).any(|e| sender(r, e).is_none());
    (unknown && r.clients_age_s > AGAIN_S).then(|| RedisAsk::Clients.of(&r.id))
}

fn title(command: &CommandFacts, lost: f64) -> String {
    let (name, each) = (command.name.to_uppercase(), short(command.mean_s * 1000.0));
    let often = match command.per_s {
        n if n >= 10.0 => format!("{} times a second", count(n)),
        n => format!("{} times a second", short(n)),
    };
    format!("{name} blocks the event loop for {each} ms, {often}: {} requests stand still behind it", short(lost))
}
