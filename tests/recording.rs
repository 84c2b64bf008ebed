//! Recordings: live and replay agree; every tear, every hostile byte, a full disk and a newer format are survived.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use perftop::engine::{Engine, Playback, ReplayOptions, to_json};
use perftop::model::sample::Sample;
use perftop::record::format::{Error, Record};
use perftop::record::reader::{Recording, segments};
use perftop::record::writer::{SAMPLES, Target, Writer};
use proptest::prelude::*;

fn perftop() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perftop"));
    // Nobody's own sessions are touched.
    command.env("XDG_STATE_HOME", std::env::temp_dir().join(format!("perftop-rec-state-{}", std::process::id())));
    command
}

struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("perftop-rec-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

/// A recording of this machine, long enough for `ticks` at 250 ms.
fn record_live(path: &Path, ticks: u32) {
    let seconds = format!("{}ms", ticks * 250);
    let status = perftop().args(["record", "--every", "250ms", "--for", &seconds]).arg(path).status().unwrap();
    assert!(status.success());
}

fn samples(path: &Path) -> Vec<Sample> {
    let only = |r| match r {
        Record::Sample(sample) => Some(*sample),
        _ => None,
    };
    Recording::open(path).unwrap().filter_map(only).collect()
}

/// Folds and writes samples as the live driver does: with the engine's state at the start of each segment.
fn write_all(path: &Path, samples: &[Sample], keep_ms: Option<i64>) -> Vec<Vec<u8>> {
    let mut engine = Engine::default();
    let mut writer = Writer::open(&Target::File(path.to_path_buf()), 1000, keep_ms).unwrap();
    let mut said = Vec::new();
    for (i, sample) in samples.iter().enumerate() {
        let state = (i as u64).is_multiple_of(SAMPLES).then(|| engine.state());
        let json = to_json(&engine.fold(sample).evaluation.diagnosis);
        writer.write(state, sample.clone(), json.clone()).unwrap();
        said.push(json);
    }
    writer.finish().unwrap();
    said
}

fn replay_all(path: &Path, from_ms: Option<i64>) -> Vec<Vec<u8>> {
    let options = ReplayOptions { file: Some(path.to_path_buf()), from_ms, speed_percent: 100, paused: false };
    let mut playback = Playback::open(&options).unwrap();
    std::iter::from_fn(|| playback.step()).map(|j| to_json(&j.evaluation.diagnosis)).collect()
}

/// Many ticks from few: the same samples again and again, with clocks that run on.
fn stretched(short: &[Sample], ticks: usize) -> Vec<Sample> {
    let base = short[0].at;
    let length_ms = (short[short.len() - 1].at.mono_ns - base.mono_ns) / 1_000_000 + 250;
    (0..ticks)
        .map(|i| {
            let mut sample = short[i % short.len()].clone();
            let shift_ms = (i / short.len()) as u64 * length_ms;
            let later = |s: &mut perftop::model::counter::Stamp| {
                s.wall_ms += shift_ms as i64;
                s.mono_ns += shift_ms * 1_000_000;
                s.boot_ns += shift_ms * 1_000_000;
            };
            later(&mut sample.at);
            if let Some(sweep) = &mut sample.host.sweep {
                later(&mut Arc::make_mut(sweep).at);
            }
            sample
        })
        .collect()
}

#[test]
fn live_and_replay_give_the_same_diagnosis_second_by_second() {
    let dir = Dir::new();
    let file = dir.file("live.perftop");
    // Longer than a segment, so that the border between two is crossed.
    record_live(&file, SAMPLES as u32 + 12);
    let out = perftop().args(["replay", "--verify"]).arg(&file).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{text}");
    let agreed: u64 = text.split(' ').next().unwrap().parse().unwrap();
    assert!(agreed > SAMPLES, "{text}");
    assert_eq!(segments(&mut fs::File::open(&file).unwrap()).unwrap().len(), 2);
}

#[test]
fn a_replay_from_the_middle_agrees_with_one_from_the_start() {
    let dir = Dir::new();
    let (short, long) = (dir.file("short.perftop"), dir.file("long.perftop"));
    record_live(&short, 8);
    let ticks = stretched(&samples(&short), 150);
    let said = write_all(&long, &ticks, None);
    assert_eq!(replay_all(&long, None), said);
    for at in [10, 61, 130] {
        assert_eq!(replay_all(&long, Some(ticks[at].at.wall_ms)), said[at..], "from tick {at}");
    }
}

#[test]
fn a_tear_at_any_byte_keeps_the_records_before_it() {
    let dir = Dir::new();
    let (short, whole, torn) = (dir.file("s.perftop"), dir.file("w.perftop"), dir.file("t.perftop"));
    record_live(&short, 4);
    let ticks = stretched(&samples(&short), 70);
    write_all(&whole, &ticks, None);
    let bytes = fs::read(&whole).unwrap();
    let count = |path: &Path| Recording::open(path).map_or(0, |r| r.filter(|r| matches!(r, Record::Sample(_))).count());
    let step = (bytes.len() / 150).max(1);
    let mut before = 0;
    for cut in (0..bytes.len()).step_by(step) {
        fs::write(&torn, &bytes[..cut]).unwrap();
        let now = count(&torn);
        assert!(now >= before, "{cut} bytes give {now} samples, fewer gave {before}");
        before = now;
    }
    assert!(before >= 60);
}

#[test]
fn a_torn_recording_is_mended_and_continued() {
    let dir = Dir::new();
    let (short, file) = (dir.file("s.perftop"), dir.file("f.perftop"));
    record_live(&short, 4);
    let ticks = stretched(&samples(&short), 100);
    write_all(&file, &ticks[..90], None);
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 200]).unwrap();
    let kept = samples(&file).len();
    assert!((60..=90).contains(&kept), "{kept}");
    write_all(&file, &ticks[90..], None);
    assert_eq!(samples(&file).len(), kept + 10);
    assert_eq!(segments(&mut fs::File::open(&file).unwrap()).unwrap().len(), 3);
}

