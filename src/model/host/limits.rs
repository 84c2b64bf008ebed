//! Raw figures of the kernel's own tables: packets before the socket, connection tracking, tasks, ports.

use serde::{Deserialize, Serialize};

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
