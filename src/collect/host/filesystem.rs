//! Mounted file systems and their space. `statvfs` of a dead mount hangs, so each runs on a deadline thread; one
//! that hangs is not asked again until it has answered.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::collect::deadline::Deadline;
use crate::collect::root::{Reader, Roots, fields, lack, lines};
use crate::model::foreign::Foreign;
use crate::model::host::{FsRaw, FsSpace};
use crate::model::seen::{Lack, Seen, Why};

/// How long a mount may take.
const PATIENCE: Duration = Duration::from_millis(200);
/// Mounts that may hang at once before no other is asked.
const HUNG: usize = 4;
/// Mounts that are asked: each costs a thread of its own for a moment.
const ASKED: usize = 512;
/// Mounts that are listed, asked or not.
const LISTED: usize = 4096;

/// File systems that cannot run full, or are full by design.
const PSEUDO: &[&[u8]] = &[
    b"proc",
    b"sysfs",
    b"cgroup",
    b"cgroup2",
    b"devtmpfs",
    b"devpts",
    b"securityfs",
    b"debugfs",
    b"tracefs",
    b"pstore",
    b"bpf",
    b"configfs",
    b"mqueue",
    b"hugetlbfs",
    b"autofs",
    b"binfmt_misc",
    b"fusectl",
    b"rpc_pipefs",
    b"nsfs",
    b"efivarfs",
    b"squashfs",
    b"iso9660",
    b"ramfs",
    b"selinuxfs",
    b"erofs",
    b"fuse.lxcfs",
    b"fuse.gvfsd-fuse",
    b"fuse.portal",
    b"overlay",
];

/// Files that runtimes of containers mount one by one.
const SINGLE_FILES: &[&[u8]] =
    &[b"/etc/hosts", b"/etc/hostname", b"/etc/resolv.conf", b"/run/.containerenv", b"/dev/termination-log"];

/// One line of mountinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct Mount {
    pub device: String,
    pub mount: Foreign,
    pub options: Foreign,
    pub kind: Foreign,
    pub source: Foreign,
    pub super_options: Foreign,
}

/// Parses mountinfo; octal escapes in paths are undone.
#[must_use]
pub fn parse_mountinfo(text: &[u8]) -> Vec<Mount> {
    lines(text).filter_map(parse_mount).collect()
}

fn parse_mount(line: &[u8]) -> Option<Mount> {
    let mut f = fields(line);
    let device = std::str::from_utf8(f.nth(2)?).ok()?.to_owned();
    let mount = unescape(f.nth(1)?);
    let options = Foreign::new(f.next()?);
    f.find(|field| *field == b"-")?;
    let kind = Foreign::new(f.next()?);
    let source = unescape(f.next()?);
    Some(Mount { device, mount, options, kind, source, super_options: Foreign::new(f.next().unwrap_or_default()) })
}

fn unescape(field: &[u8]) -> Foreign {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|d| *first == b'\\' && d.iter().all(|b| (b'0'..=b'7').contains(b)));
        let value = octal.map(|d| d.iter().fold(0u32, |v, b| v * 8 + u32::from(b - b'0')));
        match value.and_then(|v| u8::try_from(v).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &tail[3..];
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    Foreign::new(&out)
}

/// The mounts that count, each device once: a bind mount does not make a disk twice as large. Those of devices stand first, then those of
/// other machines and daemons, then those in memory: what a runtime of containers mounts by the hundred pushes no disk out.
#[must_use]
pub fn relevant(mounts: Vec<Mount>) -> Vec<Mount> {
    let mut kept: Vec<Mount> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    // What was mounted over another one hides it.
    let last: HashMap<Vec<u8>, usize> = mounts.iter().enumerate().map(|(at, m)| (m.mount.raw().to_vec(), at)).collect();
    for (_, mount) in mounts.into_iter().enumerate().filter(|(at, m)| last.get(m.mount.raw()) == Some(at)) {
        // The root of a container is an overlay, and what its runtime mounts over single files is no file system of ours.
        let pseudo = PSEUDO.contains(&mount.kind.raw()) && !(mount.kind.raw() == b"overlay" && mount.mount.raw() == b"/");
        if SINGLE_FILES.contains(&mount.mount.raw()) {
            continue;
        }
        let below_kernel = [&b"/proc"[..], b"/sys", b"/dev"]
            .iter()
            .any(|p| mount.mount.raw().starts_with(p) && mount.mount.raw().get(p.len()).is_none_or(|b| *b == b'/'));
        // Shared memory of programs is a file system there, and often a small one.
        if pseudo || below_kernel && mount.mount.raw() != b"/dev/shm" {
            continue;
        }
        match known.get(&mount.device).map(|at| &mut kept[*at]) {
            Some(known) if mount.mount.raw().len() < known.mount.raw().len() => *known = mount,
            Some(_) => {}
            None => {
                known.insert(mount.device.clone(), kept.len());
                kept.push(mount);
            }
        }
    }
    kept.sort_by_key(|mount| match mount.kind.raw() {
        b"tmpfs" => 2,
        // Major 0: no device of this machine is behind it.
        _ => u8::from(mount.device.starts_with("0:")),
    });
    kept
}

/// Asks the mounts and remembers which hang.
#[derive(Debug, Default)]
pub struct Filesystems {
    pending: HashMap<Foreign, oneshot::Receiver<Seen<FsSpace>>>,
}

