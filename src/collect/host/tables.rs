//! Tables and queues of the network that run full: neighbours, memory of TCP sockets, datagrams that found no room.

use std::collections::BTreeMap;

use crate::collect::root::{Reader, Roots, fields, lines, number};
use crate::model::host::{DatagramRaw, LimitsRaw, ProcId};

use super::network::by_name;
use super::serving::socket_inode;
use super::stat;

/// Sweeps between two reads of limits that an operator sets by hand.
const SETTINGS_EVERY: u64 = 15;
/// Sweeps for which the sockets are read after the last datagram was dropped.
const LATELY: u64 = 30;
/// Sockets that are kept, those that dropped most.
const SOCKETS: usize = 8;
/// Sockets whose process was looked for.
const OWNERS: usize = 64;

/// The probe, and what it read last.
#[derive(Debug, Default)]
pub struct Tables {
    round: u64,
    /// `gc_thresh3` of both.
    most: [Option<u64>; 2],
    tcp: Option<(u64, u64)>,
    dropped: Option<u64>,
    dropped_round: u64,
    /// Whose a socket is; `None` when it was looked for in vain.
    owners: BTreeMap<u64, Option<ProcId>>,
}

impl Tables {
    /// Fills in what is read here, and reads the sockets while some drop datagrams.
    pub fn read(&mut self, reader: &mut Reader, roots: &Roots, raw: &mut LimitsRaw) -> Vec<DatagramRaw> {
        let sys = |name: &str| roots.proc.join("sys").join(name);
        // What stands below sys/net is that of the reader's own network.
        if self.round.is_multiple_of(SETTINGS_EVERY) && roots.own_proc() {
            let mut limit = |version: &str| reader.number(&sys(&format!("net/{version}/neigh/default/gc_thresh3")));
            self.most = [limit("ipv4"), limit("ipv6")];
            self.tcp = reader.parse(&sys("net/ipv4/tcp_mem"), parse_tcp_mem).ok();
        }
        self.round += 1;
        let tables =
            ["stat/arp_cache", "stat/ndisc_cache"].map(|name| reader.parse_again(&roots.net(name), parse_neighbours).ok());
        let entries = |at: usize| tables[at].map(|t| t.0).zip(self.most[at]);
        (raw.neighbours, raw.neighbours6) = (entries(0), entries(1));
        raw.neighbours_refused = tables.iter().flatten().map(|t| t.1).reduce(u64::saturating_add);
        let used = reader.read_again(&roots.net("sockstat")).ok().and_then(parse_sockstat);
        raw.tcp_pages = used.zip(self.tcp).map(|(used, (pressure, most))| (used, pressure, most));
        raw.tcp_aborted = reader.read_again(&roots.net("netstat")).ok().and_then(|t| by_name(t, b"TcpExt:", b"TCPAbortOnMemory"));
        let v4 = reader
            .read_again(&roots.net("snmp"))
            .ok()
            .map(|t| (by_name(t, b"Udp:", b"InDatagrams"), by_name(t, b"Udp:", b"RcvbufErrors")));
        let v6 =
            reader.read_again(&roots.net("snmp6")).ok().map(|t| (keyed(t, b"Udp6InDatagrams"), keyed(t, b"Udp6RcvbufErrors")));
        let sum = |of: [Option<u64>; 2]| of.into_iter().flatten().reduce(u64::saturating_add);
        raw.datagrams = sum([v4, v6].map(|v| v?.0));
        raw.datagrams_dropped = sum([v4, v6].map(|v| v?.1));
        self.sockets(reader, roots, raw.datagrams_dropped)
    }

    fn sockets(&mut self, reader: &mut Reader, roots: &Roots, dropped: Option<u64>) -> Vec<DatagramRaw> {
        let before = std::mem::replace(&mut self.dropped, dropped);
        if before.zip(dropped).is_some_and(|(before, now)| now > before) {
            self.dropped_round = self.round;
        }
        if self.dropped_round == 0 || self.round - self.dropped_round > LATELY {
            return Vec::new();
        }
        let mut all: Vec<DatagramRaw> = Vec::new();
        for name in ["udp", "udp6"] {
            if let Ok(text) = reader.read(&roots.net(name)) {
                all.extend(lines(text).skip(1).filter_map(parse_socket));
            }
        }
        all.sort_by_key(|s| (std::cmp::Reverse(s.dropped), s.inode));
        all.truncate(SOCKETS);
        for socket in &mut all {
            if !self.owners.contains_key(&socket.inode) && self.owners.len() < OWNERS {
                self.owners.insert(socket.inode, owner(reader, roots, socket.inode));
            }
            socket.owner = self.owners.get(&socket.inode).copied().flatten();
        }
        all
    }
}

