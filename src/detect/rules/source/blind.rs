//! source.blind: permissions or kernel settings hide a part; the command that lifts it and what it silences.

use crate::detect::command::{Command, sh};
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::kind;
use crate::detect::params::{NONE_IS_FINE, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::Facts as World;
use crate::model::source::{SourceKind, SourceState, SourceStatus};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::Unit;

/// The rule.
pub const RULE: Rule = Rule {
    id: "source.blind",
    class: Class::Hygiene,
    culprit: Culprit::Many,
    says: "permissions or kernel settings hide something; how to lift it and which findings are unknown meanwhile",
    params: &[],
    origins: &["host.serving", "host.process_io", "host.psi.cpu", "sources"],
    page: "\
Something cannot be seen: pressure is switched off in the kernel, IO and sockets of other users' processes need
rights, a server's role sees only its own sessions, an extension is missing, or a server refuses some queries.

For the host each row counts what is hidden; a server has one finding, whose title says what is missing. The fixes say
how to lift it and which findings are unknown or less certain meanwhile. Some need a restart: read them first. Always
info.

**Cure**: the rights, the extension or the kernel setting, as the fix says.",
    judge: Judge::Host(judge),
};

struct Gap {
    claim: &'static str,
    count: f64,
    origin: &'static str,
    silences: &'static str,
    lift: Option<Command>,
}

fn gaps(world: &World) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let psi = [&world.host.psi.cpu, &world.host.psi.memory, &world.host.psi.io];
    let off = psi.iter().filter(|p| p.is_err()).count();
    if off > 0 {
        gaps.push(Gap {
            claim: "pressure files that cannot be read",
            count: off as f64,
            origin: "host.psi.cpu",
            silences: "host.memory.reclaim; CPU and IO findings run without their PSI threshold",
            lift: Some(sh!("sed -i 's/^GRUB_CMDLINE_LINUX=\"/&psi=1 /' /etc/default/grub && update-grub   # then reboot")),
        });
    }
    let users = || world.processes().iter().filter(|p| !p.kernel);
    let no_io = users().filter(|p| p.cpu.is_some() && p.read_bytes_per_s.is_none()).count();
    if no_io > 0 && world.identity.as_ref().is_some_and(|i| !i.root) {
        gaps.push(Gap {
            claim: "processes whose IO cannot be seen",
            count: no_io as f64,
            origin: "host.process_io",
            silences: "the top consumer of host.io.saturated",
            lift: Some(sh!("sudo perftop")),
        });
    }
    let sockets = world.host.serving_unreadable;
    if sockets > 0 && world.identity.as_ref().is_some_and(|i| !i.root) {
        gaps.push(Gap {
            claim: "processes whose sockets cannot be seen, counted as foreground",
            count: f64::from(sockets),
            origin: "host.serving",
            silences: "whether these processes are foreground",
            lift: Some(sh!("sudo perftop")),
        });
    }
    gaps
}

fn judge(facts: &Facts<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    let mut judged = host(facts);
    judged.verdicts.extend(facts.world.sources.iter().filter_map(|source| server(facts, source)));
    judged
}

/// A server that answers, with parts missing.
fn server(facts: &Facts<'_>, source: &SourceStatus) -> Option<(Subject, Verdict)> {
    let missing = source.state == SourceState::Degraded && source.kind != SourceKind::Host;
    let why = source.why.as_ref().filter(|_| missing)?;
    let subject = Subject::new(SubjectType::Instance, source.id.as_str(), source.id.as_str());
    let mut found = Found::new(Class::Hygiene, format!("{} is only partly visible: {why}", source.id));
    found.evidence = vec![evidence("sources in this state", 1.0, Unit::Count, None, "sources")];
    found.fixes.extend(kind::of(facts.kinds, &source.id).and_then(|kind| (kind.see_whole)(facts.world, source)));
    Some((subject, Verdict::Found(Box::new(found))))
}

fn host(facts: &Facts<'_>) -> Judged {
    let gaps = gaps(facts.world);
    let subject = Subject::new(SubjectType::Instance, "host", "host");
    if gaps.is_empty() {
        return Judged::clear(subject, "everything that perftop reads is readable");
    }
    let what: Vec<&str> = gaps.iter().map(|g| g.claim).collect();
    let mut found = Found::new(Class::Hygiene, format!("Not everything can be seen: {}", what.join("; ")));
    found.evidence = gaps.iter().map(|g| evidence(g.claim, g.count, Unit::Count, NONE_IS_FINE, g.origin)).collect();
    let mut seen: Vec<&Command> = Vec::new();
    for gap in &gaps {
        if let Some(lift) = gap.lift.as_ref().filter(|l| !seen.contains(l)) {
            seen.push(lift);
            found.fixes.push(way_in(lift, gap.silences));
        }
    }
    Judged::found(subject, found)
}

pub fn way_in(command: &Command, silences: &str) -> Fix {
    let mut fix = fix::shell_fix(
        Phase::Cure,
        Horizon::ShortTerm,
        format!("Make it visible; unknown until then: {silences}"),
        command.clone(),
    );
    fix.needs = "root".into();
    fix.risk = "no effect on running processes".into();
    fix.verify = sh!("perftop doctor");
    fix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};
    use crate::model::seen::{Lack, Why};

    #[test]
    fn it_speaks_of_its_own_state_only() {
        Bench::expect_only_in(&RULE, SourceState::Degraded);
    }

    #[test]
    fn pressure_that_is_switched_off_is_found() {
        let off = Bench::quiet().on(|host| host.psi.io = Err(Lack::new(Why::Unsupported, "/proc/pressure/io")));
        // What cannot be seen is what it is about.
        Table { clear: Bench::quiet(), unknown: None, found: off.clone(), held: None }.check(&RULE);
        off.must_say(&RULE, "found Not everything can be seen: pressure files that cannot be read");
    }
}
