//! LATENCY HISTOGRAM: calls by how long they took, since the counters began.

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;

/// One command.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Its name, as in commandstats.
    pub command: Foreign,
    /// Upper bound in microseconds, and calls that took at most so long, from the shortest.
    pub buckets: Vec<(u64, u64)>,
}

impl Histogram {
    /// Calls of each bucket alone since `before`, by upper bound; `None` where a counter went back.
    #[must_use]
    pub fn since(&self, before: Option<&Self>) -> Option<Vec<(u64, u64)>> {
        let below = |all: &[(u64, u64)], bound: u64| all.iter().rev().find(|(b, _)| *b <= bound).map_or(0, |(_, calls)| *calls);
        let old = before.map_or(&[][..], |b| &b.buckets);
        let mut last = 0;
        let mut out = Vec::new();
        for (bound, calls) in &self.buckets {
            let grown = calls.checked_sub(below(old, *bound))?;
            out.push((*bound, grown.saturating_sub(last)));
            last = grown;
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_called_between_two_readings() {
        let of = |buckets: &[(u64, u64)]| Histogram { command: "get".into(), buckets: buckets.to_vec() };
        let (old, new) = (of(&[(1, 10), (4, 12)]), of(&[(1, 15), (2, 16), (4, 18), (64, 19)]));
        assert_eq!(new.since(Some(&old)), Some(vec![(1, 5), (2, 1), (4, 0), (64, 1)]));
        assert_eq!(new.since(None), Some(vec![(1, 15), (2, 1), (4, 2), (64, 1)]));
        assert_eq!(old.since(Some(&new)), None, "the counters were reset");
    }
}
