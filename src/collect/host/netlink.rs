//! Dumps over netlink: one request, many messages, the end or a refusal. What the messages hold is the caller's.

use std::path::Path;
use std::time::Duration;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{recv, sendto, socket_with, sockopt};

use crate::collect::root::lack;
use crate::model::seen::{Lack, Seen, Why};

/// A dump that does not answer is given up.
const PATIENCE: Duration = Duration::from_millis(500);
const HEADER: usize = 16;
const DONE: u16 = 3;
const ERROR: u16 = 2;
const REQUEST_DUMP: u16 = 0x301;

/// What one datagram said about the dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Others follow.
    More,
    /// That was all.
    Done,
    /// The kernel said no, with its errno.
    Refused(i32),
}

/// Asks for a dump and hands each message's body on.
///
/// # Errors
/// When the kernel does not know the request, refuses it, or does not answer.
pub(super) fn ask(
    what: &'static str,
    protocol: Option<Protocol>,
    kind: u16,
    payload: &[u8],
    mut each: impl FnMut(&[u8]),
) -> Seen<()> {
    let failed = |e: rustix::io::Errno| lack(Path::new(what), &e.into());
    let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol).map_err(failed)?;
    sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(PATIENCE)).map_err(failed)?;
    let length = u32::try_from(HEADER + payload.len()).unwrap_or(0);
    let mut request = length.to_ne_bytes().to_vec();
    request.extend(kind.to_ne_bytes());
    request.extend(REQUEST_DUMP.to_ne_bytes());
    request.extend([0; 8]);
    request.extend(payload);
    sendto(&fd, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).map_err(failed)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let (_, length) = recv(&fd, buffer.as_mut_slice(), RecvFlags::empty()).map_err(failed)?;
        if length == 0 {
            return Err(Lack::new(Why::Garbage, format!("{what}: an empty answer")));
        }
        match walk(&buffer[..length.min(buffer.len())], &mut each) {
            Part::More => {}
            Part::Done => return Ok(()),
            Part::Refused(errno) => return Err(refused(what, errno)),
        }
    }
}

fn refused(what: &str, errno: i32) -> Lack {
    let why = match rustix::io::Errno::from_raw_os_error(errno) {
        rustix::io::Errno::PERM | rustix::io::Errno::ACCESS => Why::Denied,
        _ => Why::Unsupported,
    };
    Lack::new(why, format!("{what}: error {errno}"))
}

/// The messages of one datagram.
pub(super) fn walk(mut bytes: &[u8], mut each: impl FnMut(&[u8])) -> Part {
    while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let length = length as usize;
        let Some(body) = bytes.get(HEADER..length) else { return Part::More };
        match kind {
            // A dump that failed half way says so here, not by an error message.
            DONE => match status(body) {
                0 => return Part::Done,
                errno => return Part::Refused(errno),
            },
            ERROR => return Part::Refused(status(body)),
            _ => each(body),
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Part::More
}

/// The errno in front of a message's body, 0 when it is none.
fn status(body: &[u8]) -> i32 {
    u32_at(body, 0).map_or(0, |e| i32::from_ne_bytes(e.to_ne_bytes())).saturating_neg().max(0)
}

/// Attributes: kind and value.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (length, kind) = (usize::from(u16_at(bytes, 0)?), u16_at(bytes, 2)?);
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
