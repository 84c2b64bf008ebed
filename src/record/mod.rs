//! Samples to disk and back: one file of checked records in zstd frames, readable to the last whole record.
//!
//! The file is a plain run of zstd frames (`zstdcat` reads it). A skippable frame at its head names the format; each
//! segment is one frame, flushed record by record; a skippable frame behind it is its index entry. A record is
//! length, CRC-32, kind and payload (MessagePack with field names, so that other versions can read it).
//! What never lives here: judgement, drawing.

pub mod format;
pub mod journal;
pub mod kept;
pub mod lead;
pub mod reader;
pub mod tame;
pub mod writer;
