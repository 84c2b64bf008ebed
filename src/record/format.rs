//! The format: head, records, index entries; their encoding and the errors of reading them.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::model::counter::Stamp;
use crate::model::sample::Sample;

use super::tame;

/// Version of the file format; a higher one is refused politely.
pub const FORMAT: u16 = 1;
/// First four bytes of a zstd skippable frame.
pub const SKIPPABLE: u32 = 0x184D_2A50;
/// Level 3 in a window of 256 KiB: 1.4 MB of memory; higher levels gain little (measured).
pub const LEVEL: i32 = 3;
const HEAD: &[u8; 8] = b"PERFTOP\n";
const INDEX: &[u8; 4] = b"PTIX";
/// No record is longer: a hostile length must not take the memory.
pub const RECORD_CAP: u32 = 64 << 20;
/// Size of an index frame with its own head.
pub const INDEX_SIZE: u64 = 8 + 4 + 8 + 8 + 8 + 8 + 4 + 4;

/// Why a recording cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system said no.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: String,
        /// What it said.
        source: io::Error,
    },
    /// It is something else.
    #[error("{path} is not a perftop recording; `perftop record FILE` makes one")]
    NotOurs {
        /// Which file.
        path: String,
    },
    /// A newer perftop wrote it.
    #[error(
        "{path} has recording format {format}, written by perftop {version}; this perftop reads up to {FORMAT}: use a newer perftop"
    )]
    Newer {
        /// Which file.
        path: String,
        /// Its format.
        format: u16,
        /// The version that wrote it.
        version: String,
    },
    /// The asked time is not in it.
    #[error("{path} covers {first} to {last}; the time that was asked for is outside")]
    Outside {
        /// Which file.
        path: String,
        /// RFC 3339.
        first: String,
        /// RFC 3339.
        last: String,
    },
    /// Nothing whole is in it.
    #[error("{path} has no complete record")]
    Empty {
        /// Which file.
        path: String,
    },
}

/// The first record of each segment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// perftop that wrote it.
    pub version: String,
    /// Milliseconds between two samples.
    pub every_ms: u64,
    /// Thresholds that were overridden: rule, name, value. A replay judges by the same.
    #[serde(default)]
    pub params: Vec<(String, String, f64)>,
    /// Samples stand for several looks each: what was said of them was judged by all, and is not what a replay says.
    #[serde(default)]
    pub thinned: bool,
    /// The engine's state at the start: opaque here.
    #[serde(with = "bytes")]
    pub engine: Vec<u8>,
}

/// A record.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A segment begins.
    Start(Start),
    /// One tick.
    Sample(Box<Sample>),
    /// What was said at that tick, as JSON.
    Diagnosis(Vec<u8>),
    /// A kind that this version does not know.
    Other(u8),
}

mod bytes {
    use serde::{Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(value: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl de::Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, v: &[u8]) -> Result<Vec<u8>, E> {
                Ok(v.to_vec())
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

impl Record {
    /// The record with its length, check sum and kind in front.
    ///
    /// # Errors
    /// When the payload cannot be encoded.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let (kind, payload) = match self {
            Self::Start(start) => (1, rmp_serde::to_vec_named(start).map_err(io::Error::other)?),
            Self::Sample(sample) => (2, rmp_serde::to_vec_named(sample).map_err(io::Error::other)?),
            Self::Diagnosis(json) => (3, json.clone()),
            Self::Other(kind) => (*kind, Vec::new()),
        };
        let len = u32::try_from(payload.len()).map_err(io::Error::other)?;
        let mut out = Vec::with_capacity(payload.len() + 9);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&checksum(kind, &payload).to_le_bytes());
        out.push(kind);
        out.extend_from_slice(&payload);
        Ok(out)
    }

    /// The next whole record; `None` at the end, at a tear, or at the first byte that is not what was written.
    pub fn decode(from: &mut impl Read) -> Option<Self> {
        let (kind, payload) = raw(from)?;
        Self::from_payload(kind, payload)
    }

    /// A record from its kind and what was written under it; `None` where that is not what perftop writes.
    #[must_use]
    pub fn from_payload(kind: u8, payload: Vec<u8>) -> Option<Self> {
        match kind {
            1 => rmp_serde::from_slice(&tame::strings(&payload)?).ok().map(Self::Start),
            2 => rmp_serde::from_slice::<Sample>(&tame::strings(&payload)?).ok().map(|s| Self::Sample(Box::new(s.plausible()))),
            3 => Some(Self::Diagnosis(payload)),
            other => Some(Self::Other(other)),
        }
    }
}

/// Kind and payload of the next whole record.
pub(super) fn raw(from: &mut impl Read) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 9];
    from.read_exact(&mut head).ok()?;
    let word = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let (len, crc, kind) = (word(0)?, word(4)?, head[8]);
    if len > RECORD_CAP {
        return None;
    }
    let mut payload = Vec::new();
    from.take(u64::from(len)).read_to_end(&mut payload).ok()?;
    (payload.len() == len as usize && checksum(kind, &payload) == crc).then_some((kind, payload))
}

