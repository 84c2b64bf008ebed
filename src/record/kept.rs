//! Sessions that are kept by themselves: what the screen saw in the last day, one recording each, in a directory of its user's own; and
//! links to what `perftop record` wrote. A session that is running holds the lock of its file: nobody else cuts or removes it.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::format::{Error, IndexEntry};
use super::reader::{Recording, Told, segments, whole_length};
use super::writer::{Target, Writer};

/// For how long they are kept, ms.
pub const KEPT_MS: i64 = 86_400_000;
/// All of them together, bytes; a session that grows beyond it loses its oldest part. Beside others that run each may weigh a quarter of it.
pub const MOST_BYTES: u64 = 20 << 20;
/// A session may weigh this at least, whatever others weigh that run beside it.
const LEAST_BYTES: u64 = MOST_BYTES / 4;
/// Nothing is kept on a disk that has less left, bytes.
const LEAST_FREE: u64 = 256 << 20;
/// Longer between two segments nobody looked, ms.
const GAP_MS: i64 = 60_000;
/// Between two samples that are kept, ms.
pub const EVERY_MS: i64 = 5_000;
/// `20261130T021000Z-4242.perftop`: when it began, and the process that saw it. Nothing else in the directory is ours to remove.
const STAMP: &str = "%Y%m%dT%H%M%SZ";
const ENDS: &str = "perftop";

/// A time without a gap that one of them saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its file.
    pub path: PathBuf,
    /// First and last sample, wall clock ms.
    pub span_ms: (i64, i64),
    /// The file saw other times too.
    pub part: bool,
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
    prune(&dir, Some(&own), now_ms);
    writer.may_weigh = Some(Box::new(move |now_ms| {
        room(&dir)?;
        Ok(MOST_BYTES.saturating_sub(prune(&dir, Some(&own), now_ms)).max(LEAST_BYTES))
    }));
    Ok(writer)
}

/// Notes a recording that lies elsewhere, so that it is found by its moments as well.
///
/// # Errors
/// As [`begin`].
pub fn point_at(dir: &Path, recording: &Path, now_ms: i64) -> io::Result<()> {
    make(dir)?;
    prune(dir, None, now_ms);
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
        return Err(io::Error::other(format!("it belongs to user {}, and perftop runs as {me}", there.uid())));
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
/// bytes. What is being written stays, and so does the newest: who comes back after two days wants to see that one. Of a recording that
/// lies elsewhere only the link is ours.
fn prune(dir: &Path, own: Option<&Path>, now_ms: i64) -> u64 {
    leftovers(dir);
    let mut others = files(dir);
    others.retain(|path| Some(path.as_path()) != own);
    let ends = |path: &Path| of(path).last().map(|s| s.span_ms.1);
    let mut known: Vec<(PathBuf, Option<i64>)> = others.into_iter().map(|path| (path.clone(), ends(&path))).collect();
    let newest = known.iter().filter_map(|(path, end)| Some((*end)?).map(|end| (end, path.clone()))).max().map(|(_, path)| path);
    // One without a sample may be a moment old: its writer has not locked it yet.
    let old = |path: &Path, end: Option<i64>| end.map_or_else(|| untouched(path, HOUR), |end| end < now_ms - KEPT_MS);
    known.retain(|(path, end)| {
        let goes = Some(path) != newest.as_ref() && old(path, *end);
        !(goes && remove(path))
    });
    let mut weights: Vec<(PathBuf, u64)> =
        known.into_iter().filter(|(path, _)| !path.is_symlink()).map(|(path, _)| (path.clone(), weighs(&path))).collect();
    let mut sum: u64 = weights.iter().map(|(_, bytes)| bytes).sum();
    let own_bytes = own.map_or(0, weighs);
    weights.retain(|(path, _)| Some(path) != newest.as_ref());
    for (path, bytes) in weights {
        if sum + own_bytes > MOST_BYTES && remove(&path) {
            sum = sum.saturating_sub(bytes);
        }
    }
    sum
}

/// What a perftop left behind that was killed while it dropped its oldest part.
fn leftovers(dir: &Path) {
    let all = std::fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let left = all.filter(|path| path.extension().is_some_and(|e| e == "perftop-tmp") && ours(&path.with_extension(ENDS)));
    left.filter(|path| untouched(path, HOUR)).for_each(|path| _ = remove(&path));
}

const HOUR: Duration = Duration::from_secs(3600);

fn untouched(path: &Path, at_least: Duration) -> bool {
    let changed = std::fs::symlink_metadata(path).and_then(|m| m.modified());
    changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age >= at_least))
}

