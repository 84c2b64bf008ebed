//! Block devices from `/proc/diskstats`, with the formulae of sysstat's `iostat -x`.

use crate::model::counter::{delta, delta_u32};
use crate::model::foreign::Foreign;
use crate::model::host::{DiskRaw, HostSweep};
use crate::model::seen::Seen;

/// One block device over the window.
#[derive(Debug, Clone, PartialEq)]
pub struct DiskFacts {
    /// Name (`vda`).
    pub name: Foreign,
    /// `major:minor`.
    pub number: String,
    /// Counted in sums: no partition, no stacked device.
    pub leaf: bool,
    /// Reads per second.
    pub reads_per_s: f64,
    /// Writes per second.
    pub writes_per_s: f64,
    /// Flushes per second (Linux 5.5+).
    pub flushes_per_s: Option<f64>,
    /// Bytes read per second.
    pub read_bytes_per_s: f64,
    /// Bytes written per second.
    pub write_bytes_per_s: f64,
    /// Milliseconds per read; `None` without reads.
    pub read_await_ms: Option<f64>,
    /// Milliseconds per write; `None` without writes.
    pub write_await_ms: Option<f64>,
    /// Milliseconds per operation, discards and flushes included; `None` without any.
    pub await_ms: Option<f64>,
    /// Mean operations in the device and its queue (`aqu-sz`): Δweighted ms / Δt.
    pub queue: f64,
    /// Share of the time with at least one operation under way, 0..1; no limit for parallel devices.
    pub util: f64,
    /// Operations under way at the newest sweep.
    pub in_flight: u64,
    /// Rotating, when known.
    pub rotational: Option<bool>,
    /// IO scheduler in force, when known.
    pub scheduler: Option<Foreign>,
}

/// `None` without an older sweep. Devices that were recreated within the window are left out until the next one.
pub(super) fn derive(old: Option<&HostSweep>, new: &HostSweep) -> Option<Seen<Vec<DiskFacts>>> {
    let new_disks = match &new.disks {
        Ok(disks) => disks,
        Err(lack) => return Some(Err(lack.clone())),
    };
    let old = old?;
    let old_disks = old.disks.as_ref().ok()?;
    let dt_s = new.at.seconds_since(&old.at)?;
    let facts = new_disks.iter().filter_map(|new| {
        let same = |d: &&DiskRaw| (d.major, d.minor) == (new.major, new.minor) && d.name == new.name;
        one(old_disks.iter().find(same)?, new, dt_s)
    });
    Some(Ok(facts.collect()))
}

fn one(old: &DiskRaw, new: &DiskRaw, dt_s: f64) -> Option<DiskFacts> {
    // A 64-bit counter that went back proves a new device under an old name; then no 32-bit one can be unwrapped.
    let reads = delta(old.reads, new.reads)? as f64;
    let writes = delta(old.writes, new.writes)? as f64;
    let read_bytes = delta(old.read_sectors, new.read_sectors)? as f64 * 512.0;
    let write_bytes = delta(old.write_sectors, new.write_sectors)? as f64 * 512.0;
    let optional = |a: Option<u64>, b: Option<u64>| Some(delta(a?, b?)? as f64);
    let discards = optional(old.discards, new.discards).unwrap_or(0.0);
    let flushes = optional(old.flushes, new.flushes);
    let ms = |a: u64, b: u64| delta_u32(a, b) as f64;
    let optional_ms = |a: Option<u64>, b: Option<u64>| a.zip(b).map_or(0.0, |(a, b)| ms(a, b));
    let read_ms = ms(old.read_ms, new.read_ms);
    let write_ms = ms(old.write_ms, new.write_ms);
    let all_ms = read_ms + write_ms + optional_ms(old.discard_ms, new.discard_ms) + optional_ms(old.flush_ms, new.flush_ms);
    let per = |ms: f64, n: f64| (n > 0.0).then(|| ms / n);
    Some(DiskFacts {
        name: new.name.clone(),
        number: format!("{}:{}", new.major, new.minor),
        leaf: new.leaf,
        reads_per_s: reads / dt_s,
        writes_per_s: writes / dt_s,
        flushes_per_s: flushes.map(|n| n / dt_s),
        read_bytes_per_s: read_bytes / dt_s,
        write_bytes_per_s: write_bytes / dt_s,
        read_await_ms: per(read_ms, reads),
        write_await_ms: per(write_ms, writes),
        await_ms: per(all_ms, reads + writes + discards + flushes.unwrap_or(0.0)),
        queue: ms(old.weighted_ms, new.weighted_ms) / (dt_s * 1000.0),
        util: (ms(old.io_ms, new.io_ms) / (dt_s * 1000.0)).min(1.0),
        in_flight: new.in_flight,
        rotational: new.rotational,
        scheduler: new.scheduler.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(reads: u64, read_ms: u64, weighted_ms: u64) -> DiskRaw {
        DiskRaw {
            major: 254,
            minor: 0,
            name: "vda".into(),
            reads,
            read_sectors: reads * 8,
            read_ms,
            writes: 0,
            write_sectors: 0,
            write_ms: 0,
            in_flight: 0,
            io_ms: read_ms,
            weighted_ms,
            discards: None,
            discard_ms: None,
            flushes: None,
            flush_ms: None,
            leaf: true,
            rotational: None,
            scheduler: None,
        }
    }

    #[test]
    fn milliseconds_wrap_after_49_days_and_stay_right() {
        let f = one(&disk(100, 4_294_967_290, 4_294_967_290), &disk(110, 94, 94), 1.0).unwrap();
        assert_eq!(f.read_await_ms, Some(10.0));
        assert!((f.queue - 0.1).abs() < 1e-9);
        assert!((f.read_bytes_per_s - 40_960.0).abs() < 1e-9);
    }

    #[test]
    fn a_device_made_anew_has_no_rate_and_no_io_has_no_await() {
        assert!(one(&disk(100, 10, 10), &disk(3, 1, 1), 1.0).is_none());
        assert_eq!(one(&disk(100, 10, 10), &disk(100, 10, 10), 1.0).unwrap().await_ms, None);
    }
}
