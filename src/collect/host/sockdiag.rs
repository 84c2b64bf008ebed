//! TCP sockets by sock_diag: what `ss` asks, without text. One walk answers for both families, and costs a
//! fraction of `/proc/net/tcp`, whose reader walks the whole hash table once more to learn that it was at its end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::net::AddressFamily;
use rustix::net::netlink::SOCK_DIAG;

use crate::model::seen::{Seen, Why};

pub use super::netlink::Part;
use super::netlink::{self, attributes, u32_at, u64_at};

/// States of a socket as bits, for [`dump`].
pub const ESTABLISHED: u32 = 1 << 1;
/// SYN sent, no answer yet.
pub const SYN_SENT: u32 = 1 << 2;
/// Listeners.
pub const LISTEN: u32 = 1 << 10;
/// Closed from here, less than a minute ago.
pub const TIME_WAIT: u32 = 1 << 6;
/// The other end has closed, this one has not.
pub const CLOSE_WAIT: u32 = 1 << 8;
/// On their way to the end: FIN_WAIT1 and 2, TIME_WAIT, CLOSE_WAIT, LAST_ACK, CLOSING.
pub const ENDING: u32 = 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 9 | 1 << 11;

/// A socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Its state, 1 established … 10 listening (`include/net/tcp_states.h`).
    pub state: u8,
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
    /// Bytes not read yet; of a listener the connections that wait to be accepted.
    pub receive_queue: u32,
    /// Bytes not acknowledged yet; of a listener the length of its queue.
    pub send_queue: u32,
    /// Inode, 0 while nobody has accepted it.
    pub inode: u32,
    /// Times that the segment in flight was retransmitted (a SYN, before it is established).
    pub again: u8,
    /// What TCP knows, where it was asked for.
    pub info: Option<TcpInfo>,
}

impl Socket {
    /// True when it is in one of those states.
    #[must_use]
    pub fn is(&self, states: u32) -> bool {
        1_u32.checked_shl(u32::from(self.state)).is_some_and(|bit| bit & states != 0)
    }
}

/// `struct tcp_info`, as far as this kernel has it: older ones send less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Segments sent and not acknowledged.
    pub unacked: u32,
    /// Milliseconds since the last data was sent.
    pub last_sent_ms: u32,
    /// Milliseconds since the last data was received.
    pub last_received_ms: u32,
    /// Smoothed round trip, µs.
    pub rtt_us: u32,
    /// Segments retransmitted, ever.
    pub retransmits: u32,
    /// Time-outs in a row, now.
    pub timeouts: u8,
    /// Segments with data sent, ever.
    pub segments_sent: Option<u32>,
    /// Segments with data received, ever.
    pub segments_received: Option<u32>,
    /// Bytes the process wrote that were not sent yet.
    pub not_sent: Option<u32>,
    /// µs with data under way that the peer's closed window cost, ever.
    pub window_limited_us: Option<u64>,
    /// Bytes acknowledged by the peer, ever.
    pub bytes_acked: Option<u64>,
    /// Bytes received, ever.
    pub bytes_received: Option<u64>,
}

const MESSAGE: usize = 72;
/// `TCPDIAG_GETSOCK`: the old request, which answers for both families in one walk.
const BOTH_FAMILIES: u16 = 18;
const BY_FAMILY: u16 = 20;
const INFO: u16 = 2;

/// Every TCP socket of this network namespace in one of `states`, handed to `each` one by one.
///
/// # Errors
/// When the kernel has no sock_diag or does not answer.
pub fn dump(states: u32, info: bool, mut each: impl FnMut(Socket)) -> Seen<()> {
    let extension = if info { 1 << (INFO - 1) } else { 0 };
    let mut old = vec![0, 0, 0, extension];
    old.extend([0; 48]);
    old.extend(states.to_ne_bytes());
    old.extend([0; 4]);
    match ask(BOTH_FAMILIES, &old, &mut each) {
        Err(lack) if lack.why == Why::Unsupported => {}
        answer => return answer,
    }
    const TCP: u8 = 6;
    by_family(TCP, states, extension, &mut each)
}

/// Every UDP socket of this network namespace that has another end.
///
/// # Errors
/// When the kernel has no sock_diag for UDP or does not answer.
pub fn dump_datagrams(mut each: impl FnMut(Socket)) -> Seen<()> {
    const UDP: u8 = 17;
    by_family(UDP, ESTABLISHED, 0, &mut each)
}

