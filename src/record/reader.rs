//! Reads recordings: from a file with its index, or from a pipe; to the last whole record whatever follows it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use zstd::stream::read::Decoder;

use super::format::{Error, INDEX_SIZE, IndexEntry, Record, raw, read_head, stamp};

/// Larger windows than any that perftop writes are refused: a hostile frame must not take the memory.
const WINDOW_LOG_MAX: u32 = 23;

/// The records of a recording, in order; ends at the end, at a tear, or at the first damaged record.
pub struct Recording {
    records: Box<dyn Read + Send>,
    /// The file behind it, to look whether the end was the end.
    file: Option<std::path::PathBuf>,
    samples: u64,
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recording")
    }
}

impl Recording {
    /// Opens a file at its beginning.
    ///
    /// # Errors
    /// When it cannot be read, is no recording, or a newer one.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let shown = path.display().to_string();
        let mut file = open(path)?;
        read_head(&mut file, &shown)?;
        let mut recording = Self::decode(BufReader::new(file), &shown)?;
        recording.file = Some(path.to_path_buf());
        Ok(recording)
    }

    /// Opens a file at the segment that begins at `offset` (see [`segments`]).
    ///
    /// # Errors
    /// As [`Recording::open`].
    pub fn open_at(path: &Path, offset: u64) -> Result<Self, Error> {
        let shown = path.display().to_string();
        let mut file = open(path)?;
        read_head(&mut file, &shown)?;
        file.seek(SeekFrom::Start(offset)).map_err(|source| Error::Io { path: shown.clone(), source })?;
        Self::decode(BufReader::new(file), &shown)
    }

    /// Reads from a pipe.
    ///
    /// # Errors
    /// When it is no recording, or a newer one.
    pub fn from_pipe(mut pipe: impl BufRead + Send + 'static) -> Result<Self, Error> {
        read_head(&mut pipe, "standard input")?;
        Self::decode(pipe, "standard input")
    }

    fn decode(from: impl BufRead + Send + 'static, path: &str) -> Result<Self, Error> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let mut decoder = Decoder::with_buffer(from).map_err(io)?;
        decoder.window_log_max(WINDOW_LOG_MAX).map_err(io)?;
        Ok(Self { records: Box::new(decoder), file: None, samples: 0 })
    }
}

impl Recording {
    /// What a file that was read from its beginning to its end holds beyond what could be read: samples, by its own index.
    #[must_use]
    pub fn lost(&self) -> Option<u64> {
        let mut file = File::open(self.file.as_ref()?).ok()?;
        let indexed: u64 = segments(&mut file).ok()?.iter().map(|(_, entry)| entry.samples).fold(0, u64::saturating_add);
        Some(indexed.saturating_sub(self.samples)).filter(|lost| *lost > 0)
    }
}

/// What was said and when, without what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A segment begins, in which looks are so far apart, ms.
    Every(u64),
    /// A look, wall clock ms.
    At(i64),
    /// What was said of it, as JSON.
    Diagnosis(Vec<u8>),
}

impl Recording {
    /// Only what was said and when: a day is told in a fraction of the time that its samples take to read.
    pub fn skim(mut self) -> impl Iterator<Item = Told> {
        std::iter::from_fn(move || self.told())
    }

    /// The next thing that was said.
    pub fn told(&mut self) -> Option<Told> {
        loop {
            let (kind, payload) = raw(&mut self.records)?;
            match kind {
                2 => {
                    self.samples += 1;
                    return stamp(&payload).map(Told::At);
                }
                1 | 3 => match Record::from_payload(kind, payload)? {
                    Record::Start(start) => return Some(Told::Every(start.every_ms)),
                    Record::Diagnosis(json) => return Some(Told::Diagnosis(json)),
                    Record::Sample(_) | Record::Other(_) => {}
                },
                _ => {}
            }
        }
    }
}

impl Iterator for Recording {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let record = Record::decode(&mut self.records)?;
        self.samples += u64::from(matches!(record, Record::Sample(_)));
        Some(record)
    }
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|source| Error::Io { path: path.display().to_string(), source })
}

/// The sealed segments of a file: where each begins, and its index entry; oldest first.
///
/// # Errors
/// What the system said.
pub fn segments(file: &mut File) -> io::Result<Vec<(u64, IndexEntry)>> {
    let mut end = whole_length(file)?;
    let mut found = Vec::new();
    while let Some(entry) = entry_before(file, end)? {
        let back = entry.segment_len.saturating_add(INDEX_SIZE);
        let Some(start) = end.checked_sub(back) else { break };
        found.push((start, entry));
        end = start;
    }
    found.reverse();
    Ok(found)
}

/// Bytes up to the end of the last sealed segment, or of the head: what follows is a segment under way or torn.
///
/// # Errors
/// What the system said.
pub fn whole_length(file: &mut File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    if entry_before(file, len)?.is_some() {
        return Ok(len);
    }
    file.seek(SeekFrom::Start(0))?;
    let head = read_head(file, "recording").unwrap_or(0);
    // The tail has no entry: look back for the last one. A segment is far smaller than this.
    const CHUNK: u64 = 1 << 20;
    let marker = super::format::SKIPPABLE.to_le_bytes();
    let mut end = len;
    while end > head {
        let start = end.saturating_sub(CHUNK).max(head);
        // Frames may lie across chunks.
        let want = (end + INDEX_SIZE).min(len) - start;
        let mut chunk = vec![0; usize::try_from(want).unwrap_or(0)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut chunk)?;
        let entry_at = |at: &usize| IndexEntry::decode(&chunk[*at..]).is_some();
        let starts = chunk.windows(4).enumerate().filter(|(_, w)| *w == marker).map(|(at, _)| at);
        if let Some(at) = starts.filter(entry_at).max() {
            return Ok(start + at as u64 + INDEX_SIZE);
        }
        end = start;
    }
    Ok(head)
}

fn entry_before(file: &mut File, end: u64) -> io::Result<Option<IndexEntry>> {
    let Some(start) = end.checked_sub(INDEX_SIZE) else { return Ok(None) };
    let mut frame = [0; INDEX_SIZE as usize];
    file.seek(SeekFrom::Start(start))?;
    match file.read_exact(&mut frame) {
        Ok(()) => Ok(IndexEntry::decode(&frame)),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    }
}
