//! What judging, drawing and recording cost, on the recorded cases: `cargo bench`. Medians; the budgets are DESIGN's.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use perftop::app::keymap::Key;
use perftop::app::{App, Msg};
use perftop::config::{ThemeFile, builtin_themes};
use perftop::diagnose::{Mode, Own};
use perftop::engine::{Engine, Playback, ReplayOptions, to_json};
use perftop::model::postgres::{Catalog, TableRow};
use perftop::model::sample::Sample;
use perftop::record::format::Record;
use perftop::record::kept;
use perftop::record::reader::Recording;
use perftop::record::writer::SAMPLES;
use perftop::view;
use perftop::view::theme::{Depth, Targets, Theme};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn main() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    cases.retain(|p| p.extension().is_some_and(|e| e == "perftop"));
    cases.sort();
    println!("| case | processes | judge ms (aim 1) | draw 120x40 ms | file bytes per sample |\n|---|---|---|---|---|");
    for path in cases {
        let samples: Vec<Sample> = Recording::open(&path)
            .unwrap()
            .filter_map(|r| match r {
                Record::Sample(sample) => Some(*sample),
                _ => None,
            })
            .collect();
        let (_, text) = builtin_themes()[0];
        let targets = Targets { cpu: (70.0, 90.0), memory: (80.0, 95.0), disk: (80.0, 95.0) };
        let theme = Theme::new(ThemeFile::parse("dark", text).unwrap(), Depth::True, false, targets);
        let mut terminal = Terminal::new(TestBackend::new(120, 40)).unwrap();
        let (mut engine, mut app) = (Engine::default(), App::default());
        let (mut folds, mut draws) = (Vec::new(), Vec::new());
        let mut processes = 0;
        for sample in &samples {
            let start = Instant::now();
            let judged = engine.fold(sample);
            folds.push(start.elapsed());
            processes = judged.evaluation.facts.processes().len();
            app.update(Msg::Picture(Arc::new(engine.picture(judged, Mode::Live, Own::default(), None))));
            let start = Instant::now();
            terminal.draw(|frame| view::draw(&app, &theme, frame)).unwrap();
            draws.push(start.elapsed());
        }
        let bytes = std::fs::metadata(&path).unwrap().len() / samples.len() as u64;
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        println!("| {name} | {processes} | {:.3} | {:.3} | {bytes} |", median(folds), median(draws));
    }
    for case in ["control_fast_disk", "pg_missing_index"] {
        a_day(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/{case}.perftop")));
    }
    long_tables(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/pg_missing_index.perftop"));
}

/// A day as it is kept: what it weighs, and how long it takes to be anywhere in it.
fn a_day(case: &Path) {
    const EVERY_MS: i64 = kept::EVERY_MS;
    let samples: Vec<Sample> =
        Recording::open(case).unwrap().filter_map(|r| if let Record::Sample(s) = r { Some(*s) } else { None }).collect();
    let dir = std::env::temp_dir().join(format!("perftop-bench-{}", std::process::id()));
    let first_ms = samples[0].at.wall_ms;
    let mut writer = kept::begin(&dir, first_ms).unwrap();
    // All of the day, whatever it weighs.
    writer.may_weigh = None;
    let path = writer.file().unwrap().to_path_buf();
    let mut engine = Engine::default();
    let looks = kept::KEPT_MS / EVERY_MS;
    for n in 0..looks {
        let mut sample = samples[n as usize % samples.len()].clone();
        // The clocks go on; what is read goes round, with a restart each time.
        sample.at.wall_ms = first_ms + n * EVERY_MS;
        sample.at.mono_ns = samples[0].at.mono_ns + (n * EVERY_MS) as u64 * 1_000_000;
        let state = (n as u64).is_multiple_of(SAMPLES).then(|| engine.state());
        let said = to_json(&engine.fold(&sample).evaluation.diagnosis);
        writer.write(state, sample, said).unwrap();
    }
    writer.finish().unwrap();
    let bytes = std::fs::metadata(&path).unwrap().len();
    let mut times = Vec::new();
    for seek in 0..200 {
        let from_ms = Some(first_ms + (seek * 7919) % looks * EVERY_MS);
        let start = Instant::now();
        let mut playback =
            Playback::open(&ReplayOptions { file: Some(path.clone()), from_ms, speed_percent: 100, paused: true }).unwrap();
        playback.step().unwrap();
        times.push(start.elapsed());
    }
    std::fs::remove_dir_all(dir).unwrap();
    times.sort();
    println!(
        "\na day of {looks} looks at {}: {:.1} MB; anywhere in it within {:.1} ms, p99 {:.1} ms (aim 50)",
        case.file_stem().unwrap().to_string_lossy(),
        bytes as f64 / 1e6,
        median(times.clone()),
        times[197].as_secs_f64() * 1e3
    );
}

/// Ten thousand tables in 34 databases on the screen of PostgreSQL: a key and the frame after it, for each of a hundred steps.
fn long_tables(case: &Path) {
    let mut samples: Vec<Sample> =
        Recording::open(case).unwrap().filter_map(|r| if let Record::Sample(s) = r { Some(*s) } else { None }).collect();
    let last = samples.len() - 1;
    let pg = samples[last].servers.postgres.values_mut().next().unwrap();
    let table = |database: usize, n: usize| TableRow {
        oid: n as u32,
        schema: "public".into(),
        name: format!("table_{n}").as_str().into(),
        pages: (n * 7919 % 10_007) as u64,
        live: (n * 104_729 % 1_000_003) as u64,
        dead: (n + database) as u64,
        ..TableRow::default()
    };
    pg.catalogs = (0..34)
        .map(|database| Catalog {
            database: format!("database_{database}").as_str().into(),
            tables: (0..300).map(|n| table(database, n)).collect(),
            ..Catalog::default()
        })
        .collect();
    let mut engine = Engine::default();
    let mut judged = None;
    for sample in &samples {
        judged = Some(engine.fold(sample));
    }
    let picture = Arc::new(engine.picture(judged.unwrap(), Mode::Live, Own::default(), None));
    let (_, text) = builtin_themes()[0];
    let targets = Targets { cpu: (70.0, 90.0), memory: (80.0, 95.0), disk: (80.0, 95.0) };
    let theme = Theme::new(ThemeFile::parse("dark", text).unwrap(), Depth::True, false, targets);
    let mut terminal = Terminal::new(TestBackend::new(200, 60)).unwrap();
    let mut app = App::default();
    app.update(Msg::Picture(picture.clone()));
    for key in [Key::Char('3'), Key::Tab, Key::Tab, Key::Tab, Key::Char('>')] {
        app.update(Msg::Key(key));
    }
    let rows = app.servers[0].rows(&picture.facts).len();
    let mut times = Vec::new();
    for step in 0..100 {
        let start = Instant::now();
        app.update(Msg::Key(if step % 10 == 9 { Key::PageDown } else { Key::Down }));
        terminal.draw(|frame| view::draw(&app, &theme, frame)).unwrap();
        times.push(start.elapsed());
    }
    times.sort();
    println!(
        "\n{rows} rows, sorted, 200x60: a key and its frame {:.2} ms, p99 {:.2} ms (aim 16)",
        median(times.clone()),
        times[98].as_secs_f64() * 1e3
    );
}
