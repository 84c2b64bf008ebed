//! What changed in the minutes before a finding came up: settings, servers and programs that started, statements that nobody sent
//! before, packages, configuration, what the kernel said. Evidence, and never proof: it takes no seconds from anyone. Pure.

use std::collections::BTreeMap;

use crate::model::facts::{Facts as World, ProcFacts};
use crate::model::host::{ChangedKind, KernelMessage, MessageKind};
use crate::model::source::Place;
use crate::model::unit::Unit;

use super::changes::{Change, Changes, LATELY_MS};
use super::finding::{Class, Finding, Known};
use super::kinds::KINDS;
use super::rules::find;
use super::verdict::evidence;

/// So long before a finding came up what changed may have to do with it.
const BEFORE_MS: i64 = 300_000;
/// A finding may be seen, or a change read, so much later than it happened.
const SLACK_MS: i64 = 5_000;
/// Changes that a finding shows.
const SHOWN: usize = 3;

/// Notes what differs from the evaluation before.
pub(super) fn note(changes: &mut Changes, world: &World) {
    for kind in KINDS {
        for source in (kind.servers)(world) {
            changes.note(source, (kind.settings)(world, source), (kind.came)(world, source), world.at.wall_ms);
        }
    }
    changes.keep(&KINDS.iter().flat_map(|kind| (kind.servers)(world)).collect::<Vec<_>>());
    changes.run(world.processes().iter().filter(|p| !p.kernel).map(|p| p.name.shown()), world.at.wall_ms);
}

/// Shows each root what changed before it.
pub(super) fn name(changes: &Changes, world: &World, findings: &mut [Finding]) {
    let all: Vec<Change> = changes.all().cloned().chain(servers(world)).chain(of_host(changes, world)).collect();
    let said = messages(world);
    for f in findings.iter_mut().filter(|f| f.raised() && matches!(f.class, Class::Live | Class::Error | Class::Outcome)) {
        let Ok(began) = f.since.at.parse::<jiff::Timestamp>() else { continue };
        let (began_ms, seen) = (began.as_millisecond(), f.since.known == Known::Observed);
        let until = if seen { began_ms } else { world.at.wall_ms };
        let within = if seen { BEFORE_MS } else { LATELY_MS };
        let related = |c: &&Change| {
            let before = until - c.at_ms;
            let here = c.source == f.source || of_same_host(world, &c.source, &f.source);
            before >= -SLACK_MS - c.late_ms && before < within && here
        };
        // What the kernel says is what such a finding is made of, and no change before it.
        let reads = find(f.id.as_str()).is_some_and(|rule| rule.origins.iter().any(|o| LOG.contains(o)));
        // Of each kind the newest.
        let mut kinds: Vec<MessageKind> = Vec::new();
        let mut newest = |kind: MessageKind| {
            !kinds.contains(&kind) && {
                kinds.push(kind);
                true
            }
        };
        let said = said.iter().filter(|(_, change)| !reads && related(&change)).filter(|(kind, _)| newest(*kind)).map(|(_, c)| c);
        let mut before: Vec<&Change> = all.iter().filter(related).chain(said).collect();
        before.sort_by(|a, b| b.at_ms.cmp(&a.at_ms).then_with(|| a.says.cmp(&b.says)));
        for change in before.into_iter().take(SHOWN) {
            let (word, ago_ms) =
                if seen { ("before it", began_ms - change.at_ms) } else { ("lately", world.at.wall_ms - change.at_ms) };
            let claim = format!("{word}: {}", change.says);
            f.evidence.push(evidence(claim, (ago_ms.max(0) / 1000) as f64, Unit::Seconds, None, "judge.changes"));
        }
    }
}

/// Figures that the kernel's messages are about.
const LOG: &[&str] = &["host.kmsg", "host.cgroup.memory", "host.wchan"];

/// What the host does concerns its servers; what one server changes concerns itself.
fn of_same_host(world: &World, change: &str, finding: &str) -> bool {
    let here = |id: &str| world.sources.iter().any(|s| s.id == id && s.place == Place::Local);
    change == "host" && here(finding)
}

