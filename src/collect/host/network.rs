//! `/proc/net/dev`, `/proc/net/snmp`, `/proc/net/netstat`: columns by name, never by position.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;

use crate::collect::root::{Reader, Roots, fields, lines, number};
use crate::model::foreign::Foreign;
use crate::model::host::{InterfaceRaw, TcpRaw};
use crate::model::seen::Seen;

use super::links::Links;

/// Parses `/proc/net/dev`: two heading lines, then `name: 16 numbers`.
#[must_use]
pub fn parse_dev(text: &[u8]) -> Vec<InterfaceRaw> {
    lines(text).filter_map(parse_interface).collect()
}

fn parse_interface(line: &[u8]) -> Option<InterfaceRaw> {
    let colon = line.iter().rposition(|b| *b == b':')?;
    let name = line[..colon].trim_ascii();
    let mut v = [0; 16];
    let mut f = fields(&line[colon + 1..]);
    for slot in &mut v {
        *slot = number(f.next()?)?;
    }
    Some(InterfaceRaw {
        name: Foreign::new(name),
        rx_bytes: v[0],
        rx_packets: v[1],
        rx_errors: v[2],
        rx_dropped: v[3],
        tx_bytes: v[8],
        tx_packets: v[9],
        tx_errors: v[10],
        tx_dropped: v[11],
        speed_mbit: None,
        physical: false,
        queue: None,
    })
}

/// What an interface is.
#[derive(Debug, Clone, Copy)]
struct Nature {
    speed_mbit: Option<u64>,
    physical: bool,
    index: Option<u32>,
}

/// Reads the interfaces; speed and kind are asked again so many reads.
#[derive(Debug, Default)]
pub struct Interfaces {
    known: HashMap<Foreign, Nature>,
    links: Links,
    reads: u32,
}

impl Interfaces {
    const REFRESH: u32 = 30;

    /// All interfaces of the namespace.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&mut self, reader: &mut Reader, roots: &Roots) -> Seen<Vec<InterfaceRaw>> {
        let mut rows = parse_dev(reader.read_again(&roots.net("dev"))?);
        self.reads += 1;
        // What is known stands until there is an answer.
        let anew = self.reads.is_multiple_of(Self::REFRESH);
        self.known.retain(|name, _| rows.iter().any(|row| row.name == *name));
        let dir = |name: &Foreign| roots.sys.join("class/net").join(std::ffi::OsStr::from_bytes(name.raw()));
        let unknown = rows.iter().map(|row| &row.name).filter(|name| anew || !self.known.contains_key(*name));
        let speeds = unknown.map(|name| (name.clone(), dir(name).join("speed"))).collect();
        // Queues of our own namespace only: another /proc shows others' interfaces.
        let answer = self.links.ask(speeds, roots.own_proc());
        for row in &mut rows {
            if let Some(speed_mbit) = answer.as_ref().and_then(|a| a.speeds.get(&row.name)).copied() {
                let dir = dir(&row.name);
                let index = reader.number(&dir.join("ifindex")).and_then(|n| u32::try_from(n).ok());
                let nature = Nature { speed_mbit, physical: dir.join("device").exists(), index };
                self.known.insert(row.name.clone(), nature);
            }
            let Some(nature) = self.known.get(&row.name) else { continue };
            (row.speed_mbit, row.physical) = (nature.speed_mbit, nature.physical);
            row.queue = nature.index.zip(answer.as_ref()).and_then(|(index, a)| a.queues.get(&index).copied());
        }
        Ok(rows)
    }
}

/// Reads both files of counters; one that is missing leaves its fields unknown.
///
/// # Errors
/// When `/proc/net/snmp` cannot be read.
pub fn read_tcp(reader: &mut Reader, roots: &Roots) -> Seen<TcpRaw> {
    let mut raw = TcpRaw::default();
    let snmp = reader.read_again(&roots.net("snmp"))?;
    let get = |name: &[u8]| by_name(snmp, b"Tcp:", name);
    raw.curr_estab = get(b"CurrEstab");
    raw.out_segs = get(b"OutSegs");
    raw.retrans_segs = get(b"RetransSegs");
    raw.active_opens = get(b"ActiveOpens");
    raw.passive_opens = get(b"PassiveOpens");
    raw.datagrams = by_name(snmp, b"Udp:", b"InDatagrams");
    raw.datagrams_dropped = by_name(snmp, b"Udp:", b"RcvbufErrors");
    if let Ok(netstat) = reader.read_again(&roots.net("netstat")) {
        let get = |name: &[u8]| by_name(netstat, b"TcpExt:", name);
        raw.orig_data_sent = get(b"TCPOrigDataSent");
        raw.timeouts = get(b"TCPTimeouts");
        raw.syn_retrans = get(b"TCPSynRetrans");
        raw.listen_overflows = get(b"ListenOverflows");
        raw.listen_drops = get(b"ListenDrops");
        raw.spurious_rtos = get(b"TCPSpuriousRtos");
        raw.loss_probes = get(b"TCPLossProbes");
        raw.aborted_on_memory = get(b"TCPAbortOnMemory");
    }
    Ok(raw)
}

/// The value under the heading `name` in the pair of lines that begin with `prefix`.
#[must_use]
pub fn by_name(text: &[u8], prefix: &[u8], name: &[u8]) -> Option<u64> {
    let mut pair = lines(text).filter(|l| l.starts_with(prefix));
    let (heads, values) = (pair.next()?, pair.next()?);
    let column = fields(heads).position(|f| f == name)?;
    number(fields(values).nth(column)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_colons_and_numbers_may_touch_them() {
        let text =
            b"Inter-|   Receive\n face |bytes\n  eth0:1: 10 2 0 1 0 0 0 0 20 3 0 0 0 0 0 0\nlo:5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n";
        let rows = parse_dev(text);
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].name.shown(), rows[0].tx_bytes, rows[0].rx_dropped), ("eth0:1", 20, 1));
    }

    #[test]
    fn columns_are_found_by_name() {
        let text = b"Tcp: RtoMin RetransSegs InErrs\nTcp: 200 42 0\nUdp: x\nUdp: 1\n";
        assert_eq!(by_name(text, b"Tcp:", b"RetransSegs"), Some(42));
        assert_eq!(by_name(text, b"Tcp:", b"Nope"), None);
    }
}
