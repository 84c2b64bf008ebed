//! Control groups, v1, v2 and hybrid. Groups with a limit are read at every sweep, the others with each walk.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::collect::clock;
use crate::collect::root::{Reader, Roots, fields, lines, number};
use crate::model::foreign::Foreign;
use crate::model::host::{CgroupCpu, CgroupIo, CgroupMemory, CgroupRaw, Controller, IoLimit};
use crate::model::seen::{Lack, Seen, Why};

use super::filesystem::parse_mountinfo;
use super::psi;

const DEPTH: usize = 8;
const GROUPS: usize = 500;
/// Sweeps between two walks of the trees.
const WALK_EVERY: u64 = 5;
/// v1 prints a number near 2^63 for "no limit".
const NO_LIMIT: u64 = 1 << 60;

/// The trees and what was found in them.
#[derive(Debug, Default)]
pub struct Cgroups {
    trees: Option<Vec<(Controller, PathBuf, PathBuf)>>,
    groups: Vec<(CgroupRaw, PathBuf)>,
    round: u64,
}

impl Cgroups {
    /// All groups below the roots of the trees.
    ///
    /// # Errors
    /// When no control group file system is mounted.
    ///
    /// With `all` the counters of every group are read: someone was killed, and it must be seen where.
    pub fn read(&mut self, reader: &mut Reader, roots: &Roots, all: bool) -> Seen<Vec<CgroupRaw>> {
        let trees = self.trees.get_or_insert_with(|| trees(reader, roots));
        if trees.is_empty() {
            return Err(Lack::new(Why::Absent, "no control group file system is mounted"));
        }
        if self.round.is_multiple_of(WALK_EVERY) {
            self.groups.clear();
            for (controller, dir, shown) in trees.iter() {
                let before = self.groups.len();
                push_root(*controller, dir, shown, &mut self.groups);
                walk(*controller, dir, shown, dir, 0, before + GROUPS, &mut self.groups);
            }
        }
        let walked = self.round.is_multiple_of(WALK_EVERY);
        self.round += 1;
        for (group, dir) in self.groups.iter_mut().filter(|(g, _)| walked || all || limited(g)) {
            fill(reader, group, dir, walked);
        }
        Ok(self.groups.iter().map(|(group, _)| group.clone()).collect())
    }
}

fn limited(group: &CgroupRaw) -> bool {
    group.cpu.is_some_and(|c| c.quota_us.is_some())
        || group.memory.is_some_and(|m| m.limit.is_some() || m.high.is_some())
        || group.tasks.is_some()
        || group.io.as_ref().is_some_and(|io| !io.limits.is_empty())
}

/// Mounted trees: controller, directory below the roots, directory as the operator types it.
fn trees(reader: &mut Reader, roots: &Roots) -> Vec<(Controller, PathBuf, PathBuf)> {
    let pid = if roots.own_proc() { "self" } else { "1" };
    let Ok(text) = reader.read(&roots.proc.join(pid).join("mountinfo")) else { return Vec::new() };
    let mut found = Vec::new();
    for mount in parse_mountinfo(text) {
        let shown = PathBuf::from(std::ffi::OsStr::from_bytes(mount.mount.raw()));
        let dir = roots.moved(&shown);
        let option = |name: &str| mount.super_options.shown().split(',').any(|o| o == name);
        match mount.kind.raw() {
            b"cgroup2" => found.push((Controller::Unified, dir, shown)),
            b"cgroup" if option("cpu") => found.push((Controller::Cpu, dir, shown)),
            b"cgroup" if option("memory") => found.push((Controller::Memory, dir, shown)),
            b"cgroup" if option("pids") => found.push((Controller::Pids, dir, shown)),
            b"cgroup" if option("blkio") => found.push((Controller::Io, dir, shown)),
            _ => {}
        }
    }
    found.sort_by_key(|(controller, _, _)| *controller);
    found.dedup_by_key(|(controller, _, _)| *controller);
    found
}

/// Inside a container the root of the tree is its own group, with its own limits; the machine's root has none of
/// these files.
fn push_root(controller: Controller, dir: &Path, shown: &Path, out: &mut Vec<(CgroupRaw, PathBuf)>) {
    let limits = ["cpu.max", "memory.max", "memory.high", "io.max", "pids.max", "cpu.cfs_quota_us"];
    // The machine's own root of version 1 has the file too, without a limit.
    let of_v1 = || Reader::default().number(&dir.join("memory.limit_in_bytes")).is_some_and(|limit| limit < NO_LIMIT);
    if limits.iter().any(|name| dir.join(name).exists()) || of_v1() {
        out.push((empty(controller, b"/", shown), dir.to_path_buf()));
    }
}

