//! The report of recorded incidents: what an engineer would write, with no figure that the recording does not hold.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use perftop::detect::diagnosis::Diagnosis;
use perftop::detect::finding::Severity;
use perftop::engine::{Playback, ReplayOptions};
use perftop::report::incident::Target;
use perftop::report::incident::markdown::render;
use perftop::report::incident::{Story, html};

const TARGETS: [Target; 4] = [
    Target { name: "CPU busy", at: 0, limits: (70.0, 90.0) },
    Target { name: "memory used", at: 1, limits: (80.0, 95.0) },
    Target { name: "busiest disk", at: 2, limits: (70.0, 90.0) },
    Target { name: "fullest file system", at: 3, limits: (85.0, 95.0) },
];
/// A host, a database, a cache.
const INCIDENTS: [&str; 3] = ["cpu_hog", "pg_missing_index", "redis_keys"];

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(format!("{name}.perftop"))
}

fn told(name: &str) -> (Story, Vec<Diagnosis>) {
    let options = ReplayOptions { file: Some(case(name)), from_ms: None, speed_percent: 100, paused: false };
    let mut playback = Playback::open(&options).expect("the recording is here");
    let (mut story, mut said) = (None::<Story>, Vec::new());
    while let Some(judged) = playback.step() {
        let (d, facts) = (judged.evaluation.diagnosis, judged.evaluation.facts);
        match &mut story {
            Some(story) => story.add(&d, &facts),
            None => story = Some(Story::begin(&d, &facts)),
        }
        said.push(d);
    }
    (story.unwrap(), said)
}

#[test]
fn the_reports_of_three_incidents_read_well() {
    for name in INCIDENTS {
        let (story, _) = told(name);
        insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("report_{name}"), render(&story, &TARGETS));
        });
    }
}

/// Who suffers is said, even where no cause is found.
#[test]
fn clients_that_suffer_without_a_cause_are_no_nothing() {
    let text = render(&told("prometheus_burn").0, &TARGETS);
    assert!(text.contains("Clients suffered, and no cause was found on") && text.contains("burns its budget"), "{text}");
}

#[test]
fn every_figure_of_the_evidence_is_one_that_was_said() {
    for name in INCIDENTS {
        let (story, said) = told(name);
        let findings = || said.iter().flat_map(|d| &d.findings);
        let shown: BTreeSet<(String, String)> = findings()
            .flat_map(|f| f.evidence.iter().chain(&f.against))
            .map(|e| (e.claim.clone(), e.unit.show(e.value)))
            .collect();
        let mut rows = 0;
        for told in story.causes() {
            for e in told.finding.evidence.iter().chain(&told.finding.against) {
                assert!(shown.contains(&(e.claim.clone(), e.unit.show(e.value))), "{name}: {}", e.claim);
                rows += 1;
            }
            // Seconds that are lost are the sum of what was said, second by second.
            let key = &told.finding.key;
            let sum: f64 = said
                .iter()
                .skip(1)
                .flat_map(|d| &d.findings)
                .filter(|f| f.key == *key)
                .filter_map(|f| f.impact.lost_s_per_s)
                .sum();
            assert!((told.lost - sum).abs() <= 0.1 * sum + 0.1, "{name}: {key} lost {} of {sum}", told.lost);
        }
        assert!(rows > 3, "{name}");
        let first = story.causes()[0].finding.key.clone();
        assert!(said.iter().any(|d| d.findings.first().is_some_and(|f| f.key == first)), "{name}: {first}");
    }
}

#[test]
fn the_page_needs_nothing_and_is_whole() {
    for name in INCIDENTS {
        let page = html::render(&told(name).0, &TARGETS);
        for word in ["http:", "https:", "src=", "<script", "@import", "url(", "<link"] {
            assert!(!page.contains(word), "{name} holds {word}");
        }
        for tag in ["html", "body", "main", "svg", "table", "section", "pre", "ul", "p", "h2", "h3", "style"] {
            let count = |what: &str| page.matches(what).count();
            let open = count(&format!("<{tag}>")) + count(&format!("<{tag} "));
            assert_eq!(open, count(&format!("</{tag}>")), "{name}: {tag}");
        }
        assert!(page.contains("NaN") || !page.contains("inf "), "{name}");
        assert!(!page.contains("NaN"), "{name}");
    }
}