impl Filesystems {
    /// All file systems that can run full.
    ///
    /// # Errors
    /// When the mount table cannot be read.
    pub async fn read(&mut self, roots: &Roots, deadline: &Deadline) -> Seen<Vec<FsRaw>> {
        let pid = if roots.own_proc() { "self" } else { "1" };
        let table = Reader::default().read(&roots.proc.join(pid).join("mountinfo")).map(parse_mountinfo)?;
        let mut rows = Vec::new();
        let mounts = relevant(table);
        // One that was unmounted while it hung makes room for others.
        self.pending.retain(|mount, _| mounts.iter().any(|m| m.mount == *mount));
        let (all, unlisted) = (mounts.len(), mounts.len().saturating_sub(LISTED));
        for (at, mount) in mounts.into_iter().take(LISTED).enumerate() {
            let space = match at {
                ..ASKED => self.space(&mount.mount, roots, deadline).await,
                _ => {
                    let what = format!("{ASKED} of {all} mounts are checked, disks first; {unlisted} are not listed");
                    Err(Lack::new(Why::NotYet, what))
                }
            };
            let has = |options: &Foreign, name: &str| options.shown().split(',').any(|o| o == name);
            // The mount's own options tell what was asked for, those of the super block what the file system is.
            let super_ro = has(&mount.super_options, "ro");
            let emergency = has(&mount.super_options, "emergency_ro");
            let read_only = has(&mount.options, "ro") || super_ro || emergency;
            let stopped_by_error =
                emergency || super_ro && !has(&mount.options, "ro") && has(&mount.super_options, "errors=remount-ro");
            rows.push(FsRaw {
                mount: mount.mount,
                device: mount.device,
                source: mount.source,
                kind: mount.kind,
                read_only,
                stopped_by_error,
                space,
            });
        }
        Ok(rows)
    }

    async fn space(&mut self, mount: &Foreign, roots: &Roots, deadline: &Deadline) -> Seen<FsSpace> {
        let shown = mount.shown().to_owned();
        if !roots.own_proc() {
            return Err(Lack::new(Why::Absent, format!("{shown}: a foreign /proc shows mounts that are not ours")));
        }
        let late = || Lack::new(Why::TimedOut, format!("statvfs {shown}: no answer in 200 ms"));
        // Nothing is known of one that was not asked, and least of all that it hangs.
        let not_asked = || Lack::new(Why::NotYet, format!("{shown}: not checked, because too many others hang"));
        let receiver = match self.pending.remove(mount) {
            Some(receiver) => receiver,
            // Hung mounts must leave room for the calls of others.
            None if self.pending.len() >= HUNG => return Err(not_asked()),
            None => {
                let path = PathBuf::from(std::ffi::OsStr::from_bytes(mount.raw()));
                deadline.start("statvfs", move || statvfs(&path)).ok_or_else(not_asked)?
            }
        };
        let mut receiver = receiver;
        match tokio::time::timeout(PATIENCE, &mut receiver).await {
            Ok(Ok(space)) => space,
            Ok(Err(_)) => Err(Lack::new(Why::Garbage, format!("statvfs {shown}: the reader failed"))),
            Err(_) => {
                self.pending.insert(mount.clone(), receiver);
                Err(late())
            }
        }
    }
}

fn statvfs(path: &std::path::Path) -> Seen<FsSpace> {
    let s = rustix::fs::statvfs(path).map_err(|e| lack(path, &e.into()))?;
    Ok(FsSpace {
        total_bytes: s.f_blocks.saturating_mul(s.f_frsize),
        free_bytes: s.f_bfree.saturating_mul(s.f_frsize),
        available_bytes: s.f_bavail.saturating_mul(s.f_frsize),
        inodes: s.f_files,
        inodes_free: s.f_ffree,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_counts_once_and_spaces_in_paths_are_undone() {
        let text = b"27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n30 1 254:0 /x /a/bind rw - ext4 /dev/vda rw\n\
                     31 1 7:0 / /mnt/my\\040disk ro shared:5 master:2 - ext4 /dev/loop0 rw\n\
                     32 1 0:5 / /proc rw - proc proc rw\n33 1 0:9 / /dev/shm rw - tmpfs tmpfs rw\n35 1 0:8 / /dev/shm rw - tmpfs over rw\n34 1 0:6 / /dev/mqueue rw - tmpfs x rw\nshort line\n";
        let mounts = relevant(parse_mountinfo(text));
        let shown: Vec<_> = mounts.iter().map(|m| m.mount.shown()).collect();
        assert_eq!(shown, ["/", "/mnt/my disk", "/dev/shm"], "shared memory can run full");
        assert_eq!(mounts[2].device, "0:8", "the one that is seen there");
        assert_eq!(mounts[1].options.shown(), "ro");
    }

    #[test]
    fn disks_stand_before_the_network_and_both_before_memory() {
        let mut text = String::new();
        for n in 0..600 {
            text.push_str(&format!("{n} 1 0:{} / /run/pod/{n} rw - tmpfs tmpfs rw\n", n + 50));
        }
        text.push_str("900 1 0:900 / /mnt/nfs rw - nfs4 box:/x rw\n901 1 0:901 / /pool rw - btrfs /dev/sdb rw\n");
        text.push_str("902 1 259:1 / /data rw - ext4 /dev/nvme0n1p1 rw\n");
        let mounts = relevant(parse_mountinfo(text.as_bytes()));
        let first: Vec<_> = mounts.iter().take(4).map(|m| m.mount.shown()).collect();
        assert_eq!(first, ["/data", "/mnt/nfs", "/pool", "/run/pod/0"]);
        assert_eq!(mounts.len(), 603, "none is lost");
    }
}
