//! What a program is bound by, in words: the title, the rows, what would make it faster.

use crate::detect::command::{Command, named, sh};
use crate::detect::finding::{Fix, Horizon, Phase};
use crate::detect::fix::{look, shell_fix};
use crate::detect::rules::crowd::Crowd;
use crate::detect::verdict::Facts;
use crate::model::facts::CpuFacts;
use crate::model::unit::{bytes, short};

use super::own_time::{OwnTime, Part};

/// What a part of its time is, and where that is read.
pub(super) fn spent_on(part: &Part) -> (String, &'static str) {
    match part {
        Part::Work => ("on a CPU".into(), "host.processes"),
        Part::Queue => ("ready to run, waiting for a CPU".into(), "host.schedstat"),
        Part::Quota(group) => (format!("held back by the CPU quota of {group}"), "host.schedstat"),
        Part::Flush => ("inside fsync".into(), "host.sync"),
        Part::Read => ("waiting for data from a disk".into(), "host.iodelay"),
        Part::Write => ("waiting for data to go to a disk".into(), "host.iodelay"),
        Part::Swap => ("waiting for its memory to come back from swap".into(), "host.iodelay"),
        Part::Peer(peer) => (format!("waiting for responses of {peer}"), "host.peers"),
    }
}

/// What it is bound by; `full`: the part of the time from which a thread is full.
pub(super) fn title(facts: &Facts<'_>, who: &Crowd<'_>, time: &OwnTime, by: &(Part, f64), full: f64) -> String {
    let (is, its) = (who.verb("is", "are"), who.verb("its", "their"));
    let label = &who.label;
    let (part, seconds) = by;
    let percent = format!("{} % of {its} time", short(100.0 * seconds / time.total()));
    match part {
        Part::Work if time.one_thread(full) => {
            let while_free = match free_cpus(facts) {
                0 => String::new(),
                1 => ", while 1 CPU is free".to_owned(),
                n => format!(", while {n} CPUs are free"),
            };
            format!("{label} {is} bound by one thread: {percent} on a CPU{while_free}")
        }
        Part::Work if time.system * 2.0 >= time.work => {
            format!("{label} {is} bound by CPU, most of it in the kernel: {percent}")
        }
        Part::Work => format!("{label} {is} bound by CPU: {percent} on {} CPUs", short(time.work)),
        Part::Queue => {
            format!("{label} {is} bound by CPU: {its} own threads wait for each other {} s/s in the run queue", short(*seconds))
        }
        Part::Quota(group) => format!("{label} {is} bound by the CPU quota of {group}: {percent}"),
        Part::Flush => format!("{label} {is} bound by {its} own flushes to disk: {percent} inside fsync"),
        Part::Read => format!("{label} {is} bound by {its} own reads: {percent}{}", rate(time.read)),
        Part::Write => format!("{label} {is} bound by {its} own writes: {percent}{}", rate(time.written)),
        Part::Swap => format!("{label} {is} bound by swap: {percent} waiting for {its} own memory"),
        Part::Peer(peer) => format!("{label} mostly {} for {peer}: {percent}", who.verb("waits", "wait")),
    }
}

/// ` at 4 MiB/s`; nothing where that is not known.
fn rate(bytes_per_s: f64) -> String {
    if bytes_per_s > 0.0 { format!(" at {}/s", bytes(bytes_per_s)) } else { String::new() }
}

/// What would make it faster, and how to see more.
pub(super) fn fixes(facts: &Facts<'_>, who: &Crowd<'_>, time: &OwnTime, part: &Part, serves: bool) -> Vec<Fix> {
    let Some(first) = who.members.first() else { return Vec::new() };
    let pid = first.id.pid;
    let traced = |calls: Command| {
        // strace stops a program at each call: not one that others wait for.
        let calls = if serves { sh!("perf trace -s -p {} -- sleep 5", pid) } else { calls };
        let mut traced = look("See which system calls take the time", calls);
        traced.risk =
            if serves { "slows it down a little for five seconds" } else { "strace slows it down for five seconds" }.into();
        traced
    };
    let (see, faster) = match part {
        Part::Work | Part::Queue if time.system * 2.0 >= time.work => {
            (traced(sh!("timeout 5 strace -f -c -p {}", pid)), "Make fewer or larger system calls")
        }
        Part::Work if free_cpus(facts) > 0 => (on_cpu(pid), "Spread its work over more threads or processes, or make it cheaper"),
        Part::Work | Part::Queue => (on_cpu(pid), "Give it more CPUs, or less work"),
        Part::Quota(_) => {
            let groups = sh!("cat /proc/{}/cgroup; systemd-cgls --no-pager 2>/dev/null | head -50", pid);
            (look("See the group whose quota it is", groups), "Raise the quota, or give it less work")
        }
        Part::Flush => {
            let calls = sh!("timeout 5 strace -f -c -e trace=fsync,fdatasync,msync,sync,syncfs,sync_file_range -p {}", pid);
            (traced(calls), "Flush less often: one fsync for many records, or a device that answers sooner")
        }
        Part::Read => (files(pid), "Read larger pieces, ahead of need or several at once, or keep in memory what is read again"),
        Part::Write => (files(pid), "Write less or in larger pieces, or to a faster device"),
        Part::Swap => {
            let swapped = sh!("grep -E 'VmSwap|VmRSS' /proc/{}/status; vmstat 1 3", pid);
            (look("See how much of it is in swap", swapped), "Give it more memory, or make it smaller")
        }
        Part::Peer(_) => {
            let sockets = sh!("ss -tinp | grep -A1 'pid={},'", pid);
            (
                look("See its sockets: round trips, what waits", sockets),
                "Ask for more at once, or several times at once; look at the peer",
            )
        }
    };
    let mut cure = shell_fix(Phase::Cure, Horizon::LongTerm, faster, Command::note(format!("# {}", named(who.label.as_bytes()))));
    cure.takes_s = None;
    cure.risk = "depends on how it is done".into();
    cure.needs = "whoever owns that program".into();
    vec![see, cure]
}

fn on_cpu(pid: i32) -> Fix {
    look("See which functions take the CPU", sh!("perf top -p {}", pid))
}

fn files(pid: i32) -> Fix {
    look("See how much it moves, and which files it has open", sh!("pidstat -d -p {} 1 3; ls -l /proc/{}/fd", pid, pid))
}

/// CPUs that nobody uses, whole ones; a tenth of one is not missed.
fn free_cpus(facts: &Facts<'_>) -> u64 {
    // In a container what it may use.
    let free = |cpu: &CpuFacts| cpu.own.map_or((1.0 - cpu.busy) * facts.world.cpus(), |own| own.of - own.used);
    facts.world.host.cpu.as_ref().map_or(0, |cpu| (free(cpu).max(0.0) + 0.1) as u64)
}
