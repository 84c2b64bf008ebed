//! Every parser on this machine's own files, whole, cut and mutated, and on noise: nothing panics, and what a parser
//! makes of a whole file is something.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use perftop::app::keymap::Key;
use perftop::config::{ThemeFile, load, parse_duration};
use perftop::model::subject::split_finding_key;
use proptest::prelude::*;

#[path = "parsers/table.rs"]
mod table;
use table::{PARSERS, Parser};

fn real() -> Vec<(&'static str, Parser, Vec<u8>)> {
    PARSERS.iter().filter_map(|(path, parser)| Some((*path, *parser, std::fs::read(path).ok()?))).collect()
}

#[test]
fn real_files_are_understood() {
    let files = real();
    assert!(files.len() > 12, "this machine has the files");
    for (path, parser, bytes) in files {
        assert!(parser(&bytes), "{path}: {}", String::from_utf8_lossy(&bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn cut_and_mutated_files_never_panic(cut in 0.0..1.0f64, edits in proptest::collection::vec((0.0..1.0f64, any::<u8>()), 0..8)) {
        for (_, parser, mut bytes) in real() {
            bytes.truncate((bytes.len() as f64 * cut) as usize);
            for (at, to) in &edits {
                let index = (bytes.len() as f64 * at) as usize;
                if let Some(slot) = bytes.get_mut(index) {
                    *slot = *to;
                }
            }
            parser(&bytes);
        }
    }

    #[test]
    fn noise_never_panics(bytes: Vec<u8>, text in "\\PC{0,80}") {
        for (_, parser) in PARSERS {
            parser(&bytes);
            parser(text.as_bytes());
        }
        _ = load(std::path::Path::new("x.toml"), &text);
        _ = ThemeFile::parse("x", &text);
        _ = parse_duration(&text);
        _ = Key::parse(&text);
        _ = split_finding_key(&text);
    }
}
