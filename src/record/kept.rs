//! Sessions that are kept by themselves: what the screen saw in the last day, one recording each, in a directory of its user's own; and
//! links to what `perftop record` wrote. A session that is running holds the lock of its file: nobody else cuts or removes it.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::format::{Error, IndexEntry, Record};
use super::reader::{Recording, segments, whole_length};
use super::writer::{Target, Writer};

/// For how long they are kept, ms.
pub const KEPT_MS: i64 = 86_400_000;
/// All of them together, bytes; a session that grows beyond it loses its oldest part.
pub const MOST_BYTES: u64 = 20 << 20;
/// A session may weigh this at least, whatever others weigh that run beside it.
const LEAST_BYTES: u64 = MOST_BYTES / 4;
/// Nothing is kept on a disk that has less left, bytes.
const LEAST_FREE: u64 = 256 << 20;
/// Between two samples that are kept, ms.
pub const EVERY_MS: i64 = 5_000;
/// `20261130T021000Z-4242.perftop`: when it began, and the process that saw it. Nothing else in the directory is ours to remove.
const STAMP: &str = "%Y%m%dT%H%M%SZ";
const ENDS: &str = "perftop";

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its file.
    pub path: PathBuf,
    /// First and last sample, wall clock ms.
    pub span_ms: (i64, i64),
}

/// Begins one: makes the directory, drops what is too old or too much, and opens a file that nobody else has.
///
/// # Errors
/// What the system said; a directory that would be made in another user's home.
pub fn begin(dir: &Path, now_ms: i64) -> Result<Writer, Error> {
    let io = |source| Error::Io { path: dir.display().to_string(), source };
    make(dir).and_then(|()| room(dir)).map_err(io)?;
    let mut writer = Writer::open(&Target::New(dir.join(name(now_ms))), EVERY_MS.unsigned_abs(), Some(KEPT_MS))?;
    writer.thinned = true;
    let (dir, own) = (dir.to_path_buf(), writer.file().map(Path::to_path_buf).unwrap_or_default());
    prune(&dir, &own, now_ms);
    writer.may_weigh = Some(Box::new(move |now_ms| MOST_BYTES.saturating_sub(prune(&dir, &own, now_ms)).max(LEAST_BYTES)));
    Ok(writer)
}

/// Notes a recording that lies elsewhere, so that it is found by its moments as well.
///
/// # Errors
/// As [`begin`].
pub fn point_at(dir: &Path, recording: &Path, now_ms: i64) -> io::Result<()> {
    make(dir)?;
    let whole = std::fs::canonicalize(recording)?;
    let known = files(dir).into_iter().any(|path| std::fs::read_link(path).is_ok_and(|to| to == whole));
    if known { Ok(()) } else { std::os::unix::fs::symlink(whole, dir.join(name(now_ms))) }
}

fn name(now_ms: i64) -> String {
    let stamp = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default().strftime(STAMP).to_string();
    format!("{stamp}-{}.{ENDS}", std::process::id())
}

/// A name of our making, also with the `-2` of one that was taken.
fn ours(path: &Path) -> bool {
    let Some(stem) = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(ENDS)?.strip_suffix('.')) else {
        return false;
    };
    let mut parts = stem.split('-');
    let stamp = parts.next().is_some_and(|s| jiff::civil::DateTime::strptime(STAMP, s).is_ok());
    let numbers: Vec<bool> = parts.map(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit())).collect();
    stamp && (1..=2).contains(&numbers.len()) && !numbers.contains(&false)
}

