//! What the operator writes: configuration, themes, keys, durations, finding keys.
#![no_main]

use libfuzzer_sys::fuzz_target;
use perftop::app::keymap::Key;
use perftop::config::{ThemeFile, load, parse_duration};
use perftop::model::subject::split_finding_key;

fuzz_target!(|text: &str| {
    _ = load(std::path::Path::new("x.toml"), text);
    _ = ThemeFile::parse("x", text);
    _ = Key::parse(text);
    _ = parse_duration(text);
    _ = split_finding_key(text);
});
