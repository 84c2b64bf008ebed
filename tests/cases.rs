//! Recorded sick hosts: the truth, written by the injector, must stand at rank 1 with the right culprit in most of
//! the decision window; on the healthy ones nothing is critical. Each recording also agrees with its own diagnoses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use perftop::detect::finding::Severity;
use perftop::engine::{Playback, ReplayOptions, to_json};
use perftop::model::unit::Unit;
use perftop::record::format::Record;
use perftop::record::reader::Recording;

#[derive(serde::Deserialize)]
struct Truth {
    truth: String,
    kind: String,
    keys: Vec<String>,
    from_ms: i64,
    to_ms: i64,
    /// `info`: it never is more by itself.
    least: Option<String>,
}

fn cases() -> Vec<(PathBuf, Truth)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|p| p.extension().is_some_and(|e| e == "perftop"));
    found.sort();
    assert!(found.len() >= 5, "the recordings are here");
    let truth = |p: &PathBuf| toml::from_str(&std::fs::read_to_string(p.with_extension("toml")).unwrap()).unwrap();
    found.into_iter().map(|p| (p.clone(), truth(&p))).collect()
}

/// CONTRACT: T = productive + the roots' lost + unexplained; nothing is counted twice.
fn assert_conserved(d: &perftop::detect::diagnosis::Diagnosis) {
    let roots = d.findings.iter().filter(|f| f.explained_by.is_none());
    let lost: f64 = roots.filter_map(|f| f.impact.lost_s_per_s).sum();
    let sum = d.time.productive_s_per_s + lost + d.time.unexplained_s_per_s;
    assert!(
        (sum - d.time.foreground_s_per_s).abs() < 1e-6,
        "at {}: T = {}, and its parts {sum}",
        d.at,
        d.time.foreground_s_per_s
    );
}

fn playback(path: &Path) -> Playback {
    let options = ReplayOptions { file: Some(path.to_path_buf()), from_ms: None, speed_percent: 100, paused: false };
    Playback::open(&options).unwrap()
}

#[test]
fn the_truth_stands_at_rank_one() {
    for (path, truth) in cases() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (mut right, mut blamed, mut all) = (0, 0, 0);
        let mut playback = playback(&path);
        while let Some(judged) = playback.step() {
            let d = judged.evaluation.diagnosis;
            assert_conserved(&d);
            if truth.truth.is_empty() {
                assert!(d.findings.iter().all(|f| f.severity != Severity::Critical), "{name} at {}: critical", d.at);
                continue;
            }
            if judged.at.wall_ms < truth.from_ms || judged.at.wall_ms > truth.to_ms {
                continue;
            }
            all += 1;
            let note = truth.least.as_deref() == Some("info");
            let Some(first) = d.findings.first().filter(|f| f.id == truth.truth && (note || f.severity != Severity::Info)) else {
                continue;
            };
            right += 1;
            let keys = std::iter::once(first.subject.key.as_str())
                .chain(first.subject.also.iter().filter_map(|a| Some(a.split_once(':')?.1)))
                .map(|k| if truth.kind == "process" { k.split('@').next().unwrap_or(k) } else { k });
            let hit = keys.into_iter().any(|k| truth.keys.iter().any(|t| t == k));
            blamed += i32::from(hit && first.subject.kind.word() == truth.kind);
        }
        if !truth.truth.is_empty() {
            assert!(all >= 10, "{name}: {all} evaluations in the window");
            assert!(right * 2 > all, "{name}: {} at rank 1 in {right} of {all}", truth.truth);
            assert!(blamed * 2 > all, "{name}: the culprit in {blamed} of {all}");
        }
    }
}

