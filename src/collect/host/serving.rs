//! Which process holds which socket: the descriptor links of every process that we may read, joined with the sockets
//! that listen or were accepted.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::collect::clock;
use crate::collect::root::{FILE_CAP, Reader, Roots, fields, lines, number};
use crate::model::host::{OpenFiles, ProcId, Serving, ServingProcess};
use crate::model::seen::Seen;

use super::inotify::{Instances, Watches};
use super::namespaces;
use super::sockdiag::{self, Socket};
use super::stat;

/// Sockets by inode, as the tables name them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sockets {
    /// Inode of a listening TCP socket and its port.
    pub listening: HashMap<u64, u16>,
    /// Inode of an established TCP socket and its local port.
    pub established: HashMap<u64, u16>,
    /// Inodes of listening unix sockets.
    pub unix: HashSet<u64>,
    /// Inodes of unix sockets that were accepted: connected, under the name of a listener.
    pub unix_accepted: HashSet<u64>,
}

impl Sockets {
    /// Adds the rows of `/proc/net/tcp` or `tcp6`.
    pub fn add_tcp(&mut self, text: &[u8]) {
        const ESTABLISHED: &[u8] = b"01";
        const LISTEN: &[u8] = b"0A";
        for line in lines(text).skip(1) {
            let f: Vec<&[u8]> = fields(line).take(10).collect();
            let &[_, local, _, state, _, _, _, _, _, inode] = f.as_slice() else { continue };
            let port = local.rsplit(|b| *b == b':').next().and_then(hex_port);
            let (Some(port), Some(inode)) = (port, number(inode).filter(|i| *i > 0)) else { continue };
            match state {
                LISTEN => _ = self.listening.insert(inode, port),
                ESTABLISHED => _ = self.established.insert(inode, port),
                _ => {}
            }
        }
    }

    /// Adds one socket of a dump.
    pub fn add(&mut self, socket: &Socket) {
        let (inode, port) = (u64::from(socket.inode), socket.local.port());
        if inode == 0 {
            return;
        }
        if socket.is(sockdiag::LISTEN) {
            self.listening.insert(inode, port);
        } else if socket.is(sockdiag::ESTABLISHED) {
            self.established.insert(inode, port);
        }
    }

    /// Listeners and established sockets of the network namespace that `roots` shows.
    ///
    /// # Errors
    /// When neither the kernel answers nor the table can be read.
    fn tcp(&mut self, reader: &mut Reader, roots: &Roots) -> Seen<()> {
        let states = sockdiag::LISTEN | sockdiag::ESTABLISHED;
        let asked = roots.own_proc().then(|| sockdiag::dump(states, false, |s| self.add(&s)));
        if let Some(Ok(())) = asked {
            return Ok(());
        }
        self.add_tcp(reader.read(&roots.net("tcp"))?);
        if let Ok(text) = reader.read(&roots.net("tcp6")) {
            self.add_tcp(text);
        }
        Ok(())
    }

    /// Adds the rows of `/proc/net/unix`: those with the flag of a listener (SO_ACCEPTCON), and those connected (state 03) that bear the name
    /// of one; who connects to it has none.
    pub fn add_unix(&mut self, text: &[u8]) {
        const CONNECTED: &[u8] = b"03";
        let mut names: HashSet<&[u8]> = HashSet::new();
        let mut connected: Vec<(&[u8], u64)> = Vec::new();
        for line in lines(text).skip(1) {
            let f: Vec<&[u8]> = fields(line).take(8).collect();
            let [_, _, _, flags, _, state, inode, name @ ..] = f.as_slice() else { continue };
            let Some(inode) = number(inode).filter(|inode| *inode > 0) else { continue };
            if flags.ends_with(b"00010000") {
                self.unix.insert(inode);
                names.extend(name);
            } else if *state == CONNECTED {
                connected.extend(name.iter().map(|name| (*name, inode)));
            }
        }
        self.unix_accepted.extend(connected.into_iter().filter(|(name, _)| names.contains(name)).map(|(_, inode)| inode));
    }
}

