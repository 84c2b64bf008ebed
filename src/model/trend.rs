//! The trend of a figure over time, and when what is left of it runs out: Theil-Sen over the later half of its readings, with an interval of
//! 80 % from how wrong the same trend was when it was told from earlier readings, and from how much the parts of the history differ. Pure. What never lives here: whether that is bad (`detect`), how it is asked (`collect`).

use serde::{Deserialize, Serialize};

use super::unit::seconds;

/// Readings below which nothing is said.
const LEAST: usize = 24;
/// Readings that are looked at: the newest.
const MOST: usize = 500;
/// Parts at most: a history is weeks long.
const MOST_PARTS: usize = 60;
/// Parts that a history is cut into, unless it is long enough for whole days.
const PARTS: usize = 10;
const DAY_S: f64 = 86_400.0;
/// Whole days are the parts from so many on: then what comes back each day is no trend.
const DAYS: f64 = 5.0;
/// The moments of the history, in percent, from which the trend is told again and held against what came; and how far ahead, likewise.
const CUTS: [usize; 5] = [40, 50, 60, 70, 80];
const CHECKED: [usize; 2] = [10, 20];
/// Those errors overlap: they count as four, of which t has three degrees of freedom.
const T90_ERRORS: f64 = T90[2];
/// A trend is carried on for so many times as long as it was seen, and no further.
const AHEAD: f64 = 3.0;
/// The nine-tenths quantile of Student's t, by degrees of freedom from one on: 80 % lie between it and its negative.
const T90: [f64; 14] = [3.078, 1.886, 1.638, 1.533, 1.476, 1.440, 1.415, 1.397, 1.383, 1.372, 1.363, 1.356, 1.350, 1.345];

/// What becomes of a figure that is left over.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outlook {
    /// Nothing is left.
    Out,
    /// Too few readings.
    Short,
    /// It does not shrink.
    Steady,
    /// It shrinks, but its parts differ so much that it may as well not: in so many seconds at the earliest.
    NotCredible(f64),
    /// Not within this many seconds, and further nobody can see.
    Beyond(f64),
    /// It runs out.
    RunsOut(Eta),
}

/// When something runs out: seconds from the last reading.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Eta {
    /// By the trend.
    pub at_s: f64,
    /// The early end of 80 %.
    pub early_s: f64,
    /// The late end.
    pub late_s: f64,
}

impl Outlook {
    /// In words.
    #[must_use]
    pub fn says(&self) -> String {
        match self {
            Self::Out => "nothing is left".into(),
            Self::Short => "? too few readings".into(),
            Self::Steady => "not shrinking".into(),
            Self::NotCredible(early_s) => format!("no credible date; in {} at the earliest", date(*early_s)),
            Self::Beyond(s) => format!("not within {}", seconds(*s)),
            Self::RunsOut(eta) => {
                format!("in {} (80 %: {} to {})", date(eta.at_s), date(eta.early_s), date(eta.late_s))
            }
        }
    }
}

/// A trend.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// The median slope of all pairs of the later half of the readings, per second.
    pub per_s: f64,
    /// By how much that was wrong when it was told from earlier readings (root mean square), per second.
    pub wrong: f64,
    /// Seconds that were seen.
    pub span_s: f64,
    /// How much the slopes of its parts differ (standard deviation), per second.
    pub differ: f64,
    /// How long a part is, seconds.
    pub part_s: f64,
    /// Parts whose slopes were compared.
    pub parts: usize,
}

impl Trend {
    /// The trend of readings (seconds, figure), oldest first; `None`: there are too few.
    #[must_use]
    pub fn of(readings: &[(f64, f64)]) -> Option<Self> {
        let readings = &readings[readings.len().saturating_sub(MOST)..];
        let (first, last) = (readings.first()?, readings.last()?);
        let span_s = last.0 - first.0;
        if readings.len() < LEAST || span_s <= 0.0 {
            return None;
        }
        let part_s = if span_s >= DAYS * DAY_S { DAY_S } else { span_s / PARTS as f64 };
        // What comes back each day is no trend.
        let smooth = if part_s >= DAY_S { daily(readings) } else { readings.to_vec() };
        let per_s = slope(&smooth)?;
        // Parts end with the last reading: what does not fill one at the beginning is left out.
        // Their levels beside the trend: what is left of it is what they differ by.
        let level = |back: usize| {
            let (to, from) = (last.0 - part_s * back as f64, last.0 - part_s * (back + 1) as f64);
            median(readings.iter().filter(|(at, _)| *at > from && *at <= to).map(|(at, y)| y - per_s * (at - last.0)).collect())
        };
        let levels: Vec<Option<f64>> = (0..((span_s / part_s).round() as usize).min(MOST_PARTS)).map(level).collect();
        let steps: Vec<f64> = levels.windows(2).filter_map(|w| Some((w[0]? - w[1]?) / part_s)).collect();
        if steps.len() < 3 {
            return None;
        }
        let differ = (steps.iter().map(|s| s * s).sum::<f64>() / (steps.len() - 1) as f64).sqrt();
        Some(Self { per_s, wrong: wrong(&smooth), span_s, differ, part_s, parts: steps.len() })
    }

