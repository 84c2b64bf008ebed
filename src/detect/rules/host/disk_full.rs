//! host.disk.full: a file system has no space, or will have none at a time that can be estimated.

use crate::detect::command::{Command, named, sh};
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::host::{FsRaw, FsSpace};
use crate::model::seen::Why;
use crate::model::shell::Word;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes, seconds, short};

use super::mount_hung::unasked;

const LEFT: Param = Param {
    name: "left",
    unit: Unit::Bytes,
    default: 1_048_576.0,
    min: 0.0,
    max: 1e12,
    what: "free for ordinary users at or below which writes fail: the size of one larger write",
};
const HORIZON: Param = Param {
    name: "horizon",
    unit: Unit::Seconds,
    default: 86_400.0,
    min: 60.0,
    max: 2_592_000.0,
    what: "a credible time to full beyond this is not a risk yet",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.disk.full",
    class: Class::Error,
    culprit: Culprit::Many,
    says: "a file system has no space, or will have none soon",
    params: &[LEFT, HORIZON],
    origins: &["host.filesystems"],
    page: "\
A file system has no space left for ordinary users (`left` at most, on a small one 2 % of its size): writes fail with
ENOSPC now. Root's reserve does not help services. Each device counts once, whatever bind mounts show it. What is
mounted read-only is left out: images are full by design.

The risk form says when it will be full: Theil-Sen over the free bytes, and only with a minute of history, a fall in
three quarters of the steps and an interval whose late end is within the horizon. A disk that is 95 % full and does
not grow is fine.

**Relief**: find what is large, and what is deleted but still open; remove it, or restart who holds it, by hand.
**Cure**: by hand: rotation, retention, quotas, a larger volume.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let mounts = match &facts.world.host.filesystems {
        Ok(mounts) => mounts,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    let mut judged = Judged::default();
    for fs in mounts.iter().filter(|fs| !fs.read_only) {
        let subject = Subject::new(SubjectType::Mount, fs.mount.shown(), fs.mount.shown());
        let space = match &fs.space {
            Ok(space) if space.total_bytes > 0 => space,
            Ok(_) => continue,
            Err(lack) if lack.why == Why::NotYet && !is_held(prev, &subject) => continue,
            Err(lack) => {
                judged.verdicts.extend(Judged::unknown(subject, lack).verdicts);
                continue;
            }
        };
        // A tiny file system is not full because a large one would be.
        let left = params.get(LEFT).min(space.total_bytes as f64 * 0.02);
        let left = if is_held(prev, &subject) { left / crate::detect::params::HYSTERESIS } else { left };
        let trend = facts.learned.space.get(fs.mount.shown()).and_then(|s| s.time_to_zero());
        let risk = trend.filter(|(_, late)| *late < params.get(HORIZON));
        let verdict = if space.available_bytes as f64 <= left {
            Verdict::Found(Box::new(full(fs, space, left)))
        } else if let Some((eta, late)) = risk {
            Verdict::Found(Box::new(filling(params, fs, space, eta, late)))
        } else {
            Verdict::Clear(format!("{} % used, not filling", short(space.used() * 100.0)))
        };
        judged.verdicts.push((subject, verdict));
    }
    judged.verdicts.extend(unasked(mounts).into_iter().flat_map(|judged| judged.verdicts));
    if judged.verdicts.is_empty() {
        return Judged::clear(Subject::host(), "no writable file system that could fill up");
    }
    judged
}

fn full(fs: &FsRaw, space: &FsSpace, left: f64) -> Found {
    let free = space.available_bytes as f64;
    let title = format!("{} is full: {} left of {}", fs.mount, bytes(free), bytes(space.total_bytes as f64));
    let mut found = Found::new(Class::Error, title);
    found.evidence = rows(space, Some(left));
    found.fixes = fixes(fs);
    found
}

fn filling(params: &Params<'_>, fs: &FsRaw, space: &FsSpace, eta: f64, late: f64) -> Found {
    let title =
        format!("{} will be full in {} at this rate: {} left", fs.mount, seconds(eta), bytes(space.available_bytes as f64));
    let mut found = Found::new(Class::Risk, title);
    found.eta_s = Some(eta);
    found.eta_late_s = Some(late);
    found.confidence = 0.8;
    found.evidence = rows(space, None);
    found.evidence.push(params.row_below("time to full, upper bound", late, HORIZON, "host.filesystems"));
    found.fixes = fixes(fs);
    found
}

fn rows(space: &FsSpace, left: Option<f64>) -> Vec<crate::detect::finding::Evidence> {
    let mut rows = vec![
        evidence("free for ordinary users", space.available_bytes as f64, Unit::Bytes, left, "host.filesystems"),
        evidence("free including root's reserve", space.free_bytes as f64, Unit::Bytes, None, "host.filesystems"),
        evidence("size", space.total_bytes as f64, Unit::Bytes, None, "host.filesystems"),
    ];
    if space.inodes > 0 {
        let free = space.inodes_free as f64 / space.inodes as f64 * 100.0;
        rows.push(evidence("inodes free", free, Unit::Percent, None, "host.filesystems"));
    }
    rows
}

/// Nothing can be pasted for a mount whose name no shell can be given.
fn fixes(fs: &FsRaw) -> Vec<Fix> {
    let Some(mount) = Word::operand(fs.mount.raw()) else { return Vec::new() };
    let mut large = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "Find what is large on it",
        sh!("du -xh --max-depth=3 {} 2>/dev/null | sort -h | tail -n 20", mount),
    );
    large.risk = "scans the whole tree once".into();
    large.needs = "root, to see everything".into();
    large.takes_s = None;
    large.verify = sh!("df -h {}", mount);
    let mut open = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "Find files that are deleted and still open: their space comes back when the process closes them",
        sh!("find /proc/[0-9]*/fd -lname '*(deleted)' -printf '%p -> %l\\n' 2>/dev/null"),
    );
    open.risk = "none: read-only".into();
    open.verify = sh!("df -h {}", mount);
    let mut cure = fix::shell_fix(
        Phase::Cure,
        Horizon::LongTerm,
        "Rotate and expire what grows, or enlarge the volume",
        Command::note(format!(
            "# {}: log rotation, retention, quotas, or a larger {}",
            named(fs.mount.raw()),
            named(fs.source.raw())
        )),
    );
    cure.takes_s = None;
    vec![large, open, cure]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::bench::host::{filesystem, trend};
    use crate::detect::bench::{Bench, Table};
    use crate::model::seen::Lack;

    fn free(bytes: u64) -> Bench {
        Bench::quiet().on(|host| {
            let mut fs = filesystem("/data");
            fs.space = fs.space.map(|space| FsSpace { available_bytes: bytes, ..space });
            host.filesystems = Ok(Arc::new(vec![fs]));
        })
    }

    #[test]
    fn a_full_disk_is_found_and_held() {
        let unread = |host: &mut crate::model::facts::HostFacts| host.filesystems = Err(Lack::new(Why::TimedOut, "statvfs"));
        Table {
            clear: free(1 << 30),
            unknown: Some(Bench::quiet().on(unread)),
            found: free(1 << 20),
            held: Some(free(1_200_000)),
        }
        .check(&RULE);
    }

    /// The same fall: it takes an hour and a half on a file system that is nearly full, and two days on one that is not.
    #[test]
    fn one_that_fills_is_a_risk_when_it_is_full_within_a_day() {
        let falling = |left: u64| {
            let going = trend(left as f64, -262_144.0);
            free(left).knowing(|learned| drop(learned.space.insert("/data".into(), going)))
        };
        let found = falling(3 << 29);
        found.must_say(&RULE, "found /data will be full in 102 min at this rate: 1.5 GiB left");
        let hung = |host: &mut crate::model::facts::HostFacts| {
            let fs = FsRaw { space: Err(Lack::new(Why::TimedOut, "statvfs")), ..filesystem("/data") };
            host.filesystems = Ok(Arc::new(vec![fs]));
        };
        Table { clear: falling(45 << 30), unknown: Some(Bench::quiet().on(hung)), found, held: None }.check(&RULE);
    }
}