fn hex_port(text: &[u8]) -> Option<u16> {
    u16::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

/// What a scan of the descriptors gives.
#[derive(Debug, Default)]
pub struct Scan {
    /// Who serves someone.
    pub serving: Serving,
    /// Whose each socket is, by inode.
    pub owners: HashMap<u32, ProcId>,
    /// Network namespaces other than ours, each by a process in it.
    pub namespaces: Vec<(u64, i32)>,
}

/// Scans the descriptors of all processes: about 3 µs each. `elsewhere` are the sockets of other network namespaces.
///
/// # Errors
/// When the table of TCP sockets cannot be read.
pub fn scan(roots: &Roots, elsewhere: &[Socket], watches: &mut Watches) -> Seen<Scan> {
    let mut reader = Reader::default();
    let mut sockets = Sockets::default();
    let boot_ns = clock::now().boot_ns;
    sockets.tcp(&mut reader, roots)?;
    elsewhere.iter().for_each(|socket| sockets.add(socket));
    let own = namespaces::of(Path::new("/proc/self")).filter(|_| roots.own_proc());
    if let Ok(text) = reader.read(&roots.net("unix")) {
        sockets.add_unix(text);
    }
    let ports: HashSet<u16> = sockets.listening.values().copied().collect();
    let mut inotify = Instances::read(&mut reader, roots);
    let mut scan = Scan { serving: Serving { boot_ns, ..Serving::default() }, ..Scan::default() };
    let Ok(entries) = std::fs::read_dir(&roots.proc) else { return Ok(scan) };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
        let dir = entry.path();
        let Ok(parsed) = reader.parse(&dir.join("stat"), stat::parse) else { continue };
        if parsed.kernel {
            continue;
        }
        let id = ProcId { pid, start: parsed.start };
        if let Some(other) = own.and_then(|own| namespaces::of(&dir).filter(|ns| *ns != own))
            && scan.namespaces.len() < namespaces::MOST
            && !scan.namespaces.iter().any(|(known, _)| *known == other)
        {
            scan.namespaces.push((other, pid));
        }
        match std::fs::read_dir(dir.join("fd")) {
            Ok(links) => {
                let mut open = 0;
                let counted = links.flatten().take(FILE_CAP as usize).inspect(|_| open += 1);
                let inodes: Vec<u64> = counted
                    .filter_map(|link| {
                        let target = std::fs::read_link(link.path()).ok()?;
                        inotify.see((id, parsed.ppid), &dir, link.file_name(), &target);
                        socket_of(&target)
                    })
                    .collect();
                scan.serving.files.extend(crowded(&mut reader, &dir, id, (open, inodes.len() as u64)));
                let narrow = inodes.iter().filter_map(|i| u32::try_from(*i).ok());
                // Of several processes that hold a socket the youngest works with it: a master hands it to its worker.
                narrow.for_each(|inode| {
                    let owner = scan.owners.entry(inode).or_insert(id);
                    *owner = if owner.start < id.start { id } else { *owner };
                });
                scan.serving.processes.extend(judge(id, inodes.into_iter(), &sockets, &ports));
            }
            Err(_) => scan.serving.unreadable.push(id),
        }
    }
    scan.serving.inotify = inotify.done(&mut reader, watches);
    scan.serving.processes.sort_unstable_by_key(|p| p.id);
    scan.serving.unreadable.sort_unstable();
    scan.serving.files.sort_unstable_by_key(|f| (std::cmp::Reverse(f.open * 1000 / f.limit.max(1)), f.id));
    scan.serving.files.truncate(CROWDED);
    Ok(scan)
}

/// Fewer descriptors than this are no reason to ask for the limit.
const FEW: u64 = 64;
/// Processes that are kept.
const CROWDED: usize = 16;

/// The process when more than half of its descriptors are taken.
fn crowded(reader: &mut Reader, dir: &std::path::Path, id: ProcId, (open, sockets): (u64, u64)) -> Option<OpenFiles> {
    if open < FEW {
        return None;
    }
    let limit = reader.parse(&dir.join("limits"), stat::parse_open_files).ok()?;
    (open * 2 > limit).then_some(OpenFiles { id, open, sockets: Some(sockets), limit })
}

pub(super) fn socket_inode(link: &std::path::Path) -> Option<u64> {
    socket_of(&std::fs::read_link(link).ok()?)
}

fn socket_of(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn judge(id: ProcId, inodes: impl Iterator<Item = u64>, sockets: &Sockets, ports: &HashSet<u16>) -> Option<ServingProcess> {
    let mut found = ServingProcess { id, listens: Vec::new(), listens_unix: false, accepted: 0, accepted_unix: 0 };
    for inode in inodes {
        found.listens.extend(sockets.listening.get(&inode));
        found.listens_unix |= sockets.unix.contains(&inode);
        found.accepted += u32::from(sockets.established.get(&inode).is_some_and(|port| ports.contains(port)));
        found.accepted_unix += u32::from(sockets.unix_accepted.contains(&inode));
    }
    found.listens.sort_unstable();
    found.listens.dedup();
    let serves = !found.listens.is_empty() || found.listens_unix || found.accepted + found.accepted_unix > 0;
    serves.then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_socket_serves_no_one() {
        let mut sockets = Sockets::default();
        sockets.add_tcp(
            b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
              0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 11 1 x 100 0 0 10 0\n\
              1: 0100007F:1F90 0100007F:D2A4 01 00000000:00000000 00:00000000 00000000 0 0 12 1 x\n\
              2: 0100007F:D2A4 0100007F:1F90 01 00000000:00000000 00:00000000 00000000 0 0 13 1 x\n\
              3: broken\n",
        );
        let ports = HashSet::from([8080]);
        let id = ProcId { pid: 1, start: 1 };
        let server = judge(id, [11, 12].into_iter(), &sockets, &ports).unwrap();
        assert_eq!((server.listens, server.accepted), (vec![8080], 1));
        assert_eq!(judge(id, [13].into_iter(), &sockets, &ports), None);
    }

    /// As the kernel shows a server at a unix socket, its child with a connection, and the client; and a pair without a name.
    #[test]
    fn who_was_connected_to_by_a_unix_socket_serves_somebody() {
        let mut sockets = Sockets::default();
        sockets.add_unix(
            b"Num       RefCount Protocol Flags    Type St Inode Path\n\
              0000000000000000: 00000002 00000000 00010000 0001 01 21 /run/pg/.s.PGSQL.5432\n\
              0000000000000000: 00000003 00000000 00000000 0001 03 22 /run/pg/.s.PGSQL.5432\n\
              0000000000000000: 00000003 00000000 00000000 0001 03 23\n\
              0000000000000000: 00000002 00000000 00000000 0002 01 24 /run/systemd/notify\n\
              0000000000000000: 00000003 00000000 00000000 0001 03 25 /run/gone.sock\n\
              broken\n",
        );
        let id = ProcId { pid: 1, start: 1 };
        let of =
            |inode: u64| judge(id, [inode].into_iter(), &sockets, &HashSet::new()).map(|p| (p.listens_unix, p.accepted_unix));
        assert_eq!(of(21), Some((true, 0)));
        assert_eq!(of(22), Some((false, 1)), "the server's end of a connection");
        assert_eq!((of(23), of(24)), (None, None), "a client, a pair, a socket of datagrams");
        assert_eq!(of(25), None, "nobody listens there");
    }
}
