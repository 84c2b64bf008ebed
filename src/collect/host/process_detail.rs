//! One process closely, on demand: threads, limits, open files. Runs on a deadline thread.

use crate::collect::root::{Reader, Roots, fields, lines, number};
use crate::model::demand::{ProcessDetail, ThreadDetail};
use crate::model::foreign::Foreign;
use crate::model::host::ProcId;
use crate::model::seen::{Lack, Seen, Why};

use super::stat;

const THREADS: usize = 64;

/// Reads the details of `id`.
///
/// # Errors
/// When the process is gone, or another one has its pid now.
pub fn read(roots: &Roots, id: ProcId) -> Seen<ProcessDetail> {
    let mut reader = Reader::default();
    let dir = roots.proc.join(id.pid.to_string());
    let now = reader.parse(&dir.join("stat"), stat::parse)?;
    if now.start != id.start {
        return Err(Lack::new(Why::Absent, format!("pid {} has been reused by another process", id.pid)));
    }
    let mut detail = ProcessDetail::default();
    if let Ok(text) = reader.read(&dir.join("status")) {
        let kib = |name: &[u8]| value(text, name).and_then(|v| v.checked_mul(1024));
        detail.swap_bytes = kib(b"VmSwap:");
        detail.peak_rss_bytes = kib(b"VmHWM:");
        detail.switches = value(text, b"voluntary_ctxt_switches:").zip(value(text, b"nonvoluntary_ctxt_switches:"));
    }
    if let Ok(text) = reader.read(&dir.join("limits")) {
        detail.open_files_limit = stat::parse_open_files(text);
    }
    detail.open_files = std::fs::read_dir(dir.join("fd")).ok().map(|d| d.count() as u64);
    let Ok(tasks) = std::fs::read_dir(dir.join("task")) else { return Ok(detail) };
    for task in tasks.flatten().take(THREADS) {
        let (Some(tid), path) = (task.file_name().to_str().and_then(|t| t.parse().ok()), task.path()) else {
            continue;
        };
        let Ok(stat) = reader.parse(&path.join("stat"), stat::parse) else { continue };
        let sched = reader.parse(&path.join("schedstat"), stat::parse_sched).unwrap_or_default();
        let wchan = reader.read(&path.join("wchan")).ok().filter(|w| !w.is_empty() && *w != b"0").map(Foreign::new);
        detail.threads.push(ThreadDetail {
            tid,
            name: stat.comm,
            state: stat.state,
            wchan,
            run_ns: sched.run_ns,
            wait_ns: sched.wait_ns,
        });
    }
    detail.threads.sort_unstable_by_key(|t| t.tid);
    Ok(detail)
}

fn value(text: &[u8], name: &[u8]) -> Option<u64> {
    lines(text).find_map(|l| fields(l.strip_prefix(name)?).next().and_then(number))
}
