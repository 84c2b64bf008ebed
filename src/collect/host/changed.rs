//! Files of the system that were changed lately: the package database and what lies below /etc. Only their times are read, never what
//! is in them; on a deadline thread, for they lie on disks that may hang. Who is to blame is not decided here.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::collect::clock;
use crate::model::foreign::Foreign;
use crate::model::host::{ChangedFile, ChangedKind};

/// Databases of package managers: dpkg, rpm, apk, pacman.
const PACKAGES: [&str; 6] = [
    "var/lib/dpkg/status",
    "var/lib/rpm/rpmdb.sqlite",
    "var/lib/rpm/Packages",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "lib/apk/db/installed",
    "var/lib/pacman/local",
];
const CONFIGURATION: &str = "etc";
/// What programs write there by themselves.
const BY_THEMSELVES: [&str; 5] = ["adjtime", "ld.so.cache", "mtab", "resolv.conf", "subscriptions.conf"];
/// What was changed longer ago is no suspect any more.
const LATELY_MS: i64 = 900_000;
/// Directories below /etc, files that are looked at, and those that are kept.
const DEEP: usize = 4;
const MOST: usize = 5_000;
const KEPT: usize = 8;

/// Those below `root`, the root of the file system that the host sees; the newest first.
#[must_use]
pub fn read(root: &Path) -> Vec<ChangedFile> {
    let now_ms = clock::now().wall_ms;
    let lately = |at: i64| (0..LATELY_MS).contains(&(now_ms - at));
    let stamp = |path: &Path| Some(millis(std::fs::symlink_metadata(path).ok()?.modified().ok()?));
    let shown =
        |path: &Path| Foreign::from(Path::new("/").join(path.strip_prefix(root).unwrap_or(path)).to_string_lossy().as_ref());
    let mut all: Vec<ChangedFile> = Vec::new();
    for path in PACKAGES.iter().map(|p| root.join(p)) {
        // One database may have two names.
        if all.is_empty()
            && let Some(at_ms) = stamp(&path).filter(|at| lately(*at))
        {
            all.push(ChangedFile { path: shown(&path), kind: ChangedKind::Packages, at_ms });
        }
    }
    let mut left = MOST;
    walk(&root.join(CONFIGURATION), DEEP, &mut left, &mut |path, at_ms| {
        if lately(at_ms) {
            all.push(ChangedFile { path: shown(path), kind: ChangedKind::Configuration, at_ms });
        }
    });
    all.sort_by(|a, b| b.at_ms.cmp(&a.at_ms).then_with(|| a.path.raw().cmp(b.path.raw())));
    all.truncate(KEPT);
    all
}

fn walk(dir: &Path, deep: usize, left: &mut usize, see: &mut impl FnMut(&Path, i64)) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut below: Vec<PathBuf> = Vec::new();
    for entry in entries.flatten() {
        if *left == 0 {
            return;
        }
        *left -= 1;
        // A link is neither followed nor counted: where it leads to, something else may write.
        let (Ok(kind), path) = (entry.file_type(), entry.path()) else { continue };
        if kind.is_dir() && deep > 1 && !by_itself(&entry.file_name().to_string_lossy()) {
            below.push(path);
        } else if kind.is_file()
            && !by_itself(&entry.file_name().to_string_lossy())
            && let Some(at) = std::fs::symlink_metadata(&path).ok().and_then(|m| m.modified().ok())
        {
            see(&path, millis(at));
        }
    }
    below.iter().for_each(|dir| walk(dir, deep - 1, left, see));
}

/// Written by a program, or by an editor for itself.
fn by_itself(name: &str) -> bool {
    BY_THEMSELVES.contains(&name)
        || name.starts_with('.')
        || name.ends_with('~')
        || name.ends_with('-')
        || Path::new(name).extension().is_some_and(|e| ["lock", "log", "data", "key", "pid"].iter().any(|by| e == *by))
}

fn millis(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_lately_is_found_and_the_rest_is_not() {
        let root = std::env::temp_dir().join(format!("perftop-changed-{}", std::process::id()));
        let write = |path: &str, age_s: u64| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "secret").unwrap();
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(UNIX_EPOCH + std::time::Duration::from_millis(clock::now().wall_ms.unsigned_abs() - age_s * 1000))
                .unwrap();
        };
        write("var/lib/dpkg/status", 60);
        write("etc/web/sites/a.conf", 30);
        write("etc/web/sites/.a.conf.swp", 10);
        write("etc/.git/objects/ab/cdef", 10);
        write("etc/vpn/status.log", 10);
        write("etc/old.conf", 10_000);
        write("etc/resolv.conf", 5);
        std::os::unix::fs::symlink("/proc/self/status", root.join("etc/link")).unwrap();
        let found: Vec<(String, ChangedKind)> = read(&root).into_iter().map(|f| (f.path.shown().to_owned(), f.kind)).collect();
        std::fs::remove_dir_all(&root).unwrap();
        let expected = [
            ("/etc/web/sites/a.conf".to_owned(), ChangedKind::Configuration),
            ("/var/lib/dpkg/status".to_owned(), ChangedKind::Packages),
        ];
        assert_eq!(found, expected);
    }
}