/// The same diagnosis, said so often at that distance.
fn repeated(step_s: i64, looks: i64) -> (Story, Diagnosis, perftop::model::facts::Facts) {
    let options = ReplayOptions { file: Some(case("cpu_hog")), from_ms: None, speed_percent: 100, paused: false };
    let judged = Playback::open(&options).unwrap().step().unwrap();
    let (d, mut facts) = (judged.evaluation.diagnosis, (*judged.evaluation.facts).clone());
    let mut story = Story::begin(&d, &facts);
    for _ in 1..looks {
        facts.at.wall_ms += step_s * 1000;
        story.add(&d, &facts);
    }
    (story, d, facts)
}

#[test]
fn slow_samples_are_no_row_of_gaps_and_a_suspend_is_one() {
    assert!((repeated(300, 10).0.watched - 2700.0).abs() < 1e-9);
    let (mut night, d, mut facts) = repeated(1, 10);
    facts.at.wall_ms += 3_600_000;
    night.add(&d, &facts);
    assert!((night.watched - 9.0).abs() < 1e-9 && night.points.last().unwrap().gap);
}

#[test]
fn a_long_time_line_counts_each_look_alike() {
    let (long, ..) = repeated(1, 5000);
    assert!(long.points.len() <= 720, "{}", long.points.len());
    let looks: Vec<u32> = long.points.iter().map(|p| p.looks).collect();
    assert_eq!(looks.iter().sum::<u32>(), 5000);
    assert!(looks.iter().rev().skip(1).all(|n| *n == looks[0]), "{looks:?}");
}

/// A program that only keeps itself waiting is no bottleneck; whoever asks afterwards who had the CPU is told all the same.
#[test]
fn what_cost_only_itself_is_named() {
    let options = ReplayOptions { file: Some(case("cpu_hog")), from_ms: None, speed_percent: 100, paused: false };
    let mut playback = Playback::open(&options).unwrap();
    let mut story: Option<Story> = None;
    while let Some(judged) = playback.step() {
        let mut d = judged.evaluation.diagnosis;
        d.findings.retain(|f| f.severity == Severity::Info);
        match &mut story {
            Some(story) => story.add(&d, &judged.evaluation.facts),
            None => story = Some(Story::begin(&d, &judged.evaluation.facts)),
        }
    }
    let text = render(&story.unwrap(), &TARGETS);
    assert!(text.contains("s went to what is no warning by itself, most of it to this: stress-ng"), "{text}");
}

/// What led up to an incident is kept at each fifth second, the incident at each: a mean is one of time.
#[test]
fn looks_that_are_further_apart_stand_for_more() {
    let path = case("cpu_hog");
    let options = ReplayOptions { file: Some(path), from_ms: None, speed_percent: 100, paused: false };
    let mut playback = Playback::open(&options).unwrap();
    let looks: Vec<_> = std::iter::from_fn(|| playback.step()).map(|j| j.evaluation).take(2).collect();
    let look = |n: usize, at_s: i64| {
        let (mut d, mut facts) = (looks[0].diagnosis.clone(), (*looks[0].facts).clone());
        (d.time.foreground_s_per_s, facts.at.wall_ms) = (n as f64, at_s * 1000);
        (d, facts)
    };
    let (first, facts) = look(0, 1000);
    let mut story = Story::begin(&first, &facts);
    // Ten seconds at 0 in two looks, ten at 10 in ten.
    let later = [(0, 1005), (0, 1010)].into_iter().chain((1011..=1020).map(|at| (10, at)));
    for (n, at) in later {
        let (d, facts) = look(n, at);
        story.add(&d, &facts);
    }
    let mean = story.mean(&|p| Some(p.total)).unwrap();
    assert!((4.5..=5.0).contains(&mean), "{mean}");
    assert!((story.spent.0 - 100.0).abs() < 1e-6, "{:?}", story.spent);
}

