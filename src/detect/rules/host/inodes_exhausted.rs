//! host.disk.inodes_exhausted: a file system has no inodes left, or will have none soon.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::memory::is_held;
use crate::detect::params::{HYSTERESIS, Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::host::FsRaw;
use crate::model::seen::Why;
use crate::model::shell::Word;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes, count, seconds};

use super::mount_hung::unasked;

const LEFT: Param = Param {
    name: "left",
    unit: Unit::Count,
    default: 16.0,
    min: 0.0,
    max: 1e9,
    what: "free inodes at or below which new files fail",
};
const HORIZON: Param = Param {
    name: "horizon",
    unit: Unit::Seconds,
    default: 86_400.0,
    min: 60.0,
    max: 2_592_000.0,
    what: "a credible time to the last inode beyond this is not a risk yet",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.disk.inodes_exhausted",
    class: Class::Error,
    culprit: Culprit::Many,
    says: "a file system has no inodes left, or will have none soon",
    params: &[LEFT, HORIZON],
    origins: &["host.filesystems"],
    page: "\
A file system has no inode left (`left` at most, on a small one 2 % of them): no file can be created (ENOSPC). Plain
`df` does not show it. Many small files do it: sessions, caches, mail queues, spools. File systems that allocate
inodes on demand show none or many; for XFS, btrfs, ZFS and bcachefs no time is estimated.

The risk form says when the last one goes, by the same rules as `host.disk.full`.

**Relief**: find the directory with the many files; remove what is old by hand. **Cure**: see what is old; by hand:
expire it, or recreate the file system with more inodes.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let mounts = match &facts.world.host.filesystems {
        Ok(mounts) => mounts,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    let mut judged = Judged::default();
    let mut fullest: f64 = 0.0;
    for fs in mounts.iter().filter(|fs| !fs.read_only) {
        let subject = Subject::new(SubjectType::Mount, fs.mount.shown(), fs.mount.shown());
        let space = match &fs.space {
            Ok(space) if space.inodes > 0 => space,
            Ok(_) => continue,
            Err(lack) if lack.why == Why::NotYet && !is_held(prev, &subject) => continue,
            // What could not be checked is not free.
            Err(lack) => {
                judged.verdicts.extend(Judged::unknown(subject, lack).verdicts);
                continue;
            }
        };
        let left = params.get(LEFT).min(space.inodes as f64 * 0.02);
        let left = if is_held(prev, &subject) { left / HYSTERESIS } else { left };
        fullest = fullest.max(1.0 - space.inodes_free as f64 / space.inodes as f64);
        // Where inodes are made as they go, their number follows the free space.
        let fixed = !matches!(fs.kind.raw(), b"xfs" | b"btrfs" | b"zfs" | b"bcachefs");
        let trend = facts.learned.inodes.get(fs.mount.shown()).filter(|_| fixed).and_then(|s| s.time_to_zero());
        let risk = trend.filter(|(_, late)| *late < params.get(HORIZON));
        let full = space.inodes_free as f64 <= left;
        if !full && risk.is_none() {
            continue;
        }
        let room = bytes(space.available_bytes as f64);
        let title = match risk.filter(|_| !full) {
            Some((eta, _)) => format!(
                "{} will have no inodes left in {} at this rate: {} free of {}",
                fs.mount,
                seconds(eta),
                count(space.inodes_free as f64),
                count(space.inodes as f64)
            ),
            None => format!("{} has no inodes left ({} in all); {room} are free", fs.mount, count(space.inodes as f64)),
        };
        let mut found = Found::new(if full { Class::Error } else { Class::Risk }, title);
        if let Some((eta, late)) = risk.filter(|_| !full) {
            (found.eta_s, found.eta_late_s) = (Some(eta), Some(late));
        }
        found.evidence = vec![
            evidence("inodes free", space.inodes_free as f64, Unit::Count, Some(left), "host.filesystems"),
            evidence("inodes", space.inodes as f64, Unit::Count, None, "host.filesystems"),
        ];
        found.against =
            vec![evidence("free for ordinary users", space.available_bytes as f64, Unit::Bytes, None, "host.filesystems")];
        found.fixes = fixes(fs);
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    judged.verdicts.extend(unasked(mounts).into_iter().flat_map(|judged| judged.verdicts));
    if judged.verdicts.is_empty() {
        return Judged::clear(Subject::host(), format!("at most {:.0} % of a file system's inodes are used", fullest * 100.0));
    }
    judged
}

fn fixes(fs: &FsRaw) -> Vec<Fix> {
    let Some(mount) = Word::operand(fs.mount.raw()) else { return Vec::new() };
    let mut find = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "Find the directories with the most files",
        sh!("du --inodes -x {} 2>/dev/null | sort -rn | head -n 20", mount),
    );
    find.risk = "scans the whole tree once".into();
    find.takes_s = None;
    find.verify = sh!("df -i {}", mount);
    let mut cure = find.clone();
    cure.phase = Phase::Cure;
    cure.horizon = Horizon::LongTerm;
    cure.title = "Expire old files, or recreate the file system with more inodes".into();
    cure.command = sh!("find {} -xdev -type f -mtime +30 | head   # what would go; the number of inodes is set by mkfs", mount);
    vec![find, cure]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::bench::host::{filesystem, trend, unread};
    use crate::detect::bench::{Bench, Table};
    use crate::model::host::FsSpace;

    fn free(kind: &str, inodes_free: u64) -> Bench {
        Bench::quiet().on(|host| {
            let fs = filesystem("/data");
            let space = fs.space.clone().map(|space| FsSpace { inodes_free, ..space });
            host.filesystems = Ok(Arc::new(vec![FsRaw { space, kind: kind.into(), ..fs }]));
        })
    }

    #[test]
    fn the_last_inode_is_found_and_held() {
        let found = free("ext4", 16);
        found.must_say(&RULE, "found /data has no inodes left (6.0M in all); 45 GiB are free");
        Table {
            clear: free("ext4", 24),
            unknown: Some(Bench::quiet().on(|host| host.filesystems = Err(unread()))),
            found,
            held: Some(free("ext4", 20)),
        }
        .check(&RULE);
    }

    /// Thirty files a second: nine hours, or two days.
    #[test]
    fn inodes_that_go_are_a_risk_unless_more_are_made() {
        let falling = |kind, left: u64| {
            let going = trend(left as f64, -30.0);
            free(kind, left).knowing(|learned| drop(learned.inodes.insert("/data".into(), going)))
        };
        let found = falling("ext4", 1_000_000);
        found.must_say(&RULE, "found /data will have no inodes left in 9 h at this rate: 1.0M free of 6.0M");
        falling("xfs", 1_000_000).must_say(&RULE, "clear");
        Table { clear: falling("ext4", 5_000_000), unknown: None, found, held: None }.check(&RULE);
    }
}
