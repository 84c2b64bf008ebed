//! Objectives: which share of requests must be good, and over what time. Pure.
//! What never lives here: how they are counted (`collect`), whether they burn (`detect`).

use serde::{Deserialize, Serialize};

/// An objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// Its name.
    pub name: String,
    /// The share of requests that must be good, 0 to 1.
    pub target: f64,
    /// The time over which it is kept, seconds.
    pub period_s: u64,
    /// What is counted.
    pub sli: Sli,
    /// The name of the Prometheus that counts it; `None`: whichever is watched.
    #[serde(default)]
    pub at: Option<String>,
}

/// What is counted of an objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sli {
    /// Counters: of the requests that failed, and of all.
    Ratio {
        /// Selector of those that failed.
        errors: String,
        /// Selector of all.
        total: String,
    },
    /// Counters: of the requests that were good, and of all.
    Good {
        /// Selector of those that were good.
        good: String,
        /// Selector of all.
        total: String,
    },
    /// A histogram of seconds: requests are good up to a limit.
    Latency {
        /// Its name without `_bucket`, and its labels.
        histogram: String,
        /// The limit, seconds.
        within_s: f64,
    },
    /// Queries that give rates, with `{{.window}}` where the window stands.
    Rates {
        /// Of those that failed.
        errors: String,
        /// Of all.
        total: String,
    },
    /// A query that gives the share that failed.
    Share {
        /// With `{{.window}}`.
        errors: String,
    },
}

/// The pairs of windows of an objective of 30 days: how much faster than even its budget goes, and over which two windows that must hold.
/// Each spends a part of the budget: 2 % in an hour, 5 % in six, 10 % in a day and in three.
pub const PAIRS: [Pair; 4] = [
    Pair { part: 0.02, long_s: 3_600, short_s: 300, urgent: true },
    Pair { part: 0.05, long_s: 21_600, short_s: 1_800, urgent: true },
    Pair { part: 0.10, long_s: 86_400, short_s: 7_200, urgent: false },
    Pair { part: 0.10, long_s: 259_200, short_s: 21_600, urgent: false },
];

/// Two windows, and the part of the budget that may be spent within the long one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Part of the whole budget.
    pub part: f64,
    /// The long window, seconds.
    pub long_s: u64,
    /// The short one: it ends the alarm soon after the trouble.
    pub short_s: u64,
    /// Someone is called for it.
    pub urgent: bool,
}

impl Pair {
    /// How many times faster than even the budget goes at which it is spent: part × period / window.
    #[must_use]
    pub fn factor(&self, period_s: u64) -> f64 {
        self.part * period_s as f64 / self.long_s as f64
    }
}

/// The pairs of an objective of that period: for a shorter one their windows are shorter alike, so that the factors stay.
#[must_use]
pub fn pairs(period_s: u64) -> [Pair; 4] {
    /// From here on the windows are those of thirty days.
    const WHOLE_S: u64 = 28 * 86_400;
    /// Two scrapes, as they are mostly.
    const SHORTEST_S: u64 = 120;
    if period_s >= WHOLE_S {
        return PAIRS;
    }
    let scaled = |s: u64| (s as f64 * period_s as f64 / (30.0 * 86_400.0) / 60.0).round() as u64 * 60;
    PAIRS.map(|p| Pair { long_s: scaled(p.long_s).max(SHORTEST_S * 2), short_s: scaled(p.short_s).max(SHORTEST_S), ..p })
}

/// All windows that are read, seconds, shortest first; the period comes last.
#[must_use]
pub fn windows(period_s: u64) -> Vec<u64> {
    let mut all: Vec<u64> = pairs(period_s).iter().flat_map(|p| [p.short_s, p.long_s]).collect();
    all.push(period_s);
    all.sort_unstable();
    all.dedup();
    all
}

impl Objective {
    /// The target in percent, without what a binary fraction adds: 99.9.
    #[must_use]
    pub fn percent(&self) -> f64 {
        (self.target * 1e7).round() / 1e5
    }

    /// The share that may fail.
    #[must_use]
    pub fn allowance(&self) -> f64 {
        (1.0 - self.target).max(f64::EPSILON)
    }

    /// A factor that no share of failures can reach: at 90 % the budget goes at most ten times faster than even.
    #[must_use]
    pub fn reachable(&self, factor: f64) -> bool {
        factor * self.allowance() <= 1.0
    }
}

/// A window as PromQL writes it: `5m`, `2h`, `3d`.
#[must_use]
pub fn promql_duration(seconds: u64) -> String {
    let unit = [(86_400, "d"), (3_600, "h"), (60, "m")].into_iter().find(|(s, _)| seconds >= *s && seconds.is_multiple_of(*s));
    unit.map_or_else(|| format!("{seconds}s"), |(s, unit)| format!("{}{unit}", seconds / s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_those_of_the_workbook() {
        let factors: Vec<f64> = PAIRS.iter().map(|p| (p.factor(30 * 86_400) * 10.0).round() / 10.0).collect();
        assert_eq!(factors, [14.4, 6.0, 3.0, 1.0]);
        let factors: Vec<f64> = PAIRS.iter().map(|p| (p.factor(28 * 86_400) * 100.0).round() / 100.0).collect();
        assert_eq!(factors, [13.44, 5.6, 2.8, 0.93]);
        assert_eq!(windows(30 * 86_400), [300, 1_800, 3_600, 7_200, 21_600, 86_400, 259_200, 2_592_000]);
        let week: Vec<(u64, u64, f64)> =
            pairs(604_800).iter().map(|p| (p.long_s, p.short_s, (p.factor(604_800) * 10.0).round() / 10.0)).collect();
        assert_eq!(
            week,
            [(840, 120, 14.4), (5_040, 420, 6.0), (20_160, 1_680, 3.0), (60_480, 5_040, 1.0)],
            "a week's windows are a week's"
        );
        assert_eq!([300, 7_200, 259_200, 90].map(promql_duration), ["5m", "2h", "3d", "90s"]);
    }

    #[test]
    fn an_alarm_that_can_never_come_is_told_apart() {
        let of = |target| Objective {
            name: "a".into(),
            target,
            period_s: 2_592_000,
            sli: Sli::Share { errors: String::new() },
            at: None,
        };
        assert!(of(0.95).reachable(14.4));
        assert!(!of(0.90).reachable(14.4), "all of them failing is ten times the budget");
    }
}
