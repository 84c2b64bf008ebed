//! What users have of inotify: descriptors of it, as the scan of all descriptors meets them, and now and then the watches of each.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::collect::root::{Reader, Roots, lines};
use crate::model::host::{Inotify, InotifyUse, ProcId};

/// Where a user may have more watches than this they are not counted: each is a line to read.
const COUNTED: u64 = 65_536;
/// Users that are kept, those with most instances.
const USERS: usize = 4;
/// Instances of a user whose watches are counted.
const INSTANCES: usize = 256;
/// Scans between two counts of watches.
const WATCHES_EVERY: u32 = 12;

/// A descriptor of inotify.
#[derive(Debug)]
struct Instance {
    id: ProcId,
    ppid: i32,
    descriptor: OsString,
    info: PathBuf,
}

/// The instances met in one scan.
#[derive(Debug, Default)]
pub(super) struct Instances {
    limits: Option<(u64, u64)>,
    of: BTreeMap<u32, Vec<Instance>>,
}

/// What is kept from scan to scan: the watches of each user, and who has most of them.
#[derive(Debug, Default)]
pub struct Watches {
    scans: u32,
    of: BTreeMap<u32, (u64, ProcId)>,
}

impl Instances {
    /// With the limits as they are now: `fs.inotify.max_user_instances` and `max_user_watches`.
    pub(super) fn read(reader: &mut Reader, roots: &Roots) -> Self {
        let mut limit = |name: &str| reader.number(&roots.proc.join("sys/fs/inotify").join(name));
        let limits = limit("max_user_instances").zip(limit("max_user_watches"));
        Self { limits, of: BTreeMap::new() }
    }

    /// A descriptor of a process, below its directory.
    pub(super) fn see(&mut self, (id, ppid): (ProcId, i32), dir: &Path, descriptor: OsString, target: &Path) {
        if target.as_os_str() != "anon_inode:inotify" {
            return;
        }
        // The owner of the directory is the user, but for programs that may not be traced: then it is root.
        let Ok(uid) = std::fs::metadata(dir).map(|m| m.uid()) else { return };
        let info = dir.join("fdinfo").join(&descriptor);
        self.of.entry(uid).or_default().push(Instance { id, ppid, descriptor, info });
    }

    /// The users with most instances, and the limits.
    pub(super) fn done(mut self, reader: &mut Reader, kept: &mut Watches) -> Inotify {
        self.of.values_mut().for_each(own);
        let mut users: Vec<(u32, Vec<Instance>)> = self.of.into_iter().collect();
        users.sort_by_key(|(uid, all)| (std::cmp::Reverse(all.len()), *uid));
        users.truncate(USERS);
        if kept.scans.is_multiple_of(WATCHES_EVERY) {
            let counted = self.limits.is_some_and(|(_, watches)| watches <= COUNTED);
            kept.of =
                users.iter().filter(|_| counted).filter_map(|(uid, all)| Some((*uid, most_watches(reader, all)?))).collect();
        }
        kept.scans = kept.scans.wrapping_add(1);
        let one = |(uid, all): &(u32, Vec<Instance>)| {
            let (most, _) = most(all.iter().map(|i| (i.id, 1)))?;
            let watches = kept.of.get(uid).copied();
            Some(InotifyUse {
                uid: *uid,
                instances: all.len() as u64,
                watches: watches.map(|(n, _)| n),
                most,
                most_watches: watches.map(|(_, id)| id),
            })
        };
        Inotify { users: users.iter().filter_map(one).collect(), limits: self.limits }
    }
}

/// Leaves out what was inherited: a child has the descriptors that its parent had, and the kernel counts one.
fn own(all: &mut Vec<Instance>) {
    let has: HashSet<(i32, OsString)> = all.iter().map(|i| (i.id.pid, i.descriptor.clone())).collect();
    all.retain(|i| !has.contains(&(i.ppid, i.descriptor.clone())));
}

fn most(all: impl Iterator<Item = (ProcId, u64)>) -> Option<(ProcId, u64)> {
    let mut by_process: HashMap<ProcId, u64> = HashMap::new();
    all.for_each(|(id, n)| *by_process.entry(id).or_default() += n);
    by_process.into_iter().max_by_key(|(id, n)| (*n, std::cmp::Reverse(*id)))
}

/// All watches of these, and who has most.
fn most_watches(reader: &mut Reader, all: &[Instance]) -> Option<(u64, ProcId)> {
    let counts: Vec<(ProcId, u64)> = all.iter().take(INSTANCES).map(|i| (i.id, watches(reader, &i.info))).collect();
    let sum = counts.iter().map(|(_, n)| n).sum();
    Some((sum, most(counts.into_iter())?.0))
}

/// Lines that begin with `inotify`: one for each watch.
fn watches(reader: &mut Reader, path: &Path) -> u64 {
    reader.read(path).map_or(0, |text| lines(text).filter(|line| line.starts_with(b"inotify ")).count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_and_watches_are_counted_by_user_and_inherited_ones_once() {
        let root = std::env::temp_dir().join(format!("perftop-inotify-{}", std::process::id()));
        let id = |pid: i32| ProcId { pid, start: 1 };
        for pid in [7, 8] {
            let dir = root.join(pid.to_string()).join("fdinfo");
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join("3"), "pos:\t0\nflags:\t00\ninotify wd:2 ino:9\ninotify wd:1 ino:8\n").unwrap();
            std::fs::write(dir.join("4"), "pos:\t0\n").unwrap();
        }
        let with = |limits| {
            let mut inotify = Instances { limits, ..Instances::default() };
            for (pid, ppid, fd) in [(7, 1, "3"), (7, 1, "4"), (8, 7, "3"), (8, 7, "5")] {
                let dir = root.join(pid.to_string());
                inotify.see((id(pid), ppid), &dir, fd.into(), Path::new("anon_inode:inotify"));
                inotify.see((id(pid), ppid), &dir, "6".into(), Path::new("anon_inode:[eventfd]"));
            }
            let users = inotify.done(&mut Reader::default(), &mut Watches::default()).users;
            users.iter().map(|u| (u.instances, u.watches, u.most)).collect::<Vec<_>>()
        };
        assert_eq!(with(Some((128, 8192))), [(3, Some(2), id(7))]);
        assert_eq!(with(Some((128, 1_000_000))), [(3, None, id(7))]);
        std::fs::remove_dir_all(&root).unwrap();
    }
}
