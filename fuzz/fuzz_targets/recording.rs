//! A recording that someone else sent: the whole file as it comes, and its bytes as the samples inside, with the
//! checksum made right, folded and judged as a replay does.
#![no_main]

use libfuzzer_sys::fuzz_target;
use perftop::detect::params::ParamOverrides;
use perftop::engine::{Engine, to_json};
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
                let diagnosis = engine.fold(&sample).evaluation.diagnosis;
                let json = serde_json::from_slice(&to_json(&diagnosis)).expect("a diagnosis is JSON");
                shown(&json);
            }
        }
    }
    engine.restore(bytes);
    _ = engine.state();
});

/// Whatever a recording holds, nothing of it moves a cursor or adds a line to a command.
fn shown(value: &serde_json::Value) {
    match value {
        serde_json::Value::String(text) => assert!(!text.chars().any(char::is_control), "{text:?}"),
        serde_json::Value::Array(list) => list.iter().for_each(shown),
        serde_json::Value::Object(map) => map.values().for_each(shown),
        _ => {}
    }
}