/// The moment of a sample, wall clock ms; the rest of it is passed over.
pub(super) fn stamp(payload: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    struct Stamped {
        at: Stamp,
    }
    rmp_serde::from_slice::<Stamped>(payload).ok().map(|s| s.at.wall_ms)
}

fn checksum(kind: u8, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(payload);
    hasher.finalize()
}

/// Writes the head of a file.
///
/// # Errors
/// Those of the writer.
pub fn write_head(to: &mut impl Write) -> io::Result<u64> {
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    let mut payload = HEAD.to_vec();
    payload.extend_from_slice(&FORMAT.to_le_bytes());
    payload.extend_from_slice(version);
    to.write_all(&SKIPPABLE.to_le_bytes())?;
    to.write_all(&u32::try_from(payload.len()).unwrap_or(0).to_le_bytes())?;
    to.write_all(&payload)?;
    Ok(8 + payload.len() as u64)
}

/// Reads the head; gives its length.
///
/// # Errors
/// `NotOurs`, `Newer`, or what the reader said.
pub fn read_head(from: &mut impl Read, path: &str) -> Result<u64, Error> {
    let not_ours = || Error::NotOurs { path: path.to_owned() };
    let io = |e: io::Error| match e.kind() {
        io::ErrorKind::UnexpectedEof => not_ours(),
        _ => Error::Io { path: path.to_owned(), source: e },
    };
    let mut fixed = [0; 18];
    from.read_exact(&mut fixed).map_err(io)?;
    let word = |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    let len = word(4);
    if word(0) != SKIPPABLE || &fixed[8..16] != HEAD || !(10..=256).contains(&len) {
        return Err(not_ours());
    }
    let mut version = vec![0; len as usize - 10];
    from.read_exact(&mut version).map_err(io)?;
    let format = u16::from_le_bytes([fixed[16], fixed[17]]);
    if format > FORMAT {
        let version = crate::model::foreign::Foreign::new(&version).shown().to_owned();
        return Err(Error::Newer { path: path.to_owned(), format, version });
    }
    Ok(8 + u64::from(len))
}

/// The entry behind each segment. Distances, not offsets: a tail that is moved to another file stays right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry {
    /// Bytes from the start of the segment to this entry.
    pub segment_len: u64,
    /// Wall clock of the first and the last sample, ms.
    pub first_ms: i64,
    /// See `first_ms`.
    pub last_ms: i64,
    /// Samples in the segment.
    pub samples: u64,
}

impl IndexEntry {
    /// The entry as a skippable frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = INDEX.to_vec();
        payload.extend_from_slice(&self.segment_len.to_le_bytes());
        payload.extend_from_slice(&self.first_ms.to_le_bytes());
        payload.extend_from_slice(&self.last_ms.to_le_bytes());
        payload.extend_from_slice(&self.samples.to_le_bytes());
        let crc = crc32fast::hash(&payload);
        payload.extend_from_slice(&crc.to_le_bytes());
        payload.extend_from_slice(&[0; 4]);
        let mut out = SKIPPABLE.to_le_bytes().to_vec();
        out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&payload);
        out
    }

    /// Reads a whole index frame, head included.
    #[must_use]
    pub fn decode(frame: &[u8]) -> Option<Self> {
        let payload = frame.get(8..INDEX_SIZE as usize)?;
        let body = payload.strip_prefix(INDEX)?;
        let word = |at: usize| Some(u64::from_le_bytes(body.get(at..at + 8)?.try_into().ok()?));
        let crc = u32::from_le_bytes(body.get(32..36)?.try_into().ok()?);
        if frame.get(..4)? != SKIPPABLE.to_le_bytes() || crc32fast::hash(payload.get(..36)?) != crc {
            return None;
        }
        Some(Self {
            segment_len: word(0)?,
            first_ms: word(8)?.cast_signed(),
            last_ms: word(16)?.cast_signed(),
            samples: word(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_index_entry_has_its_size_and_comes_back() {
        let entry = IndexEntry { segment_len: 77, first_ms: -5, last_ms: 9, samples: 3 };
        assert_eq!(entry.encode().len() as u64, INDEX_SIZE);
        assert_eq!(IndexEntry::decode(&entry.encode()), Some(entry));
    }

    #[test]
    fn a_newer_format_is_refused_politely() {
        let mut head = Vec::new();
        write_head(&mut head).unwrap();
        head[16] = 99;
        let error = read_head(&mut head.as_slice(), "x.perftop").unwrap_err();
        assert!(error.to_string().contains("use a newer perftop"), "{error}");
        assert!(matches!(read_head(&mut &b"hello"[..], "x"), Err(Error::NotOurs { .. })));
    }

    proptest! {
        #[test]
        fn hostile_records_never_panic(bytes: Vec<u8>, flip in 0usize..200, to: u8) {
            _ = Record::decode(&mut bytes.as_slice());
            let mut record = Record::Sample(Box::default()).encode().unwrap();
            let index = flip % record.len();
            let same = record[index] == to;
            record[index] = to;
            let decoded = Record::decode(&mut record.as_slice());
            prop_assert!(same || decoded.is_none() || index < 4);
        }
    }
}
