//! What was counted of an objective.

use serde::{Deserialize, Serialize};

use crate::model::objective::{Objective, pairs};
use crate::model::seen::Seen;

/// An objective as it was counted last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// Which.
    pub objective: Objective,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// Each window, shortest first; why one is not known.
    pub windows: Vec<(u64, Seen<Share>)>,
    /// The last hour, oldest first.
    pub recent: Vec<Point>,
    /// Seconds between two of its points.
    pub step_s: u64,
    /// The buckets in which the 50th, 95th and 99th of a hundred requests fall, seconds, of the last five minutes.
    #[serde(default)]
    pub quantiles: Vec<Quantile>,
}

/// What was counted in one window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Requests. Where only a share is given: `None`.
    pub requests: Option<f64>,
    /// The share that failed, 0 to 1: at least.
    pub failed: f64,
    /// And at most: more where the limit lies within a bucket.
    pub failed_most: f64,
    /// Seconds of the window of which anything is known.
    pub covered_s: f64,
}

/// What was counted between two points.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Requests per second.
    pub per_s: Option<f32>,
    /// The share that failed.
    pub failed: Option<f32>,
}

/// A quantile, as far as a histogram tells it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// Which, 0 to 1.
    pub of: f64,
    /// Lower end of its bucket.
    pub low_s: f64,
    /// Upper end; infinite in the last one.
    pub high_s: f64,
}

impl Counted {
    /// What was counted in the window of so many seconds.
    #[must_use]
    pub fn window(&self, seconds: u64) -> Option<&Seen<Share>> {
        self.windows.iter().find(|(s, _)| *s == seconds).map(|(_, seen)| seen)
    }

    /// How many times faster than even the budget goes, at least, over that window; `None`: not known, or there were no requests.
    #[must_use]
    pub fn burn(&self, seconds: u64) -> Option<f64> {
        let share = self.window(seconds)?.as_ref().ok()?;
        (share.requests != Some(0.0)).then_some(share.failed / self.objective.allowance())
    }

    /// What is left of the budget of the period, 1 to below 0, and for how long it is counted: the storage may not reach back so far.
    #[must_use]
    pub fn left(&self) -> Option<(f64, f64)> {
        let share = self.window(self.objective.period_s)?.as_ref().ok()?;
        // Of the time that the storage does not reach nothing is known, so nothing is said to be spent in it.
        let covered = (share.covered_s / self.objective.period_s as f64).clamp(0.0, 1.0);
        Some((1.0 - self.burn(self.objective.period_s)? * covered, share.covered_s))
    }

    /// Seconds until the budget is spent at the pace of the last hour.
    #[must_use]
    pub fn spent_in(&self) -> Option<f64> {
        let (left, _) = self.left()?;
        let pace = self.burn(pairs(self.objective.period_s)[0].long_s)?;
        (pace > 0.0 && left > 0.0).then(|| left / pace * self.objective.period_s as f64)
    }
}

impl Quantile {
    /// The bucket in which it falls; `buckets` are cumulative counts by their upper ends, the last one without an end.
    #[must_use]
    pub fn find(of: f64, buckets: &[(f64, f64)]) -> Option<Self> {
        let all = buckets.last().filter(|(le, n)| le.is_infinite() && *n > 0.0)?.1;
        let at = buckets.iter().position(|(_, n)| *n >= of * all)?;
        Some(Self { of, low_s: at.checked_sub(1).map_or(0.0, |before| buckets[before].0), high_s: buckets[at].0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::objective::Sli;
    use crate::model::seen::{Lack, Why};

    #[test]
    fn burn_and_budget_follow_from_the_share_that_failed() {
        let share = |requests: f64, failed: f64| {
            Ok(Share { requests: Some(requests), failed, failed_most: failed, covered_s: 2_592_000.0 })
        };
        let counted = Counted {
            objective: Objective {
                name: "a".into(),
                target: 0.999,
                period_s: 2_592_000,
                sli: Sli::Share { errors: String::new() },
                at: None,
            },
            at_ms: 0,
            windows: vec![
                (300, share(0.0, 0.0)),
                (1_800, Err(Lack::new(Why::TimedOut, "query"))),
                (3_600, share(1e4, 0.0144)),
                (2_592_000, share(1e6, 0.0005)),
            ],
            recent: Vec::new(),
            step_s: 15,
            quantiles: Vec::new(),
        };
        assert_eq!((counted.burn(300), counted.burn(1_800), counted.burn(7)), (None, None, None), "no requests are no failures");
        assert!((counted.burn(3_600).unwrap() - 14.4).abs() < 1e-6);
        assert!((counted.left().unwrap().0 - 0.5).abs() < 1e-6);
        let mut young = counted.clone();
        young.windows[3].1 = Ok(Share { requests: Some(1e4), failed: 0.002, failed_most: 0.002, covered_s: 3_600.0 });
        assert!(young.left().unwrap().0 > 0.99, "an hour's failures are not a month's");
        assert!((counted.spent_in().unwrap() - 90_000.0).abs() < 1.0, "half the budget at 14.4 times the pace");
    }

    #[test]
    fn a_quantile_is_its_bucket() {
        let buckets = [(0.1, 50.0), (0.5, 90.0), (1.0, 99.0), (f64::INFINITY, 100.0)];
        let of = |q: f64| Quantile::find(q, &buckets).map(|q| (q.low_s, q.high_s));
        assert_eq!((of(0.5), of(0.95), of(0.99)), (Some((0.0, 0.1)), Some((0.5, 1.0)), Some((0.5, 1.0))));
        assert_eq!(of(0.999), Some((1.0, f64::INFINITY)), "beyond the last bucket nobody knows");
        assert_eq!(Quantile::find(0.5, &[(0.1, 0.0), (f64::INFINITY, 0.0)]), None);
        assert_eq!(Quantile::find(0.5, &[(0.1, 3.0)]), None, "the bucket without an end is missing");
    }
}
