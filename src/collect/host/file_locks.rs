//! Who waits for a file lock: `/proc/locks`, and the file's path by the holder's descriptors. A thread that waits for one sleeps
//! interruptibly, so that nothing else shows it.

use std::collections::BTreeMap;

use crate::collect::root::{Reader, Roots, fields, lines};
use crate::model::foreign::Foreign;
use crate::model::host::FileLockRaw;
use crate::model::seen::Seen;

use super::process::list;

/// Files that are kept, those with most waiters.
const MOST: usize = 8;
/// Threads that wait for one.
const WAITERS: usize = 256;
/// Descriptors that are looked through for paths in one sweep.
const DESCRIPTORS: usize = 512;
/// Paths that are remembered.
const PATHS: usize = 64;

/// The probe, and the paths that it found.
#[derive(Debug, Default)]
pub struct FileLocks {
    paths: BTreeMap<(i32, String), Foreign>,
}

impl FileLocks {
    /// The locks that someone waits for.
    ///
    /// # Errors
    /// Why they are not known.
    pub fn read(&mut self, reader: &mut Reader, roots: &Roots) -> Seen<Vec<FileLockRaw>> {
        let mut locks = reader.parse_again(&roots.proc.join("locks"), |text| Some(parse(text)))?;
        if locks.is_empty() {
            self.paths.clear();
            return Ok(locks);
        }
        locks.sort_by(|a, b| b.waiters.len().cmp(&a.waiters.len()).then(a.file.cmp(&b.file)).then(a.holder.cmp(&b.holder)));
        locks.truncate(MOST);
        if self.paths.len() > PATHS {
            self.paths.clear();
        }
        let mut left = DESCRIPTORS;
        for lock in &mut locks {
            let key = (lock.holder, lock.file.clone());
            // One that was let go between the two readings is looked for again.
            let found = self.paths.get(&key).cloned().or_else(|| path(reader, roots, lock.holder, &lock.file, &mut left));
            self.paths.extend(found.clone().map(|path| (key, path)));
            lock.path = found;
        }
        Ok(locks)
    }
}

/// The file's path, by the descriptor of its holder that has the lock.
fn path(reader: &mut Reader, roots: &Roots, holder: i32, file: &str, left: &mut usize) -> Option<Foreign> {
    if holder < 1 {
        return None;
    }
    let dir = roots.proc.join(holder.to_string());
    let of = |line: &[u8]| line.starts_with(b"lock:") && fields(line).any(|f| f == file.as_bytes());
    let all = list(&dir.join("fdinfo")).unwrap_or_default();
    let most = std::mem::replace(left, left.saturating_sub(all.len()));
    let fd = all
        .into_iter()
        .take(most)
        .find(|fd| reader.read(&dir.join("fdinfo").join(fd.to_string())).is_ok_and(|text| lines(text).any(of)))?;
    let target = std::fs::read_link(dir.join("fd").join(fd.to_string())).ok()?;
    Some(Foreign::new(std::os::unix::ffi::OsStrExt::as_bytes(target.as_os_str())))
}

/// Those that are waited for. A line with an arrow waits for the one above it that has none:
/// `4: POSIX  ADVISORY  WRITE 708 08:01:131 0 EOF`, then `4: -> POSIX  ADVISORY  WRITE 709 08:01:131 0 EOF`.
fn parse(text: &[u8]) -> Vec<FileLockRaw> {
    let mut all: Vec<FileLockRaw> = Vec::new();
    for line in lines(text) {
        let mut words = fields(line).skip(1).peekable();
        let waits = words.next_if(|w| *w == b"->").is_some();
        let word = |w: Option<&[u8]>| w.map(|w| String::from_utf8_lossy(w).into_owned());
        let Some(kind) = word(words.next()) else { continue };
        let Some(pid) = word(words.nth(2)).and_then(|pid| pid.parse::<i32>().ok()) else { continue };
        if !waits {
            let Some(file) = word(words.next()) else { continue };
            if all.last().is_some_and(|lock| lock.waiters.is_empty()) {
                all.pop();
            }
            all.push(FileLockRaw { file, kind, holder: pid, path: None, waiters: Vec::new() });
        } else if let Some(lock) = all.last_mut().filter(|lock| lock.waiters.len() < WAITERS && pid > 0) {
            lock.waiters.push(pid);
        }
    }
    all.retain(|lock| !lock.waiters.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEEN: &[u8] = b"1: FLOCK  ADVISORY  WRITE 708 08:01:131 0 EOF\n\
        1: -> FLOCK  ADVISORY  WRITE 709 08:01:131 0 EOF\n\
        1:  -> FLOCK  ADVISORY  READ  710 08:01:131 0 EOF\n\
        2: POSIX  ADVISORY  READ  500 fd:00:77 128 128\n\
        3: LEASE  ACTIVE    READ  501 00:2a:12 0 EOF\n\
        4: OFDLCK ADVISORY  WRITE -1 08:01:9 0 EOF\n\
        4: -> OFDLCK ADVISORY  WRITE -1 08:01:9 0 EOF\n\
        5: POSIX  ADVISORY  WRITE 44 08:01:8 0 EOF\n\
        5: -> POSIX  ADVISORY  WRITE 45 08:01:8 0 EOF\n";

    #[test]
    fn who_waits_for_whom_is_told_by_the_arrows() {
        let said: Vec<(String, i32, Vec<i32>)> = parse(SEEN).into_iter().map(|l| (l.file, l.holder, l.waiters)).collect();
        assert_eq!(said, [("08:01:131".to_owned(), 708, vec![709, 710]), ("08:01:8".to_owned(), 44, vec![45])]);
        assert!(parse(b"").is_empty() && parse(b"1: ->\n2: FLOCK ADVISORY\n3: FLOCK A W x y\n").is_empty());
    }

    #[test]
    fn the_path_is_that_of_the_holders_descriptor() {
        let root = std::env::temp_dir().join(format!("perftop-file-locks-{}", std::process::id()));
        let holder = root.join("708");
        for dir in ["fd", "fdinfo"] {
            std::fs::create_dir_all(holder.join(dir)).unwrap();
        }
        std::fs::write(root.join("locks"), SEEN).unwrap();
        std::fs::write(holder.join("fdinfo/3"), "pos:\t0\nflags:\t0100001\n").unwrap();
        std::fs::write(holder.join("fdinfo/7"), "pos:\t0\nlock:\t1: FLOCK  ADVISORY  WRITE 708 08:01:131 0 EOF\n").unwrap();
        std::os::unix::fs::symlink("/var/lib/app/one.lock", holder.join("fd/7")).unwrap();
        let roots = Roots { proc: root.clone(), ..Roots::default() };
        let locks = FileLocks::default().read(&mut Reader::default(), &roots).unwrap();
        let paths: Vec<Option<&str>> = locks.iter().map(|l| l.path.as_ref().map(Foreign::shown)).collect();
        assert_eq!(paths, [Some("/var/lib/app/one.lock"), None]);
        std::fs::remove_file(root.join("locks")).unwrap();
        assert!(FileLocks::default().read(&mut Reader::default(), &roots).is_err(), "not read is not none");
        std::fs::remove_dir_all(root).unwrap();
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[0-9: \\->A-Z\n]{0,300}") {
            prop_assert!(parse(text.as_bytes()).iter().all(|l| !l.waiters.is_empty()));
        }
    }
}
