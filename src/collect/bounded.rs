//! Files that a person names: regular ones of at most a megabyte, read without waiting for anyone. A device never ends, and a
//! FIFO never begins.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// The largest file that is read.
pub const MOST: u64 = 1 << 20;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// What the system said.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The reason.
        source: io::Error,
    },
    /// A directory, a device, a FIFO, a socket.
    #[error("{path} is not a regular file")]
    NotAFile {
        /// The file.
        path: String,
    },
    /// Larger than [`MOST`].
    #[error("{path} is larger than 1 MB, the limit")]
    TooLarge {
        /// The file.
        path: String,
    },
    /// Not text.
    #[error("{path} is not UTF-8 text")]
    NotText {
        /// The file.
        path: String,
    },
    /// A secret that others can read or change.
    #[error("{path} is readable or writable by others (mode {mode:04o}); type: chmod 600 {word}")]
    Open {
        /// The file.
        path: String,
        /// Its permissions.
        mode: u32,
        /// The file as a shell reads it.
        word: String,
    },
}

impl Refused {
    /// The system's reason, if it was that.
    #[must_use]
    pub fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            _ => None,
        }
    }
}

fn shown(path: &Path) -> String {
    crate::model::foreign::Foreign::new(path.as_os_str().as_encoded_bytes()).shown().to_owned()
}

fn open(path: &Path) -> Result<(File, Metadata), Refused> {
    let io = |source| Refused::Io { path: shown(path), source };
    // A FIFO without a writer would hold the opening.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(Refused::NotAFile { path: shown(path) }) }
}

fn contents(path: &Path, file: File) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    let read = file.take(MOST + 1).read_to_end(&mut bytes);
    read.map_err(|source| Refused::Io { path: shown(path), source })?;
    if bytes.len() as u64 > MOST { Err(Refused::TooLarge { path: shown(path) }) } else { Ok(bytes) }
}

/// The bytes of a file.
///
/// # Errors
/// When it is no regular file, too large, or cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, Refused> {
    let (file, _) = open(path)?;
    contents(path, file)
}

/// The text of a file.
///
/// # Errors
/// As [`read`], and when it is not UTF-8.
pub fn text(path: &Path) -> Result<String, Refused> {
    String::from_utf8(read(path)?).map_err(|_| Refused::NotText { path: shown(path) })
}

/// The text of a file that holds a secret: refused, as libpq refuses `.pgpass`, where its group or others have any right to it.
///
/// # Errors
/// As [`text`], and when others can read or change it.
pub fn secret(path: &Path) -> Result<String, Refused> {
    let (file, metadata) = open(path)?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let raw = path.as_os_str().as_encoded_bytes();
        let word = crate::model::shell::Word::quoted(raw).map_or_else(|| "FILE".to_owned(), |word| word.to_string());
        return Err(Refused::Open { path: shown(path), mode, word });
    }
    String::from_utf8(contents(path, file)?).map_err(|_| Refused::NotText { path: shown(path) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_never_ends_or_never_begins_is_refused_at_once() {
        let dir = crate::collect::host::tempdir::Dir::new();
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)
            .unwrap();
        for path in [Path::new("/dev/zero"), Path::new("/dev/stdin"), dir.path(), &fifo] {
            let refused = text(path).unwrap_err();
            assert!(matches!(refused, Refused::NotAFile { .. }) || path.ends_with("stdin"), "{}: {refused}", path.display());
        }
        let large = dir.path().join("large");
        std::fs::write(&large, vec![b'a'; MOST as usize]).unwrap();
        assert_eq!(text(&large).unwrap().len() as u64, MOST);
        std::fs::write(&large, vec![b'a'; MOST as usize + 1]).unwrap();
        assert!(matches!(text(&large), Err(Refused::TooLarge { .. })));
        std::fs::write(&large, [0xff]).unwrap();
        assert!(matches!(text(&large), Err(Refused::NotText { .. })));
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused_with_what_to_type() {
        let dir = crate::collect::host::tempdir::Dir::new();
        let path = dir.path().join("my password");
        std::fs::write(&path, "secret\n").unwrap();
        for (mode, fine) in [(0o600, true), (0o400, true), (0o644, false), (0o602, false), (0o660, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = secret(&path);
            assert_eq!(read.is_ok(), fine, "{mode:o}");
            if let Err(refused) = read {
                assert!(refused.to_string().contains(&format!("chmod 600 '{}'", path.display())), "{refused}");
            }
        }
    }
}