#[test]
fn kill_9_loses_nothing_that_was_written() {
    let dir = Dir::new();
    let file = dir.file("k.perftop");
    let mut child = perftop().args(["record", "--every", "250ms"]).arg(&file).spawn().unwrap();
    let start = std::time::Instant::now();
    while fs::metadata(&file).map_or(0, |m| m.len()) < 4000 || samples(&file).len() < 4 {
        assert!(start.elapsed().as_secs() < 30);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let before = samples(&file).len();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(samples(&file).len() >= before);
    record_live(&file, 3);
    assert!(samples(&file).len() >= before + 3);
}

#[test]
fn old_segments_are_dropped() {
    let dir = Dir::new();
    let (short, file) = (dir.file("s.perftop"), dir.file("f.perftop"));
    record_live(&short, 4);
    let ticks = stretched(&samples(&short), 300);
    let span = ticks[299].at.wall_ms - ticks[0].at.wall_ms;
    write_all(&file, &ticks, Some(span / 3));
    let kept = samples(&file);
    assert!(kept.len() < 200 && kept.len() >= 100, "{} of 300 are kept", kept.len());
    assert_eq!(kept.last().unwrap().at, ticks[299].at);
}

#[test]
fn a_full_disk_ends_the_recording_with_a_message() {
    if !Path::new("/dev/full").exists() {
        eprintln!("SKIPPED: no /dev/full here");
        return;
    }
    let out = Command::new("sh")
        .args(["-c", &format!("{} record --every 250ms - > /dev/full", env!("CARGO_BIN_EXE_perftop"))])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(74));
    assert!(String::from_utf8_lossy(&out.stderr).contains("No space left"), "{:?}", out.stderr);
}

#[test]
fn a_pipe_carries_a_recording() {
    let binary = env!("CARGO_BIN_EXE_perftop");
    let script = format!("{binary} record --every 250ms --for 2s - | {binary} replay --json -");
    let out = Command::new("sh").args(["-c", &script]).output().unwrap();
    let lines = String::from_utf8(out.stdout).unwrap();
    assert!(lines.lines().count() >= 5 && lines.lines().all(|l| l.starts_with("{\"schema\":1,")), "{lines}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let script =
        format!("{} record --every 250ms - | head -c 100 > /dev/null; echo ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_perftop"));
    let out = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "0");
}

