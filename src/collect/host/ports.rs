//! Local ports taken towards one other end: a connection needs a port of its own for as long as it stands, and for a minute
//! after it was closed. Pure.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use crate::collect::root::{fields, lines};
use crate::model::host::{PeerLink, PortUse, ProcId};

use super::sockdiag::Socket;
use super::stamps::Here;

/// Fewer connections to one end than these are not kept.
pub(super) const MANY: u32 = 32;
/// Ends that are kept.
const ENDS: usize = 16;

type Way = (IpAddr, SocketAddr);

/// What the last dumps showed.
#[derive(Debug, Default)]
pub(super) struct Ports {
    open: HashMap<Way, (u32, Option<ProcId>)>,
    closing: HashMap<Way, u32>,
}

impl Ports {
    /// Counts the connections that were opened from here and stand.
    pub(super) fn open(&mut self, sockets: &[&Socket], here: &Here, owners: &HashMap<u32, ProcId>) {
        self.open = counted(sockets.iter().copied(), here).into_iter().map(|(way, count)| (way, (count, None))).collect();
        if self.open.is_empty() {
            return;
        }
        let mut shares: HashMap<(Way, ProcId), u32> = HashMap::new();
        for socket in sockets {
            let way = (socket.local.ip(), socket.peer);
            if let Some(owner) = owners.get(&socket.inode).filter(|_| self.open.contains_key(&way)) {
                *shares.entry((way, *owner)).or_default() += 1;
            }
        }
        for (way, row) in &mut self.open {
            let mine = shares.iter().filter(|((w, _), _)| w == way);
            row.1 = mine.max_by_key(|((_, owner), count)| (**count, std::cmp::Reverse(*owner))).map(|((_, owner), _)| *owner);
        }
    }

    /// Counts those that end.
    pub(super) fn closing(&mut self, sockets: &[Socket], here: &Here) {
        self.closing = counted(sockets.iter(), here);
    }

    /// Where many ports are taken, most first.
    pub(super) fn rows(&self, links: &[PeerLink]) -> Vec<PortUse> {
        let mut ways: Vec<Way> = self.open.keys().chain(self.closing.keys()).copied().collect();
        ways.sort_unstable();
        ways.dedup();
        let row = |way: Way| {
            let (open, owner) = self.open.get(&way).copied().unwrap_or_default();
            let closing = self.closing.get(&way).copied().unwrap_or(0);
            PortUse { local: way.0, peer: way.1, open, closing, owner: owner.or_else(|| alone(links, way.1)) }
        };
        let mut rows: Vec<PortUse> = ways.into_iter().map(row).collect();
        rows.sort_by_key(|r| std::cmp::Reverse(r.open + r.closing));
        rows.truncate(ENDS);
        rows
    }
}

/// Connections by way, accepted ones left out, where they are many.
fn counted<'a>(sockets: impl Iterator<Item = &'a Socket>, here: &Here) -> HashMap<Way, u32> {
    let mut by_way: HashMap<Way, u32> = HashMap::new();
    for socket in sockets.filter(|s| here.listener(s.local).is_none()) {
        *by_way.entry((socket.local.ip(), socket.peer)).or_default() += 1;
    }
    by_way.retain(|_, count| *count >= MANY);
    by_way
}

/// Who talks to that peer, where one program does: connections that are closed have no owner any more. Not perftop, which keeps its own open.
fn alone(links: &[PeerLink], peer: SocketAddr) -> Option<ProcId> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let mut owners = links.iter().filter(|l| l.peer == peer).filter_map(|l| l.owner).filter(|id| id.pid != own);
    let first = owners.next()?;
    owners.all(|other| other == first).then_some(first)
}

/// Sockets in TIME_WAIT, as `/proc/net/sockstat` counts them.
#[must_use]
pub fn parse_time_wait(text: &[u8]) -> Option<u32> {
    let tcp = lines(text).find_map(|line| line.strip_prefix(b"TCP:"))?;
    let mut words = fields(tcp);
    words.find(|word| *word == b"tw")?;
    std::str::from_utf8(words.next()?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(local: &str, peer: &str, inode: u32) -> Socket {
        let (local, peer) = (local.parse().unwrap(), peer.parse().unwrap());
        Socket { state: 1, local, peer, receive_queue: 0, send_queue: 0, inode, again: 0, info: None }
    }

    #[test]
    fn ports_are_counted_by_our_address_and_the_other_end() {
        let listener = socket("0.0.0.0:8080", "0.0.0.0:0", 1);
        let mut rows: Vec<Socket> =
            (0..400).map(|n| socket(&format!("10.0.0.1:{}", 40_000 + n), "10.0.0.9:5432", 100 + n)).collect();
        rows.extend((0..400).map(|n| socket("10.0.0.1:8080", &format!("10.0.0.7:{}", 30_000 + n), 9_000 + n)));
        rows.extend((0..20).map(|n| socket(&format!("10.0.0.2:{}", 40_000 + n), "10.0.0.9:5432", 700 + n)));
        let all: Vec<&Socket> = rows.iter().collect();
        let here = Here::of(&[&listener], &all);
        let owner = ProcId { pid: 7, start: 1 };
        let mut ports = Ports::default();
        ports.open(&all, &here, &HashMap::from([(101, owner)]));
        ports.closing(&rows[..300], &here);
        let peer = "10.0.0.9:5432".parse().unwrap();
        let expected = PortUse { local: "10.0.0.1".parse().unwrap(), peer, open: 400, closing: 300, owner: Some(owner) };
        assert_eq!(ports.rows(&[]), [expected]);
    }

    #[test]
    fn closed_connections_are_whose_who_alone_talks_to_that_end() {
        let peer = "10.0.0.9:5432".parse().unwrap();
        let link = |pid: i32| PeerLink::new(Some(ProcId { pid, start: 1 }), peer, false);
        let own = i32::try_from(std::process::id()).unwrap();
        let of = |pids: &[i32]| alone(&pids.iter().map(|pid| link(*pid)).collect::<Vec<_>>(), peer).map(|id| id.pid);
        assert_eq!([of(&[own]), of(&[own, 7]), of(&[7, 7]), of(&[7, 8])], [None, Some(7), Some(7), None]);
    }

    #[test]
    fn time_wait_is_found_by_its_name() {
        let text = b"sockets: used 290\nTCP: inuse 5 orphan 0 tw 31 alloc 7 mem 1\nUDP: inuse 1 mem 0\n";
        assert_eq!(parse_time_wait(text), Some(31));
        assert_eq!(parse_time_wait(b"TCP: inuse 5 orphan 0 tw\n"), None);
        assert_eq!(parse_time_wait(b"TCP6: inuse 0\n"), None);
    }
}
