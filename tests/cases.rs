//! Recorded sick hosts: the truth, written by the injector, must stand at rank 1 with the right culprit in most of
//! the decision window; on the healthy ones nothing is critical. Each recording also agrees with its own diagnoses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::path::{Path, PathBuf};

use perftop::detect::finding::Severity;
use perftop::engine::{Playback, ReplayOptions, to_json};
use perftop::record::format::Record;
use perftop::record::reader::Recording;

#[derive(serde::Deserialize)]
struct Truth {
    truth: String,
    kind: String,
    keys: Vec<String>,
    from_ms: i64,
    to_ms: i64,
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

fn playback(path: &Path) -> Playback {
    let options = ReplayOptions { file: Some(path.to_path_buf()), from_ms: None, speed_percent: 100 };
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
            if truth.truth.is_empty() {
                assert!(d.findings.iter().all(|f| f.severity != Severity::Critical), "{name} at {}: critical", d.at);
                continue;
            }
            if judged.at.wall_ms < truth.from_ms || judged.at.wall_ms > truth.to_ms {
                continue;
            }
            all += 1;
            let Some(first) = d.findings.first().filter(|f| f.id == truth.truth && f.severity != Severity::Info) else {
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

#[test]
fn what_is_said_does_not_depend_on_the_run() {
    for (path, _) in cases() {
        let said: Vec<Vec<u8>> = Recording::open(&path)
            .unwrap()
            .filter_map(|r| match r {
                Record::Diagnosis(json) => Some(json),
                _ => None,
            })
            .collect();
        let mut playback = playback(&path);
        let again: Vec<Vec<u8>> = std::iter::from_fn(|| playback.step()).map(|j| to_json(&j.evaluation.diagnosis)).collect();
        let twice = {
            let mut playback = self::playback(&path);
            std::iter::from_fn(|| playback.step()).map(|j| to_json(&j.evaluation.diagnosis)).collect::<Vec<_>>()
        };
        assert_eq!(again, twice, "{}", path.display());
        assert_eq!(said.len(), again.len());
    }
}