/// Servers that started, or read their configuration again.
fn servers(world: &World) -> Vec<Change> {
    let mut all = Vec::new();
    for kind in KINDS {
        for source in (kind.servers)(world) {
            for (says, ago_s) in (kind.ages)(world, source) {
                let at_ms = world.at.wall_ms - (ago_s * 1000.0) as i64;
                all.push(Change { at_ms, source: source.to_owned(), says: says.to_owned(), late_ms: 0 });
            }
        }
    }
    all
}

/// Programs that started, and files that were changed.
fn of_host(changes: &Changes, world: &World) -> Vec<Change> {
    let mut all: Vec<Change> = started(changes, world).into_iter().map(|(at_ms, says)| host(at_ms, says)).collect();
    for file in world.host.changed.iter() {
        all.push(host(
            file.at_ms,
            match file.kind {
                ChangedKind::Packages => format!("packages ({})", file.path),
                ChangedKind::Configuration => format!("{}", file.path),
            },
        ));
    }
    all
}

fn host(at_ms: i64, says: String) -> Change {
    Change { at_ms, source: "host".into(), says, late_ms: 0 }
}

/// What the kernel said, the newest first, and of what kind that is.
fn messages(world: &World) -> Vec<(MessageKind, Change)> {
    let now_us = world.at.mono_ns / 1000;
    let one = |m: &KernelMessage| {
        let ago_ms = (now_us.saturating_sub(m.at_us) / 1000) as i64;
        (m.kind, host(world.at.wall_ms - ago_ms, format!("the kernel says: {}", m.text)))
    };
    world.host.messages.iter().flatten().rev().map(one).collect()
}