#[test]
fn newer_and_foreign_files_are_refused_politely() {
    let dir = Dir::new();
    let file = dir.file("n.perftop");
    record_live(&file, 2);
    let mut bytes = fs::read(&file).unwrap();
    bytes[16] = 200;
    fs::write(&file, &bytes).unwrap();
    let out = perftop().args(["replay", "--json"]).arg(&file).output().unwrap();
    assert_eq!(out.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&out.stderr).contains("use a newer perftop"));
    let out = perftop().arg("record").arg(&file).output().unwrap();
    assert_eq!(out.status.code(), Some(64), "and not written to");
    assert_eq!(fs::read(&file).unwrap(), bytes);
    fs::write(&file, b"hello").unwrap();
    assert!(matches!(Recording::open(&file), Err(Error::NotOurs { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn hostile_files_never_panic(flips in proptest::collection::vec((0usize..6000, any::<u8>()), 1..12), tail: Vec<u8>) {
        static GOOD: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let good = GOOD.get_or_init(|| {
            let dir = Dir::new();
            let file = dir.file("g.perftop");
            record_live(&file, 2);
            fs::read(&file).unwrap()
        });
        let mut bytes = good.clone();
        for (at, to) in flips {
            let at = at % bytes.len();
            bytes[at] = to;
        }
        bytes.extend(tail);
        let dir = Dir::new();
        let file = dir.file("h.perftop");
        fs::write(&file, &bytes).unwrap();
        if let Ok(records) = Recording::open(&file) {
            let mut engine = Engine::default();
            for record in records {
                match record {
                    Record::Start(start) => engine.restore(&start.engine),
                    Record::Sample(sample) => _ = engine.fold(&sample),
                    _ => {}
                }
            }
        }
        _ = segments(&mut fs::File::open(&file).unwrap());
    }
}

/// Strings under one field of a sample, forged; names of fields stay.
fn forged(sample: &Sample, field: &[u8]) -> Option<Sample> {
    use perftop::record::tame::Token;
    let bytes = rmp_serde::to_vec_named(sample).unwrap();
    let (mut out, mut at, mut under, mut touched) = (Vec::new(), 0, Vec::new(), false);
    while let Some(token) = Token::at(&bytes, at) {
        let whole = &bytes[at..at + token.head + token.body];
        at += whole.len();
        if token.text && under == field {
            let text = [&whole[token.head..], "\u{202e}\n\u{1b}]52;c;eA==\u{7};touch PWNED".as_bytes()].concat();
            out.push(0xdb);
            out.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
            out.extend_from_slice(&text);
            touched = true;
        } else {
            out.extend_from_slice(whole);
        }
        under = if token.text { whole[token.head..].to_vec() } else { Vec::new() };
    }
    let Record::Sample(sample) = Record::from_payload(2, out).filter(|_| touched)? else { return None };
    Some(*sample)
}

/// Every string of a JSON value.
fn said(value: &serde_json::Value, out: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => out.push(text.clone()),
        serde_json::Value::Array(list) => list.iter().for_each(|v| said(v, out)),
        serde_json::Value::Object(map) => map.iter().for_each(|(k, v)| {
            out.push(k.clone());
            said(v, out);
        }),
        _ => {}
    }
}

#[test]
fn no_field_of_a_forged_sample_brings_a_hidden_character_out() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut forgeries = 0;
    for case in ["pg_missing_index.perftop", "mount_hung.perftop", "slow_upstream.perftop"] {
        let all = samples(&dir.join(case));
        let mut fields = std::collections::BTreeSet::new();
        for sample in all.iter().take(5) {
            let bytes = rmp_serde::to_vec_named(sample).unwrap();
            let mut at = 0;
            while let Some(token) = perftop::record::tame::Token::at(&bytes, at) {
                if token.text {
                    fields.insert(bytes[at + token.head..at + token.head + token.body].to_vec());
                }
                at += token.head + token.body;
            }
        }
        for field in fields {
            let mut engine = Engine::default();
            for sample in all.iter().take(5) {
                let Some(sample) = forged(sample, &field) else { continue };
                forgeries += 1;
                let diagnosis = engine.fold(&sample).evaluation.diagnosis;
                let json: serde_json::Value = serde_json::from_slice(&to_json(&diagnosis)).unwrap();
                let mut texts = Vec::new();
                said(&json, &mut texts);
                let hidden = texts.iter().find(|t| t.chars().any(|c| c.is_control() || c == '\u{202e}'));
                assert_eq!(hidden, None, "{case}: {}", String::from_utf8_lossy(&field));
            }
        }
    }
    assert!(forgeries > 50, "{forgeries}");
}
