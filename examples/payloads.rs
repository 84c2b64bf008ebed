//! Samples of recordings as seeds of the fuzz target `recording`: two of them in a file, the length of the first before them.
//!   cargo run --example payloads -- DIRECTORY FILE…
#![allow(clippy::unwrap_used, reason = "a tool for developers may fail loudly")]

use std::path::Path;

use perftop::record::format::Record;
use perftop::record::reader::Recording;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap();
    for file in arguments {
        let name = Path::new(&file).file_stem().unwrap().to_string_lossy().into_owned();
        let samples = Recording::open(Path::new(&file)).unwrap().filter_map(|record| match record {
            Record::Sample(sample) => Some(rmp_serde::to_vec_named(&*sample).unwrap()),
            _ => None,
        });
        let samples: Vec<Vec<u8>> = samples.collect();
        for (number, pair) in samples.windows(2).enumerate().step_by(10) {
            // The target has two bytes for the length.
            let Ok(length) = u16::try_from(pair[0].len()) else { continue };
            let seed = [&length.to_le_bytes()[..], &pair[0], &pair[1]].concat();
            std::fs::write(Path::new(&directory).join(format!("{name}-{number}")), seed).unwrap();
        }
    }
}
