//! `/dev/kmsg`: what the kernel said since the last sample, as far as it matters. Without rights there is nothing.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use crate::collect::clock;
use crate::collect::root::{Roots, number};
use crate::model::foreign::Foreign;
use crate::model::host::{KernelMessage, MessageKind};

/// Records per read; the rest of a flood comes with the next.
const RECORDS: usize = 4096;
/// Messages that are kept per read.
const KEPT: usize = 64;

/// The open log.
#[derive(Debug, Default)]
pub struct Kmsg {
    log: Option<File>,
    tried: bool,
    looked: bool,
}

impl Kmsg {
    /// What was said since the last sample, the first time since boot; `None` where it cannot be read.
    pub fn read(&mut self, roots: &Roots) -> Option<Vec<KernelMessage>> {
        if !self.tried {
            self.tried = true;
            let mut options = OpenOptions::new();
            options.read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
            // Another host's log cannot be read through its /proc.
            self.log = roots.own_proc().then(|| options.open("/dev/kmsg").ok()).flatten();
        }
        let log = self.log.as_mut()?;
        let mut found = std::collections::VecDeque::new();
        let mut buffer = [0; 8192];
        for _ in 0..RECORDS {
            match log.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    if let Some(message) = parse(&buffer[..n]) {
                        found.push_back(message);
                    }
                    if found.len() > KEPT {
                        found.pop_front();
                    }
                }
                // What was overwritten before we read it is skipped by the kernel itself.
                Err(e) if e.raw_os_error() == Some(rustix::io::Errno::PIPE.raw_os_error()) => {}
                Err(_) => break,
            }
        }
        // printk's clock drifts away from CLOCK_MONOTONIC over weeks; what is new since the last sample is new now.
        if self.looked {
            let now_us = clock::mono_ns() / 1000;
            found.iter_mut().for_each(|m| m.at_us = now_us);
        }
        self.looked = true;
        Some(found.into())
    }
}

/// One record: `priority,sequence,µs,flags;message`, and lines of properties that begin with a space.
#[must_use]
pub fn parse(record: &[u8]) -> Option<KernelMessage> {
    let semicolon = record.iter().position(|b| *b == b';')?;
    let (head, rest) = (record.get(..semicolon)?, record.get(semicolon + 1..)?);
    let at_us = number(head.split(|b| *b == b',').nth(2)?)?;
    let line = rest.split(|b| *b == b'\n').next()?;
    let text = String::from_utf8_lossy(line);
    let (kind, device) = classify(&text)?;
    let device = device.filter(|d| !d.is_empty()).map(|d| Foreign::from(d.as_str()));
    Some(KernelMessage { at_us, kind, device, text: Foreign::new(line) })
}

fn classify(text: &str) -> Option<(MessageKind, Option<String>)> {
    let until = |s: &str| s.split([',', ' ', ')', ':']).next().unwrap_or_default().to_owned();
    let after = |marker: &str| text.split_once(marker).map(|(_, rest)| until(rest));
    let bracket = || text.split_once('(').map(|(_, rest)| until(rest.trim_start_matches("device ")));
    match text {
        t if t.contains("I/O error, dev ") => Some((MessageKind::IoError, after("I/O error, dev "))),
        t if t.contains("Buffer I/O error on dev") => {
            Some((MessageKind::IoError, after("error on dev ").or_else(|| after("on device "))))
        }
        t if t.contains("critical medium error, dev ") => Some((MessageKind::IoError, after("error, dev "))),
        t if t.contains("nvme") && t.contains("I/O") && t.contains("timeout") => Some((MessageKind::IoError, after("nvme "))),
        t if t.starts_with("EXT4-fs error") || t.contains("Remounting filesystem read-only") => {
            Some((MessageKind::FsError, bracket()))
        }
        t if t.starts_with("XFS") && (t.contains("Corruption") || t.contains("shutdown")) => {
            Some((MessageKind::FsError, bracket()))
        }
        t if t.starts_with("BTRFS") && t.contains("error") => Some((MessageKind::FsError, bracket())),
        t if t.contains("blocked for more than") && t.starts_with("INFO: task") => Some((MessageKind::HungTask, None)),
        t if t.contains("Killed process") => Some((MessageKind::OomKill, None)),
        t if t.contains("table full, dropping packet") => Some((MessageKind::TableFull, None)),
        t if t.to_ascii_lowercase().contains("neighbor table overflow") || t.contains("neighbour table overflow") => {
            Some((MessageKind::NeighbourFull, None))
        }
        t if t.contains("Possible SYN flooding on port") => Some((MessageKind::SynFlood, after("on port "))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_and_small_talk_is_left_out() {
        let io = parse(b"3,500,123456,-;I/O error, dev loop0, sector 2048 op 0x0:(READ) flags 0x0\n SUBSYSTEM=block\n").unwrap();
        assert_eq!((io.kind, io.at_us, io.device.unwrap().shown()), (MessageKind::IoError, 123_456, "loop0"));
        let fs = parse(b"2,501,9,-;EXT4-fs error (device loop0): ext4_find_entry: inode #2: comm ls: reading").unwrap();
        assert_eq!((fs.kind, fs.device.unwrap().shown()), (MessageKind::FsError, "loop0"));
        let buffer = parse(b"3,502,9,-;Buffer I/O error on dev sda1, logical block 5, async page read").unwrap();
        assert_eq!(buffer.device.unwrap().shown(), "sda1");
        let full = parse(b"4,503,9,-;neighbour: arp_cache: neighbor table overflow!").unwrap();
        assert_eq!((full.kind, full.device), (MessageKind::NeighbourFull, None));
        assert!(parse(b"6,1,2,-;eth0: link up").is_none());
        assert!(parse(b"no record").is_none());
        assert!(parse(b"6,1;I/O error, dev x").is_none());
    }
}
