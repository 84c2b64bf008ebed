//! Parsers of `/proc/PID/stat`, `schedstat`, `io`, `cgroup`. Pure.

use crate::collect::root::{fields, lines, number};
use crate::model::foreign::Foreign;
use crate::model::host::{CgroupPath, Controller, ProcIo, ProcSched};

/// The fields of `/proc/PID/stat` that perftop keeps.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the kernel's names; numbers in the parser")]
pub struct Stat {
    pub comm: Foreign,
    pub state: char,
    pub ppid: i32,
    pub session: i32,
    pub tty: i32,
    pub kernel: bool,
    pub major_faults: u64,
    pub user_ticks: u64,
    pub system_ticks: u64,
    pub nice: i32,
    pub threads: u32,
    pub start: u64,
    pub rss_pages: u64,
    pub policy: u32,
    pub child_ticks: u64,
    pub processor: u32,
}

/// Parses a stat line. The name may hold anything, parentheses and line ends too: it ends at the last `)`.
#[must_use]
pub fn parse(text: &[u8]) -> Option<Stat> {
    const PF_KTHREAD: u64 = 0x0020_0000;
    let open = text.iter().position(|b| *b == b'(')?;
    let close = text.iter().rposition(|b| *b == b')')?;
    let comm = Foreign::new(text.get(open + 1..close)?);
    let mut f = [&b""[..]; 50];
    let mut seen = 0;
    for (slot, field) in f.iter_mut().zip(fields(&text[close + 1..])) {
        *slot = field;
        seen += 1;
    }
    // proc(5) counts from 1 and the state is field 3.
    let at = |field: usize| f[field - 3];
    let signed = |field: usize| std::str::from_utf8(at(field)).ok()?.parse::<i32>().ok();
    if seen < 20 {
        return None;
    }
    Some(Stat {
        comm,
        state: char::from(*at(3).first()?),
        ppid: signed(4)?,
        session: signed(6)?,
        tty: signed(7)?,
        kernel: number(at(9))? & PF_KTHREAD != 0,
        major_faults: number(at(12))?,
        user_ticks: number(at(14))?,
        system_ticks: number(at(15))?,
        nice: signed(19)?,
        threads: u32::try_from(number(at(20))?).ok()?,
        start: number(at(22))?,
        rss_pages: signed64(at(24)).unwrap_or(0),
        // Signed in the format; a negative one says nothing.
        child_ticks: signed64(at(16)).unwrap_or(0).saturating_add(signed64(at(17)).unwrap_or(0)),
        processor: number(at(39)).and_then(|p| u32::try_from(p).ok()).unwrap_or(0),
        policy: number(at(41)).and_then(|p| u32::try_from(p).ok()).unwrap_or(0),
    })
}

fn signed64(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse::<i64>().ok().map(|v| v.max(0).unsigned_abs())
}

/// The CPUs of `Cpus_allowed_list` in `/proc/PID/status`, such as `0-3,8`; at most 4096.
#[must_use]
pub fn parse_allowed(text: &[u8]) -> Option<Vec<u32>> {
    const MOST: usize = 4096;
    let list = lines(text).find_map(|l| l.strip_prefix(b"Cpus_allowed_list:"))?;
    let list = std::str::from_utf8(list).ok()?.trim();
    let mut cpus = Vec::new();
    for part in list.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
        cpus.extend((from..=to).take(MOST));
        if cpus.len() > MOST {
            return None;
        }
    }
    Some(cpus)
}

/// The soft limit of "Max open files" in `/proc/PID/limits`; `None` where there is none.
#[must_use]
pub fn parse_open_files(text: &[u8]) -> Option<u64> {
    let line = lines(text).find(|l| l.starts_with(b"Max open files"))?;
    fields(line).nth(3).and_then(number)
}

/// Parses a schedstat line of one thread.
#[must_use]
pub fn parse_sched(text: &[u8]) -> Option<ProcSched> {
    let mut f = fields(text).map(number);
    Some(ProcSched { run_ns: f.next()??, wait_ns: f.next()??, slices: f.next()??, hottest_ns: 0, all_threads: false })
}

/// Parses `/proc/PID/io`.
#[must_use]
pub fn parse_io(text: &[u8]) -> Option<ProcIo> {
    let get = |name: &[u8]| lines(text).find_map(|l| number(l.strip_prefix(name)?.trim_ascii()));
    Some(ProcIo {
        read_bytes: get(b"read_bytes:")?,
        write_bytes: get(b"write_bytes:")?,
        cancelled_write_bytes: get(b"cancelled_write_bytes:").unwrap_or(0),
    })
}