fn empty(controller: Controller, path: &[u8], directory: &Path) -> CgroupRaw {
    CgroupRaw {
        controller,
        path: Foreign::new(path),
        directory: Foreign::new(directory.as_os_str().as_bytes()),
        mono_ns: 0,
        cpu: None,
        memory: None,
        io: None,
        tasks: None,
        psi: None,
    }
}

fn walk(
    controller: Controller,
    root: &Path,
    shown: &Path,
    dir: &Path,
    depth: usize,
    most: usize,
    out: &mut Vec<(CgroupRaw, PathBuf)>,
) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let is_dir = |e: &std::fs::DirEntry| e.file_type().is_ok_and(|t| t.is_dir());
    let mut dirs: Vec<PathBuf> = entries.flatten().filter(is_dir).map(|e| e.path()).collect();
    dirs.sort_unstable();
    for dir in dirs {
        if out.len() >= most {
            return;
        }
        let Ok(below) = dir.strip_prefix(root) else { continue };
        let mut path = b"/".to_vec();
        path.extend_from_slice(below.as_os_str().as_bytes());
        let raw = empty(controller, &path, &shown.join(below));
        out.push((raw, dir.clone()));
        if depth < DEPTH {
            walk(controller, root, shown, &dir, depth + 1, most, out);
        }
    }
}

fn fill(reader: &mut Reader, group: &mut CgroupRaw, dir: &Path, walked: bool) {
    group.mono_ns = clock::mono_ns();
    match group.controller {
        Controller::Cpu => group.cpu = cpu_v1(reader, dir),
        Controller::Memory => group.memory = Some(memory_v1(reader, dir)),
        Controller::Io => group.io = Some(io_v1(reader, dir)),
        Controller::Pids => group.tasks = tasks(reader, dir),
        Controller::Unified => {
            group.cpu = cpu_v2(reader, dir);
            group.memory = memory_v2(reader, dir);
            group.io = io_v2(reader, dir);
            group.tasks = tasks(reader, dir);
            if walked || group.memory.is_some_and(|m| m.high.is_some()) {
                let read = |name: &str, reader: &mut Reader| psi::read(reader, &dir.join(name)).ok();
                group.psi = Some(["cpu.pressure", "memory.pressure", "io.pressure"].map(|n| read(n, reader)));
            }
        }
    }
}

fn tasks(reader: &mut Reader, dir: &Path) -> Option<(u64, u64)> {
    // "max" is not a number.
    let most = reader.number(&dir.join("pids.max"))?;
    Some((reader.number(&dir.join("pids.current"))?, most))
}

/// The number behind `name` in a file of `name number` lines.
#[must_use]
pub fn keyed(text: &[u8], name: &[u8]) -> Option<u64> {
    lines(text).find_map(|line| {
        let mut f = fields(line);
        (f.next()? == name).then(|| f.next().and_then(number))?
    })
}

fn cpu_v1(reader: &mut Reader, dir: &Path) -> Option<CgroupCpu> {
    let text = reader.read(&dir.join("cpu.stat")).ok()?;
    let mut cpu = CgroupCpu {
        periods: keyed(text, b"nr_periods"),
        throttled_periods: keyed(text, b"nr_throttled"),
        throttled_us: keyed(text, b"throttled_time").map(|ns| ns / 1000),
        ..CgroupCpu::default()
    };
    // -1 = no quota, which is not an unsigned number.
    cpu.quota_us = reader.number(&dir.join("cpu.cfs_quota_us"));
    cpu.period_us = reader.number(&dir.join("cpu.cfs_period_us"));
    cpu.usage_us = reader.number(&dir.join("cpuacct.usage")).map(|ns| ns / 1000);
    Some(cpu)
}

fn cpu_v2(reader: &mut Reader, dir: &Path) -> Option<CgroupCpu> {
    let text = reader.read(&dir.join("cpu.stat")).ok()?;
    let mut cpu = CgroupCpu {
        usage_us: keyed(text, b"usage_usec"),
        periods: keyed(text, b"nr_periods"),
        throttled_periods: keyed(text, b"nr_throttled"),
        throttled_us: keyed(text, b"throttled_usec"),
        ..CgroupCpu::default()
    };
    if let Ok(text) = reader.read(&dir.join("cpu.max")) {
        let mut f = fields(text);
        cpu.quota_us = f.next().and_then(number);
        cpu.period_us = f.next().and_then(number);
    }
    Some(cpu)
}