/// The directory, for its owner only. Another user's home is left alone: with `sudo` HOME may be that of whoever called it.
pub(super) fn make(dir: &Path) -> io::Result<()> {
    let there = dir.ancestors().find_map(|d| std::fs::metadata(d).ok()).ok_or(io::ErrorKind::NotFound)?;
    let me = rustix::process::geteuid().as_raw();
    if there.uid() != me {
        return Err(io::Error::other(format!("it is in the home of user {}, and perftop runs as {me}", there.uid())));
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// A disk that is nearly full is not filled by who came to help.
fn room(dir: &Path) -> io::Result<()> {
    let system = rustix::fs::statvfs(dir)?;
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    if free < LEAST_FREE {
        return Err(io::Error::other(format!("its disk has less than {} MiB left", LEAST_FREE >> 20)));
    }
    Ok(())
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> = all.filter(|path| ours(path)).collect();
    // Their names begin with when they began.
    files.sort();
    files
}

/// Removes what ended more than a day ago, and the oldest while all are too large together; what is left beside `own` weighs so many
/// bytes. What is being written stays, and so does the newest: who comes back after two days wants to see that one.
fn prune(dir: &Path, own: &Path, now_ms: i64) -> u64 {
    let size = |path: &Path| std::fs::symlink_metadata(path).map_or(0, |m| m.len());
    let mut others = files(dir);
    others.retain(|path| path != own);
    let newest = others.iter().rfind(|path| session(path).is_some()).cloned();
    let spare = |path: &PathBuf| Some(path) != newest.as_ref() && free(path);
    let old = |path: &PathBuf| session(path).is_none_or(|s| s.span_ms.1 < now_ms - KEPT_MS);
    others.retain(|path| !(old(path) && spare(path) && std::fs::remove_file(path).is_ok()));
    let mut sum: u64 = others.iter().map(|path| size(path)).sum();
    let own_bytes = size(own);
    for path in &others {
        let bytes = size(path);
        if sum + own_bytes > MOST_BYTES && spare(path) && std::fs::remove_file(path).is_ok() {
            sum = sum.saturating_sub(bytes);
        }
    }
    sum
}

/// Nobody writes it. A link to a recording that is gone is nobody's.
fn free(path: &Path) -> bool {
    let lock = |file: &File| rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive);
    match File::open(path) {
        Ok(file) => lock(&file).is_ok(),
        Err(e) => e.kind() == io::ErrorKind::NotFound,
    }
}

/// The sessions of a directory that hold anything, the oldest first.
#[must_use]
pub fn sessions(dir: &Path) -> Vec<Session> {
    let mut all: Vec<Session> = files(dir).iter().filter_map(|path| session(path)).collect();
    all.sort_by_key(|s| s.span_ms);
    all
}

/// By its index; what was written behind the last whole segment is read: some minutes' samples at most.
fn session(path: &Path) -> Option<Session> {
    let mut file = File::open(path).ok()?;
    let sealed: Vec<(u64, IndexEntry)> = segments(&mut file).ok()?;
    let (first, last) = sealed.first().zip(sealed.last()).map(|((_, a), (_, b))| (a.first_ms, b.last_ms)).unzip();
    let tail = whole_length(&mut file).ok().filter(|end| file.metadata().is_ok_and(|m| m.len() > *end));
    let stamps = tail.and_then(|at| Recording::open_at(path, at).ok()).into_iter().flatten().filter_map(|record| match record {
        Record::Sample(sample) => Some(sample.at.wall_ms),
        _ => None,
    });
    let stamps: Vec<i64> = stamps.collect();
    let first = first.or(stamps.first().copied())?;
    let last = stamps.last().copied().or(last)?;
    Some(Session { path: path.to_path_buf(), span_ms: (first, last) })
}

/// The session that saw that moment; the newest where two ran at once.
#[must_use]
pub fn saw(all: &[Session], moment_ms: i64) -> Option<&Session> {
    all.iter().rev().find(|s| (s.span_ms.0..=s.span_ms.1 + EVERY_MS).contains(&moment_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_making_are_ours() {
        let is = |name: &str| ours(&Path::new("/state").join(name));
        assert!(is("20261130T021000Z-4242.perftop") && is("20261130T021000Z-4242-2.perftop"));
        for foreign in
            ["night.perftop", "20261130T021000Z.perftop", "20261130T021000Z-x.perftop", "20261130-4242.perftop", "a-1.perftop"]
        {
            assert!(!is(foreign), "{foreign}");
        }
        assert!(ours(Path::new(&name(1_764_000_000_000))));
    }
}
