//! The bundled incidents: the very samples of recorded cases, without what was said of them, small; each is found, and its tour can be walked.
//!
//! `PERFTOP_BLESS=1` makes them anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use perftop::app::keymap::Key;
use perftop::app::{App, Effect, Incident, Msg, Tour};
use perftop::diagnose::{Mode, Own};
use perftop::engine::Engine;
use perftop::record::format::{IndexEntry, Record, write_head};
use perftop::record::reader::Recording;

/// The case that each incident is.
const CASES: [(Incident, &str); 4] = [
    (Incident::Index, "pg_missing_index_disk"),
    (Incident::Locks, "pg_idle_transaction_elsewhere"),
    (Incident::Cache, "redis_evictions"),
    (Incident::Elsewhere, "slow_upstream"),
];

/// Bytes that all of them may have together.
const MOST: u64 = 300_000;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn bundled(incident: Incident) -> PathBuf {
    root(&format!("src/demo/{}.perftop", incident.word()))
}

/// A segment, as small as zstd makes it in the window that readers allow.
fn seal(records: &[Record]) -> Vec<u8> {
    const LEVEL: i32 = 19;
    let plain: Vec<u8> = records.iter().flat_map(|r| r.encode().unwrap()).collect();
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), LEVEL).unwrap();
    encoder.window_log(22).unwrap();
    encoder.write_all(&plain).unwrap();
    let mut out = encoder.finish().unwrap();
    let stamps: Vec<i64> =
        records.iter().filter_map(|r| if let Record::Sample(s) = r { Some(s.at.wall_ms) } else { None }).collect();
    let entry = IndexEntry {
        segment_len: out.len() as u64,
        first_ms: stamps[0],
        last_ms: stamps[stamps.len() - 1],
        samples: stamps.len() as u64,
    };
    out.extend(entry.encode());
    out
}

fn bless(case: &str, to: &Path) {
    let mut out = Vec::new();
    write_head(&mut out).unwrap();
    let mut segment: Vec<Record> = Vec::new();
    for record in Recording::open(&root(&format!("tests/cases/{case}.perftop"))).unwrap() {
        match record {
            Record::Start(_) if segment.iter().any(|r| matches!(r, Record::Sample(_))) => {
                out.extend(seal(&segment));
                segment = vec![record];
            }
            Record::Diagnosis(_) => {}
            record => segment.push(record),
        }
    }
    out.extend(seal(&segment));
    std::fs::write(to, out).unwrap();
}

fn samples(path: &Path) -> Vec<Vec<u8>> {
    let records = Recording::open(path).unwrap();
    records.filter(|r| matches!(r, Record::Sample(_))).map(|r| r.encode().unwrap()).collect()
}

#[test]
fn the_bundled_incidents_are_recorded_cases_and_small() {
    let mut sum = 0;
    for (incident, case) in CASES {
        let path = bundled(incident);
        if std::env::var_os("PERFTOP_BLESS").is_some() {
            bless(case, &path);
        }
        assert!(samples(&path) == samples(&root(&format!("tests/cases/{case}.perftop"))), "{case} is another now: bless it");
        sum += std::fs::metadata(&path).unwrap().len();
    }
    assert!(sum < MOST, "{sum} bytes are bundled");
    assert_eq!(CASES.len(), Incident::ALL.len());
}

/// Whoever follows the tour sees all of it: each step is done by what it says, in this order.
#[test]
fn the_tour_is_walked_by_doing_what_it_says() {
    for (incident, _) in CASES {
        let (mut app, mut engine) = (App { tour: Some(Tour::new(incident)), ..App::default() }, Engine::default());
        let mut pictures = Recording::open(&bundled(incident)).unwrap().filter_map(|record| {
            let Record::Sample(sample) = record else { return None };
            let judged = engine.fold(&sample);
            let mode = Mode::Replay { paused: false, ended: false, speed_percent: 100 };
            Some(Arc::new(engine.picture(judged, mode, Own::default(), None)))
        });
        let step = |app: &App| app.tour.as_ref().and_then(Tour::step).map(|(number, _, _)| number);
        assert_eq!(step(&app), Some(1), "{incident:?}");
        while step(&app) == Some(1) {
            let picture = pictures.next().unwrap_or_else(|| panic!("{incident:?}: nothing is raised"));
            app.update(Msg::Picture(picture));
        }
        let finding = app.finding().unwrap();
        assert!(finding.raised() && !finding.fixes.is_empty(), "{incident:?}");
        // As the words say: open, copy, chart, the server, now it is over.
        let mut copied = false;
        for (key, then) in [(Key::Enter, 3), (Key::Char('c'), 4), (Key::Char('6'), 5), (Key::Char('t'), 6)] {
            let effects = app.update(Msg::Key(key));
            copied |= effects.iter().any(|e| matches!(e, Effect::Copy { .. }));
            assert_eq!(step(&app), Some(then), "{incident:?} after {key:?}");
        }
        assert!(copied);
        app.update(Msg::Key(Key::Char('N')));
        assert!(app.tour.is_none(), "{incident:?}");
    }
}

/// It can be left at any step, and goes on without the keys it names.
#[test]
fn the_tour_can_be_skipped() {
    let mut app = App { tour: Some(Tour::new(Incident::Index)), ..App::default() };
    for _ in 0..6 {
        assert!(app.tour.is_some());
        app.update(Msg::Key(Key::Char('N')));
    }
    assert!(app.tour.is_none());
    let mut app = App { tour: Some(Tour::new(Incident::Index)), ..App::default() };
    app.update(Msg::Key(Key::Char('X')));
    assert!(app.tour.is_none());
}