/// What is said in a second: the status, and each finding by its rank, with what it costs. Words are left to other tests.
fn line(d: &perftop::detect::diagnosis::Diagnosis) -> String {
    let score = d.health.score.map_or_else(|| "-".to_owned(), |score| format!("{score:.0}"));
    let finding = |f: &perftop::detect::finding::Finding| {
        let lost = f.impact.lost_s_per_s.map_or_else(String::new, |s| format!(" {s:.2}"));
        let under = if f.explained_by.is_some() { "under " } else { "" };
        let ended = if f.ended { " ended" } else { "" };
        format!("\n  {under}{} {}{lost}{ended}", f.severity.word(), f.key)
    };
    let unexplained = d.time.unexplained_s_per_s + 0.0;
    let findings: String = d.findings.iter().map(finding).collect();
    format!("{} {} {score}, {unexplained:.2} unexplained{findings}\n", d.at, d.health.status.word())
}

/// What is said of a case is what was said of it when it was looked through: PERFTOP_BLESS=1 writes it down again, and the change is read.
#[test]
fn what_is_said_of_a_case_is_what_was_said_of_it() {
    for (path, _) in cases() {
        let said = || {
            let mut playback = playback(&path);
            std::iter::from_fn(move || playback.step()).map(|j| j.evaluation.diagnosis).collect::<Vec<_>>()
        };
        let (once, twice) = (said(), said());
        let json = |all: &[perftop::detect::diagnosis::Diagnosis]| all.iter().map(to_json).collect::<Vec<_>>();
        assert_eq!(json(&once), json(&twice), "{}: it depends on the run", path.display());
        let now: String = once.iter().map(line).collect();
        let kept = path.with_extension("said");
        if std::env::var_os("PERFTOP_BLESS").is_some() {
            std::fs::write(&kept, &now).unwrap();
        }
        let before = std::fs::read_to_string(&kept).unwrap_or_default();
        let differs = now.lines().zip(before.lines()).find(|(now, before)| now != before);
        assert!(now == before, "{}: {differs:?} (now, before)", path.display());
        let recorded = Recording::open(&path).unwrap().filter(|r| matches!(r, Record::Diagnosis(_))).count();
        assert_eq!(recorded, once.len(), "{}: a diagnosis for each second that was recorded", path.display());
    }
}

/// No hypervisor can be had here that steals: the recording of a healthy host, with 60 ticks a second and CPU of its idle time
/// turned into steal.
#[test]
fn steal_is_named_and_costs_what_it_takes_from_those_who_run() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/control_fast_disk.perftop");
    let mut engine = perftop::engine::Engine::default();
    let samples = Recording::open(&path).unwrap().filter_map(|r| match r {
        Record::Sample(sample) => Some(*sample),
        _ => None,
    });
    let mut named = 0;
    let mut begin_ns = None;
    for mut sample in samples {
        let begin = *begin_ns.get_or_insert(sample.at.mono_ns);
        let taken = (sample.at.mono_ns - begin) / 1_000_000_000 * 60;
        if let Some(Ok(cpu)) = sample.host.sweep.as_mut().map(|s| Arc::make_mut(s).cpu.as_mut()) {
            cpu.total.steal += 2 * taken;
            cpu.total.idle = cpu.total.idle.saturating_sub(2 * taken);
        }
        let judged = engine.fold(&sample);
        let d = judged.evaluation.diagnosis;
        if let Some(f) = d.findings.iter().find(|f| f.id == "host.cpu.steal") {
            named += 1;
            let lost = f.impact.lost_s_per_s.unwrap();
            let stolen = d.findings[0].evidence.iter().find(|e| e.unit == Unit::Cores).map(|e| e.value);
            assert!(lost <= stolen.unwrap_or(f64::INFINITY) + 1e-6, "{lost} of {stolen:?}");
        }
        assert_conserved(&d);
    }
    assert!(named >= 20, "{named}");
}