/// Whose a socket is. It looks at all descriptors, so it is asked once for each socket.
fn owner(reader: &mut Reader, roots: &Roots, inode: u64) -> Option<ProcId> {
    let entries = std::fs::read_dir(&roots.proc).ok()?;
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let holds = |pid: &i32| {
        let links = std::fs::read_dir(roots.proc.join(pid.to_string()).join("fd"));
        links.is_ok_and(|links| links.flatten().any(|l| socket_inode(&l.path()) == Some(inode)))
    };
    let pid = { pids }.find(holds)?;
    let parsed = reader.parse(&roots.proc.join(pid.to_string()).join("stat"), stat::parse).ok()?;
    Some(ProcId { pid, start: parsed.start })
}

/// Entries, and those that found no room, by the names in the heading. The entries are those of the table, told again by each CPU.
#[must_use]
pub fn parse_neighbours(text: &[u8]) -> Option<(u64, u64)> {
    let mut rows = lines(text);
    let heads: Vec<&[u8]> = fields(rows.next()?).collect();
    let at = |name: &[u8]| heads.iter().position(|h| *h == name);
    let (entries, refused) = (at(b"entries")?, at(b"table_fulls"));
    let hex = |field: &[u8]| u64::from_str_radix(std::str::from_utf8(field).ok()?, 16).ok();
    let (mut most, mut sum) = (0, 0_u64);
    for row in rows {
        let values: Vec<Option<u64>> = fields(row).map(hex).collect();
        most = most.max(values.get(entries).copied().flatten()?);
        sum = sum.saturating_add(refused.and_then(|at| values.get(at).copied().flatten()).unwrap_or(0));
    }
    Some((most, sum))
}

/// Pages from which TCP saves memory, and the limit.
fn parse_tcp_mem(text: &[u8]) -> Option<(u64, u64)> {
    let mut f = fields(text).map(number).skip(1);
    Some((f.next()??, f.next()??))
}

/// Pages of memory that TCP sockets have: `TCP: inuse 5 orphan 0 tw 0 alloc 7 mem 3`.
fn parse_sockstat(text: &[u8]) -> Option<u64> {
    let line = lines(text).find(|l| l.starts_with(b"TCP:"))?;
    let mut f = fields(line).skip_while(|f| *f != b"mem");
    f.next()?;
    number(f.next()?)
}

/// The value of `name` in lines of a name and a value.
fn keyed(text: &[u8], name: &[u8]) -> Option<u64> {
    let mut rows = lines(text).map(fields);
    rows.find_map(|mut f| if f.next()? == name { number(f.next()?) } else { None })
}

/// One row of `/proc/net/udp`; `None` for a socket that has dropped nothing.
fn parse_socket(line: &[u8]) -> Option<DatagramRaw> {
    let f: Vec<&[u8]> = fields(line).take(13).collect();
    let &[_, local, _, _, queues, _, _, _, _, inode, _, _, dropped] = f.as_slice() else { return None };
    let hex = |text: &[u8]| u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok();
    let after = |text: &'_ [u8]| text.rsplit(|b| *b == b':').next().and_then(hex);
    let dropped = number(dropped).filter(|n| *n > 0)?;
    Some(DatagramRaw {
        port: u16::try_from(after(local)?).ok()?,
        inode: number(inode)?,
        owner: None,
        dropped,
        queued: after(queues)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_counted_once_and_refusals_by_cpu() {
        let text = b"entries  allocs   table_fulls\n00000400 00000011 0000000a\n00000400 00000002 00000001\n";
        assert_eq!(parse_neighbours(text), Some((1024, 11)));
        assert_eq!(parse_neighbours(b"entries allocs\n00000002 1\n"), Some((2, 0)));
        assert_eq!(parse_neighbours(b"allocs\n1\n"), None);
    }

    #[test]
    fn memory_of_sockets_and_its_limits() {
        assert_eq!(parse_tcp_mem(b"287901\t383868\t575802\n"), Some((383_868, 575_802)));
        assert_eq!(
            parse_sockstat(b"sockets: used 38\nTCP: inuse 2 orphan 0 tw 0 alloc 2 mem 17\nUDP: inuse 0 mem 0\n"),
            Some(17)
        );
        assert_eq!(parse_sockstat(b"sockets: used 38\n"), None);
        assert_eq!(keyed(b"Udp6InDatagrams \t7\nUdp6RcvbufErrors\t3\n", b"Udp6RcvbufErrors"), Some(3));
    }

    #[test]
    fn a_socket_that_dropped_nothing_is_left_out() {
        let row = |dropped: u32| {
            format!("  12: 0100007F:14E9 00000000:0000 07 00000000:00034100 00:00000000 00000000  0  0 4711 2 x {dropped}")
        };
        let socket = DatagramRaw { port: 5353, inode: 4711, owner: None, dropped: 9, queued: 0x34100 };
        assert_eq!(parse_socket(row(9).as_bytes()), Some(socket));
        assert_eq!(parse_socket(row(0).as_bytes()), None);
        assert_eq!(parse_socket(b"  12: x"), None);
    }
}
