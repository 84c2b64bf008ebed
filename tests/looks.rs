//! How every screen looks in every theme, colour depth and character set; and what stands there when there is nothing to show: nothing read
//! yet, a first look, a source that refuses or does not answer, a filter that nothing holds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use perftop::app::keymap::Key;
use perftop::app::{App, Msg};
use perftop::config::{ThemeFile, builtin_themes};
use perftop::diagnose::{Mode, Own, Picture};
use perftop::engine::Engine;
use perftop::model::seen::{Lack, Why};
use perftop::model::source::{SourceKind, SourceState, SourceStatus};
use perftop::record::format::Record;
use perftop::record::reader::Recording;
use perftop::view;
use perftop::view::theme::{Depth, Targets, Theme};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// The picture at sample `at` of a recorded case.
fn picture(case: &str, at: usize) -> Arc<Picture> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/{case}.perftop"));
    let mut engine = Engine::default();
    let samples = Recording::open(&path).unwrap().filter_map(|r| if let Record::Sample(s) = r { Some(*s) } else { None });
    let judged = samples.take(at + 1).map(|sample| engine.fold(&sample)).last().unwrap();
    Arc::new(engine.picture(judged, Mode::Live, Own { cpu: 0.004, rss_bytes: 7 << 20 }, None))
}

fn theme(name: &str, depth: Depth, ascii: bool) -> Theme {
    let (_, text) = builtin_themes().iter().find(|(n, _)| *n == name).unwrap();
    let targets = Targets { cpu: (70.0, 90.0), memory: (80.0, 95.0), disk: (80.0, 95.0) };
    Theme::new(ThemeFile::parse(name, text).unwrap(), depth, ascii, targets)
}

fn app(picture: &Arc<Picture>, keys: &[Key]) -> App {
    let mut app = App::default();
    app.update(Msg::Picture(picture.clone()));
    keys.iter().for_each(|key| _ = app.update(Msg::Key(*key)));
    app
}

fn draw(app: &App, theme: &Theme, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(app, theme, frame)).unwrap();
    terminal.backend().buffer().clone()
}

fn rows(buffer: &Buffer) -> impl Iterator<Item = Vec<&Cell>> {
    let area = buffer.area;
    (0..area.height).map(move |y| (0..area.width).map(|x| &buffer[(x, y)]).collect())
}

fn text(buffer: &Buffer) -> String {
    let row = |cells: Vec<&Cell>| cells.iter().map(|c| c.symbol()).collect::<String>().trim_end().to_owned() + "\n";
    rows(buffer).map(row).collect()
}

/// Each style with how many cells it has, and the first words that are written in it.
fn styles(buffer: &Buffer) -> String {
    const WORDS: usize = 60;
    let mut all: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for row in rows(buffer) {
        let mut last = None;
        for cell in row {
            let style = format!("{:?} on {:?} {:?}", cell.fg, cell.bg, cell.modifier);
            let (cells, words) = all.entry(style.clone()).or_default();
            *cells += 1;
            let letter = cell.symbol().chars().any(char::is_alphanumeric);
            if letter && last.as_ref() != Some(&style) && !words.is_empty() && !words.ends_with(' ') {
                words.push(' ');
            }
            if (letter || !words.is_empty() && !words.ends_with(' ')) && words.chars().count() < WORDS {
                words.push_str(cell.symbol());
            }
            last = Some(style);
        }
    }
    all.iter().fold(String::new(), |mut out, (style, (cells, words))| {
        _ = writeln!(out, "{cells:5} {style}: {}", words.trim());
        out
    })
}

const SIZE: (u16, u16) = (120, 40);
/// What holds of every look is tried at all sizes that screens are made for, and at the least.
const SIZES: [(u16, u16); 4] = [(60, 16), (80, 24), SIZE, (200, 60)];

