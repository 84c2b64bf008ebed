//! `/proc/meminfo` and `/proc/vmstat`.

use crate::collect::root::{fields, lines, number};
use crate::model::host::{MemoryRaw, VmstatRaw};

/// Parses `/proc/meminfo`; only MemTotal must be there.
#[must_use]
pub fn parse_meminfo(text: &[u8]) -> Option<MemoryRaw> {
    let mut raw = MemoryRaw::default();
    // Counts, not kilobytes.
    let (mut free, mut reserved, mut size) = (None, None, None);
    for line in lines(text) {
        let mut f = fields(line);
        let (Some(name), Some(value)) = (f.next(), f.next().and_then(number)) else { continue };
        match name {
            b"HugePages_Free:" => free = Some(value),
            b"HugePages_Rsvd:" => reserved = Some(value),
            _ => {}
        }
        let Some(bytes) = value.checked_mul(1024) else { continue };
        let slot = match name {
            b"MemTotal:" => {
                raw.total = bytes;
                continue;
            }
            b"MemFree:" => &mut raw.free,
            b"MemAvailable:" => &mut raw.available,
            b"Buffers:" => &mut raw.buffers,
            b"Cached:" => &mut raw.cached,
            b"Shmem:" => &mut raw.shmem,
            b"SReclaimable:" => &mut raw.slab_reclaimable,
            b"SwapTotal:" => &mut raw.swap_total,
            b"SwapFree:" => &mut raw.swap_free,
            b"Dirty:" => &mut raw.dirty,
            b"Writeback:" => &mut raw.writeback,
            b"AnonPages:" => &mut raw.anonymous,
            b"SUnreclaim:" => &mut raw.slab_kept,
            b"PageTables:" => &mut raw.page_tables,
            b"KernelStack:" => &mut raw.kernel_stacks,
            b"Percpu:" => &mut raw.per_cpu,
            b"Hugepagesize:" => &mut size,
            _ => continue,
        };
        *slot = Some(bytes);
    }
    raw.huge_unused =
        free.zip(reserved).zip(size).and_then(|((free, reserved), size)| free.saturating_sub(reserved).checked_mul(size));
    (raw.total > 0).then_some(raw)
}

/// Parses `/proc/vmstat`; a name that the kernel lacks stays unknown.
#[must_use]
pub fn parse_vmstat(text: &[u8]) -> Option<VmstatRaw> {
    let mut raw = VmstatRaw::default();
    let mut seen = 0;
    for line in lines(text) {
        let mut f = fields(line);
        let (Some(name), Some(value)) = (f.next(), f.next().and_then(number)) else { continue };
        seen += 1;
        let slot = match name {
            b"pgmajfault" => &mut raw.pgmajfault,
            b"pswpin" => &mut raw.pswpin,
            b"pswpout" => &mut raw.pswpout,
            // One counter for both kinds before Linux 5.9.
            b"workingset_refault_file" | b"workingset_refault" => &mut raw.refault_file,
            b"workingset_refault_anon" => &mut raw.refault_anon,
            b"pgscan_direct" => &mut raw.pgscan_direct,
            b"pgsteal_direct" => &mut raw.pgsteal_direct,
            b"pgscan_kswapd" => &mut raw.pgscan_kswapd,
            b"oom_kill" => &mut raw.oom_kill,
            b"pgpgin" => &mut raw.pgpgin_kib,
            b"nr_dirty_threshold" => &mut raw.dirty_limit,
            b"nr_dirty" | b"nr_writeback" => {
                raw.dirty = Some(raw.dirty.unwrap_or(0).saturating_add(value));
                continue;
            }
            name if name.starts_with(b"allocstall") => {
                raw.allocstall = Some(raw.allocstall.unwrap_or(0).saturating_add(value));
                continue;
            }
            _ => continue,
        };
        *slot = Some(value);
    }
    (seen > 0).then_some(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_negative_line_is_unknown_and_the_rest_stands() {
        let raw = parse_meminfo(b"MemTotal: 1000 kB\nMemFree: -5 kB\nMemAvailable: 400 kB\n").unwrap();
        assert_eq!((raw.total, raw.free, raw.available), (1_024_000, None, Some(409_600)));
        assert!(parse_meminfo(b"MemFree: 5 kB\n").is_none());
        let huge = b"MemTotal: 1000 kB\nHugePages_Total: 9\nHugePages_Free: 5\nHugePages_Rsvd: 1\nHugepagesize: 2048 kB\n";
        assert_eq!(parse_meminfo(huge).unwrap().huge_unused, Some(4 * 2048 * 1024));
    }

    #[test]
    fn zones_are_summed_and_absent_names_are_unknown() {
        let raw = parse_vmstat(b"allocstall_dma 1\nallocstall_normal 4\npswpin 0\n").unwrap();
        assert_eq!((raw.allocstall, raw.pswpin, raw.oom_kill), (Some(5), Some(0), None));
    }
}
