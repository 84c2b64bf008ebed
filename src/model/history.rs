//! The last minutes of a few figures, for graphs: fixed rings, one point per tick. Pure.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Points that a ring keeps: five minutes at one per second.
pub const POINTS: usize = 300;

/// A ring of the newest [`POINTS`] values; NaN is a gap.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ring(VecDeque<f32>);

impl Ring {
    /// Adds the newest value; `None` leaves a gap.
    pub fn push(&mut self, value: Option<f64>) {
        if self.0.len() == POINTS {
            self.0.pop_front();
        }
        self.0.push_back(value.map_or(f32::NAN, |v| v as f32));
    }

    /// The newest `n` values, oldest first; gaps as `None`.
    pub fn last(&self, n: usize) -> impl ExactSizeIterator<Item = Option<f64>> + '_ {
        let skip = self.0.len().saturating_sub(n);
        self.0.iter().skip(skip).map(|v| (!v.is_nan()).then_some(f64::from(*v)))
    }

    /// How many points it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True before the first point.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The figures that are drawn over time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each name says its figure; units behind the underscore")]
pub struct History {
    pub cpu_busy_percent: Ring,
    pub memory_used_percent: Ring,
    pub disk_util_percent: Ring,
    pub disk_bytes_per_s: Ring,
    pub net_bytes_per_s: Ring,
    pub retransmits_per_s: Ring,
    pub psi_cpu_percent: Ring,
    pub psi_memory_percent: Ring,
    pub psi_io_percent: Ring,
    pub load_one: Ring,
    /// Waiting per ledger group, s/s.
    pub waiting_cpu: Ring,
    pub waiting_throttled: Ring,
    pub waiting_memory: Ring,
    pub waiting_io: Ring,
    #[serde(default)]
    pub waiting_peers: Ring,
    pub waiting_other: Ring,
}
