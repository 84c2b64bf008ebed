//! `/proc/diskstats`, and what `/sys/block` says of each device.

use std::collections::HashMap;

use crate::collect::root::{Reader, Roots, fields, lines, number};
use crate::model::foreign::Foreign;
use crate::model::host::DiskRaw;
use crate::model::seen::{Lack, Seen, Why};

/// Parses `/proc/diskstats`. A line with a negative or missing number is left out, all others stand.
#[must_use]
pub fn parse(text: &[u8]) -> Vec<DiskRaw> {
    lines(text).filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<DiskRaw> {
    let mut f = fields(line);
    let major = u32::try_from(number(f.next()?)?).ok()?;
    let minor = u32::try_from(number(f.next()?)?).ok()?;
    let name = Foreign::new(f.next()?);
    let mut v = [None; 17];
    for (slot, field) in v.iter_mut().zip(f) {
        *slot = number(field);
    }
    Some(DiskRaw {
        major,
        minor,
        name,
        reads: v[0]?,
        read_sectors: v[2]?,
        read_ms: v[3]?,
        writes: v[4]?,
        write_sectors: v[6]?,
        write_ms: v[7]?,
        in_flight: v[8]?,
        io_ms: v[9]?,
        weighted_ms: v[10]?,
        discards: v[11],
        discard_ms: v[14],
        flushes: v[15],
        flush_ms: v[16],
        leaf: false,
        rotational: None,
        scheduler: None,
    })
}

#[derive(Debug, Clone, Default)]
struct Nature {
    whole: bool,
    leaf: bool,
    rotational: Option<bool>,
    scheduler: Option<Foreign>,
}

/// Reads the devices; what does not change is asked once per device.
#[derive(Debug, Default)]
pub struct Disks {
    natures: HashMap<(u32, u32, Foreign), Nature>,
}

impl Disks {
    /// All whole devices that were ever used.
    ///
    /// # Errors
    /// When the file cannot be read or holds no device line at all although it is not empty.
    pub fn read(&mut self, reader: &mut Reader, roots: &Roots) -> Seen<Vec<DiskRaw>> {
        let path = roots.proc.join("diskstats");
        let text = reader.read_again(&path)?;
        let mut disks = parse(text);
        if disks.is_empty() && !text.is_empty() {
            return Err(Lack::new(Why::Garbage, path.display().to_string()));
        }
        disks.retain_mut(|disk| {
            if disk.reads + disk.writes == 0 {
                return false;
            }
            let key = (disk.major, disk.minor, disk.name.clone());
            let nature = self.natures.entry(key).or_insert_with(|| nature(roots, &disk.name));
            disk.leaf = nature.leaf;
            disk.rotational = nature.rotational;
            disk.scheduler.clone_from(&nature.scheduler);
            nature.whole
        });
        Ok(disks)
    }
}

/// A device with a directory in /sys/block is whole; without `slaves` it is a leaf. Loop, zram and ram disks
/// rest on other devices or on memory and are views too. A slash in a name stands as `!` in /sys.
fn nature(roots: &Roots, name: &Foreign) -> Nature {
    use std::os::unix::ffi::OsStrExt;
    let in_sys: Vec<u8> = name.raw().iter().map(|b| if *b == b'/' { b'!' } else { *b }).collect();
    let dir = roots.sys.join("block").join(std::ffi::OsStr::from_bytes(&in_sys));
    let no_sys = !roots.sys.join("block").exists();
    let slaves = std::fs::read_dir(dir.join("slaves")).is_ok_and(|mut d| d.next().is_some());
    let paravirtual = [&b"vd"[..], b"xvd"].iter().any(|p| name.raw().starts_with(p));
    let view = [&b"loop"[..], b"zram", b"ram", b"sr", b"fd"].iter().any(|p| name.raw().starts_with(p));
    let mut reader = Reader::default();
    let scheduler = reader.read(&dir.join("queue/scheduler")).ok().and_then(|text| {
        let open = text.iter().position(|b| *b == b'[')?;
        let close = text.iter().position(|b| *b == b']')?;
        Some(Foreign::new(text.get(open + 1..close)?))
    });
    Nature {
        whole: dir.exists() || no_sys,
        leaf: !slaves && !view,
        // Paravirtual disks call themselves rotating whatever is behind them.
        rotational: reader.number(&dir.join("queue/rotational")).filter(|_| !paravirtual).map(|n| n == 1),
        scheduler,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_kernels_and_a_bad_line() {
        let text = b"254 0 vda 26428 5373 1883538 4121 3697 3270 326984 544 0 2168 4847 3456 16 173960 153 820 28\n\
                     8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n8 16 sdb 1 2 3 4 5 6 7 8 -9 10 11\n8 32 sdc 1 2\n";
        let disks = parse(text);
        assert_eq!(disks.len(), 2);
        assert_eq!((disks[0].read_ms, disks[0].weighted_ms, disks[0].flush_ms), (4121, 4847, Some(28)));
        assert_eq!((disks[0].discards, disks[0].discard_ms), (Some(3456), Some(153)));
        assert_eq!(disks[1].flushes, None);
    }
}
