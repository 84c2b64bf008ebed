//! What is needed by and by: the peak that was seen, carried on, with what is to be kept free.

use serde::{Deserialize, Serialize};

use crate::model::trend::Trend;

use super::plan::Need;

/// Hours that are called the busiest.
const BUSIEST: usize = 3;

/// A need, against what was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Needed {
    /// The need.
    pub need: Need,
    /// How much there is.
    pub have: Option<f64>,
    /// The peak of what was used: nineteen of twenty steps stay below it. `None`: there are no series.
    pub peak: Option<f64>,
    /// How it goes.
    pub trend: Option<Trend>,
    /// The hours of the day (UTC) with the most of it, where a whole day was seen.
    pub busiest: Vec<u8>,
}

/// What is needed at one moment ahead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Projected {
    /// So many seconds ahead: as far as asked, and no further than the trend may be carried on.
    pub ahead_s: f64,
    /// The peak that is used then, and the ends of its interval.
    pub used: (f64, f64, f64),
    /// What is needed for it, with what is to be kept free; whole where it comes whole.
    pub need: f64,
    /// What is missing of that; 0: enough is there.
    pub missing: Option<f64>,
    /// The same, where it grows as fast as the interval allows.
    pub missing_most: Option<f64>,
    /// By how much more is used then, as a share of now.
    pub growth: f64,
    /// The growth is no accident: the whole interval lies above now.
    pub credible: bool,
}

impl Needed {
    /// What is needed that far ahead. Without a trend: what is needed now.
    #[must_use]
    pub fn ahead(&self, ahead_s: f64) -> Option<Projected> {
        let peak = self.peak?;
        let (ahead_s, grows, within) = match &self.trend {
            Some(trend) => {
                let ahead = ahead_s.min(trend.reach_s());
                (ahead, trend.per_s * ahead, trend.within(ahead))
            }
            None => (0.0, 0.0, 0.0),
        };
        // What shrinks may grow again: nobody gives back by a trend.
        let at = |grows: f64| peak + grows.max(0.0);
        let needs = |used: f64| {
            let need = used * (1.0 + self.need.buffer / 100.0);
            if self.need.whole { need.ceil() } else { need }
        };
        let (used, need) = (at(grows), needs(at(grows)));
        let missing = |need: f64| self.have.map(|have| (need - have).max(0.0));
        Some(Projected {
            ahead_s,
            used: (used, at(grows - within), at(grows + within)),
            need,
            missing: missing(need),
            missing_most: missing(needs(at(grows + within))),
            growth: if peak > 0.0 { grows / peak } else { 0.0 },
            credible: grows - within > 0.0,
        })
    }

    /// What all that is needed costs a month.
    #[must_use]
    pub fn price(&self, projected: &Projected) -> Option<f64> {
        Some(self.need.price? * projected.need)
    }
}

/// The peak: nineteen of twenty are no higher.
#[must_use]
pub fn peak(points: &[Option<f64>]) -> Option<f64> {
    let mut known: Vec<f64> = points.iter().flatten().copied().filter(|v| v.is_finite()).collect();
    known.sort_by(f64::total_cmp);
    let at = ((known.len().checked_sub(1)?) as f64 * 0.95).ceil() as usize;
    known.get(at).copied()
}

/// The hours of the day with the highest mean, of readings (seconds since 1970, figure) over a day and more; a
/// reading is of the step before it.
#[must_use]
pub fn busiest(readings: &[(f64, f64)], step_s: f64) -> Vec<u8> {
    const DAY_S: f64 = 86_400.0;
    let span = readings.first().zip(readings.last()).map_or(0.0, |(a, b)| b.0 - a.0);
    if span < DAY_S {
        return Vec::new();
    }
    let mut hours = [(0.0, 0_u32); 24];
    for (at, value) in readings {
        let hour = ((at - step_s / 2.0).rem_euclid(DAY_S) / 3_600.0) as usize;
        hours[hour.min(23)].0 += value;
        hours[hour.min(23)].1 += 1;
    }
    let mut means: Vec<(u8, f64)> =
        (0..24_u8).zip(hours).filter(|(_, (_, n))| *n > 0).map(|(hour, (sum, n))| (hour, sum / f64::from(n))).collect();
    means.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    means.truncate(BUSIEST);
    let mut found: Vec<u8> = means.into_iter().map(|(hour, _)| hour).collect();
    found.sort_unstable();
    found
}