#[test]
fn before_and_after_name_what_changed_and_only_that() {
    let diff = |before: &str, after: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_perftop")).args(["--no-config", "diff", before, after]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let file = case("pg_missing_index");
    let file = file.to_str().unwrap();
    let (well, sick) = (format!("{file}@21:14:46..21:14:58"), format!("{file}@21:15:06..21:15:20"));
    let worse = diff(&well, &sick);
    assert!(worse.contains("| new | - |") && worse.contains("Missing index on public.pgbench"), "{worse}");
    assert!(worse.contains("| `working` |") && worse.contains("SELECT abalance FROM pgbench"), "{worse}");
    let better = diff(&sick, &well);
    assert!(better.contains("| gone | "), "{better}");
    let same = diff(&sick, &sick);
    assert!(same.contains("| still there | ") && !same.contains("## What servers do") && !same.contains("## Settings"), "{same}");
    let whole = diff(file, file);
    assert!(whole.contains("| all of the foreground |") && whole.contains("| +0 |"), "{whole}");
    for wrong in [format!("{file}@x"), format!("{file}@21:15:06..yesterday"), "nowhere.perftop".to_owned()] {
        let output = Command::new(env!("CARGO_BIN_EXE_perftop")).args(["--no-config", "diff", &wrong, file]).output().unwrap();
        assert!(matches!(output.status.code(), Some(64 | 74)), "{wrong}: {output:?}");
    }
}

#[test]
fn what_was_wrong_when_is_told_with_its_cause() {
    let told = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_perftop"));
        let output = command.args(["--no-config", "incidents", case(name).to_str().unwrap()]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let hog = told("cpu_hog");
    assert!(hog.contains("host.cpu.contention") && hog.contains("stress-ng") && hog.starts_with("2026-11-"), "{hog}");
    assert_eq!(told("control_fast_disk"), "nothing was wrong\n");
}

fn perftop(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_perftop")).args(["--no-config", "report"]).args(arguments).output().unwrap()
}

#[test]
fn the_command_writes_what_is_asked_for_and_loses_nothing() {
    let dir = std::env::temp_dir().join(format!("perftop-report-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (file, out) = (case("cpu_hog"), dir.join("report.html"));
    let (file, out) = (file.to_str().unwrap(), out.to_str().unwrap());
    let whole = perftop(&[file]);
    assert!(whole.status.success() && String::from_utf8_lossy(&whole.stdout).starts_with("# Performance report: "), "{whole:?}");
    assert!(perftop(&[file, "--format", "html", "-o", out]).status.success());
    assert!(std::fs::read_to_string(out).unwrap().starts_with("<!doctype html>"));
    let again = perftop(&[file, "--format", "html", "-o", out]);
    assert_eq!(again.status.code(), Some(74), "what is there already is not written over");
    let chart = perftop(&[file, "--format", "chart"]);
    assert!(String::from_utf8_lossy(&chart.stdout).contains("CPU: the cause"), "{chart:?}");
    assert!(String::from_utf8_lossy(&perftop(&[file, "--format", "mermaid"]).stdout).starts_with("graph TD\n"));
    // What cannot be read is no calm: the rest is told, and that something is missing.
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0);
    let torn = dir.join("torn.perftop");
    std::fs::write(&torn, bytes).unwrap();
    let damaged = perftop(&[torn.to_str().unwrap()]);
    assert_eq!(damaged.status.code(), Some(64), "{damaged:?}");
    assert!(String::from_utf8_lossy(&damaged.stderr).contains("the recording is damaged"), "{damaged:?}");
    assert!(String::from_utf8_lossy(&damaged.stdout).starts_with("# Performance report"), "{damaged:?}");
    let outside = perftop(&[file, "--from", "2020-01-01T00:00:00Z", "--to", "2020-01-01T00:01:00Z"]);
    assert_eq!(outside.status.code(), Some(64), "{outside:?}");
    let turned = perftop(&[file, "--from", "08:23:00", "--to", "08:22:50"]);
    assert_eq!(turned.status.code(), Some(64), "{turned:?}");
    let wrong = perftop(&[file, "--from", "yesterday"]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("--from yesterday"), "{wrong:?}");
    std::fs::remove_dir_all(&dir).unwrap();
}