/// A name, the picture, and the keys that lead there.
fn screens() -> Vec<(&'static str, App)> {
    let (hog, index) = (picture("cpu_hog", 28), picture("pg_missing_index", 30));
    let (keys, burns) = (picture("redis_keys", 20), picture("prometheus_burn", 20));
    let key = Key::Char;
    vec![
        ("triage", app(&index, &[])),
        ("host", app(&hog, &[key('2'), Key::Down])),
        ("postgres", app(&index, &[key('3'), Key::Down])),
        ("redis", app(&keys, &[key('4')])),
        ("objectives", app(&burns, &[key('5')])),
        ("diagnose", app(&hog, &[key('6')])),
        ("fix", app(&index, &[Key::Enter])),
        ("help", app(&hog, &[key('?')])),
        ("palette", app(&hog, &[key(':'), key('c'), key('o')])),
    ]
}

/// Every theme, every depth, and the characters that a terminal may have; what is dark and of 16 million colours stands in tests/screens.rs.
fn looks() -> [(&'static str, Theme); 7] {
    [
        ("light", theme("light", Depth::True, false)),
        ("contrast", theme("contrast", Depth::True, false)),
        ("colorblind", theme("colorblind", Depth::True, false)),
        ("dark_256", theme("dark", Depth::Palette, false)),
        ("terminal_16", theme("terminal", Depth::Sixteen, false)),
        ("plain", theme("dark", Depth::None, false)),
        ("ascii", theme("dark", Depth::None, true)),
    ]
}

#[test]
fn every_screen_in_every_look() {
    for (screen, app) in screens() {
        for (look, theme) in looks() {
            let buffer = draw(&app, &theme, SIZE);
            insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
                insta::assert_snapshot!(format!("look_{screen}_{look}"), if theme.ascii { text(&buffer) } else { styles(&buffer) });
            });
        }
    }
}

/// Colours change nothing of what is written; without them the parts of a bar differ by their filling.
#[test]
fn no_look_says_anything_else() {
    let letters = |text: &str| text.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>();
    for ((screen, app), size) in screens().iter().flat_map(|screen| SIZES.map(|size| (screen, size))) {
        let dark = text(&draw(app, &theme("dark", Depth::True, false), size));
        for (look, theme) in looks() {
            let text = text(&draw(app, &theme, size));
            match look {
                "ascii" => assert!(text.is_ascii(), "{screen} at {size:?}"),
                "plain" => assert_eq!(letters(&text), letters(&dark), "{screen} at {size:?}"),
                _ => assert_eq!(text, dark, "{screen} in {look} at {size:?}"),
            }
        }
    }
}

/// Of relative luminances, WCAG 2.
fn contrast(a: (u8, u8, u8), b: (u8, u8, u8)) -> f64 {
    let part = |v: u8| {
        let v = f64::from(v) / 255.0;
        if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    };
    let light = |(r, g, b)| 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b) + 0.05;
    let (a, b) = (light(a), light(b));
    if a > b { a / b } else { b / a }
}

/// Letters on what is behind them 4.5 to 1, lines and graphs 3 to 1: on the paper that a theme is made for.
#[test]
fn what_is_drawn_can_be_seen() {
    for (name, paper, ink) in [
        ("dark", (0x10, 0x14, 0x18), (0xd8, 0xde, 0xe9)),
        ("dark", (0, 0, 0), (0xff, 0xff, 0xff)),
        ("colorblind", (0, 0, 0), (0xff, 0xff, 0xff)),
        ("contrast", (0, 0, 0), (0xff, 0xff, 0xff)),
        ("light", (0xff, 0xff, 0xff), (0, 0, 0)),
    ] {
        let theme = theme(name, Depth::True, false);
        for ((screen, app), size) in screens().iter().flat_map(|screen| SIZES.map(|size| (screen, size))) {
            for (y, row) in rows(&draw(app, &theme, size)).enumerate() {
                let line: String = row.iter().map(|c| c.symbol()).collect();
                for cell in row.into_iter().filter(|c| !c.symbol().trim().is_empty()) {
                    let of = |colour, or| match colour {
                        Color::Rgb(r, g, b) => (r, g, b),
                        Color::Reset => or,
                        other => panic!("{name}: {other:?} is no colour of a theme with 16 million"),
                    };
                    let (mut front, mut behind) = (of(cell.fg, ink), of(cell.bg, paper));
                    if cell.modifier.contains(Modifier::REVERSED) {
                        (front, behind) = (behind, front);
                    }
                    let letter = cell.symbol().chars().any(|c| c.is_alphanumeric() || c.is_ascii_punctuation());
                    let (seen, least) = (contrast(front, behind), if letter { 4.5 } else { 3.0 });
                    // A border may stand back: nothing is told by it.
                    let border = "─│╭╮╰╯├┤┬┴┼".contains(cell.symbol());
                    assert!(
                        seen >= least || border,
                        "{name}, {screen}, row {y}: {seen:.1} to 1 at `{}` of {line}",
                        cell.symbol()
                    );
                }
            }
        }
    }
}

