//! What the kernel prints: the first byte chooses the parser, the rest is the file.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/parsers/table.rs"]
mod table;

fuzz_target!(|bytes: &[u8]| {
    if let Some((first, file)) = bytes.split_first() {
        let (_, parser) = table::PARSERS[usize::from(*first) % table::PARSERS.len()];
        parser(file);
    }
});