fn memory_v1(reader: &mut Reader, dir: &Path) -> CgroupMemory {
    let mut number_of = |name: &str| reader.number(&dir.join(name));
    let mut memory = CgroupMemory {
        current: number_of("memory.usage_in_bytes"),
        limit: number_of("memory.limit_in_bytes").filter(|l| *l < NO_LIMIT),
        max_events: number_of("memory.failcnt"),
        ..CgroupMemory::default()
    };
    memory.oom_kill = reader.read(&dir.join("memory.oom_control")).ok().and_then(|t| keyed(t, b"oom_kill"));
    // Only a group with a limit can thrash because of it; the file is long. v1 has the counter since Linux 5.13.
    if memory.limit.is_some()
        && let Ok(text) = reader.read(&dir.join("memory.stat"))
    {
        memory.refault_file = keyed(text, b"workingset_refault_file");
        // With its children, as the usage is.
        memory.inactive_file = keyed(text, b"total_inactive_file").or_else(|| keyed(text, b"inactive_file"));
    }
    memory
}

fn memory_v2(reader: &mut Reader, dir: &Path) -> Option<CgroupMemory> {
    let mut memory = CgroupMemory {
        current: Some(reader.number(&dir.join("memory.current"))?),
        limit: reader.number(&dir.join("memory.max")),
        high: reader.number(&dir.join("memory.high")),
        ..CgroupMemory::default()
    };
    // The local file counts this group alone; the plain one all groups below as well.
    let events = ["memory.events.local", "memory.events"];
    if let Some(name) = events.iter().find(|n| dir.join(n).exists())
        && let Ok(text) = reader.read(&dir.join(name))
    {
        memory.oom_kill = keyed(text, b"oom_kill");
        memory.max_events = keyed(text, b"max");
        memory.high_events = keyed(text, b"high");
    }
    if let Ok(text) = reader.read(&dir.join("memory.stat")) {
        memory.refault_file = keyed(text, b"workingset_refault_file");
        memory.inactive_file = keyed(text, b"inactive_file");
    }
    Some(memory)
}

const V1_LIMITS: [(&str, &str); 4] = [
    ("blkio.throttle.read_bps_device", "rbps"),
    ("blkio.throttle.write_bps_device", "wbps"),
    ("blkio.throttle.read_iops_device", "riops"),
    ("blkio.throttle.write_iops_device", "wiops"),
];

fn io_v1(reader: &mut Reader, dir: &Path) -> CgroupIo {
    let mut io = CgroupIo::default();
    for (file, what) in V1_LIMITS {
        let Ok(text) = reader.read(&dir.join(file)) else { continue };
        for line in lines(text) {
            let mut f = fields(line);
            let device = f.next().and_then(|d| std::str::from_utf8(d).ok());
            if let (Some(device), Some(per_s)) = (device, f.next().and_then(number)) {
                io.limits.push(IoLimit { device: device.to_owned(), what: what.to_owned(), per_s, done: None });
            }
        }
    }
    let total = |text: &[u8]| keyed(text, b"Total");
    for (file, unit) in [("blkio.throttle.io_service_bytes", "bps"), ("blkio.throttle.io_serviced", "iops")] {
        let Ok(text) = reader.read(&dir.join(file)) else { continue };
        for limit in io.limits.iter_mut().filter(|l| l.what.ends_with(unit)) {
            limit.done = done_v1(text, &limit.device, if limit.what.starts_with('r') { b"Read" } else { b"Write" });
        }
        *(if unit == "bps" { &mut io.bytes } else { &mut io.operations }) = total(text);
    }
    io
}

/// `254:0 Read 4096`: of that device and way; a device without a line has moved nothing.
fn done_v1(text: &[u8], device: &str, way: &[u8]) -> Option<u64> {
    let of_device = |line: &[u8]| {
        let mut f = fields(line);
        (f.next()? == device.as_bytes() && f.next()? == way).then(|| f.next().and_then(number))?
    };
    Some(lines(text).find_map(of_device).unwrap_or(0))
}