/// Programs of which every process is young, and that serve someone or do something: when the first of them started.
fn started(changes: &Changes, world: &World) -> Vec<(i64, String)> {
    const BUSY_CORES: f64 = 0.1;
    const BUSY_BYTES: f64 = 1_048_576.0;
    let ticks = world.identity.as_ref().map_or(100.0, |i| i.ticks_per_s as f64);
    let age_ms = |p: &ProcFacts| (world.at.boot_ns as f64 / 1e6 - p.id.start as f64 / ticks * 1e3) as i64;
    let moves = |p: &ProcFacts| p.read_bytes_per_s.unwrap_or(0.0) + p.write_bytes_per_s.unwrap_or(0.0);
    // By name: a pile of jobs is one program.
    let mut programs: BTreeMap<&str, Vec<&ProcFacts>> = BTreeMap::new();
    for p in world.processes().iter().filter(|p| !p.kernel) {
        programs.entry(p.name.shown()).or_default().push(p);
    }
    let own = world.identity.as_ref().map_or(0, |i| i.self_pid);
    let young = |all: &&Vec<&ProcFacts>| all.iter().all(|p| age_ms(p) < LATELY_MS && p.id.pid != own);
    let counts = |all: &&Vec<&ProcFacts>| {
        let (cpu, bytes) = all.iter().fold((0.0, 0.0), |(c, b), p| (c + p.cpu.unwrap_or(0.0), b + moves(p)));
        cpu >= BUSY_CORES || bytes >= BUSY_BYTES || all.iter().any(|p| !p.listens.is_empty())
    };
    let all = programs.values().filter(young).filter(counts);
    all.filter_map(|all| {
        let first = all.iter().max_by_key(|p| age_ms(p))?;
        let began_ms = world.at.wall_ms - age_ms(first);
        // Jobs of that name come and go; a service that starts again was deployed, or fell.
        if changes.ran(first.name.shown(), began_ms) && all.iter().all(|p| p.listens.is_empty()) {
            return None;
        }
        let more = if all.len() > 1 { format!(", {} of that name", all.len()) } else { String::new() };
        let unit = first.cgroups.iter().find_map(|g| g.path.shown().rsplit('/').next().filter(|last| last.ends_with(".service")));
        let unit = unit.map_or_else(String::new, |unit| format!(" of {unit}"));
        Some((began_ms, format!("{}{unit} started{more}", first.label())))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::bench::Bench;
    use crate::detect::bench::host::{identity, service};
    use crate::detect::bench::postgres::setting;
    use crate::detect::diagnosis::{Diagnosis, rfc3339};
    use crate::detect::finding::Severity;
    use crate::model::host::{ChangedFile, ProcId};
    use crate::model::postgres::Cluster;

    const NOW_MS: i64 = 1_700_000_000_000;

    /// A finding of that source that came up so many seconds ago.
    fn finding(source: &str, ago_s: i64, known: Known) -> Finding {
        let text = include_str!("../../tests/fixtures/diagnosis.json").replace("\"rows\"", "\"count\"");
        let all = serde_json::from_str::<Diagnosis>(&text).unwrap().findings;
        let mut f = all.into_iter().find(|f| f.class == Class::Live).unwrap();
        (f.source, f.severity, f.explained_by, f.muted) = (source.into(), Severity::Warning, None, None);
        (f.since.at, f.since.known) = (rfc3339(NOW_MS - ago_s * 1000), known);
        f.evidence.clear();
        f
    }

    /// A host an hour after its boot, with a program that started so many seconds ago and takes so many cores.
    fn started(ago_s: u64, cpu: f64) -> Bench {
        beside(Bench::quiet(), ago_s, cpu)
    }

    fn beside(bench: Bench, ago_s: u64, cpu: f64) -> Bench {
        bench.with(|world| {
            world.identity = Some(Arc::new(identity()));
            (world.at.wall_ms, world.at.boot_ns, world.at.mono_ns) = (NOW_MS, 3_600_000_000_000, 3_600_000_000_000);
            let mut job = service(0, "job", 0);
            (job.id, job.cpu, job.listens) = (ProcId { pid: 9, start: (3_600 - ago_s) * 100 }, Some(cpu), Vec::new());
            world.host.processes = Ok(vec![job]);
        })
    }

    fn shown(changes: &Changes, bench: &Bench, finding: Finding) -> Vec<(String, f64)> {
        let mut all = [finding];
        name(changes, bench.world(), &mut all);
        all[0].evidence.iter().map(|e| (e.claim.clone(), e.value)).collect()
    }

    #[test]
    fn a_program_that_started_before_it_is_shown_and_one_that_came_after_or_long_before_is_not() {
        let at = |started_s, finding_s| {
            shown(&Changes::default(), &started(started_s, 0.5), finding("host", finding_s, Known::Observed))
        };
        assert_eq!(at(42, 30), [("before it: job (pid 9) started".to_owned(), 12.0)]);
        assert_eq!(at(20, 30), []);
        let mut known = Changes::default();
        known.run(std::iter::once("job"), NOW_MS - 100_000);
        assert_eq!(shown(&known, &started(42, 0.5), finding("host", 30, Known::Observed)), [], "jobs of that name come and go");
        assert_eq!(at(400, 30), []);
        let there = finding("host", 0, Known::AtLeast);
        let lately = shown(&Changes::default(), &started(400, 0.5), there.clone());
        assert_eq!(lately, [("lately: job (pid 9) started".to_owned(), 400.0)]);
        assert_eq!(shown(&Changes::default(), &started(400, 0.01), there), [], "it does nothing");
    }

    #[test]
    fn what_a_server_changes_concerns_itself_and_files_concern_all_that_is_here() {
        let with = |value: &str| {
            beside(Bench::cluster(Cluster { settings: [setting("work_mem", value)].into(), ..Cluster::default() }), 3_000, 0.0)
        };
        let mut changes = Changes::default();
        note(&mut changes, with("4096").world());
        note(&mut changes, with("4096").world());
        assert_eq!(changes.all().count(), 0);
        note(&mut changes, with("64").world());
        let source = with("64").world().servers.postgres[0].id.clone();
        let of = |source: &str, bench: &Bench| shown(&changes, bench, finding(source, 0, Known::Observed));
        assert_eq!(of(&source, &with("64")), [("before it: work_mem 4096 -> 64".to_owned(), 0.0)]);
        assert_eq!(of("host", &with("64")), []);
        let upgraded = with("64").on(|host| {
            let path = "/var/lib/dpkg/status".into();
            host.changed = Arc::new(vec![ChangedFile { path, kind: ChangedKind::Packages, at_ms: NOW_MS - 60_000 }]);
        });
        assert_eq!(of("host", &upgraded), [("before it: packages (/var/lib/dpkg/status)".to_owned(), 60.0)]);
    }
}
