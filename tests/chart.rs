//! The flowchart over recorded sick hosts: where the first cause stands it ends, and no question is a dead end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use perftop::detect::diagnosis::{Diagnosis, Status};
use perftop::detect::finding::{Finding, Severity};
use perftop::detect::rules;
use perftop::diagnose::chart::{AT_START, Answer, ByHand, Chart, Verdict, branches, start};
use perftop::engine::{Playback, ReplayOptions};
use perftop::report::chart;

fn said(path: &Path) -> Vec<Diagnosis> {
    let options = ReplayOptions { file: Some(path.to_path_buf()), from_ms: None, speed_percent: 100, paused: false };
    let mut playback = Playback::open(&options).expect("the recording is here");
    std::iter::from_fn(|| playback.step()).map(|j| j.evaluation.diagnosis).collect()
}

fn recordings() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|p| p.extension().is_some_and(|e| e == "perftop"));
    found.sort();
    found
}

#[test]
fn the_way_ends_at_the_first_cause_and_many_questions_are_a_yes_in_recordings() {
    let mut yes = BTreeSet::new();
    for path in recordings() {
        for d in said(&path) {
            let chart = Chart::of(&d, &ByHand::new());
            let nodes = chart.limbs.iter().flat_map(|l| &l.nodes);
            yes.extend(nodes.filter(|n| n.answer == Answer::Yes).map(|n| n.question.id));
            // What clients suffer is the start; the way leads to a cause where there is one.
            let at_start = |f: &&Finding| start().any(|q| q.id == f.id);
            let raised = || d.findings.iter().filter(|f| f.raised());
            let first = raised().find(|f| !at_start(f)).or_else(|| raised().next());
            let Some((first, (limb, node))) = first.and_then(|f| Some((f, chart.place(&f.key)?))) else { continue };
            let limb_of = &chart.limbs[limb];
            assert_eq!((chart.live(), limb_of.verdict), (limb, Verdict::Cause), "{} at {}: {}", path.display(), d.at, first.id);
            assert_eq!(limb_of.leaf, Some(node), "{} at {}: {}", path.display(), d.at, first.id);
            assert_eq!(chart.end().is_some(), limb == AT_START, "{} at {}", path.display(), d.at);
        }
    }
    assert!(yes.len() >= 25, "{} questions are a yes somewhere: {yes:?}", yes.len());
}

/// What waits is either said to have a cause or said to have none: no verdict, border or chart reads healthy over it, and
/// no question is answered with no while its finding takes a tenth of the foreground time.
#[test]
fn nothing_that_costs_time_reads_healthy_in_any_recording() {
    let (mut own, mut open) = (0, 0);
    for path in recordings() {
        for d in said(&path).iter().filter(|d| !d.provisional) {
            let at = format!("{} at {}: {}", path.display(), d.at, d.verdict.says);
            let (total, unexplained) = (d.time.foreground_s_per_s, d.time.unexplained_s_per_s);
            let chart = Chart::of(d, &ByHand::new());
            let end = chart.end().unwrap_or_default();
            if unexplained >= 0.3 && unexplained >= 0.3 * total {
                open += 1;
                assert!(d.standing().0 != "healthy" && d.verdict.status != Status::Healthy, "{at}");
                assert!(!end.starts_with("Not on this host"), "{at}");
            } else {
                assert!(!d.verdict.says.contains("waiting, no single cause"), "{at}");
            }
            for f in d.findings.iter().filter(|f| f.costs(total) && f.severity == Severity::Info) {
                own += 1;
                let asked = chart.limbs.iter().flat_map(|l| &l.nodes).find(|n| n.question.id == f.id);
                assert!(asked.is_none_or(|n| n.answer == Answer::Yes), "{at}: {}", f.title);
                assert!(!end.starts_with("Not on this host"), "{at}: {}", f.title);
                let quiet = d.verdict.status == Status::Healthy && d.verdict.says.starts_with("No bottleneck on this host");
                assert!(!quiet, "{at}: {}", f.title);
            }
        }
    }
    assert!(own > 0 && open > 0, "{own} that cost only themselves, {open} that nobody explains");
}

/// A diagnosis that says nothing but one finding, of any rule: from a recorded one, its words changed.
#[test]
fn every_question_is_reached_and_none_is_a_dead_end() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cpu_hog.perftop");
    let all = said(&path);
    let sick = all.iter().find(|d| d.findings.first().is_some_and(|f| f.id == "host.cpu.contention" && f.raised())).unwrap();
    let mut well = sick.clone();
    well.findings.clear();
    assert!(Chart::of(&well, &ByHand::new()).end().is_some(), "without a cause the way ends in a sentence");
    for question in branches().flat_map(|b| b.questions).chain(start()) {
        let mut d = well.clone();
        let mut finding = sick.findings[0].clone();
        finding.id = question.id.to_owned();
        finding.key = format!("{}|host|host:self", question.id);
        d.findings.push(finding);
        let kind = rules::find(question.id).unwrap().judge.kind();
        d.sources.iter_mut().for_each(|s| s.kind = kind);
        let chart = Chart::of(&d, &ByHand::new());
        let nodes = || chart.limbs.iter().flat_map(|l| &l.nodes);
        let node = nodes().find(|n| n.question.id == question.id).unwrap();
        assert_eq!(node.answer, Answer::Yes, "{}", question.id);
        assert_eq!(node.finding.as_deref(), Some(d.findings[0].key.as_str()), "{}: from here to its evidence", question.id);
        assert!(chart::text(&chart).contains(question.text), "{}", question.id);
        let (limb, at) = chart.place(&d.findings[0].key).expect("each finding has its place");
        assert_eq!((chart.limbs[limb].verdict, chart.limbs[limb].leaf), (Verdict::Cause, Some(at)), "{}", question.id);
        let node = limb.checked_sub(1).map_or_else(|| "start --- s0[".to_owned(), |branch| format!("b{branch}q{at}{{"));
        assert!(chart::mermaid(&chart).contains(&node), "{}", question.id);
    }
}

#[test]
fn what_is_answered_by_hand_counts_and_says_so() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/control_fast_disk.perftop");
    let d = said(&path).pop().unwrap();
    let plain = Chart::of(&d, &ByHand::new());
    assert!(plain.limbs.iter().all(|l| l.verdict >= Verdict::Unknown), "nothing is wrong");
    let chart = Chart::of(&d, &[("host.network.link_saturated", Answer::Yes)].into());
    let (limb, node) = chart.place("host.network.link_saturated|x").unwrap();
    assert_eq!((chart.limbs[limb].verdict, chart.limbs[limb].leaf), (Verdict::AlsoCause, Some(node)));
    assert!(chart.limbs[limb].nodes[node].because.starts_with("answered by hand"));
    assert_eq!(chart.live(), limb);
}
