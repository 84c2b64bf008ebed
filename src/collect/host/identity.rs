//! Who the host is. `sysinfo` names the operating system; the rest is three small files.

use std::path::Path;

use crate::collect::root::{Reader, Roots};
use crate::model::foreign::Foreign;
use crate::model::host::{Clock, Identity};

use super::memory::parse_meminfo;

/// Reads the identity; what cannot be read is empty or zero and shows as unknown.
#[must_use]
pub fn read(roots: &Roots) -> Identity {
    let mut reader = Reader::default();
    let mut text = |name: &str| {
        let path = roots.proc.join("sys/kernel").join(name);
        Foreign::new(reader.read(&path).unwrap_or_default().trim_ascii())
    };
    let (name, kernel) = (text("hostname"), text("osrelease"));
    let cpus = reader.parse(&roots.proc.join("stat"), super::cpu::parse_stat).map_or(0, |c| c.cores.len());
    Identity {
        name,
        kernel,
        os: Foreign::from(sysinfo::System::long_os_version().unwrap_or_default().as_str()),
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        memory_bytes: reader.parse(&roots.proc.join("meminfo"), parse_meminfo).map_or(0, |m| m.total),
        inside: inside(roots),
        ticks_per_s: rustix::param::clock_ticks_per_second(),
        page_bytes: rustix::param::page_size() as u64,
        autogroup: reader.number(&roots.proc.join("sys/kernel/sched_autogroup_enabled")) == Some(1),
        root: rustix::process::geteuid().is_root(),
        self_pid: self_pid(roots),
        clock: clock(&mut reader, roots),
    }
}

fn clock(reader: &mut Reader, roots: &Roots) -> Option<Clock> {
    let mut word = |name: &str| {
        let text = reader.read(&roots.sys.join("devices/system/clocksource/clocksource0").join(name)).ok()?;
        Some(Foreign::new(text.trim_ascii()).shown().to_owned())
    };
    Some(Clock { current: word("current_clocksource")?, available: word("available_clocksource")? })
}

/// perftop's own pid as that /proc counts it; 0 when it is not to be found there. Through another /proc it is the process in our
/// namespace of pids whose innermost pid is ours: `NSpid` of its status.
fn self_pid(roots: &Roots) -> i32 {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    if roots.own_proc() {
        return own;
    }
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok();
    let mut reader = Reader::default();
    let Ok(entries) = std::fs::read_dir(&roots.proc) else { return 0 };
    let mut pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let mut is_self = |pid: &i32| {
        let dir = roots.proc.join(pid.to_string());
        let inner = reader.parse(&dir.join("status"), super::stat::parse_innermost_pid).ok();
        inner == Some(own) && std::fs::read_link(dir.join("ns/pid")).ok() == namespace
    };
    pids.find(|pid| is_self(pid)).unwrap_or(0)
}

fn inside(roots: &Roots) -> Option<String> {
    if !roots.own_proc() {
        return None;
    }
    let container = ["/.dockerenv", "/run/.containerenv"].iter().any(|p| Path::new(p).exists());
    match std::env::var_os("KUBERNETES_SERVICE_HOST") {
        Some(_) => Some("pod".to_owned()),
        None => container.then(|| "container".to_owned()),
    }
}
