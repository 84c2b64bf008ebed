//! A figure over time and its trend: when it ends, how fast it grows, by Theil-Sen. Pure.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Points over time for a trend, at most [`Series::POINTS`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Series(pub VecDeque<(f64, f64)>);

impl Series {
    /// Points kept.
    pub const POINTS: usize = 90;

    /// Adds a point; a time that goes back starts again.
    pub fn push(&mut self, at_s: f64, value: f64) {
        match self.0.back() {
            Some((last, _)) if at_s < *last => self.0.clear(),
            Some((last, _)) if at_s - last < 0.9 => return,
            _ => {}
        }
        if self.0.len() == Self::POINTS {
            self.0.pop_front();
        }
        self.0.push_back((at_s, value));
    }

    /// True when the newest sixteen points do not rise any more.
    #[must_use]
    pub fn rests(&self) -> bool {
        const LAST: usize = 16;
        self.0.len() >= LAST && self.0.iter().rev().nth(LAST - 1).zip(self.0.back()).is_some_and(|(old, new)| new.1 <= old.1)
    }

    /// Seconds covered.
    #[must_use]
    pub fn span_s(&self) -> f64 {
        match (self.0.front(), self.0.back()) {
            (Some((a, _)), Some((b, _))) => b - a,
            _ => 0.0,
        }
    }

    /// What it grew by within the last seconds, and the seconds between those two points.
    #[must_use]
    pub fn lately(&self, seconds: f64) -> Option<(f64, f64)> {
        let (to_s, to) = self.0.back()?;
        let (from_s, from) = self.0.iter().find(|(at, _)| to_s - at <= seconds)?;
        Some((to - from, to_s - from_s))
    }

    /// True when it was at `least` or above for all of the last seconds, and is known for that long.
    #[must_use]
    pub fn stays_above(&self, least: f64, seconds: f64) -> bool {
        let Some((now_s, _)) = self.0.back() else { return false };
        let within = self.0.iter().rev().take_while(|(at, _)| now_s - at <= seconds);
        self.span_s() >= seconds && within.clone().count() >= 2 && within.clone().all(|(_, value)| *value >= least)
    }

    /// Growth per second: the median of all pairs, and the slow end of the interval. Credible only with 60 s of history
    /// and a rise in three quarters of the steps; `None` when it does not grow so.
    #[must_use]
    pub fn growth(&self) -> Option<(f64, f64)> {
        let falling = Self(self.0.iter().map(|(at, value)| (*at, -value)).collect());
        let slopes = falling.falls()?;
        let at = |share: f64| -slopes[((slopes.len() - 1) as f64 * share) as usize];
        let (median, slow) = (at(0.5), at(0.9));
        (slow > 0.0).then_some((median, slow))
    }

    /// Seconds until the value reaches zero, with the late end of its interval: Theil-Sen over the pairs, credible
    /// only with 60 s of history and a fall in three quarters of the steps. `None` when it is not falling so.
    #[must_use]
    pub fn time_to_zero(&self) -> Option<(f64, f64)> {
        let slopes = self.falls()?;
        let at = |share: f64| slopes[((slopes.len() - 1) as f64 * share) as usize];
        let (median, late) = (at(0.5), at(0.9));
        let now = self.0.back()?.1;
        (late < 0.0).then(|| (now / -median, now / -late))
    }

    /// The slopes of all pairs, steepest fall first, when it falls steadily.
    fn falls(&self) -> Option<Vec<f64>> {
        const MINIMUM_S: f64 = 60.0;
        // Four steps, of which three must go the same way.
        const LEAST: usize = 5;
        if self.span_s() < MINIMUM_S || self.0.len() < LEAST {
            return None;
        }
        let steps = self.0.len() - 1;
        let falls = self.0.iter().zip(self.0.iter().skip(1)).filter(|(a, b)| b.1 < a.1).count();
        if falls * 4 < steps * 3 {
            return None;
        }
        let mut slopes = Vec::new();
        for (i, a) in self.0.iter().enumerate() {
            slopes.extend(self.0.iter().skip(i + 1).map(|b| (b.1 - a.1) / (b.0 - a.0)));
        }
        slopes.sort_by(f64::total_cmp);
        Some(slopes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_needs_history_and_a_steady_fall() {
        let mut falling = Series::default();
        let mut noisy = Series::default();
        for i in 0..90 {
            let t = f64::from(i);
            falling.push(t, 1000.0 - 10.0 * t);
            noisy.push(t, 1000.0 + if i % 2 == 0 { 5.0 } else { -5.0 });
        }
        let (eta, late) = falling.time_to_zero().unwrap();
        assert!((eta - 11.0).abs() < 0.5 && late >= eta - 0.1);
        assert_eq!(noisy.time_to_zero(), None);
        let mut young = Series::default();
        (0..30).for_each(|i| young.push(f64::from(i), 1000.0 - 30.0 * f64::from(i)));
        assert_eq!(young.time_to_zero(), None);
    }

    #[test]
    fn a_figure_that_is_read_each_ten_seconds_has_a_trend_by_its_own_clock() {
        let mut read = Series::default();
        // Pushed at each evaluation, with the time of the reading that it is from.
        (0..90).for_each(|i| read.push(f64::from(i / 10 * 10), 1e6 * f64::from(i / 10 * 10)));
        assert_eq!(read.0.len(), 9);
        let (median, slow) = read.growth().unwrap();
        assert!((median - 1e6).abs() < 1.0 && (slow - 1e6).abs() < 1.0);
        assert_eq!(read.lately(30.0), Some((3e7, 30.0)));
        assert!(read.stays_above(5e7, 30.0) && !read.stays_above(5.1e7, 30.0) && !read.stays_above(0.0, 90.0));
    }

    #[test]
    fn growth_is_told_from_a_cache_that_fills_and_rests() {
        let series = |f: &dyn Fn(f64) -> f64, n: i32| {
            let mut s = Series::default();
            (0..n).for_each(|i| s.push(f64::from(i), f(f64::from(i))));
            s
        };
        let (median, slow) = series(&|t| 1e8 + 1e6 * t, 90).growth().unwrap();
        assert!((median - 1e6).abs() < 1.0 && slow <= median);
        assert_eq!(series(&|t| 1e8 + 1e6 * t, 30).growth(), None, "half a minute says nothing");
        assert_eq!(series(&|t| 1e8 + 1e6 * t.min(20.0), 90).growth(), None);
        assert!(series(&|t| 1e8 + 1e6 * t.min(20.0), 90).rests());
        assert_eq!(series(&|t| 1e8 - 1e6 * t, 90).growth(), None);
    }
}
