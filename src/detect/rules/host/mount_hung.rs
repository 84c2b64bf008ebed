//! host.disk.mount_hung: a mount does not answer within its deadline.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::State;
use crate::detect::params::Params;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::ProcFacts;
use crate::model::host::FsRaw;
use crate::model::seen::{Lack, Why};
use crate::model::shell::Word;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::Unit;

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.disk.mount_hung",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "a mount does not answer within its deadline",
    params: &[],
    origins: &["host.filesystems", "host.iodelay"],
    page: "\
`statvfs` of a mount did not come back within 200 ms: its server is gone (NFS, CIFS, FUSE), or its device does not
answer. Processes that touch it are stuck in uninterruptible sleep or wait for a dead daemon. perftop checks on
separate threads and is not blocked; while four mounts hang it checks no other.

The loss is the foreground time in state D while PSI io stands still, and that of threads that hang for 4 s in one
kernel function that waits for no disk. A thread that sleeps until the daemon of a FUSE mount answers counts like one in state D. Which mount they wait for cannot be seen: several hung mounts share it evenly.
A mount on a local device is never critical: a loaded disk answers late too.

**Relief**: see which server it is and who waits; a lazy unmount, offered for network and FUSE mounts only, lets new
processes pass, and those inside stay until the server answers. **Cure**: by hand: bring the server back; mount with
`soft`/`timeo` where a hang is worse than an IO error.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    let mounts = match &facts.world.host.filesystems {
        Ok(mounts) => mounts,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    let hung: Vec<_> = mounts.iter().filter(|fs| fs.space.as_ref().is_err_and(|l| l.why == Why::TimedOut)).collect();
    let mut judged = Judged::default();
    let blocked: Vec<&ProcFacts> = facts.world.processes().iter().filter(|p| p.blocked_s > 0.0).collect();
    let lost = facts.ledger.state(State::TaskBlocked) / hung.len().max(1) as f64;
    for fs in &hung {
        let subject = Subject::new(SubjectType::Mount, fs.mount.shown(), fs.mount.shown());
        let mut found = Found::new(Class::Live, format!("{} ({}) does not answer", fs.mount, fs.kind));
        found.losses = vec![(State::TaskBlocked, lost)];
        found.victims_time = lost;
        found.evidence = vec![
            evidence("statvfs took longer than", 0.2, Unit::Seconds, None, "host.filesystems"),
            evidence("processes in state D throughout", blocked.len() as f64, Unit::Count, None, "host.iodelay"),
        ];
        // Only what lives on another machine or in a daemon may be let go: a loaded disk answers late as well.
        let elsewhere = ["nfs", "cifs", "smb", "fuse", "9p", "ceph", "glusterfs", "afs", "lustre"];
        let remote = elsewhere.iter().any(|kind| fs.kind.shown().starts_with(kind));
        found.never_critical = !remote;
        found.fixes = fixes(fs, remote);
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if let Some(unasked) = unasked(mounts) {
        judged.verdicts.extend(unasked.verdicts);
    } else if judged.verdicts.is_empty() {
        return Judged::clear(Subject::host(), format!("all {} mounts answer in time", mounts.len()));
    }
    judged
}

/// Of mounts that nobody asked nothing is known: one row for all of them, with the reason of the first.
pub fn unasked(mounts: &[FsRaw]) -> Option<Judged> {
    let mut lacks = mounts.iter().filter_map(|fs| fs.space.as_ref().err()).filter(|lack| lack.why == Why::NotYet);
    let first = lacks.next()?;
    let what = format!("{} of {} mounts were not checked: {}", 1 + lacks.count(), mounts.len(), first.what);
    Some(Judged::unknown(Subject::host(), &Lack::new(Why::NotYet, what)))
}

fn fixes(fs: &FsRaw, remote: bool) -> Vec<Fix> {
    let Some(mount) = Word::operand(fs.mount.raw()) else { return Vec::new() };
    let mut look = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "See which server it is and who waits for it",
        sh!("findmnt {}; ps -eo pid,stat,wchan:32,comm | awk '$2 ~ /^D/'", mount),
    );
    look.risk = "none: read-only".into();
    look.verify = sh!("timeout 1 stat -f {}", mount);
    let mut lazy = look.clone();
    lazy.title = "If its server does not come back: detach the mount; processes inside stay blocked".into();
    lazy.command = sh!("umount -l {}", mount);
    lazy.risk = "unwritten data may be lost; the path is empty until it is mounted again".into();
    lazy.undo = Some(sh!("mount {}", mount));
    lazy.needs = "root".into();
    if remote { vec![look, lazy] } else { vec![look] }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::bench::host::{filesystem, unread};
    use crate::detect::bench::{Bench, Table};
    use crate::model::host::FsSpace;
    use crate::model::seen::Seen;

    fn mounted(space: impl FnOnce(Seen<FsSpace>) -> Seen<FsSpace>) -> Bench {
        Bench::quiet().on(|host| {
            let remote = filesystem("/mnt/share");
            let remote = FsRaw { kind: "nfs4".into(), space: space(remote.space.clone()), ..remote };
            host.filesystems = Ok(Arc::new(vec![filesystem("/"), remote]));
        })
    }

    #[test]
    fn a_mount_that_does_not_answer_is_found_one_that_is_full_answers() {
        let silent = |why| mounted(|_| Err(Lack::new(why, "statvfs")));
        let found = silent(Why::TimedOut);
        found.must_say(&RULE, "found /mnt/share (nfs4) does not answer");
        Bench::quiet().on(|host| host.filesystems = Err(unread())).must_say(&RULE, "unknown");
        Table {
            clear: mounted(|space| space.map(|space| FsSpace { available_bytes: 0, ..space })),
            unknown: Some(silent(Why::NotYet)),
            found,
            held: None,
        }
        .check(&RULE);
    }
}
