//! What follows from the series of an answer: growth by target, shares, points, quantiles.

use std::collections::BTreeMap;

use crate::model::prometheus::counter::{Reading, growth, known_ms};
use crate::model::prometheus::{Point, Quantile, Share};
use crate::model::seen::{Lack, Seen, Why};

use super::answers::{Series, Told};
use super::question::{Width, aligned};

/// What the series of a target have in common: since when its counters are known.
pub struct Known<'a> {
    since: BTreeMap<(&'a str, &'a str), i64>,
    summed: bool,
}

impl<'a> Known<'a> {
    /// Of these series.
    pub fn of(series: &'a [Series], width: Width) -> Self {
        // Series of one target need not be read at the same moment: sample by sample, one that comes within one and a half intervals of
        // the first may have been there before.
        let readings = |s: &&Series| s.points.len() > 1;
        let longest = series.iter().filter(readings).filter_map(|s| {
            let (first, last) = (s.points.first()?.0, s.points.last()?.0);
            Some((last - first) / (i64::try_from(s.points.len()).ok()? - 1).max(1))
        });
        let slack_ms = if width.step_s == 0 { longest.max().unwrap_or(0) * 3 / 2 } else { 0 };
        let mut all: BTreeMap<_, Vec<&[Reading]>> = BTreeMap::new();
        for s in series {
            all.entry((s.label("job"), s.label("instance"))).or_default().push(&s.points);
        }
        Self {
            since: all.into_iter().map(|(target, readings)| (target, known_ms(readings).saturating_add(slack_ms))).collect(),
            summed: width.summed(),
        }
    }

    /// What all of them grew by.
    pub fn growth(&self, series: &[Series], from_ms: i64, to_ms: i64) -> Option<f64> {
        if self.summed {
            let points = series.iter().flat_map(|s| &s.points).filter(|(at, v)| *at > from_ms && *at <= to_ms && v.is_finite());
            return points.map(|(_, v)| v.max(0.0)).fold(None, |sum, v| Some(sum.unwrap_or(0.0) + v));
        }
        let one = |s: &Series| {
            let known = self.since.get(&(s.label("job"), s.label("instance"))).copied().unwrap_or(i64::MAX);
            growth(&s.points, known, from_ms, to_ms)
        };
        series.iter().filter_map(one).fold(None, |sum, grown| Some(sum.unwrap_or(0.0) + grown))
    }
}

pub fn share(bad: &Told<Vec<Series>>, all: Option<&Told<Vec<Series>>>, window: u64, is_rate: bool) -> Seen<Share> {
    let warned = bad.warnings.first().or(all.and_then(|a| a.warnings.first()));
    if let Some(warned) = warned {
        return Err(Lack::new(Why::Garbage, format!("an answer that is not whole: {}", warned.shown())));
    }
    let sum = |told: &Told<Vec<Series>>| {
        let values = told.data.iter().filter_map(Series::value).filter(|v| v.is_finite());
        values.fold(None, |sum: Option<f64>, v| Some(sum.unwrap_or(0.0) + v))
    };
    let covered_s = window as f64;
    match all.map(sum) {
        Some(None) => Err(Lack::new(Why::Absent, "its total matches no series")),
        Some(Some(rate)) if rate <= 0.0 => Ok(Share { requests: Some(0.0), failed: 0.0, failed_most: 0.0, covered_s }),
        Some(Some(rate)) => {
            let failed = (sum(bad).unwrap_or(0.0) / rate).clamp(0.0, 1.0);
            // Only of what is a rate the number of requests follows.
            Ok(Share { requests: is_rate.then_some(rate * covered_s), failed, failed_most: failed, covered_s })
        }
        // 0 / 0: there were no requests.
        None if bad.data.iter().any(|s| s.value().is_some_and(f64::is_nan)) => {
            Ok(Share { requests: Some(0.0), failed: 0.0, failed_most: 0.0, covered_s })
        }
        None => match sum(bad) {
            Some(failed) => {
                let failed = failed.clamp(0.0, 1.0);
                Ok(Share { requests: None, failed, failed_most: failed, covered_s })
            }
            None => Err(Lack::new(Why::Absent, "its query matches no series")),
        },
    }
}

pub fn points(bad: &[Series], all: Option<&[Series]>, end_s: i64, (span_s, step_s): (u64, u64)) -> Vec<Point> {
    let (begin, end, step) = aligned(end_s, span_s, step_s);
    let at = |series: &[Series], ms: i64| {
        let values =
            series.iter().filter_map(|s| s.points.iter().find(|(t, _)| *t == ms)).map(|(_, v)| *v).filter(|v| v.is_finite());
        values.fold(None, |sum: Option<f64>, v| Some(sum.unwrap_or(0.0) + v))
    };
    let point = |s: i64| {
        let (failed, rate) = (at(bad, s * 1000), all.map(|all| at(all, s * 1000)));
        let share = match rate {
            Some(rate) => rate.filter(|r| *r > 0.0).map(|r| failed.unwrap_or(0.0) / r),
            None => failed,
        };
        Point { per_s: rate.flatten().map(|r| r as f32), failed: share.map(|s| s as f32) }
    };
    (begin..=end).step_by(usize::try_from(step).unwrap_or(60).max(1)).map(point).collect()
}

pub fn quantiles(told: &Told<Vec<Series>>) -> Vec<Quantile> {
    if !told.warnings.is_empty() {
        return Vec::new();
    }
    let bucket = |s: &Series| Some((s.label("le").parse::<f64>().ok()?, s.value()?));
    let all = buckets(told.data.iter().filter_map(bucket).filter(|(_, n)| n.is_finite()).collect());
    [0.5, 0.95, 0.99].into_iter().filter_map(|of| Quantile::find(of, &all)).collect()
}

/// Jobs that are told apart.
const JOBS: usize = 200;

/// The bucket of the quantile of each job, slowest last; `value` is what the series of that place has.
pub fn slowest<'s>(told: &'s [Series], of: f64, value: &dyn Fn(usize) -> Option<f64>) -> Vec<(&'s str, Quantile)> {
    let mut jobs: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for (place, series) in told.iter().enumerate() {
        let bucket = series.label("le").parse().ok().zip(value(place).filter(|v| v.is_finite()));
        if let Some(bucket) = bucket.filter(|_| jobs.len() < JOBS || jobs.contains_key(series.label("job"))) {
            jobs.entry(series.label("job")).or_default().push(bucket);
        }
    }
    let one = |(job, known): (&'s str, Vec<(f64, f64)>)| Some((job, Quantile::find(of, &buckets(known))?));
    let mut all: Vec<(&str, Quantile)> = jobs.into_iter().filter_map(one).collect();
    all.sort_by(|(_, a), (_, b)| a.high_s.total_cmp(&b.high_s).then(a.low_s.total_cmp(&b.low_s)));
    all
}

/// Buckets (upper end, count) in order.
pub fn buckets(mut buckets: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    // "1" and "1.0" are one bucket of two releases.
    buckets.dedup_by(|later, first| {
        let same = later.0 == first.0;
        if same {
            first.1 += later.1;
        }
        same
    });
    buckets
}
