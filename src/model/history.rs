//! The last minutes of a few figures, for graphs: fixed rings, one point per tick. Pure.

use std::collections::{BTreeMap, VecDeque};

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

    /// The value that many points before the newest.
    #[must_use]
    pub fn back(&self, points: usize) -> Option<f64> {
        let at = self.0.len().checked_sub(points + 1)?;
        self.0.get(at).filter(|v| !v.is_nan()).map(|v| f64::from(*v))
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

/// What is waited for, as it is drawn over time, in the order of the drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each names what is waited for")]
pub enum Group {
    Cpu,
    Quota,
    Memory,
    Io,
    Peers,
    Servers,
    Other,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Cpu, Self::Quota, Self::Memory, Self::Io, Self::Peers, Self::Servers, Self::Other];
}

/// The figures that are drawn over time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each name is its figure; units after the underscore")]
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
    /// Waiting, s/s.
    #[serde(default)]
    pub waiting: BTreeMap<Group, Ring>,
    /// By server, by what its kind counts: sessions by what they wait for.
    #[serde(default)]
    pub servers: BTreeMap<String, BTreeMap<String, Ring>>,
    /// Wall clock of each point, ms.
    #[serde(default)]
    pub at_ms: VecDeque<i64>,
    /// Findings at warning or above, by their beginning.
    #[serde(default)]
    pub incidents: VecDeque<Incident>,
}

/// A time in which something was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// The finding's key.
    pub key: String,
    /// What it said last.
    pub title: String,
    /// It was critical at some time.
    pub critical: bool,
    /// Wall clock, ms.
    pub since_ms: i64,
    /// When it was seen last, wall clock, ms.
    pub last_ms: i64,
    /// It is there no more.
    pub over: bool,
}

/// Incidents kept.
pub const INCIDENTS: usize = 64;

impl History {
    /// Notes the moment, and what is wrong at it: key, title, critical.
    pub fn mark<'a>(&mut self, at_ms: i64, wrong: impl Iterator<Item = (&'a str, &'a str, bool)>) {
        if self.at_ms.len() == POINTS {
            self.at_ms.pop_front();
        }
        self.at_ms.push_back(at_ms);
        let mut open: Vec<Incident> = Vec::new();
        for (key, title, critical) in wrong {
            match self.incidents.iter_mut().find(|i| !i.over && i.key == key) {
                Some(known) => {
                    title.clone_into(&mut known.title);
                    (known.last_ms, known.critical) = (at_ms, known.critical || critical);
                }
                None => open.push(Incident {
                    key: key.to_owned(),
                    title: title.to_owned(),
                    critical,
                    since_ms: at_ms,
                    last_ms: at_ms,
                    over: false,
                }),
            }
        }
        self.incidents.iter_mut().filter(|i| i.last_ms != at_ms).for_each(|i| i.over = true);
        self.incidents.extend(open);
        let cut = self.incidents.len().saturating_sub(INCIDENTS);
        self.incidents.drain(..cut);
    }
}
