//! host.disk.read_only: a file system that was writable is read-only now.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::learned::mount_key;
use crate::detect::params::{NONE_IS_FINE, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::host::FsRaw;
use crate::model::host::{KernelMessage, MessageKind};
use crate::model::shell::Word;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::Unit;

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.disk.read_only",
    class: Class::Error,
    culprit: Culprit::Many,
    says: "a file system that was writable is read-only now",
    params: &[],
    origins: &["host.mounts"],
    page: "\
A file system that was writable is read-only now: the kernel does that when it finds an error (`errors=remount-ro`),
and all writes fail with EROFS. A file system counts that perftop saw writable before, or that is set to become
read-only on errors and is; one that was mounted read-only on purpose does not. It is critical where the file system's
flags or a message of the last ten minutes show an error; without one it is info.

**Relief**: read the kernel's messages; by hand: move the service away, and do not remount it writable before it was
checked. **Cure**: unmount it and check it (`fsck -n` only reads); by hand: repair it after a copy was made.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    let mounts = match &facts.world.host.filesystems {
        Ok(mounts) => mounts,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    let mut judged = Judged::default();
    for fs in mounts.iter().filter(|fs| fs.read_only && facts.learned.writable.contains(&mount_key(fs))) {
        let subject = Subject::new(SubjectType::Mount, fs.mount.shown(), fs.mount.shown());
        let device = fs.source.shown().rsplit('/').next().unwrap_or_default();
        let failed = |m: &KernelMessage| m.kind == MessageKind::FsError && m.device.as_ref().is_some_and(|d| d.shown() == device);
        let by_error = fs.stopped_by_error || facts.world.host.messages.iter().flatten().any(failed);
        // Someone may have done it on purpose: without an error it is only said.
        let class = if by_error { Class::Error } else { Class::Hygiene };
        let mut found = Found::new(class, format!("{} ({}) has become read-only: every write fails", fs.mount, fs.source));
        found.evidence =
            vec![evidence("was writable before and is read-only now", 1.0, Unit::Count, NONE_IS_FINE, "host.mounts")];
        found.fixes = fixes(fs);
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(Subject::host(), "no file system turned read-only");
    }
    judged
}

fn fixes(fs: &FsRaw) -> Vec<Fix> {
    let Some(mount) = Word::operand(fs.mount.raw()) else { return Vec::new() };
    let mut look = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "See why, in the kernel log",
        sh!("dmesg -T | grep -iE 'remount|I/O error|EXT4-fs|XFS|BTRFS' | tail -n 20; findmnt {}", mount),
    );
    look.risk = "none: read-only".into();
    look.verify = sh!("findmnt -no OPTIONS {}", mount);
    let mut cure = look.clone();
    cure.phase = Phase::Cure;
    cure.horizon = Horizon::ShortTerm;
    cure.title = "Check it unmounted, then mount it again".into();
    let Some(source) = Word::operand(fs.source.raw()) else { return vec![look] };
    cure.command = sh!("umount {} && fsck -n {}   # -n only looks; repair after a copy was made", mount, source);
    cure.risk = "processes with open files there must stop first".into();
    cure.needs = "root".into();
    cure.takes_s = None;
    vec![look, cure]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::bench::host::{filesystem, unread};
    use crate::detect::bench::{Bench, Table};

    fn read_only() -> FsRaw {
        FsRaw { read_only: true, ..filesystem("/data") }
    }

    fn mounted(written_before: bool) -> Bench {
        let mounted = Bench::quiet().on(|host| host.filesystems = Ok(Arc::new(vec![read_only()])));
        mounted.knowing(|learned| learned.writable.extend(written_before.then(|| mount_key(&read_only()))))
    }

    #[test]
    fn a_file_system_that_turned_read_only_is_found_one_mounted_so_is_not() {
        let found = mounted(true);
        found.must_say(&RULE, "found /data (/dev/vda1) has become read-only: every write fails");
        Table {
            clear: mounted(false),
            unknown: Some(mounted(true).on(|host| host.filesystems = Err(unread()))),
            found,
            held: None,
        }
        .check(&RULE);
    }
}