fn assert_state(name: &str, app: &App) {
    let dark = theme("dark", Depth::True, false);
    for (width, height) in [(80, 24), (120, 40)] {
        insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("state_{name}_{width}x{height}"), text(&draw(app, &dark, (width, height))));
        });
    }
}

#[test]
fn before_anything_was_read() {
    assert_state("nothing", &App::default());
    let first = picture("pg_missing_index", 0);
    for (name, key) in [("triage", '1'), ("host", '2'), ("postgres", '3'), ("diagnose", '6')] {
        assert_state(&format!("first_{name}"), &app(&first, &[Key::Char(key)]));
    }
}

/// A source that is there and cannot be read, in that state.
fn with_source(kind: SourceKind, id: &str, state: SourceState, why: &str, way_in: &str) -> Arc<Picture> {
    let mut picture = (*picture("cpu_hog", 28)).clone();
    let source = SourceStatus {
        why: Some(why.into()),
        way_in: Some(way_in.into()).filter(|w: &String| !w.is_empty()),
        ..SourceStatus::new(id, kind, state)
    };
    Arc::make_mut(&mut picture.diagnosis).sources.push(source.clone());
    Arc::make_mut(&mut Arc::make_mut(&mut picture.facts).sources).push(source);
    Arc::new(picture)
}

#[test]
fn what_refuses_or_does_not_answer_says_so_and_the_way_in() {
    let denied = with_source(
        SourceKind::Postgres,
        "postgres:5432",
        SourceState::Denied,
        "FATAL: no pg_hba.conf entry for host \"10.0.0.7\", user \"perftop\"",
        "psql -c 'CREATE ROLE perftop LOGIN; GRANT pg_monitor TO perftop;'",
    );
    assert_state("denied_triage", &app(&denied, &[]));
    assert_state("denied_postgres", &app(&denied, &[Key::Char('3')]));
    let gone = with_source(SourceKind::Redis, "redis:6379", SourceState::Unreachable, "Connection refused (os error 111)", "");
    assert_state("unreachable_redis", &app(&gone, &[Key::Char('4')]));
    let mut blind = (*picture("cpu_hog", 28)).clone();
    Arc::make_mut(&mut blind.facts).host.processes = Err(Lack::new(Why::Denied, "/proc is mounted with hidepid=2"));
    assert_state("denied_host", &app(&Arc::new(blind), &[Key::Char('2')]));
}

#[test]
fn a_filter_that_nothing_holds_says_how_to_leave_it() {
    let keys: Vec<Key> = "2/zebra".chars().map(Key::Char).chain([Key::Enter]).collect();
    assert_state("filtered_host", &app(&picture("cpu_hog", 28), &keys));
    let keys: Vec<Key> = "3/zebra".chars().map(Key::Char).chain([Key::Enter]).collect();
    assert_state("filtered_postgres", &app(&picture("pg_missing_index", 30), &keys));
}
