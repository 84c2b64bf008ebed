//! Listening unix sockets whose connections wait to be accepted, by sock_diag: what `ss -xl` shows.

use std::collections::HashMap;

use rustix::net::AddressFamily;
use rustix::net::netlink::SOCK_DIAG;

use crate::model::foreign::Foreign;
use crate::model::host::{ProcId, UnixQueue};
use crate::model::seen::Seen;

use super::netlink::{self, Part, attributes, u32_at};
use super::sockdiag::LISTEN;

/// A listener with waiting connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its path; an abstract name begins with `@`.
    pub path: Foreign,
    /// Its inode.
    pub inode: u32,
    /// Connections that wait to be accepted.
    pub waiting: u32,
    /// How many may.
    pub backlog: u32,
}

/// Those that waited, over dumps, until they are taken.
#[derive(Debug, Default)]
pub(super) struct Waiting(HashMap<Foreign, UnixQueue>);

impl Waiting {
    /// Adds one dump; `owners` by inode.
    pub(super) fn add(&mut self, queues: &[Queue], owners: &HashMap<u32, ProcId>) {
        for queue in queues {
            let owner = owners.get(&queue.inode).copied();
            let empty = || UnixQueue { path: queue.path.clone(), owner, rounds: 0, queued: 0, backlog: queue.backlog };
            let row = self.0.entry(queue.path.clone()).or_insert_with(empty);
            row.rounds += 1;
            row.queued = row.queued.saturating_add(queue.waiting);
        }
    }

    /// The longest queues.
    pub(super) fn take(&mut self, most: usize) -> Vec<UnixQueue> {
        let mut rows: Vec<UnixQueue> = std::mem::take(&mut self.0).into_values().collect();
        rows.sort_unstable_by(|a, b| b.queued.cmp(&a.queued).then(a.path.cmp(&b.path)));
        rows.truncate(most);
        rows
    }
}

const BY_FAMILY: u16 = 20;
const NAME: u16 = 0;
const QUEUES: u16 = 4;
/// `struct unix_diag_msg`.
const MESSAGE: usize = 16;

/// The queues of this network namespace, those that are empty left out.
///
/// # Errors
/// When the kernel has no sock_diag for unix sockets or does not answer.
pub fn queues() -> Seen<Vec<Queue>> {
    const SHOW_NAME_AND_QUEUES: u32 = 0x01 | 0x10;
    let mut request = vec![u8::try_from(AddressFamily::UNIX.as_raw()).unwrap_or(1), 0, 0, 0];
    request.extend(LISTEN.to_ne_bytes());
    request.extend([0; 4]);
    request.extend(SHOW_NAME_AND_QUEUES.to_ne_bytes());
    request.extend([0; 8]);
    let mut found = Vec::new();
    netlink::ask("unix_diag", Some(SOCK_DIAG), BY_FAMILY, &request, |body| found.extend(parse_one(body)))?;
    Ok(found)
}

/// Parses one datagram of netlink messages.
pub fn parse(bytes: &[u8], each: &mut impl FnMut(Queue)) -> Part {
    netlink::walk(bytes, |body| parse_one(body).into_iter().for_each(&mut *each))
}

/// `struct unix_diag_msg` and its attributes; `None` when nobody waits there, or it has no name.
fn parse_one(body: &[u8]) -> Option<Queue> {
    let inode = u32_at(body, 4)?;
    let (mut path, mut queue) = (None, None);
    for (kind, value) in attributes(body.get(MESSAGE..)?) {
        match kind {
            NAME => path = Some(named(value)),
            QUEUES => queue = u32_at(value, 0).zip(u32_at(value, 4)),
            _ => {}
        }
    }
    let (waiting, backlog) = queue.filter(|(waiting, _)| *waiting > 0)?;
    Some(Queue { path: path?, inode, waiting, backlog })
}

fn named(value: &[u8]) -> Foreign {
    match value.split_first() {
        // An abstract name has no end of its own.
        Some((0, name)) => Foreign::new(&[b"@", name].concat()),
        _ => Foreign::new(value.split(|b| *b == 0).next().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_seen_while_somebody_waits_in_it() {
        use std::os::unix::net::{UnixListener, UnixStream};
        let path = std::env::temp_dir().join(format!("perftop-unixdiag-{}", std::process::id()));
        _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let here = || queues().map(|all| all.into_iter().find(|q| q.path.raw() == path.as_os_str().as_encoded_bytes()));
        // A kernel without sock_diag for unix sockets says so, and nothing is known then.
        let Ok(none) = here() else { return };
        assert_eq!(none, None);
        let _clients = [UnixStream::connect(&path).unwrap(), UnixStream::connect(&path).unwrap()];
        let queue = here().unwrap().unwrap();
        assert!(queue.waiting == 2 && queue.backlog >= 2 && queue.inode > 0, "{queue:?}");
        drop(listener);
        _ = std::fs::remove_file(&path);
    }

    #[test]
    fn cut_messages_are_left_out() {
        assert_eq!(parse_one(&[]), None);
        assert_eq!(parse_one(&[0; 16]), None);
        let mut body = vec![0; 16];
        body.extend([12, 0, 4, 0, 3, 0, 0, 0, 128, 0, 0, 0]);
        assert_eq!(parse_one(&body), None, "without a name");
        body.extend([7, 0, 0, 0, 0, b'a', b'b', 0]);
        let queue = parse_one(&body).unwrap();
        assert_eq!((queue.path.shown(), queue.waiting, queue.backlog), ("@ab", 3, 128));
        assert_eq!(parse_one(&body[..20]), None);
    }
}
