//! The injectable root of /proc and /sys, and reading of small files with a cap and a reason for each failure.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::model::seen::{Lack, Seen, Why};

/// No file of the kernel that perftop reads is larger; what is larger is cut.
pub const FILE_CAP: u64 = 8 << 20;

/// Where `/proc` and `/sys` are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// `/proc`, or a foreign or recorded tree.
    pub proc: PathBuf,
    /// `/sys`, likewise.
    pub sys: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { proc: "/proc".into(), sys: "/sys".into() }
    }
}

impl Roots {
    /// True for this machine's own `/proc`.
    #[must_use]
    pub fn own_proc(&self) -> bool {
        self.proc == Path::new("/proc")
    }

    /// The network files: a foreign `/proc` shows our own namespace under `net`, the host's under `1/net`.
    #[must_use]
    pub fn net(&self, file: &str) -> PathBuf {
        if self.own_proc() {
            return self.proc.join("net").join(file);
        }
        let of_init = self.proc.join("1/net").join(file);
        if of_init.exists() { of_init } else { self.proc.join("net").join(file) }
    }

    /// The root of the file system that the host sees.
    #[must_use]
    pub fn system(&self) -> PathBuf {
        if self.own_proc() { PathBuf::from("/") } else { self.proc.join("1/root") }
    }

    /// A path of the system as it looks from here: `/sys/…` and `/proc/…` are moved below the roots.
    #[must_use]
    pub fn moved(&self, path: &Path) -> PathBuf {
        if let Ok(rest) = path.strip_prefix("/sys") {
            return self.sys.join(rest);
        }
        match path.strip_prefix("/proc") {
            Ok(rest) => self.proc.join(rest),
            Err(_) => path.to_path_buf(),
        }
    }
}

/// Descriptors that a reader keeps; an open costs more than the read of most files of /proc (6 µs against 1 to 9).
const KEPT: usize = 64;

/// A reusable buffer for small files.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: Vec<u8>,
    kept: HashMap<PathBuf, File>,
}

impl Reader {
    /// The content of `path`, at most [`FILE_CAP`] bytes.
    ///
    /// # Errors
    /// Says whether it is absent, denied, switched off, or broken.
    pub fn read(&mut self, path: &Path) -> Seen<&[u8]> {
        self.buffer.clear();
        let result = std::fs::File::open(path).and_then(|f| f.take(FILE_CAP).read_to_end(&mut self.buffer));
        match result {
            Ok(_) => Ok(&self.buffer),
            Err(error) => Err(lack(path, &error)),
        }
    }

    /// As [`Reader::read`], for a file that is read at every turn: it stays open.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn read_again(&mut self, path: &Path) -> Seen<&[u8]> {
        if !self.kept.contains_key(path) {
            if self.kept.len() >= KEPT {
                return self.read(path);
            }
            let file = File::open(path).map_err(|e| lack(path, &e))?;
            self.kept.insert(path.to_path_buf(), file);
        }
        let Some(file) = self.kept.get(path) else { return Err(lack(path, &io::ErrorKind::NotFound.into())) };
        match whole(file, &mut self.buffer) {
            Ok(()) => Ok(&self.buffer),
            Err(error) => {
                // What it belonged to is gone; the next turn opens what has its name then.
                self.kept.remove(path);
                Err(lack(path, &error))
            }
        }
    }

    /// As [`Reader::parse`], for a file that is read at every turn.
    ///
    /// # Errors
    /// As [`Reader::parse`].
    pub fn parse_again<T>(&mut self, path: &Path, parse: impl FnOnce(&[u8]) -> Option<T>) -> Seen<T> {
        let bytes = self.read_again(path)?;
        parse(bytes).ok_or_else(|| Lack::new(Why::Garbage, shown(path)))
    }

    /// Reads and parses; a parser that finds nothing makes it garbage.
    ///
    /// # Errors
    /// As [`Reader::read`], or garbage.
    pub fn parse<T>(&mut self, path: &Path, parse: impl FnOnce(&[u8]) -> Option<T>) -> Seen<T> {
        let bytes = self.read(path)?;
        parse(bytes).ok_or_else(|| Lack::new(Why::Garbage, shown(path)))
    }

    /// A file that holds one number, `None` when it does not.
    pub fn number(&mut self, path: &Path) -> Option<u64> {
        std::str::from_utf8(self.read(path).ok()?).ok()?.trim().parse().ok()
    }
}

/// The whole file from its start; files of /proc are made anew by a read at 0.
fn whole(file: &File, buffer: &mut Vec<u8>) -> io::Result<()> {
    const STEP: usize = 16 << 10;
    buffer.clear();
    loop {
        let filled = buffer.len();
        buffer.resize(filled + STEP, 0);
        match file.read_at(&mut buffer[filled..], filled as u64) {
            Ok(0) => {
                buffer.truncate(filled);
                return Ok(());
            }
            Ok(n) => buffer.truncate(filled + n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => buffer.truncate(filled),
            Err(e) => return Err(e),
        }
        if buffer.len() as u64 >= FILE_CAP {
            return Ok(());
        }
    }
}

/// A path for messages: its bytes come from outside.
fn shown(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    crate::model::foreign::Foreign::new(path.as_os_str().as_bytes()).shown().to_owned()
}

/// Turns an IO error into a reason.
#[must_use]
pub fn lack(path: &Path, error: &io::Error) -> Lack {
    let why = match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::OPNOTSUPP) => Why::Unsupported,
        Some(rustix::io::Errno::SRCH) => Why::Absent,
        _ => match error.kind() {
            io::ErrorKind::NotFound => Why::Absent,
            io::ErrorKind::PermissionDenied => Why::Denied,
            io::ErrorKind::TimedOut => Why::TimedOut,
            _ => Why::Garbage,
        },
    };
    Lack::new(why, format!("{}: {}", shown(path), error.kind()))
}

/// Fields of a line, separated by white space.
pub fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|f| !f.is_empty())
}

/// A decimal number without sign.
#[must_use]
pub fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Lines without their ends, empty ones left out.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| *b == b'\n').filter(|l| !l.is_empty())
}
