//! A recording that someone else sent: the whole file as it comes, and its bytes as the samples inside, with the
//! checksum made right, folded and judged as a replay does.
#![no_main]

use libfuzzer_sys::fuzz_target;
use perftop::detect::params::ParamOverrides;
use perftop::engine::Engine;
use perftop::record::format::{IndexEntry, Record};
use perftop::record::reader::Recording;

fuzz_target!(|bytes: &[u8]| {
    _ = IndexEntry::decode(bytes);
    if let Ok(recording) = Recording::from_pipe(std::io::Cursor::new(bytes.to_vec())) {
        recording.take(64).for_each(drop);
    }
    let mut engine = Engine::new(ParamOverrides::default());
    if let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let (first, second) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        for payload in [first, second] {
            if let Some(Record::Sample(sample)) = Record::from_payload(2, payload.to_vec()) {
                engine.fold(&sample);
            }
        }
    }
    engine.restore(bytes);
    _ = engine.state();
});
