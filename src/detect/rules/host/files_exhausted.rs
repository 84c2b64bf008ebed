//! host.files.exhausted: a process is at its descriptor limit, or the host is.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::ProcFacts;
use crate::model::host::OpenFiles;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::Unit;

const LEFT: Param = Param {
    name: "left",
    unit: Unit::Count,
    default: 2.0,
    min: 0.0,
    max: 1000.0,
    what: "descriptors left to a process at or below which opens fail",
};
const NEARLY: Param = Param {
    name: "nearly",
    unit: Unit::Percent,
    default: 90.0,
    min: 50.0,
    max: 100.0,
    what: "share of the limit at which it is a risk",
};
const HOST: Param = Param {
    name: "host",
    unit: Unit::Percent,
    default: 95.0,
    min: 50.0,
    max: 100.0,
    what: "share of the host's limit (fs.file-max) at which it is an error",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.files.exhausted",
    class: Class::Error,
    culprit: Culprit::Many,
    says: "a process is at its descriptor limit (or the host is)",
    params: &[LEFT, NEARLY, HOST],
    origins: &["host.open_files", "host.files"],
    page: "\
A process has used up its descriptors (soft limit of open files): accept, open and connect fail with EMFILE. Servers
may spin on a failed accept and burn CPU. Sockets count as well: too many connections, or a leak.

perftop counts the links in `/proc/PID/fd` of the processes it can read, every five seconds or less often. A process
with `left` descriptors or fewer left is an error, at `nearly` of its limit a risk; the host is an error at `host` of
`fs.file-max`. Processes of one parent and name that hold as many each (within 2 %) are one finding. Where hardly one of them is a
socket they may be a cache of open files that the program keeps below a limit of its own: then the number stands still.

**Relief**: raise the soft limit of the running process with `prlimit`, up to its hard limit; double the host's.
**Cure**: see what the process holds open; by hand: close what leaks, `LimitNOFILE=` in the unit.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = &facts.world.host;
    let mut judged = Judged::default();
    let mut told: Vec<&OpenFiles> = Vec::new();
    for files in &host.crowded {
        let Some(process) = facts.world.processes().iter().find(|p| p.id == files.id) else { continue };
        let subject = Subject::new(SubjectType::Process, files.id.to_string(), process.label());
        let share = files.open as f64 / files.limit.max(1) as f64 * 100.0;
        let full = files.limit.saturating_sub(files.open) as f64 <= params.get(LEFT);
        if full || share >= params.limit(NEARLY, is_held(prev, &subject)) {
            if !full && told.iter().any(|known| alike(facts, known, files)) {
                continue;
            }
            told.push(files);
            let like = !full && host.crowded.iter().any(|f| f.id != files.id && alike(facts, f, files));
            judged.verdicts.push((subject, Verdict::Found(Box::new(found(params, process, files, share, (full, like))))));
        }
    }
    let of_host = host.files.as_ref().ok().map(|f| f.allocated as f64 / f.limit.max(1) as f64 * 100.0);
    if let Some(share) = of_host.filter(|s| *s >= params.limit(HOST, is_held(prev, &Subject::host()))) {
        let class = if share >= 99.9 { Class::Error } else { Class::Risk };
        let mut found = Found::new(class, format!("The host uses {share:.0} % of its file descriptors"));
        found.evidence = vec![params.row("share of fs.file-max in use", share, HOST, "host.files")];
        let mut raise = fix::shell_fix(
            Phase::Relief,
            Horizon::Immediate,
            "Raise the host's limit",
            sh!("sysctl -w fs.file-max=$(( $(cat /proc/sys/fs/file-max) * 2 ))"),
        );
        raise.undo = Some(sh!("sysctl -w fs.file-max=OLD   # OLD: what sysctl -n fs.file-max printed before"));
        raise.needs = "root".into();
        raise.risk = "kernel memory for each descriptor".into();
        found.fixes = vec![raise];
        judged.verdicts.push((Subject::host(), Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        let most = host.crowded.first().map_or_else(
            || "no readable process uses half of its descriptors".to_owned(),
            |f| format!("at most {} of {} descriptors in one process", f.open, f.limit),
        );
        return Judged::clear(Subject::host(), most);
    }
    judged
}

/// Two of one parent and name with as many.
fn alike(facts: &Facts<'_>, a: &OpenFiles, b: &OpenFiles) -> bool {
    let of = |id| facts.world.processes().iter().find(|p| p.id == id).map(|p| (p.ppid, &p.name));
    a.open.abs_diff(b.open) * 50 <= b.open && a.limit == b.limit && of(a.id).is_some() && of(a.id) == of(b.id)
}

fn found(params: &Params<'_>, process: &ProcFacts, files: &OpenFiles, share: f64, (full, like): (bool, bool)) -> Found {
    let (open, limit) = (files.open, files.limit);
    let (class, title) = if full {
        (Class::Error, format!("{} has no descriptor left ({open} of {limit}): opens and accepts fail", process.label()))
    } else {
        // The list of those that are near their limit is cut: how many there are is not known.
        let (others, has) = if like { (" and others like it", "have each") } else { ("", "has") };
        (Class::Risk, format!("{}{others} {has} used {open} of {limit} descriptors", process.label()))
    };
    let mut found = Found::new(class, title);
    found.evidence = vec![
        evidence("descriptors open", files.open as f64, Unit::Count, Some(files.limit as f64), "host.open_files").of_capacity(),
        params.row("share of its limit in use", share, NEARLY, "host.open_files"),
    ];
    if let Some(sockets) = files.sockets {
        found.evidence.push(evidence("sockets among them", sockets as f64, Unit::Count, None, "host.open_files"));
    }
    found.fixes = fixes(process, files);
    found
}

fn fixes(process: &ProcFacts, files: &OpenFiles) -> Vec<Fix> {
    let pid = process.id.pid;
    let (old, more) = (files.limit, files.limit.saturating_mul(4));
    let mut relief = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        format!("Raise its limit from {old} to {more}; no restart needed"),
        // The soft limit alone, and no further than the hard one.
        fix::guarded(process, &sh!("prlimit --pid {} --nofile={}:", pid, more)),
    );
    relief.undo = Some(fix::guarded(process, &sh!("prlimit --pid {} --nofile={}:", pid, old)));
    relief.risk = "a leak continues; above the hard limit this is refused: then `--nofile=SOFT:HARD` for both".into();
    relief.needs = "root".into();
    relief.verify = sh!("grep 'open files' /proc/{}/limits; ls /proc/{}/fd | wc -l", pid, pid);
    let mut look = fix::shell_fix(
        Phase::Cure,
        Horizon::ShortTerm,
        "See what it holds open: which sockets and files",
        sh!("ls -l /proc/{}/fd | awk '{print $NF}' | sed 's/[0-9]\\+//g' | sort | uniq -c | sort -rn | head", pid),
    );
    look.risk = "none: read-only".into();
    vec![relief, look]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::service;
    use crate::detect::bench::{Bench, Table};
    use crate::model::host::FilesRaw;

    fn open(open: u64) -> Bench {
        let id = service(100, "api", 8080).id;
        Bench::quiet().on(|host| host.crowded = vec![OpenFiles { id, open, sockets: Some(3), limit: 1024 }])
    }

    /// Two workers of one master: how many descriptors each has, and how many of them are sockets.
    fn workers(open: [u64; 2], sockets: u64) -> Bench {
        let worker = |pid| ProcFacts { ppid: 90, ..service(pid, "postgres", 5432) };
        let files = |(pid, open)| OpenFiles { id: worker(pid).id, open, sockets: Some(sockets), limit: 1024 };
        Bench::quiet()
            .running(vec![worker(101), worker(102)])
            .on(|host| host.crowded = [101, 102].into_iter().zip(open).map(files).collect())
    }

    #[test]
    fn workers_with_as_many_are_one_finding() {
        workers([990, 987], 4)
            .must_say(&RULE, "found postgres (pid 101) and others like it have each used 990 of 1024 descriptors");
        assert_eq!(workers([990, 987], 4).says(&RULE, None).len(), 1);
        // Each has what it has; and who has none left has none.
        assert_eq!(workers([990, 930], 4).says(&RULE, None).len(), 2);
        workers([1023, 600], 4).must_say(&RULE, "found postgres (pid 101) has no descriptor left (1023 of 1024)");
    }

    #[test]
    fn a_process_near_its_descriptor_limit_is_found_and_held() {
        let found = open(930);
        found.must_say(&RULE, "found api (pid 100) has used 930 of 1024 descriptors");
        open(1022).must_say(&RULE, "found api (pid 100) has no descriptor left (1022 of 1024)");
        Table { clear: open(640), unknown: None, found, held: Some(open(700)) }.check(&RULE);
    }

    #[test]
    fn so_is_the_host() {
        let host = |allocated| Bench::quiet().on(|host| host.files = Ok(FilesRaw { allocated, limit: 1_000_000 }));
        let found = host(960_000);
        found.must_say(&RULE, "found The host uses 96 % of its file descriptors");
        host(940_000).must_say(&RULE, "clear");
        Table { clear: host(650_000), unknown: None, found, held: None }.check(&RULE);
    }
}
