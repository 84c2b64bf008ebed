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
use std::sync::{Arc, Mutex};

use perftop::app::keymap::Key;
use perftop::app::{App, Effect, Incident, Msg, Tour};
use perftop::config::{ThemeFile, builtin_themes};
use perftop::diagnose::{Mode, Own};
use perftop::engine::Engine;
use perftop::record::format::{IndexEntry, Record, write_head};
use perftop::record::reader::Recording;
use perftop::view::theme::{Depth, Targets, Theme};
use perftop::view::{self, svg};
use ratatui::backend::{CrosstermBackend, TestBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

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
        let step = |app: &App| app.tour_step().map(|(number, _, _)| number);
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

/// Whoever does not wait for it is taken to where the incident begins.
#[test]
fn the_tour_does_not_run_ahead_of_what_it_shows() {
    let (mut app, mut engine) = (App { tour: Some(Tour::new(Incident::Index)), ..App::default() }, Engine::default());
    let mut records = Recording::open(&bundled(Incident::Index)).unwrap();
    let first = records.find_map(|r| if let Record::Sample(s) = r { Some(s) } else { None }).unwrap();
    let judged = engine.fold(&first);
    let mode = Mode::Replay { paused: false, ended: false, speed_percent: 100 };
    app.update(Msg::Picture(Arc::new(engine.picture(judged, mode, Own::default(), None))));
    let effects = app.update(Msg::Key(Key::Char('N')));
    assert!(matches!(effects[..], [Effect::Incident { later: true }]), "{effects:?}");
    assert!(app.update(Msg::Key(Key::Char('N'))).is_empty(), "the other steps show what is there");
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

const THEME: &str = "dark";
const SIZE: (u16, u16) = (120, 40);

/// What the demo shows when one follows it: what is drawn, and for how many seconds.
fn frames() -> Vec<(App, f64)> {
    let (mut app, mut engine) = (App { tour: Some(Tour::new(Incident::Index)), ..App::default() }, Engine::default());
    let mut frames = Vec::new();
    let mut samples = Recording::open(&bundled(Incident::Index))
        .unwrap()
        .filter_map(|r| if let Record::Sample(s) = r { Some(s) } else { None });
    let mut play = |app: &mut App, looks: usize| {
        for sample in samples.by_ref().take(looks) {
            let judged = engine.fold(&sample);
            let mode = Mode::Replay { paused: false, ended: false, speed_percent: 100 };
            app.update(Msg::Picture(Arc::new(engine.picture(judged, mode, Own::default(), None))));
        }
    };
    play(&mut app, 14);
    frames.push((app.clone(), 4.0));
    for _ in 0..4 {
        play(&mut app, 3);
        frames.push((app.clone(), 1.5));
    }
    for (key, seconds) in [(Key::Enter, 6.0), (Key::Char('c'), 3.0), (Key::Char('6'), 6.0), (Key::Char('t'), 5.0)] {
        app.update(Msg::Key(key));
        if key == Key::Char('c') {
            app.update(Msg::Notice("copied (tmux buffer): Build the index without blocking writes".into()));
        }
        play(&mut app, 1);
        frames.push((app.clone(), seconds));
    }
    frames
}

fn theme() -> Theme {
    let (_, text) = builtin_themes().iter().find(|(name, _)| *name == THEME).unwrap();
    let targets = Targets { cpu: (70.0, 90.0), memory: (80.0, 95.0), disk: (80.0, 95.0) };
    Theme::new(ThemeFile::parse(THEME, text).unwrap(), Depth::True, false, targets)
}

fn same(name: &str, now: &str) {
    let path = root("screenshots").join(name);
    if std::env::var_os("PERFTOP_PICTURES").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap_or_default() == now, "{name} is out of date: PERFTOP_PICTURES=1 draws it");
}

/// The picture of the README that moves, and the terminal session behind it (asciicast 2).
#[test]
fn the_demo_as_a_picture_and_as_a_terminal_session() {
    let theme = theme();
    let buffers: Vec<(Buffer, f64)> = frames()
        .iter()
        .map(|(app, seconds)| {
            let mut terminal = Terminal::new(TestBackend::new(SIZE.0, SIZE.1)).unwrap();
            terminal.draw(|frame| view::draw(app, &theme, frame)).unwrap();
            (terminal.backend().buffer().clone(), *seconds)
        })
        .collect();
    let picture = svg::animated(&buffers, "#101418", "#d8dee9");
    assert!(picture.len() < 400_000, "{} bytes", picture.len());
    same("demo.svg", &picture);
    let mut cast = format!("{{\"version\":2,\"width\":{},\"height\":{},\"title\":\"perftop demo\"}}\n", SIZE.0, SIZE.1);
    let mut at = 0.0;
    let out = Shared::default();
    let options = TerminalOptions { viewport: Viewport::Fixed(Rect::new(0, 0, SIZE.0, SIZE.1)) };
    let mut terminal = Terminal::with_options(CrosstermBackend::new(out.clone()), options).unwrap();
    for (app, seconds) in frames() {
        terminal.draw(|frame| view::draw(&app, &theme, frame)).unwrap();
        let bytes = std::mem::take(&mut *out.0.lock().unwrap());
        let text = serde_json::to_string(&String::from_utf8(bytes).unwrap()).unwrap();
        cast += &format!("[{at:.1},\"o\",{text}]\n");
        at += seconds;
    }
    same("demo.cast", &cast);
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