fn io_v2(reader: &mut Reader, dir: &Path) -> Option<CgroupIo> {
    let mut io = CgroupIo::default();
    let text = reader.read(&dir.join("io.stat")).ok()?.to_vec();
    let text = text.as_slice();
    let sum = |names: [&str; 2]| {
        let of_line = |line: &[u8]| -> u64 { names.iter().filter_map(|n| assigned(line, n)).sum() };
        Some(lines(text).map(of_line).sum())
    };
    io.bytes = sum(["rbytes", "wbytes"]);
    io.operations = sum(["rios", "wios"]);
    if let Ok(text) = reader.read(&dir.join("io.max")) {
        for line in lines(text) {
            let Some(device) = fields(line).next().and_then(|d| std::str::from_utf8(d).ok()) else { continue };
            let limit = |what: &str| {
                let (device, what) = (device.to_owned(), what.to_owned());
                let name = match what.as_str() {
                    "rbps" => "rbytes",
                    "wbps" => "wbytes",
                    "riops" => "rios",
                    _ => "wios",
                };
                let own = lines(text).find(|l| fields(l).next() == Some(device.as_bytes()));
                let done = Some(own.and_then(|l| assigned(l, name)).unwrap_or(0));
                assigned(line, &what).map(|per_s| IoLimit { device, what, per_s, done })
            };
            io.limits.extend(["rbps", "wbps", "riops", "wiops"].iter().filter_map(|w| limit(w)));
        }
    }
    Some(io)
}

/// The number in `name=number`; `max` is none.
fn assigned(line: &[u8], name: &str) -> Option<u64> {
    fields(line).find_map(|f| number(f.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempdir::Dir {
        let dir = tempdir::Dir::new();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    use crate::collect::host::tempdir;

    #[test]
    fn version_two_files_are_read_by_key() {
        let dir = tree(&[
            ("cpu.stat", "usage_usec 500\nuser_usec 1\nnr_periods 10\nnr_throttled 4\nthrottled_usec 900\n"),
            ("cpu.max", "20000 100000\n"),
            ("memory.current", "4096\n"),
            ("memory.max", "max\n"),
            ("memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n"),
            ("memory.stat", "anon 1\nworkingset_refault_file 8\ninactive_file 12\n"),
            ("io.stat", "254:0 rbytes=100 wbytes=50 rios=3 wios=1 dbytes=0 dios=0\n"),
            ("io.max", "254:0 rbps=1048576 wbps=max riops=max wiops=30\n"),
        ]);
        let reader = &mut Reader::default();
        let cpu = cpu_v2(reader, dir.path()).unwrap();
        assert_eq!((cpu.quota_us, cpu.throttled_us, cpu.periods), (Some(20_000), Some(900), Some(10)));
        let memory = memory_v2(reader, dir.path()).unwrap();
        assert_eq!((memory.limit, memory.oom_kill, memory.refault_file), (None, Some(2), Some(8)));
        let io = io_v2(reader, dir.path()).unwrap();
        assert_eq!((io.bytes, io.operations), (Some(150), Some(4)));
        assert_eq!(
            io.limits.iter().map(|l| (l.what.as_str(), l.per_s)).collect::<Vec<_>>(),
            [("rbps", 1_048_576), ("wiops", 30),]
        );
    }

    #[test]
    fn version_one_sentinels_are_no_limits_and_times_are_nanoseconds() {
        let dir = tree(&[
            ("cpu.stat", "nr_periods 5\nnr_throttled 5\nthrottled_time 2000000\n"),
            ("cpu.cfs_quota_us", "-1\n"),
            ("cpu.cfs_period_us", "100000\n"),
            ("memory.usage_in_bytes", "77\n"),
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
            ("memory.stat", "cache 1\nworkingset_refault_file 8\ninactive_file 12\n"),
            ("blkio.throttle.write_iops_device", "254:0 30\n"),
        ]);
        let reader = &mut Reader::default();
        let cpu = cpu_v1(reader, dir.path()).unwrap();
        assert_eq!((cpu.quota_us, cpu.throttled_us), (None, Some(2000)));
        let memory = memory_v1(reader, dir.path());
        assert_eq!((memory.limit, memory.oom_kill), (None, Some(3)));
        assert_eq!(memory.refault_file, None, "no limit, nothing to thrash: the long file is not read");
        std::fs::write(dir.path().join("memory.limit_in_bytes"), "4096\n").unwrap();
        let memory = memory_v1(reader, dir.path());
        assert_eq!((memory.limit, memory.refault_file, memory.inactive_file), (Some(4096), Some(8), Some(12)));
        assert_eq!(io_v1(reader, dir.path()).limits[0].per_s, 30);
    }
}