    /// How far the figure may be from the trend after so many seconds, at 80 %: what it wanders by, and what the slope may be wrong by.
    #[must_use]
    pub fn within(&self, seconds: f64) -> f64 {
        let wanders = self.quantile() * self.differ * (self.part_s * (seconds + seconds * seconds / self.span_s)).sqrt();
        wanders.max(T90_ERRORS * self.wrong * seconds)
    }

    fn quantile(&self) -> f64 {
        T90[(self.parts.max(2) - 2).min(T90.len() - 1)]
    }

    /// How far it may be carried on, seconds.
    #[must_use]
    pub fn reach_s(&self) -> f64 {
        self.span_s * AHEAD
    }

    /// When `left` is used up.
    #[must_use]
    pub fn outlook(&self, left: f64) -> Outlook {
        if left <= 0.0 {
            return Outlook::Out;
        }
        let fall = -self.per_s;
        // A figure that stood still for all of the time has a slope of nothing, or of rounding.
        if fall <= 0.0 || fall * self.span_s < left.abs() * 1e-6 {
            return Outlook::Steady;
        }
        let at_s = left / fall;
        let wanders = self.quantile() * self.differ * (self.part_s / self.span_s).sqrt();
        let told_from_rest = fall > wanders.max(T90_ERRORS * self.wrong);
        if at_s > self.reach_s() && !told_from_rest {
            return Outlook::Steady;
        }
        let used = |seconds: f64, sign: f64| fall * seconds + sign * self.within(seconds);
        // The late end is looked for as far again.
        let end = self.reach_s() * AHEAD;
        let late = first(end, |s| used(s, -1.0) >= left);
        let early = first(end, |s| used(s, 1.0) >= left);
        match (early, late) {
            (Some(early_s), _) if early_s > self.reach_s() => Outlook::Beyond(self.reach_s()),
            (None, _) => Outlook::Beyond(self.reach_s()),
            (Some(early_s), Some(late_s)) if at_s <= self.reach_s() => Outlook::RunsOut(Eta { at_s, early_s, late_s }),
            (Some(early_s), _) => Outlook::NotCredible(early_s),
        }
    }
}

/// The outlook of what is left, by readings of it.
#[must_use]
pub fn outlook(readings: &[(f64, f64)], left: f64) -> (Option<Trend>, Outlook) {
    match Trend::of(readings) {
        Some(trend) => {
            // What was used up and is free again is not used up.
            let low = Some(daily_low(&trend, readings)).filter(|low| *low > 0.0).unwrap_or(left);
            (Some(trend), trend.outlook(left.min(low)))
        }
        None => (None, if left <= 0.0 { Outlook::Out } else { Outlook::Short }),
    }
}

/// A time ahead: hours and days with a decimal as long as they are few.
fn date(ahead_s: f64) -> String {
    match ahead_s / DAY_S {
        d if d >= 10.0 => format!("{d:.0} d"),
        d if d >= 2.0 => format!("{d:.1} d"),
        d if d >= 0.125 => format!("{:.0} h", d * 24.0),
        _ => seconds(ahead_s),
    }
}

/// How low it will be again, where days were told apart: the low of the last day, or that of the day before carried on, whichever is
/// higher; what was low once does not come back each day.
fn daily_low(trend: &Trend, readings: &[(f64, f64)]) -> f64 {
    let Some((end, _)) = readings.last().filter(|_| trend.part_s >= DAY_S) else { return f64::INFINITY };
    let low = |back: f64| {
        let of_day = readings.iter().filter(|(at, _)| *at > end - (back + 1.0) * DAY_S && *at <= end - back * DAY_S);
        of_day.map(|(_, y)| *y).fold(f64::INFINITY, f64::min)
    };
    low(0.0).max(low(1.0) + trend.per_s * DAY_S)
}

