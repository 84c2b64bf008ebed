//! What users have of inotify: descriptors of it, as the scan of all descriptors meets them, and the watches of each.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::collect::root::{Reader, Roots, lines};
use crate::model::host::{Inotify, InotifyUse, ProcId};

/// Where a user may have more watches than this they are not counted: each is a line to read.
const COUNTED: u64 = 65_536;
/// Users that are kept, those with most instances.
const USERS: usize = 4;
/// Instances whose watches are counted.
const INSTANCES: usize = 1_024;

/// The instances met so far.
#[derive(Debug, Default)]
pub struct Instances {
    limits: Option<(u64, u64)>,
    /// By user: whose, and where its watches stand.
    of: BTreeMap<u32, Vec<(ProcId, PathBuf)>>,
}

impl Instances {
    /// With the limits as they are now: `fs.inotify.max_user_instances` and `max_user_watches`.
    pub fn read(reader: &mut Reader, roots: &Roots) -> Self {
        let mut limit = |name: &str| reader.number(&roots.proc.join("sys/fs/inotify").join(name));
        let limits = limit("max_user_instances").zip(limit("max_user_watches"));
        Self { limits, of: BTreeMap::new() }
    }

    /// A descriptor of a process, below its directory.
    pub fn see(&mut self, id: ProcId, dir: &Path, descriptor: &OsStr, target: &Path) {
        if target.as_os_str() != "anon_inode:inotify" {
            return;
        }
        // The owner of the directory is the user, but for programs that may not be traced: then it is root.
        let Ok(uid) = std::fs::metadata(dir).map(|m| m.uid()) else { return };
        self.of.entry(uid).or_default().push((id, dir.join("fdinfo").join(descriptor)));
    }

    /// The users with most instances, and the limits.
    pub fn done(self, reader: &mut Reader) -> Inotify {
        let counted = self.limits.is_some_and(|(_, watches)| watches <= COUNTED);
        let mut all: Vec<InotifyUse> = Vec::new();
        for (uid, instances) in &self.of {
            let watches = counted.then(|| instances.iter().take(INSTANCES).map(|(_, path)| watches(reader, path)).sum());
            let mut by_process: BTreeMap<ProcId, u64> = BTreeMap::new();
            instances.iter().for_each(|(id, _)| *by_process.entry(*id).or_default() += 1);
            let Some((most, _)) = by_process.into_iter().max_by_key(|(id, n)| (*n, std::cmp::Reverse(*id))) else { continue };
            all.push(InotifyUse { uid: *uid, instances: instances.len() as u64, watches, most });
        }
        all.sort_by_key(|u| (std::cmp::Reverse(u.instances), u.uid));
        all.truncate(USERS);
        Inotify { users: all, limits: self.limits }
    }
}

/// Lines that begin with `inotify`: one for each watch.
fn watches(reader: &mut Reader, path: &Path) -> u64 {
    reader.read(path).map_or(0, |text| lines(text).filter(|line| line.starts_with(b"inotify ")).count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_and_watches_are_counted_by_user() {
        let root = std::env::temp_dir().join(format!("perftop-inotify-{}", std::process::id()));
        let dir = root.join("7");
        std::fs::create_dir_all(dir.join("fdinfo")).unwrap();
        std::fs::write(dir.join("fdinfo/3"), "pos:\t0\nflags:\t00\ninotify wd:2 ino:9\ninotify wd:1 ino:8\n").unwrap();
        std::fs::write(dir.join("fdinfo/4"), "pos:\t0\n").unwrap();
        let id = ProcId { pid: 7, start: 1 };
        let with = |limits| {
            let mut inotify = Instances { limits, ..Instances::default() };
            for fd in ["3", "4"] {
                inotify.see(id, &dir, OsStr::new(fd), Path::new("anon_inode:inotify"));
            }
            inotify.see(id, &dir, OsStr::new("5"), Path::new("anon_inode:[eventfd]"));
            let Inotify { users, limits } = inotify.done(&mut Reader::default());
            (users.iter().map(|u| (u.instances, u.watches, u.most)).collect::<Vec<_>>(), limits)
        };
        assert_eq!(with(Some((128, 8192))), (vec![(2, Some(2), id)], Some((128, 8192))));
        assert_eq!(with(Some((128, 1_000_000))), (vec![(2, None, id)], Some((128, 1_000_000))));
        std::fs::remove_dir_all(&root).unwrap();
    }
}
