//! How old the requests are that stand at a listener: counts by age.

use serde::{Deserialize, Serialize};

/// Where each class of age begins, ms; the last one is open.
const FROM_MS: [u32; CLASSES] = [0, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000];
const CLASSES: usize = 10;

/// Socket-rounds by the age of their request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ages(pub [u32; CLASSES]);

impl Ages {
    /// Counts one request of that age.
    pub fn add(&mut self, age_ms: u32) {
        let class = FROM_MS.partition_point(|from| *from <= age_ms).saturating_sub(1);
        if let Some(count) = self.0.get_mut(class) {
            *count = count.saturating_add(1);
        }
    }

    /// Adds the counts of another one.
    pub fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine = mine.saturating_add(theirs));
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Those that are certainly as old as `ms`: of the classes that begin there or later.
    #[must_use]
    pub fn older(&self, ms: f64) -> u32 {
        let classes = FROM_MS.iter().zip(self.0).filter(|(from, _)| f64::from(**from) >= ms);
        classes.fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    /// The age, ms, below which nine of ten of them are: the end of its class, infinite for the last one; `None` without any.
    #[must_use]
    pub fn most_are_below_ms(&self) -> Option<f64> {
        let total = u64::from(self.total());
        let mut sum = 0_u64;
        let class = self.0.iter().position(|count| {
            sum += u64::from(*count);
            total > 0 && sum * 10 >= total * 9
        })?;
        Some(FROM_MS.get(class + 1).map_or(f64::INFINITY, |end| f64::from(*end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_fall_into_their_classes() {
        let mut ages = Ages::default();
        assert_eq!((ages.total(), ages.most_are_below_ms(), ages.older(0.0)), (0, None, 0));
        for ms in [0, 9, 9, 9, 9, 9, 9, 9, 9, 1_000] {
            ages.add(ms);
        }
        assert_eq!(ages.0, [9, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!((ages.older(1_000.0), ages.older(1_001.0), ages.most_are_below_ms()), (1, 0, Some(10.0)));
        ages.merge(&Ages([0, 0, 0, 0, 0, 0, 0, 0, 0, 7]));
        assert_eq!((ages.total(), ages.older(30_000.0), ages.most_are_below_ms()), (17, 7, Some(f64::INFINITY)));
        ages.add(u32::MAX);
        assert_eq!(ages.0[9], 8);
    }
}
