//! Where a server runs: it is local only when our own backend is a process here, which began when the server says and whose parent
//! runs the same program. A remote server is never mixed with this host's CPU and disks.

use crate::collect::clock;
use crate::collect::root::Roots;
use crate::model::host::ProcId;
use crate::model::source::Place;

/// Seconds that two clocks of one machine may differ between fork and the first statement.
const APART_S: f64 = 2.0;

/// The place of the server whose backend for us has this pid and began then (microseconds since 1970), and its postmaster.
#[must_use]
pub fn prove(roots: &Roots, pid: i32, started_us: i64) -> (Place, Option<ProcId>) {
    let Some((start, parent, name)) = stat(roots, pid) else { return (Place::Remote, None) };
    let ticks = rustix::param::clock_ticks_per_second().max(1) as f64;
    let now = clock::now();
    let (wall_s, boot_s) = (now.wall_ms as f64 / 1e3, now.boot_ns as f64 / 1e9);
    let began_s = wall_s - (boot_s - start as f64 / ticks);
    let near = (began_s - started_us as f64 / 1e6).abs() < APART_S;
    match stat(roots, parent) {
        Some((parent_start, _, parent_name)) if near && parent_name == name => {
            (Place::Local, Some(ProcId { pid: parent, start: parent_start }))
        }
        _ => (Place::Remote, None),
    }
}

/// Start in ticks, parent and name of a process.
fn stat(roots: &Roots, pid: i32) -> Option<(u64, i32, Vec<u8>)> {
    let text = std::fs::read(roots.proc.join(pid.to_string()).join("stat")).ok()?;
    let open = text.iter().position(|b| *b == b'(')?;
    let close = text.iter().rposition(|b| *b == b')')?;
    let name = text.get(open + 1..close)?.to_vec();
    let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let start = fields.nth(17)?.parse().ok()?;
    Some((start, parent, name))
}