fn by_family(protocol: u8, states: u32, extension: u8, each: &mut impl FnMut(Socket)) -> Seen<()> {
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        let mut new = vec![u8::try_from(family.as_raw()).unwrap_or(0), protocol, extension, 0];
        new.extend(states.to_ne_bytes());
        new.extend([0; 48]);
        ask(BY_FAMILY, &new, each)?;
    }
    Ok(())
}

fn ask(kind: u16, payload: &[u8], each: &mut impl FnMut(Socket)) -> Seen<()> {
    netlink::ask("sock_diag", Some(SOCK_DIAG), kind, payload, |body| parse_socket(body).into_iter().for_each(&mut *each))
}

/// Parses one datagram of netlink messages.
pub fn parse(bytes: &[u8], each: &mut impl FnMut(Socket)) -> Part {
    netlink::walk(bytes, |body| parse_socket(body).into_iter().for_each(&mut *each))
}

/// `struct inet_diag_msg` and its attributes.
fn parse_socket(body: &[u8]) -> Option<Socket> {
    let (family, state) = (*body.first()?, *body.get(1)?);
    let address = |at: usize| -> Option<IpAddr> {
        let bytes = body.get(at..at + 16)?;
        if i32::from(family) == i32::from(AddressFamily::INET.as_raw()) {
            return Some(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into());
        }
        Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical())
    };
    let port = |at: usize| Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
    let mut socket = Socket {
        state,
        local: SocketAddr::new(address(8)?, port(4)?),
        peer: SocketAddr::new(address(24)?, port(6)?),
        receive_queue: u32_at(body, 56)?,
        send_queue: u32_at(body, 60)?,
        inode: u32_at(body, 68)?,
        again: *body.get(3)?,
        info: None,
    };
    let mut found = attributes(body.get(MESSAGE..).unwrap_or_default());
    socket.info = found.find(|(kind, _)| *kind == INFO).and_then(|(_, value)| TcpInfo::parse(value));
    Some(socket)
}

impl TcpInfo {
    /// The fields by their offsets in `include/uapi/linux/tcp.h`; `None` when it is shorter than the oldest.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            timeouts: *bytes.get(2)?,
            unacked: u32_at(bytes, 24)?,
            last_sent_ms: u32_at(bytes, 44)?,
            last_received_ms: u32_at(bytes, 52)?,
            rtt_us: u32_at(bytes, 68)?,
            retransmits: u32_at(bytes, 100)?,
            bytes_acked: u64_at(bytes, 120),
            bytes_received: u64_at(bytes, 128),
            segments_sent: u32_at(bytes, 156),
            segments_received: u32_at(bytes, 152),
            not_sent: u32_at(bytes, 144),
            window_limited_us: u64_at(bytes, 176),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    fn all(states: u32) -> Vec<Socket> {
        let mut rows = Vec::new();
        dump(states, true, |s| rows.push(s)).unwrap();
        rows
    }

    #[test]
    fn both_families_and_both_ends_with_what_tcp_knows() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(host) else { continue };
            let at = listener.local_addr().unwrap();
            let mut client = TcpStream::connect(at).unwrap();
            let waiting = all(LISTEN).into_iter().find(|s| s.local == at).unwrap();
            assert_eq!(waiting.receive_queue, 1, "one connection waits to be accepted");
            let (mut server, _) = listener.accept().unwrap();
            client.write_all(b"question").unwrap();
            server.read_exact(&mut [0; 8]).unwrap();
            let rows = all(ESTABLISHED);
            let ours = rows.iter().find(|s| s.peer == at).unwrap();
            assert_eq!(ours.local, client.local_addr().unwrap());
            let theirs = rows.iter().find(|s| s.local == at).unwrap();
            assert!(ours.inode > 0 && theirs.inode > 0);
            let info = theirs.info.unwrap();
            assert_eq!(info.bytes_received, Some(8));
        }
    }

    #[test]
    fn a_cut_answer_is_no_panic_and_an_error_is_said() {
        let mut error = 20u32.to_ne_bytes().to_vec();
        error.extend(2u16.to_ne_bytes());
        error.extend([0; 10]);
        error.extend((-1i32).to_ne_bytes());
        assert_eq!(parse(&error, &mut |_| ()), Part::Refused(1));
        let mut done = error.clone();
        done[4..6].copy_from_slice(&3u16.to_ne_bytes());
        assert_eq!(parse(&done, &mut |_| ()), Part::Refused(1), "a dump that failed half way");
        done[16..].fill(0);
        assert_eq!(parse(&done, &mut |_| ()), Part::Done);
        for cut in 0..error.len() {
            assert_eq!(parse(&error[..cut], &mut |_| ()), Part::More);
        }
        // A length of nothing would be read for ever.
        assert_eq!(parse(&[0; 64], &mut |_| ()), Part::More);
    }
}
