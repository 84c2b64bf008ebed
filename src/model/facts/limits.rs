//! The kernel's own tables over the window.

use crate::model::counter::rate;
use crate::model::host::{DatagramRaw, HostSweep, LimitsRaw};

/// Tables that run full, and what is dropped before any socket sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LimitsFacts {
    /// As read last.
    pub raw: LimitsRaw,
    /// Packets per second that the cards handed over.
    pub packets_per_s: Option<f64>,
    /// Packets per second dropped because a CPU's backlog was full.
    pub softnet_drops_per_s: Option<f64>,
    /// Times per second that the budget ran out with packets left.
    pub squeezes_per_s: Option<f64>,
    /// Connections per second that connection tracking dropped.
    pub conntrack_drops_per_s: Option<f64>,
    /// Neighbours per second that found no room in their table.
    pub neighbours_refused_per_s: Option<f64>,
    /// Those per second that found some.
    pub neighbours_made_per_s: Option<f64>,
    /// Connections per second that were ended for lack of memory for TCP.
    pub tcp_aborts_per_s: Option<f64>,
    /// Datagrams per second that were taken in.
    pub datagrams_per_s: Option<f64>,
    /// Datagrams per second that found their socket's buffer full.
    pub datagrams_dropped_per_s: Option<f64>,
}

/// A UDP socket that drops datagrams.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DatagramFacts {
    /// As it was read last.
    pub raw: DatagramRaw,
    /// Datagrams per second that found its buffer full.
    pub dropped_per_s: f64,
}

/// Those that dropped some within the window, most first.
pub(super) fn datagrams(sweeps: &[&HostSweep], new: &HostSweep) -> Vec<DatagramFacts> {
    let one = |raw: &DatagramRaw| {
        let same = |s: &&DatagramRaw| s.inode == raw.inode;
        let before = sweeps.iter().filter(|s| s.at != new.at).find_map(|s| Some((s, s.datagrams.iter().find(same)?)))?;
        let dropped_per_s = rate(Some(before.1.dropped), Some(raw.dropped), new.at.seconds_since(&before.0.at)?)?;
        (dropped_per_s > 0.0).then_some(DatagramFacts { raw: *raw, dropped_per_s })
    };
    let mut all: Vec<DatagramFacts> = new.datagrams.iter().filter_map(one).collect();
    all.sort_by(|a, b| b.dropped_per_s.total_cmp(&a.dropped_per_s).then(a.raw.inode.cmp(&b.raw.inode)));
    all
}

pub(super) fn derive(old: Option<&HostSweep>, new: &HostSweep) -> LimitsFacts {
    let dt_s = old.and_then(|o| new.at.seconds_since(&o.at));
    let per_s = |field: fn(&LimitsRaw) -> Option<u64>| rate(field(&old?.limits), field(&new.limits), dt_s?);
    LimitsFacts {
        raw: new.limits,
        packets_per_s: per_s(|l| l.softnet.map(|s| s.processed)),
        softnet_drops_per_s: per_s(|l| l.softnet.map(|s| s.dropped)),
        squeezes_per_s: per_s(|l| l.softnet.map(|s| s.squeezed)),
        conntrack_drops_per_s: per_s(|l| l.conntrack_drops),
        neighbours_refused_per_s: per_s(|l| l.neighbours_refused),
        neighbours_made_per_s: per_s(|l| l.neighbours_made),
        tcp_aborts_per_s: per_s(|l| l.tcp_aborted),
        datagrams_per_s: per_s(|l| l.datagrams),
        datagrams_dropped_per_s: per_s(|l| l.datagrams_dropped),
    }
}
