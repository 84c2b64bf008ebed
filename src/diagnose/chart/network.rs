//! What is asked about the network and the peers: what is refused or dropped here, what is lost on the way, and who answers late.

use crate::model::source::SourceKind;

use super::question::{Branch, Question, ask, note};

/// The branch.
pub(super) const BRANCH: Branch =
    Branch { name: "Network", kind: SourceKind::Host, states: &["host.network.", "peer."], questions: QUESTIONS };

const QUESTIONS: &[Question] = &[
    ask("host.network.conntrack_full", "Is the connection tracking table full?", "conntrack -S"),
    ask(
        "host.network.ports_exhausted",
        "Are there no local ports left for a peer?",
        "ss -tan | awk '{print $5}' | sort | uniq -c | sort -rn | head",
    ),
    ask(
        "host.kernel.table_full",
        "Is a kernel table full (neighbours, TCP memory, inotify)?",
        "cat /proc/net/stat/arp_cache; sysctl net.ipv4.neigh.default.gc_thresh3; cat /proc/net/sockstat",
    ),
    ask("host.network.listen_overflow", "Is an accept queue full?", "ss -ltn; nstat -az TcpExtListenOverflows"),
    ask(
        "host.network.queue_full",
        "Does a socket drop datagrams, or a unix socket not accept?",
        "nstat -az UdpRcvbufErrors; ss -uanm",
    ),
    ask("host.network.softnet_drops", "Does the kernel drop packets before any socket sees them?", "cat /proc/net/softnet_stat"),
    ask("host.network.softirq_core", "Is one CPU full of packet processing?", "mpstat -P ALL 1 3   # column %soft"),
    ask("host.network.link_saturated", "Is a link full?", "ip -s link; ethtool IFACE"),
    note("host.network.nic_errors", "Does an interface report errors or drops?", "ip -s -s link; ethtool -S IFACE"),
    ask("host.network.packet_loss", "Are packets lost on the way?", "nstat -az TcpRetransSegs TcpExtTCPTimeouts"),
    ask("host.network.syn_loss", "Do connection attempts get no answer?", "ss -tn state syn-sent"),
    ask(
        "app.upstream.waiting",
        "Are requests here waiting for another host?",
        "ss -tinp state established   # lastsnd < lastrcv: response pending",
    ),
    note("host.network.slow_receiver", "Does a peer read too slowly?", "ss -tin state established   # rwnd_limited"),
];
