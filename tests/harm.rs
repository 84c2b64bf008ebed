//! First, do no harm: no fix of any recorded case slows down, stops or limits what others wait for, gives more than the machine has, or trades
//! durability for something that is not the flush.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "a test may fail loudly")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use perftop::detect::command::Language;
use perftop::detect::finding::Finding;
use perftop::detect::touch::{may_touch, touchable};
use perftop::engine::{Playback, ReplayOptions};
use perftop::model::facts::{Facts, ProcFacts};

fn cases() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|p| p.extension().is_some_and(|e| e == "perftop"));
    found.sort();
    found
}

fn playback(path: &Path) -> Playback {
    let options = ReplayOptions { file: Some(path.to_path_buf()), from_ms: None, speed_percent: 100, paused: false };
    Playback::open(&options).unwrap()
}

/// Processes that a command acts on: `4242:8841`, pid and start.
fn acted_on(command: &str) -> Vec<(i32, u64)> {
    let words = command.split(|c: char| c.is_whitespace() || c == ';');
    words.filter_map(|w| w.split_once(':')).filter_map(|(pid, start)| Some((pid.parse().ok()?, start.parse().ok()?))).collect()
}

/// Written here once more, by names and by what the kernel says, so that the code's own list is not its own judge.
fn others_need(p: &ProcFacts) -> bool {
    let name = p.name.shown();
    let database = ["postgres", "mysqld", "mariadbd", "redis-server", "mongod"].iter().any(|d| name.starts_with(d));
    let supervisor = ["systemd", "init", "supervisord", "containerd", "dockerd", "sshd", "tmux: server"].contains(&name);
    p.kernel || p.id.pid <= 2 || database || supervisor || p.session_leader || p.serves == Some(true)
}

fn number_before(command: &str, marker: &str) -> Option<f64> {
    command.strip_prefix("echo ")?.split_once(" > ").filter(|(_, file)| file.contains(marker))?.0.parse().ok()
}

fn check(name: &str, facts: &Facts, f: &Finding) {
    for fix in &f.fixes {
        let command = &*fix.command;
        let told = || format!("{name}: {} offers {:?}: {command}", f.title, fix.title);
        if fix.command.language() == Language::Shell {
            let slows = ["kill -STOP", "renice", "ionice"].iter().any(|word| command.contains(word));
            for (pid, start) in acted_on(command).into_iter().filter(|_| slows) {
                let p = facts.processes().iter().find(|p| p.id.pid == pid && p.id.start == start);
                assert!(!p.is_some_and(others_need), "{}: {}", told(), p.unwrap().label());
            }
            if let Some(us) = number_before(command, "cpu.cfs_quota_us") {
                assert!(us <= facts.cpus() * 100_000.0, "{}: {} CPUs here", told(), facts.cpus());
            }
            let total = facts.host.memory.as_ref().map_or(f64::INFINITY, |m| m.raw.total as f64);
            for file in ["memory.limit_in_bytes", "memory.max"] {
                assert!(number_before(command, file).is_none_or(|bytes| bytes <= total), "{}", told());
            }
        }
        if command.contains("synchronous_commit") || command.contains("SET fsync") {
            assert_eq!(f.id, "postgres.wal.commit_bound", "{}", told());
        }
        if command.contains("statement_timeout") {
            let longest = facts.servers.postgres.iter().flat_map(|pg| pg.activity.iter()).flat_map(|a| &a.newest.sessions);
            assert!(longest.filter_map(|s| s.query_s).any(|s| s >= 30.0), "{}", told());
        }
    }
}

#[test]
fn no_fix_of_a_recorded_case_hurts() {
    let (mut fixes, mut slowing) = (0, 0);
    for path in cases() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut playback = playback(&path);
        while let Some(judged) = playback.step() {
            for f in &judged.evaluation.diagnosis.findings {
                check(&name, &judged.evaluation.facts, f);
                fixes += f.fixes.len();
                slowing += f.fixes.iter().filter(|fix| !acted_on(&fix.command).is_empty()).count();
            }
        }
    }
    assert!(fixes > 500 && slowing > 50, "{fixes} fixes, {slowing} of them act on processes");
}

/// Whoever is the culprit of a case: were it a server, a login or a supervisor, nobody would be told to stop it.
#[test]
fn a_culprit_that_others_need_is_left_alone() {
    let mut tried = BTreeSet::new();
    for path in cases() {
        let mut playback = playback(&path);
        let Some(judged) = std::iter::from_fn(|| playback.step()).nth(12) else { continue };
        let facts = &judged.evaluation.facts;
        for p in facts.processes().iter().filter(|p| may_touch(facts, &[p])).take(5) {
            let change = |what: &'static str, changed: ProcFacts, tried: &mut BTreeSet<&'static str>| {
                assert!(!may_touch(facts, &[&changed]), "{what}: {}", changed.label());
                assert!(touchable(facts, &[&changed]).is_empty());
                tried.insert(what);
            };
            change("serves", ProcFacts { serves: Some(true), ..p.clone() }, &mut tried);
            change("a login", ProcFacts { session_leader: true, ..p.clone() }, &mut tried);
            change("a kernel thread", ProcFacts { kernel: true, ..p.clone() }, &mut tried);
            for name in ["systemd", "postgres", "redis-server", "containerd-shim", "tmux: server", "systemd-journal"] {
                change("by its name", ProcFacts { name: name.into(), ..p.clone() }, &mut tried);
            }
            let mut first = p.clone();
            first.id.pid = 1;
            change("the first process", first, &mut tried);
            // A list in which most of the work belongs to someone whom others need is not a list.
            let victim = ProcFacts { serves: Some(true), cpu: Some(1.0), ..p.clone() };
            let small = ProcFacts { cpu: Some(0.1), ..p.clone() };
            assert!(touchable(facts, &[&victim, &small]).is_empty());
            let large = ProcFacts { cpu: Some(1.5), ..p.clone() };
            assert_eq!(touchable(facts, &[&victim, &large]).len(), 1, "the victim is not in it");
        }
    }
    assert_eq!(tried.len(), 5, "{tried:?}");
}