/// Each reading as the mean of the day before it: of what comes back each day, whatever its shape, that is the same.
fn daily(readings: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let begin = readings.first().map_or(0.0, |(at, _)| at + DAY_S);
    let mut from = 0;
    let later = readings.iter().enumerate().filter(|(_, (at, _))| *at >= begin);
    later
        .map(|(n, (at, _))| {
            from += readings[from..n].iter().take_while(|(earlier, _)| *earlier <= at - DAY_S).count();
            let day = &readings[from..=n];
            (*at, day.iter().map(|(_, y)| y).sum::<f64>() / day.len() as f64)
        })
        .collect()
}

/// The median slope of the later half.
fn slope(readings: &[(f64, f64)]) -> Option<f64> {
    median(slopes(&readings[readings.len() / 2..]))
}

/// By how much slopes were wrong that were told from earlier readings.
fn wrong(readings: &[(f64, f64)]) -> f64 {
    let n = readings.len();
    let errors = CUTS.iter().flat_map(|cut| {
        let at = n * cut / 100;
        let told = slope(&readings[..at]);
        CHECKED.iter().filter_map(move |ahead| {
            let (now, then) = (readings[at - 1], readings[(at + n * ahead / 100).min(n - 1)]);
            (then.0 > now.0).then(|| Some((then.1 - now.1) / (then.0 - now.0) - told?)).flatten()
        })
    });
    let squares: Vec<f64> = errors.map(|e| e * e).collect();
    (squares.iter().sum::<f64>() / squares.len().max(1) as f64).sqrt()
}

/// The slopes of all pairs.
fn slopes(readings: &[(f64, f64)]) -> Vec<f64> {
    let mut all = Vec::with_capacity(readings.len() * readings.len() / 2);
    for (i, a) in readings.iter().enumerate() {
        all.extend(readings[i + 1..].iter().filter(|b| b.0 > a.0).map(|b| (b.1 - a.1) / (b.0 - a.0)));
    }
    all
}

/// The median, without an order of the rest.
#[must_use]
pub fn median(mut all: Vec<f64>) -> Option<f64> {
    all.retain(|v| v.is_finite());
    if all.is_empty() {
        return None;
    }
    let middle = all.len() / 2;
    let (below, at, _) = all.select_nth_unstable_by(middle, f64::total_cmp);
    let at = *at;
    match below.iter().copied().max_by(f64::total_cmp) {
        Some(lower) if all.len().is_multiple_of(2) => Some(f64::midpoint(lower, at)),
        _ => Some(at),
    }
}

