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
use perftop::engine::Engine;
use perftop::model::postgres::{Catalog, TableRow};
use perftop::model::sample::Sample;
use perftop::record::format::Record;
use perftop::record::reader::Recording;
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
    long_tables(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/pg_missing_index.perftop"));
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
