//! Tables and queues of the network that run full: neighbours, memory of TCP sockets, datagrams that found no room.

use std::collections::BTreeMap;

use crate::collect::root::{Reader, Roots, fields, lines, number};
use crate::model::host::{DatagramRaw, LimitsRaw, ProcId, TcpRaw};
use crate::model::seen::Seen;

use super::serving::socket_inode;
use super::stat;

/// Sweeps between two reads of limits that an operator sets by hand.
const SETTINGS_EVERY: u64 = 15;
/// Sweeps for which the sockets are read after the last datagram was dropped.
const LATELY: u64 = 30;
/// Sockets that are kept, those that dropped most.
const SOCKETS: usize = 8;
/// Sweeps between two looks for whose they are: each walks over all descriptors.
const OWNERS_EVERY: u64 = 15;
/// Sweeps between two reads of the neighbours: each has a row for every CPU that there could be.
const NEIGHBOURS_EVERY: u64 = 3;

/// The probe, and what it read last.
#[derive(Debug, Default)]
pub struct Tables {
    round: u64,
    /// `gc_thresh3` of both.
    most: [Option<u64>; 2],
    tcp: Option<(u64, u64)>,
    dropped: Option<u64>,
    dropped_round: u64,
    neighbours: [Option<Neighbours>; 2],
    /// What each socket had dropped when it was read last.
    before: BTreeMap<u64, u64>,
    /// Whose a socket is.
    owners: BTreeMap<u64, ProcId>,
    owners_round: u64,
}

impl Tables {
    /// Fills in what is read here, and reads the sockets while some drop datagrams.
    pub fn read(&mut self, reader: &mut Reader, roots: &Roots, tcp: &Seen<TcpRaw>, raw: &mut LimitsRaw) -> Vec<DatagramRaw> {
        let sys = |name: &str| roots.proc.join("sys").join(name);
        // What stands below sys/net is that of the reader's own network.
        if self.round.is_multiple_of(SETTINGS_EVERY) && roots.own_proc() {
            let mut limit = |version: &str| reader.number(&sys(&format!("net/{version}/neigh/default/gc_thresh3")));
            self.most = [limit("ipv4"), limit("ipv6")];
            self.tcp = reader.parse(&sys("net/ipv4/tcp_mem"), parse_tcp_mem).ok();
        }
        if self.round.is_multiple_of(NEIGHBOURS_EVERY) {
            self.neighbours =
                ["stat/arp_cache", "stat/ndisc_cache"].map(|name| reader.parse_again(&roots.net(name), parse_neighbours).ok());
        }
        self.round += 1;
        let entries = |at: usize| self.neighbours[at].map(|t| t.entries).zip(self.most[at]);
        (raw.neighbours, raw.neighbours6) = (entries(0), entries(1));
        let sum = |of: fn(&Neighbours) -> u64| self.neighbours.iter().flatten().map(of).reduce(u64::saturating_add);
        (raw.neighbours_made, raw.neighbours_refused) = (sum(|n| n.made), sum(|n| n.refused));
        let used = reader.read_again(&roots.net("sockstat")).ok().and_then(parse_sockstat);
        raw.tcp_pages = used.zip(self.tcp).map(|(used, (pressure, most))| (used, pressure, most));
        let v6 =
            reader.read_again(&roots.net("snmp6")).ok().map(|t| (keyed(t, b"Udp6InDatagrams"), keyed(t, b"Udp6RcvbufErrors")));
        let sum = |a: Option<u64>, b: Option<u64>| [a, b].into_iter().flatten().reduce(u64::saturating_add);
        let tcp = tcp.as_ref().ok();
        raw.tcp_aborted = tcp.and_then(|t| t.aborted_on_memory);
        raw.datagrams = sum(tcp.and_then(|t| t.datagrams), v6.and_then(|v| v.0));
        raw.datagrams_dropped = sum(tcp.and_then(|t| t.datagrams_dropped), v6.and_then(|v| v.1));
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
        // Those that drop now, whatever they dropped since they were opened.
        let grown = |s: &DatagramRaw| s.dropped - self.before.get(&s.inode).copied().unwrap_or(0).min(s.dropped);
        all.sort_by_key(|s| (std::cmp::Reverse(grown(s)), s.inode));
        self.before = all.iter().map(|s| (s.inode, s.dropped)).collect();
        all.truncate(SOCKETS);
        self.owners.retain(|inode, _| all.iter().any(|s| s.inode == *inode));
        let wanted: Vec<u64> = all.iter().map(|s| s.inode).filter(|inode| !self.owners.contains_key(inode)).collect();
        if !wanted.is_empty() && (self.owners_round == 0 || self.round - self.owners_round >= OWNERS_EVERY) {
            self.owners_round = self.round;
            self.owners.extend(owners(reader, roots, &wanted));
        }
        for socket in &mut all {
            socket.owner = self.owners.get(&socket.inode).copied();
        }
        all
    }
}

/// Whose these sockets are: one walk over all descriptors.
fn owners(reader: &mut Reader, roots: &Roots, wanted: &[u64]) -> Vec<(u64, ProcId)> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(&roots.proc) else { return found };
    for pid in entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok()) {
        let dir = roots.proc.join(pid.to_string());
        let Ok(links) = std::fs::read_dir(dir.join("fd")) else { continue };
        let mine: Vec<u64> = links.flatten().filter_map(|l| socket_inode(&l.path())).filter(|i| wanted.contains(i)).collect();
        if !mine.is_empty()
            && let Ok(parsed) = reader.parse(&dir.join("stat"), stat::parse)
        {
            found.extend(mine.into_iter().map(|inode| (inode, ProcId { pid, start: parsed.start })));
        }
        if found.len() >= wanted.len() {
            break;
        }
    }
    found
}

/// What `/proc/net/stat/arp_cache` says of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// Entries now.
    pub entries: u64,
    /// Entries made, all CPUs.
    pub made: u64,
    /// Entries that found no room, all CPUs.
    pub refused: u64,
}

/// By the names in the heading. The entries are those of the table, told again by each CPU.
#[must_use]
pub fn parse_neighbours(text: &[u8]) -> Option<Neighbours> {
    let mut rows = lines(text);
    let heads: Vec<&[u8]> = fields(rows.next()?).collect();
    let at = |name: &[u8]| heads.iter().position(|h| *h == name);
    let (entries, made, refused) = (at(b"entries")?, at(b"allocs"), at(b"table_fulls"));
    let hex = |field: &[u8]| u64::from_str_radix(std::str::from_utf8(field).ok()?, 16).ok();
    let mut all = Neighbours::default();
    for row in rows {
        let value = |column: Option<usize>| fields(row).nth(column?).and_then(hex);
        all.entries = all.entries.max(value(Some(entries))?);
        all.made = all.made.saturating_add(value(made).unwrap_or(0));
        all.refused = all.refused.saturating_add(value(refused).unwrap_or(0));
    }
    Some(all)
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
        assert_eq!(parse_neighbours(text), Some(Neighbours { entries: 1024, made: 19, refused: 11 }));
        assert_eq!(parse_neighbours(b"entries allocs\n00000002 1\n"), Some(Neighbours { entries: 2, made: 1, refused: 0 }));
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
