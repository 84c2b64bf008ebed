//! What every screen keeps, whatever is sick and however large the terminal is: nothing touches a border, nothing is torn, nothing jumps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::path::Path;
use std::sync::Arc;

use perftop::app::keymap::Key;
use perftop::app::{App, Msg};
use perftop::config::{ThemeFile, builtin_themes};
use perftop::diagnose::{Mode, Own, Picture};
use perftop::engine::Engine;
use perftop::record::format::Record;
use perftop::record::reader::Recording;
use perftop::view;
use perftop::view::theme::{Depth, Targets, Theme};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

const SIZES: [(u16, u16); 6] = [(80, 24), (100, 30), (120, 40), (133, 47), (200, 60), (61, 20)];

/// Pictures of a recorded case, each `nth`.
fn pictures(case: &str, nth: usize) -> Vec<Arc<Picture>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/{case}.perftop"));
    let mut engine = Engine::default();
    let samples = Recording::open(&path).unwrap().filter_map(|r| if let Record::Sample(s) = r { Some(*s) } else { None });
    let all = samples.map(|sample| {
        let judged = engine.fold(&sample);
        Arc::new(engine.picture(judged, Mode::Live, Own::default(), None))
    });
    all.collect::<Vec<_>>().into_iter().step_by(nth).collect()
}

fn theme(ascii: bool) -> Theme {
    let (name, text) = builtin_themes()[0];
    let targets = Targets { cpu: (70.0, 90.0), memory: (80.0, 95.0), disk: (80.0, 95.0) };
    Theme::new(ThemeFile::parse(name, text).unwrap(), Depth::True, ascii, targets)
}

fn draw(app: &App, size: (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal.draw(|frame| view::draw(app, &theme(false), frame)).unwrap();
    terminal.backend().buffer().clone()
}

fn rows(buffer: &Buffer) -> Vec<Vec<String>> {
    let area = buffer.area;
    (0..area.height).map(|y| (0..area.width).map(|x| buffer[(x, y)].symbol().to_owned()).collect()).collect()
}

const CASES: [&str; 6] =
    ["cpu_hog", "pg_missing_index_disk", "redis_evictions", "slow_upstream", "prometheus_burn", "memory_shortage"];

/// Beside the line of a box there is a blank, or another line.
#[test]
fn nothing_touches_a_border() {
    let beside = |cell: &str| cell == " " || "│╭╮╰╯─├┤┬┴┼█".contains(cell);
    for case in CASES {
        for picture in pictures(case, 9) {
            for size in SIZES {
                for key in ['1', '2', '3', '4', '5', '7'] {
                    let mut app = App::default();
                    app.update(Msg::Picture(picture.clone()));
                    app.update(Msg::Key(Key::Char(key)));
                    for (y, row) in rows(&draw(&app, size)).iter().enumerate() {
                        for (x, _) in row.iter().enumerate().filter(|(_, cell)| *cell == "│") {
                            let left = x.checked_sub(1).and_then(|x| row.get(x)).is_none_or(|cell| beside(cell));
                            let right = row.get(x + 1).is_none_or(|cell| beside(cell));
                            assert!(left && right, "{case}, screen {key}, {size:?}, row {y}: {}", row.concat());
                        }
                    }
                }
            }
        }
    }
}

/// The boxes of triage stand where the size puts them, whatever is found.
#[test]
fn nothing_jumps_between_looks() {
    for size in SIZES {
        let mut first: Option<Vec<(usize, usize)>> = None;
        for case in CASES {
            for picture in pictures(case, 7) {
                let mut app = App::default();
                app.update(Msg::Picture(picture));
                // Where nothing is wrong, one box stands where two do else.
                if app.finding().is_none() {
                    continue;
                }
                let rows = rows(&draw(&app, size));
                let corners: Vec<(usize, usize)> = rows
                    .iter()
                    .enumerate()
                    .flat_map(|(y, row)| row.iter().enumerate().filter(|(_, c)| *c == "╭").map(move |(x, _)| (x, y)))
                    .collect();
                assert_eq!(*first.get_or_insert_with(|| corners.clone()), corners, "{case} at {size:?}");
            }
        }
    }
}

/// What is wrong stands first, and whole where two lines are enough.
#[test]
fn the_verdict_is_whole() {
    for case in ["cpu_hog", "pg_missing_index_disk", "redis_evictions", "slow_upstream"] {
        for picture in pictures(case, 5).into_iter().filter(|p| p.diagnosis.verdict.key.is_some()) {
            let mut app = App::default();
            app.update(Msg::Picture(picture.clone()));
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let says = words(&picture.diagnosis.verdict.says);
            if says.chars().count() > 2 * 112 - 20 {
                continue;
            }
            let shown = rows(&draw(&app, (120, 40)))[2..4].iter().map(|row| row[3..118].concat()).collect::<String>();
            assert!(words(&shown).contains(&says), "{case}: {says}\n{shown}");
        }
    }
}