/// The first moment at which that holds, where it holds from then on.
fn first(end: f64, holds: impl Fn(f64) -> bool) -> Option<f64> {
    if !holds(end) {
        return None;
    }
    let (mut no, mut yes) = (0.0, end);
    for _ in 0..60 {
        let middle = f64::midpoint(no, yes);
        if holds(middle) { yes = middle } else { no = middle }
    }
    Some(yes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(n: usize, step: f64, y: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        (0..n).map(|i| (i as f64 * step, y(i as f64 * step))).collect()
    }

    #[test]
    fn what_falls_evenly_has_a_date_and_a_narrow_interval() {
        let readings = over(120, 60.0, |t| 1e6 - 100.0 * t);
        let (trend, outlook) = outlook(&readings, 100.0 * 3_600.0);
        let Outlook::RunsOut(eta) = outlook else { panic!("{outlook:?}") };
        assert!((eta.at_s - 3_600.0).abs() < 1.0 && eta.early_s <= eta.at_s && eta.at_s <= eta.late_s);
        assert!(eta.late_s - eta.early_s < 60.0, "{eta:?}");
        assert!((trend.unwrap().per_s + 100.0).abs() < 1e-6);
    }

    #[test]
    fn what_does_not_shrink_or_only_at_times_has_none() {
        let of = |y: &dyn Fn(f64) -> f64, left: f64| outlook(&over(120, 60.0, y), left).1;
        assert_eq!(of(&|_| 5e5, 5e5), Outlook::Steady);
        assert_eq!(of(&|t| 5e5 + t, 5e5), Outlook::Steady);
        // Logs that are removed once an hour, and one step down.
        assert_ne!(std::mem::discriminant(&of(&|t| 5e5 - t % 1_800.0, 1e3)), std::mem::discriminant(&Outlook::RunsOut(NEVER)));
        assert_eq!(of(&|t| if t < 3_000.0 { 5e5 } else { 4e5 }, 4e5), Outlook::Steady);
        // Two thirds of the way down in one step: the median slope falls, its parts do not agree.
        let step = of(&|t| 5e5 - 0.1 * t - if t < 3_000.0 { 0.0 } else { 1e5 }, 4e2);
        assert!(matches!(step, Outlook::NotCredible(early) if early < 4e3), "{step:?}");
        assert_eq!(of(&|t| 1e9 - 0.1 * t, 1e9), Outlook::Steady, "a millionth of what is left");
        assert_eq!(of(&|t| 1e6 - 10.0 * t, 1e6), Outlook::Beyond(119.0 * 60.0 * 3.0));
        assert_eq!((of(&|t| 5.0 - t, -3.0), of(&|t| 5.0 - t, 0.0)), (Outlook::Out, Outlook::Out));
    }

    const NEVER: Eta = Eta { at_s: 0.0, early_s: 0.0, late_s: 0.0 };

    #[test]
    fn what_comes_back_each_day_is_no_trend_once_whole_days_are_seen() {
        let day = |t: f64| 1e4 * (t * std::f64::consts::TAU / DAY_S).sin();
        let fortnight = over(14 * 24, 3_600.0, |t| 1e6 - 0.1 * t + day(t));
        let (trend, outlook) = outlook(&fortnight, 1e5);
        let Outlook::RunsOut(eta) = outlook else { panic!("{outlook:?}") };
        assert!((eta.at_s / (1e5 / 0.1) - 1.0).abs() < 0.05, "{eta:?}");
        assert!(eta.early_s > eta.at_s * 0.9 && eta.late_s < eta.at_s * 1.1, "{eta:?} {trend:?}");
        // What is left at night is not what is left at noon: the date is that of the next low.
        let (_, at_low) = super::outlook(&over(14 * 24, 3_600.0, |t| 2e5 - 0.15 * t + day(t + DAY_S / 4.0)), 3e4);
        let Outlook::RunsOut(eta) = at_low else { panic!("{at_low:?}") };
        assert!(eta.at_s < 0.6 * (3e4 / 0.15), "sooner than by what is left now: {eta:?}");
        assert!(Trend::of(&over(14 * 24, 3_600.0, |t| 1e6 + day(t))).unwrap().outlook(1e6) != Outlook::RunsOut(NEVER));
    }

    #[test]
    fn what_was_low_once_is_not_low_each_day() {
        let end = (14 * 24 - 1) as f64 * 3_600.0;
        // Full for an hour, half a day ago, and emptied again.
        let once = |low: f64| over(14 * 24, 3_600.0, |t| if (end - t - 43_200.0).abs() < 1.0 { low } else { 1e6 - 0.1 * t });
        let (whole, emptied) = (super::outlook(&once(9e5), 8e5).1, super::outlook(&once(0.0), 8e5).1);
        let (Outlook::Beyond(a), Outlook::Beyond(b)) = (whole, emptied) else { panic!("{whole:?} {emptied:?}") };
        assert!((a - b).abs() < 1.0, "nothing is used up: {emptied:?}");
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(outlook(&over(23, 60.0, |t| 100.0 - t), 50.0), (None, Outlook::Short));
        assert_eq!(outlook(&[], 50.0), (None, Outlook::Short));
        assert_eq!(outlook(&over(60, 0.0, |_| 1.0), 50.0), (None, Outlook::Short));
        assert_eq!(outlook(&over(8, 3_600.0, |t| t), -1.0), (None, Outlook::Out));
    }

    #[test]
    fn a_gap_is_no_step_of_the_trend() {
        let mut readings = over(120, 60.0, |t| 1e6 - 100.0 * t);
        readings.retain(|(t, _)| !(2_000.0..4_000.0).contains(t));
        let Outlook::RunsOut(eta) = outlook(&readings, 360_000.0).1 else { panic!() };
        assert!((eta.at_s - 3_600.0).abs() < 1.0, "{eta:?}");
    }

    #[test]
    fn medians() {
        assert_eq!(
            (median(vec![]), median(vec![3.0]), median(vec![1.0, f64::NAN, 3.0]), median(vec![5.0, 1.0, 2.0])),
            (None, Some(3.0), Some(2.0), Some(2.0))
        );
    }
}