fn weighs(path: &Path) -> u64 {
    std::fs::symlink_metadata(path).map_or(0, |m| m.len())
}

/// Removes it, unless somebody writes it: then it is locked. A link is nobody's to lock.
fn remove(path: &Path) -> bool {
    if path.is_symlink() {
        return std::fs::remove_file(path).is_ok();
    }
    let Ok(file) = regular(path) else { return false };
    let locked = rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok();
    // Its writer may have put another file in its place meanwhile.
    let same = std::fs::metadata(path).is_ok_and(|there| file.metadata().is_ok_and(|mine| mine.ino() == there.ino()));
    locked && same && std::fs::remove_file(path).is_ok()
}

/// Opens a file that is one: a pipe that somebody put behind a link would never answer.
fn regular(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("no file")) }
}

/// The sessions of a directory that hold anything, the oldest first.
#[must_use]
pub fn sessions(dir: &Path) -> Vec<Session> {
    let mut all: Vec<Session> = files(dir).iter().flat_map(|path| of(path)).collect();
    all.sort_by_key(|s| s.span_ms);
    all
}

/// The times that a file saw, by its index: what was recorded again later, or after the clock was set, is another time. Behind the last
/// whole segment it is read: some minutes' samples at most.
fn of(path: &Path) -> Vec<Session> {
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for (a, b) in runs(path).unwrap_or_default() {
        let (first, last) = (a.min(b), a.max(b));
        match spans.last_mut() {
            Some(span) if (0..=GAP_MS).contains(&first.saturating_sub(span.1)) => span.1 = last,
            _ => spans.push((first, last)),
        }
    }
    let part = spans.len() > 1;
    spans.into_iter().map(|span_ms| Session { path: path.to_path_buf(), span_ms, part }).collect()
}

/// First and last moment of each segment, and of what follows them.
fn runs(path: &Path) -> Option<Vec<(i64, i64)>> {
    let mut file = regular(path).ok()?;
    let sealed: Vec<(u64, IndexEntry)> = segments(&mut file).ok()?;
    let tail = whole_length(&mut file).ok().filter(|end| file.metadata().is_ok_and(|m| m.len() > *end));
    let mut stamps = tail.and_then(|at| Recording::open_at(path, at).ok()).into_iter().flat_map(Recording::skim).filter_map(
        |told| match told {
            Told::At(at_ms) => Some(at_ms),
            Told::Every(_) | Told::Diagnosis(_) => None,
        },
    );
    let first = stamps.next();
    let last = stamps.last().or(first);
    Some(sealed.iter().map(|(_, entry)| (entry.first_ms, entry.last_ms)).chain(first.zip(last)).collect())
}

/// What was said last in a directory of sessions, as JSON, and when; `None` where that is before `since_ms`. Only files that were written to
/// since then are opened, and only this user's or root's: what they say is shown with its fix, and a link may lead anywhere.
#[must_use]
pub fn newest(dir: &Path, since_ms: i64) -> Option<(i64, Vec<u8>)> {
    let me = rustix::process::geteuid().as_raw();
    let written = |path: &PathBuf| {
        let file = std::fs::metadata(path).ok().filter(|m| [me, 0].contains(&m.uid()))?;
        let ms = file.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis();
        (i64::try_from(ms).ok()? >= since_ms).then_some(())
    };
    let fresh = files(dir).into_iter().filter(|path| written(path).is_some());
    fresh.filter_map(|path| last_said(&path)).filter(|(at_ms, _)| *at_ms >= since_ms).max_by_key(|(at_ms, _)| *at_ms)
}

/// The last thing that was said in a recording: behind its last whole segment, or in it.
fn last_said(path: &Path) -> Option<(i64, Vec<u8>)> {
    let mut file = regular(path).ok()?;
    let tail = whole_length(&mut file).ok()?;
    let whole = segments(&mut file).ok()?.last().map(|(at, _)| *at);
    [Some(tail), whole].into_iter().flatten().find_map(|from| {
        let (mut now_ms, mut last) = (0, None);
        for told in Recording::open_at(path, from).ok()?.skim() {
            match told {
                Told::At(at_ms) => now_ms = at_ms,
                Told::Diagnosis(json) => last = Some((now_ms, json)),
                Told::Every(_) => {}
            }
        }
        last
    })
}

/// The session that saw that moment; the newest where two ran at once.
#[must_use]
pub fn saw(all: &[Session], moment_ms: i64) -> Option<&Session> {
    all.iter().rev().find(|s| (s.span_ms.0..=s.span_ms.1.saturating_add(EVERY_MS)).contains(&moment_ms))
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
