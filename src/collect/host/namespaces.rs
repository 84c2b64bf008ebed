//! Other network namespaces of this host, containers mostly: each is visited once per dump, by a thread that may move. Needs root.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::sockdiag::Socket;
use super::unixdiag::Queue;

/// perftop's own network namespace.
pub const OWN: u64 = 0;

/// The sockets of one network namespace at one moment.
#[derive(Debug, Default)]
pub struct Dump {
    /// [`OWN`], or its number.
    pub namespace: u64,
    /// Listening, established and opening ones.
    pub sockets: Vec<Socket>,
    /// Those that are being closed, where they are many.
    pub ending: Vec<Socket>,
    /// Unix sockets with waiting connections.
    pub unix: Vec<Queue>,
    /// Local ends of connections that ended within the last minute; not at every dump.
    pub ended: Vec<std::net::SocketAddr>,
    /// UDP sockets with another end, and when they were looked at, CLOCK_MONOTONIC ms.
    pub datagrams: (Vec<Socket>, u64),
    /// Connections accepted since the namespace was made (`PassiveOpens`).
    pub opened: Option<u64>,
}

/// Namespaces that are visited.
pub(super) const MOST: usize = 16;

/// Why nothing was done in another namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Away {
    /// It is gone, or may not be entered.
    Closed,
    /// The way back failed: the thread must do nothing more.
    Lost,
}

/// The namespace that the thread began in.
#[derive(Debug)]
pub(super) struct Home(Option<File>);

impl Home {
    /// To be called on the thread that will move.
    pub(super) fn new() -> Self {
        Self(File::open("/proc/thread-self/ns/net").ok())
    }

    /// Does the work in the network namespace of that number, which that process was seen in.
    ///
    /// # Errors
    /// When it cannot be entered, or not left again.
    pub(super) fn visit<T>(&self, number: u64, pid: i32, work: impl FnOnce() -> T) -> Result<T, Away> {
        let own = self.0.as_ref().ok_or(Away::Closed)?;
        let there = File::open(format!("/proc/{pid}/ns/net")).map_err(|_| Away::Closed)?;
        // The pid may be another process' by now.
        if there.metadata().map_or(0, |m| m.ino()) != number {
            return Err(Away::Closed);
        }
        enter(&there).map_err(|_| Away::Closed)?;
        let done = work();
        enter(own).map_err(|_| Away::Lost)?;
        Ok(done)
    }
}

fn enter(namespace: &File) -> rustix::io::Result<()> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
}

/// The number of a process' network namespace: `net:[4026531840]`; `None` without the rights.
pub(super) fn of(process: &Path) -> Option<u64> {
    let link = std::fs::read_link(process.join("ns/net")).ok()?;
    link.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}
