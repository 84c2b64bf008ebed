//! Whether an objective burns its budget too fast: by two windows, so that it begins soon and ends soon.

use crate::model::objective::{Pair, pairs};
use crate::model::prometheus::Counted;

/// How an objective stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Burn {
    /// Neither pair of windows is beyond its factor: the highest share of a factor that one reaches in both windows.
    Even {
        /// 1 would burn.
        reach: f64,
    },
    /// It would burn, by too few failures to say so.
    Few {
        /// Failures in the long window.
        failures: f64,
    },
    /// It burns.
    Burns(Burning),
    /// Nothing was asked of the service.
    Idle,
    /// Not known: neither window of any pair.
    Unknown,
}

/// By which windows it burns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burning {
    /// The pair: the most urgent one.
    pub pair: Pair,
    /// What it is beyond.
    pub factor: f64,
    /// How many times faster than even, over the long window and over the short one.
    pub over: (f64, f64),
    /// Failures in the long window, where they are counted.
    pub failures: Option<f64>,
    /// Seconds since the last hour's failures went beyond the factor and stayed.
    pub age_s: f64,
}

/// Failures below which nobody is called, and no ticket is written, unless it is configured otherwise.
pub const FAILURES: (f64, f64) = (10.0, 3.0);
/// An objective that burned already does so until it falls below this share of its factor.
const HELD: f64 = 0.7;

/// How it stands; `failures`: so many are needed to call someone, and to write a ticket; `held`: it burned before.
#[must_use]
pub fn burn(counted: &Counted, failures: (f64, f64), held: bool) -> Burn {
    let objective = &counted.objective;
    let (mut reach, mut few, mut known) = (0.0f64, None, false);
    // Both windows of each pair must be known before all is said to be well.
    let told = |window: u64| counted.window(window).is_some_and(Result::is_ok);
    let reaches = |p: &Pair| objective.reachable(p.factor(objective.period_s));
    let blind = pairs(objective.period_s).iter().filter(|p| reaches(p)).any(|p| !told(p.long_s) || !told(p.short_s));
    // A pair that is beyond its factor comes before one that only still holds.
    let all = pairs(objective.period_s);
    for (pair, part) in all.iter().map(|p| (*p, 1.0)).chain(all.iter().filter(|_| held).map(|p| (*p, HELD))) {
        let factor = pair.factor(objective.period_s);
        let (Some(long), Some(short)) = (counted.burn(pair.long_s), counted.burn(pair.short_s)) else { continue };
        known = true;
        reach = reach.max(long.min(short) / factor);
        let limit = factor * part;
        if !objective.reachable(factor) || long < limit || short < limit {
            continue;
        }
        let share = counted.window(pair.long_s).and_then(|w| w.as_ref().ok());
        let failed = share.and_then(|s| Some(s.requests? * s.failed));
        let needed = if pair.urgent { failures.0 } else { failures.1 };
        if failed.is_some_and(|n| n < needed) {
            few = few.or(failed);
            continue;
        }
        return Burn::Burns(Burning { pair, factor, over: (long, short), failures: failed, age_s: age(counted, factor) });
    }
    let idle = pairs(objective.period_s)
        .iter()
        .any(|p| counted.window(p.long_s).is_some_and(|w| w.as_ref().is_ok_and(|s| s.requests == Some(0.0))));
    match (few, known) {
        _ if blind => Burn::Unknown,
        (Some(failures), _) => Burn::Few { failures },
        (None, true) => Burn::Even { reach },
        (None, false) if idle => Burn::Idle,
        (None, false) => Burn::Unknown,
    }
}

