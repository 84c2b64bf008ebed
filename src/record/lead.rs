//! What led up to an incident: the last minutes of a session that is being kept, for the head of a recording that begins now.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use zstd::stream::write::Encoder;

use super::format::{Error, IndexEntry, LEVEL, Record};
use super::reader::{Recording, segments, whole_length};

/// So much of it at least, where there is as much, ms.
pub const LEAD_MS: i64 = 600_000;

/// Whole segments of a recording from the one that holds so much before `now_ms` on; what is being written beside it is sealed up to then:
/// what comes later is the new recording's own.
///
/// # Errors
/// When it cannot be read.
pub fn lead(kept: &Path, now_ms: i64) -> Result<Vec<u8>, Error> {
    let io = |source| Error::Io { path: kept.display().to_string(), source };
    let mut file = File::open(kept).map_err(io)?;
    let end = whole_length(&mut file).map_err(io)?;
    let sealed = segments(&mut file).map_err(io)?;
    let mut out = Vec::new();
    if let Some((from, _)) = sealed.iter().find(|(_, entry)| entry.last_ms >= now_ms - LEAD_MS) {
        file.seek(SeekFrom::Start(*from)).map_err(io)?;
        (&mut file).take(end - from).read_to_end(&mut out).map_err(io)?;
    }
    let before = |record: &Record| !matches!(record, Record::Sample(sample) if sample.at.wall_ms > now_ms);
    let records: Vec<Record> = Recording::open_at(kept, end)?.take_while(before).collect();
    out.extend(seal(&records).map_err(io)?);
    Ok(out)
}

/// Records as a sealed segment with its index entry; nothing where there is no sample.
pub(super) fn seal(records: &[Record]) -> std::io::Result<Vec<u8>> {
    let stamps = records.iter().filter_map(|r| match r {
        Record::Sample(sample) => Some(sample.at.wall_ms),
        _ => None,
    });
    let stamps: Vec<i64> = stamps.collect();
    let (Some(first_ms), Some(last_ms)) = (stamps.first().copied(), stamps.last().copied()) else { return Ok(Vec::new()) };
    let mut encoder = Encoder::new(Vec::new(), LEVEL)?;
    for record in records {
        std::io::Write::write_all(&mut encoder, &record.encode()?)?;
    }
    let mut out = encoder.finish()?;
    let entry = IndexEntry { segment_len: out.len() as u64, first_ms, last_ms, samples: stamps.len() as u64 };
    out.extend(entry.encode());
    Ok(out)
}
