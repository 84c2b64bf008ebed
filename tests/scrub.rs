//! Takes the names of the machine that made it out of a recording, so that it can be kept in tests/cases: each is replaced by another of the
//! same length in every string, and what is said is said anew.
//!
//! `PERFTOP_SCRUB=from.perftop:to.perftop PERFTOP_NAMES=old=new,old=new cargo test --test scrub -- --ignored`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::path::Path;

use perftop::engine::{Engine, to_json};
use perftop::record::format::Record;
use perftop::record::reader::Recording;
use perftop::record::writer::{SAMPLES, Target, Writer};

/// Bytes in front of what a record holds: its length, its check sum, its kind.
const HEAD: usize = 9;

fn replaced(bytes: &[u8], names: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (old, new) in names {
        assert_eq!(old.len(), new.len(), "a name of the same length");
        let mut at = 0;
        while let Some(found) = bytes[at..].windows(old.len()).position(|w| w == old) {
            bytes[at + found..at + found + old.len()].copy_from_slice(new);
            at += found + old.len();
        }
    }
    bytes
}

fn scrub(from: &Path, to: &Path, names: &[(Vec<u8>, Vec<u8>)]) -> usize {
    let mut engine = Engine::default();
    let mut writer = Writer::open(&Target::New(to.to_path_buf()), 1000, None).unwrap();
    let mut count = 0;
    for record in Recording::open(from).unwrap() {
        let Record::Sample(_) = &record else { continue };
        let bytes = replaced(&record.encode().unwrap()[HEAD..], names);
        let Some(Record::Sample(sample)) = Record::from_payload(2, bytes) else { panic!("a sample stays one") };
        let state = (count as u64).is_multiple_of(SAMPLES).then(|| engine.state());
        let said = to_json(&engine.fold(&sample).evaluation.diagnosis);
        writer.write(state, *sample, said).unwrap();
        count += 1;
    }
    writer.finish().unwrap();
    count
}

#[test]
#[ignore = "a tool: see above"]
fn a_recording_loses_the_names_of_its_machine() {
    let files = std::env::var("PERFTOP_SCRUB").expect("PERFTOP_SCRUB=from:to");
    let (from, to) = files.split_once(':').expect("from:to");
    let names = std::env::var("PERFTOP_NAMES").unwrap_or_default();
    let pairs = names.split(',').filter_map(|pair| pair.split_once('='));
    let names: Vec<_> = pairs.map(|(old, new)| (old.as_bytes().to_vec(), new.as_bytes().to_vec())).collect();
    assert!(scrub(Path::new(from), Path::new(to), &names) > 0);
}

#[test]
fn what_is_replaced_is_gone_and_what_is_said_stays() {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cpu_hog.perftop");
    let dir = std::env::temp_dir().join(format!("perftop-scrub-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let to = dir.join("scrubbed.perftop");
    let count = scrub(&from, &to, &[(b"stress-ng".to_vec(), b"loader-xy".to_vec())]);
    let said = |path: &Path| {
        Recording::open(path)
            .unwrap()
            .filter_map(|r| if let Record::Diagnosis(json) = r { Some(String::from_utf8(json).unwrap()) } else { None })
            .collect::<Vec<_>>()
    };
    let now = said(&to);
    assert_eq!(now.len(), count);
    assert!(now.iter().all(|json| !json.contains("stress-ng")) && now.iter().any(|json| json.contains("loader-xy")));
    std::fs::remove_dir_all(&dir).unwrap();
}