/// Parses `/proc/PID/statm`: pages resident of files and of shared memory.
#[must_use]
pub fn parse_shared(text: &[u8]) -> Option<u64> {
    fields(text).nth(2).and_then(number)
}

/// Parses `/proc/PID/cgroup`; the root group of a hierarchy is left out.
#[must_use]
pub fn parse_cgroups(text: &[u8]) -> Vec<CgroupPath> {
    let mut paths = Vec::new();
    for line in lines(text) {
        let mut parts = line.splitn(3, |b| *b == b':');
        let (Some(id), Some(names), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        if path == b"/" || path.is_empty() {
            continue;
        }
        let has = |name: &[u8]| names.split(|b| *b == b',').any(|n| n == name);
        let found = [
            (id == b"0" && names.is_empty(), Controller::Unified),
            (has(b"cpu"), Controller::Cpu),
            (has(b"memory"), Controller::Memory),
            (has(b"blkio"), Controller::Io),
        ];
        paths.extend(
            found
                .iter()
                .filter(|(is, _)| *is)
                .map(|(_, controller)| CgroupPath { controller: *controller, path: Foreign::new(path) }),
        );
    }
    paths
}

/// The pid in the innermost namespace: the last of `NSpid` in `/proc/PID/status`.
#[must_use]
pub fn parse_innermost_pid(text: &[u8]) -> Option<i32> {
    let line = lines(text).find_map(|line| line.strip_prefix(b"NSpid:"))?;
    std::str::from_utf8(fields(line).last()?).ok()?.parse().ok()
}

/// The system call that a task is in, by `/proc/PID/syscall`; -1 when it is in none.
#[must_use]
pub fn parse_syscall(text: &[u8]) -> Option<i64> {
    match fields(text).next()? {
        b"running" => Some(-1),
        number => std::str::from_utf8(number).ok()?.parse().ok(),
    }
}

/// True for calls that wait until data is on the disk: fsync, fdatasync, sync, syncfs, msync, sync_file_range. Their numbers are the
/// processor's; on others than these nothing is known to be one.
#[must_use]
pub fn is_sync(call: i64) -> bool {
    const SYNCS: &[i64] = if cfg!(target_arch = "x86_64") {
        &[26, 74, 75, 162, 277, 306]
    } else if cfg!(any(target_arch = "aarch64", target_arch = "riscv64")) {
        &[81, 82, 83, 84, 227, 267]
    } else {
        &[]
    };
    SYNCS.contains(&call)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = "4242 (a) R (b\n) S 1 4242 4242 34816 4242 4194560 100 0 7 0 150 50 0 0 20 5 3 0 998877 \
        1000000 250 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 3 42 0 0 0 0 0 0 0 0 0 0";

    #[test]
    fn a_name_may_hold_parentheses_and_line_ends() {
        let stat = parse(LINE.as_bytes()).unwrap();
        assert_eq!(stat.comm.raw(), b"a) R (b\n");
        assert_eq!((stat.state, stat.ppid, stat.tty, stat.start), ('S', 1, 34816, 998_877));
        assert_eq!((stat.user_ticks, stat.system_ticks, stat.nice, stat.threads), (150, 50, 5, 3));
        assert_eq!((stat.major_faults, stat.rss_pages, stat.policy), (7, 250, 3));
    }

    #[test]
    fn shared_pages_are_the_third_of_statm() {
        assert_eq!(parse_shared(b"40837 2508 2011 1123 0 901 0\n"), Some(2011));
        assert_eq!(parse_shared(b"40837 2508\n"), None);
    }

    #[test]
    fn groups_of_all_versions() {
        let paths = parse_cgroups(b"8:blkio:/slow\n4:memory:/a:b\n2:cpu,cpuacct:/q\n1:name=systemd:/\n0::/u.slice\n");
        let shown: Vec<_> = paths.iter().map(|p| (p.controller, p.path.shown())).collect();
        assert_eq!(
            shown,
            [(Controller::Io, "/slow"), (Controller::Memory, "/a:b"), (Controller::Cpu, "/q"), (Controller::Unified, "/u.slice"),]
        );
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes: Vec<u8>, cut in 0usize..200, at in 0usize..200, byte: u8) {
            let mut line = LINE.as_bytes()[..cut.min(LINE.len())].to_vec();
            if let Some(slot) = line.get_mut(at) { *slot = byte; }
            for text in [&bytes, &line] {
                _ = (parse(text), parse_sched(text), parse_io(text), parse_cgroups(text));
            }
        }
    }
}