/// A host so busy that its reader is late for a second is judged by the second before; one that hangs is not known.
#[test]
fn a_reader_that_is_late_hides_nothing_and_one_that_hangs_hides_all() {
    use perftop::model::seen::{Lack, Why};
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cpu_hog.perftop");
    let samples: Vec<_> = Recording::open(&path)
        .unwrap()
        .filter_map(|r| match r {
            Record::Sample(sample) => Some(*sample),
            _ => None,
        })
        .collect();
    const FROM: usize = 26;
    // For so many seconds it does not answer: what is said in each of them.
    let first_of = |seconds: usize| -> Vec<Option<String>> {
        let mut engine = perftop::engine::Engine::default();
        let judged = samples.iter().cloned().enumerate().map(|(at, mut sample)| {
            if (FROM..FROM + seconds).contains(&at) {
                sample.host.hung =
                    sample.host.sweep.take().map(|_| Lack::new(Why::TimedOut, "the /proc reader does not respond"));
            }
            let d = engine.fold(&sample).evaluation.diagnosis;
            assert_conserved(&d);
            d.findings.first().map(|f| f.id.clone())
        });
        judged.collect()
    };
    let contention = Some("host.cpu.contention".to_owned());
    assert!(first_of(2)[FROM - 1..FROM + 3].iter().all(|first| *first == contention));
    assert_eq!(first_of(8)[FROM + 6].as_deref(), Some("source.blind"));
}

/// The recording of requests that wait for another host, with each sample changed; the newest evaluation in the fault.
fn upstream_changed(mut change: impl FnMut(&mut perftop::model::sample::Sample, u64)) -> perftop::detect::judge::Evaluation {
    const IN_THE_FAULT: usize = 28;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/slow_upstream.perftop");
    let mut engine = perftop::engine::Engine::default();
    let samples = Recording::open(&path).unwrap().filter_map(|r| match r {
        Record::Sample(sample) => Some(*sample),
        _ => None,
    });
    let mut newest = None;
    for (index, mut sample) in samples.take(IN_THE_FAULT).enumerate() {
        change(&mut sample, index as u64);
        newest = Some(engine.fold(&sample).evaluation);
    }
    let newest = newest.unwrap();
    assert_conserved(&newest.diagnosis);
    newest
}

/// A peer that is a container of this host is an actor itself: what it does is not its caller's time as well. Here the program that
/// asks is made its own server, so all of its wait is its own time already.
#[test]
fn a_wait_for_a_program_that_is_seen_here_is_counted_once() {
    use perftop::detect::ledger::State;
    let as_it_was = upstream_changed(|_, _| ());
    assert!(as_it_was.ledger.state(State::PeerReply) > 1.0);
    let inside = upstream_changed(|sample, _| {
        for link in sample.host.peers.iter_mut().flatten().flat_map(|p| &mut p.links).filter(|l| !l.local) {
            link.here = link.owner;
        }
    });
    assert!(inside.ledger.state(State::PeerReply) < 1e-9, "{:?}", inside.ledger.states);
}

/// Half of what comes in is dropped before any socket: late replies are charged by that share; without the packets that were taken
/// (a counter that wrapped) the share is not known, and nothing is charged.
#[test]
fn packets_dropped_before_sockets_cost_by_their_share_and_nothing_while_that_is_unknown() {
    use perftop::detect::ledger::State;
    use perftop::model::host::SoftnetRaw;
    let with = |processed: fn(u64) -> u64| {
        upstream_changed(|sample, index| {
            if let Some(sweep) = sample.host.sweep.as_mut().map(Arc::make_mut) {
                sweep.limits.softnet = Some(SoftnetRaw { processed: processed(index), dropped: 1000 * index, squeezed: 0 });
            }
        })
    };
    let lost = |e: &perftop::detect::judge::Evaluation| {
        let found = e.diagnosis.findings.iter().find(|f| f.id == "host.network.softnet_drops").expect("the drops are found");
        found.impact.lost_s_per_s.unwrap_or(0.0)
    };
    let half = with(|index| 1000 * index);
    let waits = half.ledger.state(State::PeerReply);
    assert!(lost(&half) > 0.5 && lost(&half) <= waits + 1e-6, "{} of {waits}", lost(&half));
    assert!(lost(&with(|index| 1_000_000 - 1000 * index)) < 1e-9);
}
