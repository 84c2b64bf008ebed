//! Where a server runs: it is local only when the process that it says it is is here and began when it says. A remote server is never
//! mixed with this host's CPU and disks.

use crate::collect::clock;
use crate::collect::root::Roots;
use crate::model::host::ProcId;
use crate::model::source::Place;

/// Seconds that the two may differ: a server counts its uptime in whole seconds, and from when it has read its data.
const APART_S: f64 = 3.0;

/// The place of a server that says that pid and that uptime; `seen` is the process that was found here. In a namespace of its own a
/// server knows itself by another pid, which the kernel lists (`NSpid`).
#[must_use]
pub fn prove(roots: &Roots, says: Option<i32>, uptime_s: Option<f64>, seen: Option<i32>) -> (Place, Option<ProcId>) {
    let (Some(says), Some(uptime_s)) = (says, uptime_s) else { return (Place::Unknown, None) };
    for pid in [Some(says), seen].into_iter().flatten() {
        if pid != says && !known_as(roots, pid, says) {
            continue;
        }
        if let Some(start) = started(roots, pid)
            && (age_s(start) - uptime_s).abs() < APART_S
        {
            return (Place::Local, Some(ProcId { pid, start }));
        }
    }
    (Place::Remote, None)
}

/// Seconds since a start in ticks.
fn age_s(start: u64) -> f64 {
    let ticks = rustix::param::clock_ticks_per_second().max(1) as f64;
    clock::now().boot_ns as f64 / 1e9 - start as f64 / ticks
}

/// When a process began, in ticks since the boot.
pub fn started(roots: &Roots, pid: i32) -> Option<u64> {
    stat(roots, pid, 19)?.parse().ok()
}

/// Somebody stopped the process: SIGSTOP, or a debugger.
#[must_use]
pub fn stopped(roots: &Roots, id: ProcId) -> bool {
    started(roots, id.pid) == Some(id.start) && stat(roots, id.pid, 0).is_some_and(|state| ["T", "t"].contains(&state.as_str()))
}

/// A field of /proc/PID/stat, counted from the one behind the name.
fn stat(roots: &Roots, pid: i32, field: usize) -> Option<String> {
    let text = std::fs::read(roots.proc.join(pid.to_string()).join("stat")).ok()?;
    let close = text.iter().rposition(|b| *b == b')')?;
    std::str::from_utf8(text.get(close + 1..)?).ok()?.split_ascii_whitespace().nth(field).map(ToOwned::to_owned)
}

fn known_as(roots: &Roots, pid: i32, says: i32) -> bool {
    let text = std::fs::read_to_string(roots.proc.join(pid.to_string()).join("status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("NSpid:"));
    line.is_some_and(|pids| pids.split_ascii_whitespace().any(|p| p.parse() == Ok(says)))
}
