//! The kernel's own tables over the window.

use crate::model::counter::rate;
use crate::model::host::{HostSweep, LimitsRaw};

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
    }
}