/// For how long the points of the last hour are beyond the factor, without a break.
fn age(counted: &Counted, factor: f64) -> f64 {
    let limit = factor * counted.objective.allowance();
    let beyond = counted.recent.iter().rev().take_while(|p| p.failed.is_none_or(|f| f64::from(f) >= limit));
    let points = beyond.collect::<Vec<_>>();
    // Points without a request say nothing of when it began.
    let first = points.iter().rposition(|p| p.failed.is_some()).map_or(0, |at| at + 1);
    // It began before the hour that is known: nobody saw when.
    if first >= counted.recent.len() { 0.0 } else { (first as u64 * counted.step_s) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::prometheus::counted;
    use crate::model::seen::{Lack, Why};

    #[test]
    fn both_windows_must_be_beyond() {
        let of = |failed: &dyn Fn(u64) -> f64, held| burn(&counted(100.0, failed), (10.0, 3.0), held);
        let Burn::Burns(b) = of(&|_| 0.02, false) else { panic!() };
        assert!(b.pair.urgent && (b.factor - 14.4).abs() < 1e-9 && (b.over.0 - 20.0).abs() < 1e-6);
        // 12 is beyond six hours' factor; that an hour's would still hold says nothing of it.
        assert!(matches!(of(&|_| 0.012, true), Burn::Burns(b) if b.pair.long_s == 21_600));
        assert!(matches!(of(&|w| if w <= 3_600 { 0.012 } else { 0.0 }, true), Burn::Burns(b) if b.pair.long_s == 3_600));
        assert!((b.age_s - 600.0).abs() < 1e-9, "the last ten points");
        assert!(
            matches!(of(&|w| if w <= 300 { 0.0 } else { 0.02 }, false), Burn::Burns(b) if b.pair.long_s == 21_600),
            "the last five minutes are fine, the half hour is not"
        );
        assert!(matches!(of(&|w| if w <= 1_800 { 0.02 } else { 0.0 }, false), Burn::Even { .. }), "a short trouble");
        assert!(matches!(of(&|_| 0.0031, false), Burn::Burns(b) if !b.pair.urgent));
        assert!(matches!(of(&|_| 0.0009, false), Burn::Even { reach } if (reach - 0.9).abs() < 1e-6));
        assert!(matches!(of(&|_| 0.0009, true), Burn::Burns(_)), "it burned before");
    }

    #[test]
    fn few_failures_no_traffic_and_the_unknown_are_told_apart() {
        let of = |counted: &Counted| burn(counted, (10.0, 3.0), false);
        assert!(matches!(of(&counted(0.0001, |_| 1.0)), Burn::Burns(b) if !b.pair.urgent), "nine in a day");
        assert!(matches!(of(&counted(0.00001, |_| 1.0)), Burn::Few { .. }));
        assert_eq!(of(&counted(0.0, |_| 0.0)), Burn::Idle);
        let mut unknown = counted(1.0, |_| 1.0);
        unknown.windows.iter_mut().for_each(|w| w.1 = Err(Lack::new(Why::Absent, "no series")));
        assert_eq!(of(&unknown), Burn::Unknown);
        // Its only target died: the last minutes are not known, and three days ago all was well.
        let mut died = counted(1.0, |_| 0.0);
        died.windows[0].1 = Err(Lack::new(Why::Absent, "no series"));
        assert_eq!(of(&died), Burn::Unknown);
        // Nor is a budget that may be burning slowly well, or few failures where the last minutes are not known.
        let mut slowly = counted(1.0, |_| 0.0);
        let day = slowly.windows.iter_mut().find(|w| w.0 == 86_400).unwrap();
        day.1 = Err(Lack::new(Why::TimedOut, "no answer"));
        assert_eq!(of(&slowly), Burn::Unknown);
        let mut few = counted(0.00001, |_| 1.0);
        few.windows[0].1 = Err(Lack::new(Why::TimedOut, "no answer"));
        assert_eq!(of(&few), Burn::Unknown);
        // At 90 % all requests that fail are ten times the budget: 14.4 cannot be reached, and 6 can.
        let mut wide = counted(100.0, |_| 1.0);
        wide.objective.target = 0.9;
        assert!(matches!(of(&wide), Burn::Burns(b) if b.pair.long_s == 21_600));
    }
}
