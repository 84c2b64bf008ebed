//! The finding for a source in a state in which it is not read.

use crate::detect::command::{Command, sh};
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::verdict::{Facts, Found, Judged, Verdict, evidence};
use crate::model::facts::ProcFacts;
use crate::model::source::{Place, SourceKind, SourceState, SourceStatus};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::Unit;

/// One hygiene finding for each source in `state`, with its reason and the way in.
pub(super) fn in_state(facts: &Facts<'_>, state: SourceState, says: &str) -> Judged {
    let mut judged = Judged::default();
    for source in facts.world.sources.iter().filter(|s| s.state == state) {
        let subject = Subject::new(SubjectType::Instance, source.id.clone(), source.id.clone());
        let why = source.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        let mut found = Found::new(Class::Hygiene, format!("{} {says}{why}", source.id));
        // One that was asked for, or was read a moment ago, is missed: a warning (CONTRACT.md, "Severity").
        let server = !matches!(source.kind, SourceKind::Host | SourceKind::Peer);
        let asked_for = source.place != Place::Local;
        found.grows = server && (state == SourceState::Unreachable || (state == SourceState::Denied && asked_for));
        found.evidence = vec![evidence("sources in this state", 1.0, Unit::Count, None, "sources")];
        found.fixes.extend(stopped(facts, source).map(fix::go_on));
        if let Some(command) = way_in(source) {
            let mut look = fix::shell_fix(Phase::Relief, Horizon::Immediate, "How to connect", command);
            look.needs = "an account on that server".into();
            let ours = matches!(source.kind, SourceKind::Host | SourceKind::Peer);
            let text = "read it first: it says what to do, not how";
            look.risk = if ours { "none: read-only" } else { text }.into();
            look.verify = sh!("perftop doctor");
            found.fixes.push(look);
        }
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(Subject::host(), "no source is in this state");
    }
    judged
}

/// The process of a server of this host that does not answer, where somebody stopped it: by the port that it listens on.
fn stopped<'a>(facts: &Facts<'a>, source: &SourceStatus) -> Option<&'a ProcFacts> {
    let local = source.state == SourceState::Unreachable && source.place == Place::Local;
    let port: u16 = source.id.rsplit_once(':').filter(|_| local)?.1.parse().ok()?;
    facts.world.processes().iter().find(|p| p.state == 'T' && p.listens.contains(&port))
}

/// The way in to paste: made here from what the source is. What a source says of itself, a recording's text too, is only to be read.
fn way_in(source: &SourceStatus) -> Option<Command> {
    let said = source.way_in.as_ref()?;
    let peer = source.id.strip_prefix("peer:").and_then(|at| at.parse::<std::net::SocketAddr>().ok());
    Some(match (source.kind, peer) {
        (SourceKind::Host, _) => sh!("sudo perftop"),
        (SourceKind::Peer, Some(at)) => sh!("ssh {} -t perftop", at.ip()),
        _ => Command::read_only(said),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Bench;
    use crate::detect::bench::host::process;
    use crate::detect::kinds::KINDS;
    use crate::detect::learned::Learned;

    /// The commands for a server that is in that state, while the process at its port is in this one.
    fn commands(source: SourceState, process_state: char, port: u16) -> Vec<String> {
        let server = ProcFacts { state: process_state, listens: vec![port], ..process(100, "redis-server") };
        let bench = Bench::source(source).running(vec![server]);
        let (world, ledger) = bench.measured();
        let (learned, kinds) = (Learned::default(), KINDS);
        let judged = in_state(&Facts { world, ledger: &ledger, learned: &learned, kinds }, source, "does not answer");
        let found = judged.verdicts.into_iter().filter_map(|(_, verdict)| match verdict {
            Verdict::Found(found) => Some(found.fixes),
            _ => None,
        });
        found.flatten().map(|fix| fix.command.to_string()).collect()
    }

    #[test]
    fn a_process_that_was_stopped_is_let_go_on_first_and_no_other() {
        assert!(commands(SourceState::Unreachable, 'T', 6379)[0].ends_with("kill -CONT 100"));
        let quiet = |all: Vec<String>| all.iter().all(|command| !command.contains("kill"));
        assert!(quiet(commands(SourceState::Unreachable, 'S', 6379)), "it runs");
        assert!(quiet(commands(SourceState::Unreachable, 'T', 6380)), "another's port");
        assert!(quiet(commands(SourceState::Denied, 'T', 6379)), "it answers");
    }
}
