//! `/proc/stat`, `/proc/loadavg`, `/proc/sys/fs/file-nr`.

use crate::collect::root::{fields, lines, number};
use crate::model::host::{CpuRaw, CpuTicks, FilesRaw, LoadRaw};

/// Parses `/proc/stat`. A CPU line with nonsense in it is left out; without the sum line there is nothing.
#[must_use]
pub fn parse_stat(text: &[u8]) -> Option<CpuRaw> {
    let mut raw = CpuRaw::default();
    let mut total = None;
    for line in lines(text) {
        let mut f = fields(line);
        let Some(name) = f.next() else { continue };
        let mut value = || f.next().and_then(number);
        match name {
            b"cpu" => total = ticks(line),
            b"ctxt" => raw.context_switches = value(),
            b"processes" => raw.forks = value(),
            b"procs_running" => raw.procs_running = value(),
            b"procs_blocked" => raw.procs_blocked = value(),
            b"btime" => raw.boot_s = value(),
            name => {
                let cpu = name.strip_prefix(b"cpu").and_then(number).and_then(|n| u32::try_from(n).ok());
                raw.cores.extend(cpu.zip(ticks(line)));
            }
        }
    }
    raw.total = total?;
    Some(raw)
}

/// Fields after the eighth are guest times, which `user` and `nice` hold already. Old kernels print fewer.
fn ticks(line: &[u8]) -> Option<CpuTicks> {
    let mut values = [0; 8];
    let mut seen = 0;
    for (slot, field) in values.iter_mut().zip(fields(line).skip(1)) {
        *slot = number(field)?;
        seen += 1;
    }
    let [user, nice, system, idle, iowait, irq, softirq, steal] = values;
    (seen >= 4).then_some(CpuTicks { user, nice, system, idle, iowait, irq, softirq, steal })
}

/// Parses `/proc/loadavg`.
#[must_use]
pub fn parse_loadavg(text: &[u8]) -> Option<LoadRaw> {
    let text = std::str::from_utf8(text).ok()?;
    let mut f = text.split_ascii_whitespace();
    let mut average = || f.next()?.parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0);
    let (one, five, fifteen) = (average()?, average()?, average()?);
    let (runnable, threads) = f.next()?.split_once('/')?;
    Some(LoadRaw { one, five, fifteen, runnable: runnable.parse().ok()?, threads: threads.parse().ok()? })
}

/// Parses `/proc/sys/fs/file-nr`.
#[must_use]
pub fn parse_file_nr(text: &[u8]) -> Option<FilesRaw> {
    let mut f = fields(text).map(number);
    let allocated = f.next()??;
    Some(FilesRaw { allocated, limit: f.nth(1)?? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offline_gaps_and_garbage_lines_keep_the_rest() {
        let text = b"cpu  10 1 5 100 2 0 1 3 0 0\ncpu0 5 0 2 50 1 0 1 1 0 0\ncpu3 5 -1 3 50 1 0 0 2 0 0\n\
                     cpu4 5 1 3 50\nintr 9\nctxt 77\nprocesses 12\nprocs_running 3\nprocs_blocked 1\nbtime 5\n";
        let raw = parse_stat(text).unwrap();
        assert_eq!(raw.total.steal, 3);
        assert_eq!(raw.cores.iter().map(|c| c.0).collect::<Vec<_>>(), [0, 4]);
        assert_eq!((raw.context_switches, raw.forks, raw.procs_running), (Some(77), Some(12), Some(3)));
        assert!(parse_stat(b"ctxt 1\n").is_none());
    }

    #[test]
    fn load_and_files() {
        assert_eq!(parse_loadavg(b"0.50 1.25 2.00 3/217 999\n").unwrap().threads, 217);
        assert!(parse_loadavg(b"NaN 1 2 3/4 5").is_none());
        assert_eq!(parse_file_nr(b"1088\t0\t9223372036854775807\n").unwrap().allocated, 1088);
    }
}
