//! Writes recordings: segment by segment, each record flushed when it is written. A full disk stops the recording
//! with a message; a `kill -9` loses at most the record under way.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use zstd::stream::write::Encoder;

use crate::model::sample::Sample;

use super::format::{Error, INDEX_SIZE, IndexEntry, LEVEL, Record, Start, write_head};
use super::lead::seal;
use super::reader::{self, Recording};

/// Samples per segment.
pub const SAMPLES: u64 = 60;
/// 256 KiB.
const WINDOW_LOG: u32 = 18;
/// Old segments are dropped when they are at least this share of the file.
const STALE_SHARE: u64 = 8;

/// Where to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file, made or appended to.
    File(PathBuf),
    /// A file that must not be there yet: `-2`, `-3` … is put behind a name that is taken.
    New(PathBuf),
    /// Standard output.
    Stdout,
}

trait Out: Write + Send {
    fn settle(&mut self) -> io::Result<()>;
}

impl Out for File {
    fn settle(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

impl Out for io::Stdout {
    fn settle(&mut self) -> io::Result<()> {
        self.flush()
    }
}

struct Counted {
    out: Box<dyn Out>,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.out.write(buffer)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What a file may weigh at a moment (wall clock, ms), bytes.
pub type MayWeigh = Box<dyn FnMut(i64) -> io::Result<u64> + Send>;

/// An open recording.
pub struct Writer {
    path: String,
    file: Option<PathBuf>,
    every_ms: u64,
    keep_ms: Option<i64>,
    /// Thresholds that are overridden, for the head of each segment.
    pub params: Vec<(String, String, f64)>,
    /// The samples stand for several looks each, and what was said of them was judged by all.
    pub thinned: bool,
    /// Asked before each segment what this file may weigh, bytes; its oldest segments go where it weighs more. An error ends it.
    pub may_weigh: Option<MayWeigh>,
    out: Option<Counted>,
    segment: Option<Segment>,
}

struct Segment {
    encoder: Encoder<'static, Counted>,
    start: u64,
    entry: IndexEntry,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Writer {
    /// Opens the target. An existing recording is continued; one with a torn tail is mended first: its whole
    /// records are kept, the torn one is cut off.
    ///
    /// # Errors
    /// When it is no recording, a newer one, or cannot be written.
    pub fn open(target: &Target, every_ms: u64, keep_ms: Option<i64>) -> Result<Self, Error> {
        let (path, mut file) = match target {
            Target::Stdout => ("standard output".to_owned(), None),
            Target::File(path) | Target::New(path) => (path.display().to_string(), Some(path.clone())),
        };
        let io = |source| Error::Io { path: path.clone(), source };
        let mut out = match &file {
            None => Counted { out: Box::new(io::stdout()), bytes: 0 },
            Some(path) if matches!(target, Target::New(_)) => {
                let (free, out) = open_new(path)?;
                file = Some(free);
                out
            }
            Some(path) => open_file(path)?,
        };
        if out.bytes == 0 {
            write_head(&mut out).map_err(io)?;
            out.flush().map_err(io)?;
        }
        Ok(Self {
            path,
            file,
            every_ms,
            keep_ms,
            params: Vec::new(),
            thinned: false,
            may_weigh: None,
            out: Some(out),
            segment: None,
        })
    }

    /// The file; `None` for standard output.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Puts whole segments before all else, as [`super::lead::lead`] gives them.
    ///
    /// # Errors
    /// What the system said.
    pub fn begin_with(&mut self, sealed: &[u8]) -> Result<(), Error> {
        let Some(out) = self.out.as_mut().filter(|_| self.segment.is_none()) else { return Ok(()) };
        out.write_all(sealed).and_then(|()| out.flush()).map_err(|source| Error::Io { path: self.path.clone(), source })
    }

    /// Writes one tick: the sample, and what was said of it. With the engine's state before the sample a segment
    /// begins, so that a reader can start there; the caller gives it with the first tick and every [`SAMPLES`].
    ///
    /// # Errors
    /// What the system said; the recording should be ended then.
    pub fn write(&mut self, engine: Option<Vec<u8>>, sample: Sample, diagnosis: Vec<u8>) -> Result<(), Error> {
        let now_ms = sample.at.wall_ms;
        self.tick(engine, sample, diagnosis, now_ms).map_err(|source| Error::Io { path: self.path.clone(), source })
    }

    fn tick(&mut self, engine: Option<Vec<u8>>, sample: Sample, diagnosis: Vec<u8>, now_ms: i64) -> io::Result<()> {
        if engine.is_some() || self.segment.is_none() {
            self.seal()?;
            self.drop_old(now_ms)?;
            self.begin(engine.unwrap_or_default(), now_ms)?;
        }
        let Some(segment) = &mut self.segment else { return Err(io::Error::other("no segment")) };
        segment.encoder.write_all(&Record::Sample(Box::new(sample)).encode()?)?;
        segment.encoder.write_all(&Record::Diagnosis(diagnosis).encode()?)?;
        segment.encoder.flush()?;
        segment.entry.last_ms = now_ms;
        segment.entry.samples += 1;
        Ok(())
    }

    fn begin(&mut self, engine: Vec<u8>, now_ms: i64) -> io::Result<()> {
        let Some(out) = self.out.take() else { return Err(io::Error::other("not open")) };
        let start = out.bytes;
        let mut encoder = Encoder::new(out, LEVEL)?;
        encoder.window_log(WINDOW_LOG)?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let first =
            Record::Start(Start { version, every_ms: self.every_ms, params: self.params.clone(), thinned: self.thinned, engine });
        let written = encoder.write_all(&first.encode()?);
        let entry = IndexEntry { segment_len: 0, first_ms: now_ms, last_ms: now_ms, samples: 0 };
        self.segment = Some(Segment { encoder, start, entry });
        written
    }

    fn seal(&mut self) -> io::Result<()> {
        let Some(segment) = self.segment.take() else { return Ok(()) };
        let mut out = segment.encoder.finish()?;
        let entry = IndexEntry { segment_len: out.bytes - segment.start, ..segment.entry };
        out.write_all(&entry.encode())?;
        out.flush()?;
        // Sealed segments survive a power failure; fsync for each sample would cost the disk more than it is worth.
        out.out.settle()?;
        self.out = Some(out);
        Ok(())
    }

    /// Ends the recording in good order.
    ///
    /// # Errors
    /// What the system said.
    pub fn finish(mut self) -> Result<(), Error> {
        self.seal().map_err(|source| Error::Io { path: self.path.clone(), source })
    }

    /// Leaves out segments older than `keep`, and the oldest of a file that weighs too much, by copying the rest to a new file that takes the old one's place.
    fn drop_old(&mut self, now_ms: i64) -> io::Result<()> {
        let (Some(path), Some(keep_ms)) = (&self.file, self.keep_ms) else { return Ok(()) };
        let mut old = File::open(path)?;
        let segments = reader::segments(&mut old)?;
        let len = old.metadata()?.len();
        let most = self.may_weigh.as_mut().map_or(Ok(u64::MAX), |ask| ask(now_ms))?;
        // An eighth below the limit, so that the next segments fit without another copy. The newest segment always stays.
        let over = if len > most { len - most / STALE_SHARE * (STALE_SHARE - 1) } else { 0 };
        let spare = segments.len().saturating_sub(1);
        let stale = |(at, s): &(usize, &(u64, IndexEntry))| s.1.last_ms < now_ms - keep_ms || (s.0 < over && *at < spare);
        let Some((_, last)) = segments.iter().enumerate().take_while(stale).last() else { return Ok(()) };
        let cut = last.0 + last.1.segment_len + INDEX_SIZE;
        if over == 0 && cut < len / STALE_SHARE {
            return Ok(());
        }
        let fresh = path.with_extension("perftop-tmp");
        // Left behind by a perftop that was killed here; a link that someone else put there is not followed.
        _ = std::fs::remove_file(&fresh);
        let mut new = private().create_new(true).open(&fresh)?;
        lock(&new)?;
        write_head(&mut new)?;
        old.seek(SeekFrom::Start(cut))?;
        io::copy(&mut old.take(len.saturating_sub(cut)), &mut new)?;
        new.sync_all()?;
        std::fs::rename(&fresh, path)?;
        let bytes = new.stream_position()?;
        self.out = Some(Counted { out: Box::new(new), bytes });
        Ok(())
    }
}

/// A recording shows who runs what: for its owner only.
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// Two that record into one file would each destroy what the other wrote.
fn lock(file: &File) -> io::Result<()> {
    rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|e| match e {
        rustix::io::Errno::WOULDBLOCK => io::Error::other("another perftop is recording to it; choose another file"),
        e => e.into(),
    })
}

/// A file of our own making: whoever put one there before us may read it.
fn open_new(path: &Path) -> Result<(PathBuf, Counted), Error> {
    const TRIES: u32 = 100;
    let (stem, extension) = (path.file_stem().unwrap_or_default(), path.extension().unwrap_or_default());
    let mut at = path.to_path_buf();
    for number in 2..TRIES {
        match private().create_new(true).open(&at) {
            Ok(file) => {
                lock(&file).map_err(|source| Error::Io { path: at.display().to_string(), source })?;
                return Ok((at, Counted { out: Box::new(file), bytes: 0 }));
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                let mut name = stem.to_owned();
                name.push(format!("-{number}."));
                name.push(extension);
                at = path.with_file_name(name);
            }
            Err(source) => return Err(Error::Io { path: at.display().to_string(), source }),
        }
    }
    Err(Error::Io { path: path.display().to_string(), source: io::ErrorKind::AlreadyExists.into() })
}

fn open_file(path: &Path) -> Result<Counted, Error> {
    let shown = path.display().to_string();
    let io = |source| Error::Io { path: shown.clone(), source };
    let mut file = private().create(true).truncate(false).open(path).map_err(io)?;
    lock(&file).map_err(io)?;
    let len = file.metadata().map_err(io)?.len();
    if len == 0 {
        return Ok(Counted { out: Box::new(file), bytes: 0 });
    }
    // A head alone is whole too: a recording that was ended before its first sample.
    if super::format::read_head(&mut file, &shown)? < len {
        mend(&mut file, path)?;
    }
    let bytes = file.seek(SeekFrom::End(0)).map_err(io)?;
    Ok(Counted { out: Box::new(file), bytes })
}

/// Cuts a torn segment off and writes its whole records again as a sealed one.
fn mend(file: &mut File, path: &Path) -> Result<(), Error> {
    let shown = path.display().to_string();
    let io = |source| Error::Io { path: shown.clone(), source };
    let whole = reader::whole_length(file).map_err(io)?;
    if whole == file.metadata().map_err(io)?.len() {
        return Ok(());
    }
    let records: Vec<Record> = Recording::open_at(path, whole)?.collect();
    file.set_len(whole).map_err(io)?;
    file.seek(SeekFrom::Start(whole)).map_err(io)?;
    file.write_all(&seal(&records).map_err(io)?).map_err(io)?;
    file.sync_all().map_err(io)
}
