//! The clock on the wall is set, and the machine sleeps: the judgement of every recorded case stays what it is. The samples are those
//! of the recordings; only their stamps are moved, as the kernel would have given them (a clock that is really set would hit whatever
//! else runs on the machine).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "a test may fail loudly")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use perftop::detect::diagnosis::Diagnosis;
use perftop::detect::finding::Severity;
use perftop::engine::Engine;
use perftop::model::sample::Sample;
use perftop::record::format::Record;
use perftop::record::reader::Recording;
use serde_json::Value;

fn cases() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|p| p.extension().is_some_and(|e| e == "perftop"));
    found.sort();
    found
}

fn samples(path: &Path) -> Vec<Sample> {
    Recording::open(path).unwrap().filter_map(|r| if let Record::Sample(s) = r { Some(*s) } else { None }).collect()
}

/// Every stamp in it, wherever it stands, given to `change`.
fn stamps(value: &mut Value, change: &dyn Fn(&mut serde_json::Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            if map.contains_key("wall_ms") && map.contains_key("mono_ns") {
                change(map);
            }
            map.values_mut().for_each(|v| stamps(v, change));
        }
        Value::Array(list) => list.iter_mut().for_each(|v| stamps(v, change)),
        _ => {}
    }
}

fn moved(sample: &Sample, wall_ms: i64, boot_ns: u64) -> Sample {
    let mut value = serde_json::to_value(sample).unwrap();
    stamps(&mut value, &|stamp| {
        stamp["wall_ms"] = (stamp["wall_ms"].as_i64().unwrap() + wall_ms).into();
        stamp["boot_ns"] = (stamp["boot_ns"].as_u64().unwrap() + boot_ns).into();
    });
    serde_json::from_value(value).unwrap()
}

fn said(samples: &[Sample]) -> Vec<Diagnosis> {
    let mut engine = Engine::default();
    samples.iter().map(|s| engine.fold(s).evaluation.diagnosis).collect()
}

/// What must not change: what is found, how severe, what it costs, how long it has stood.
fn told(d: &Diagnosis) -> Vec<String> {
    let at: jiff::Timestamp = d.at.parse().unwrap();
    let found = d.findings.iter().map(|f| {
        let since: jiff::Timestamp = f.since.at.parse().unwrap();
        format!(
            "{} {:?} {:.3} for {} s",
            f.key,
            f.severity,
            f.impact.lost_s_per_s.unwrap_or(0.0),
            (at.as_second() - since.as_second())
        )
    });
    let time = format!("{:.3} {:.3}", d.time.foreground_s_per_s, d.time.unexplained_s_per_s);
    std::iter::once(time).chain(found).collect()
}

/// The first moment from which on something else is said.
fn parts(name: &str, usual: &[Diagnosis], other: &[Diagnosis]) -> Option<String> {
    usual.iter().zip(other).enumerate().find_map(|(n, (a, b))| {
        let (a, b) = (told(a), told(b));
        let only = |x: &[String], y: &[String]| x.iter().filter(|l| !y.contains(l)).cloned().collect::<Vec<_>>();
        (a != b).then(|| format!("{name}, look {n} of {}: {:#?} is {:#?}", usual.len(), only(&a, &b), only(&b, &a)))
    })
}

#[test]
fn a_clock_that_is_set_changes_nothing() {
    let mut wrong = Vec::new();
    for path in cases() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let samples = samples(&path);
        // A Prometheus dates by a clock of its own.
        if samples.iter().any(|s| !s.servers.prometheus.is_empty()) {
            continue;
        }
        let usual = said(&samples);
        for set_ms in [3_600_000, -3_600_000] {
            let middle = samples.len() / 2;
            let set: Vec<Sample> =
                samples.iter().enumerate().map(|(n, s)| if n < middle { s.clone() } else { moved(s, set_ms, 0) }).collect();
            wrong.extend(parts(&format!("{name}, set by {set_ms} ms"), &usual, &said(&set)));
        }
    }
    assert!(wrong.is_empty(), "{} differ: {}", wrong.len(), wrong.join("\n"));
}

/// Nobody knows what happened while the machine slept: nothing is made up of it, and what stands after it is found again.
#[test]
fn a_machine_that_slept_makes_nothing_up() {
    for path in cases() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let samples = samples(&path);
        let usual = said(&samples);
        let middle = samples.len() / 2;
        let slept: Vec<Sample> = samples
            .iter()
            .enumerate()
            .map(|(n, s)| if n < middle { s.clone() } else { moved(s, 3_600_000, 3_600_000_000_000) })
            .collect();
        let found = |all: &[Diagnosis], least: Severity| -> BTreeSet<String> {
            all.iter().flat_map(|d| &d.findings).filter(|f| f.severity as u8 <= least as u8).map(|f| f.id.clone()).collect()
        };
        let after = said(&slept);
        // A window that begins anew lacks what the one before knew: the same seconds may stand under their symptom for a look.
        let made_up: Vec<String> =
            found(&after, Severity::Critical).difference(&found(&usual, Severity::Info)).cloned().collect();
        assert!(made_up.is_empty(), "{name}: {made_up:?}");
        let most = |all: &[Diagnosis]| all[middle..].iter().map(|d| d.time.foreground_s_per_s).fold(0.0, f64::max);
        assert!(most(&after) <= 1.3 * most(&usual) + 0.2, "{name}: {} of {}", most(&after), most(&usual));
    }
}
