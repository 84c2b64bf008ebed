//! Raw figures of the kernel's own tables: packets before the socket, connection tracking, tasks, ports.

use serde::{Deserialize, Serialize};

use super::process::ProcId;

/// Tables that run full, and what is dropped before any socket sees it. What a kernel does not have is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitsRaw {
    /// `/proc/net/softnet_stat`, all CPUs.
    pub softnet: Option<SoftnetRaw>,
    /// Tracked connections and their limit.
    pub conntrack: Option<(u64, u64)>,
    /// Column `drop` of `/proc/net/stat/nf_conntrack`, all CPUs.
    pub conntrack_drops: Option<u64>,
    /// `kernel.threads-max`.
    pub threads_max: Option<u64>,
    /// `kernel.pid_max`: threads take pids too.
    pub pid_max: Option<u64>,
    /// `net.ipv4.ip_local_port_range`, first and last.
    pub ports: Option<(u16, u16)>,
    /// `net.ipv4.tcp_tw_reuse`: 0 no, 1 yes, 2 on loopback. A port in TIME_WAIT that may be reused is not taken.
    pub reuse: Option<u8>,
    /// Neighbours of IPv4 and their hard limit (`gc_thresh3`).
    pub neighbours: Option<(u64, u64)>,
    /// The same of IPv6.
    pub neighbours6: Option<(u64, u64)>,
    /// Neighbours that found no room, both (`table_fulls`).
    pub neighbours_refused: Option<u64>,
    /// Those that found some (`allocs`).
    pub neighbours_made: Option<u64>,
    /// Memory of TCP sockets, pages: used, from which it is saved on, and the limit (`tcp_mem`).
    pub tcp_pages: Option<(u64, u64, u64)>,
    /// Connections that were ended for lack of that memory (`TCPAbortOnMemory`).
    pub tcp_aborted: Option<u64>,
    /// Datagrams of UDP that were taken in, IPv4 and IPv6.
    pub datagrams: Option<u64>,
    /// Datagrams that found their socket's buffer full.
    pub datagrams_dropped: Option<u64>,
}

/// A UDP socket that has dropped datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatagramRaw {
    /// Its local port.
    pub port: u16,
    /// What it is known by.
    pub inode: u64,
    /// Whose, where that may be seen.
    pub owner: Option<ProcId>,
    /// Datagrams dropped since it was opened.
    pub dropped: u64,
    /// Bytes in its buffer.
    pub queued: u64,
}

/// Sums over the CPUs; the kernel's counters are 32 bits wide each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoftnetRaw {
    /// Packets taken from the cards.
    pub processed: u64,
    /// Dropped because the backlog queue was full.
    pub dropped: u64,
    /// Times that the budget ran out with packets left.
    pub squeezed: u64,
}
