//! How a key figure stands against its targets, for how long, and against what is usual. It colours, and raises nothing.

use crate::model::kpi::{Habits, Kpi, KpiAsk, Kpis, Measured, STEP_S};
use crate::model::trend::median;
use crate::model::unit::{Unit, seconds, short};

/// How a figure stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing is known of it.
    Unknown,
    /// It keeps its target, or has none and is no warning.
    Good,
    /// It lies in one bucket with a threshold: on which side of it cannot be told.
    Between,
    /// It misses its target.
    Missed,
    /// A warning.
    Warning,
    /// Critical.
    Critical,
}

/// How it stands now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// The level that has lasted for as long as it must.
    pub level: Level,
    /// The one that is reached, and may not have lasted yet.
    pub reached: Level,
    /// For how many seconds that has been reached without a gap.
    pub lasted_s: u64,
    /// How long it must last.
    pub must_s: u64,
}

/// What is usual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usual {
    /// The median.
    pub median: f64,
    /// From here on it is unusual, and far from usual.
    pub bounds: (f64, f64),
    /// Known from so many weeks; else from so many days; else from the last hour itself.
    pub from: From,
}

/// Where the usual is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named by their words")]
pub enum From {
    Weeks(usize),
    Days(usize),
    ThisHour,
}

impl From {
    /// In words.
    #[must_use]
    pub fn says(self) -> String {
        match self {
            Self::Weeks(n) => format!("median of this hour in {n} of the last 4 weeks"),
            Self::Days(n) => format!("median of this hour on the last {n} days"),
            Self::ThisHour => "median of this hour".into(),
        }
    }
}

/// The level of one reading.
fn level(kpi: &Kpi, (low, high): (f64, f64)) -> Level {
    // As if the more were the worse.
    let (least, most, sign) = if kpi.lower { (-high, -low, -1.0) } else { (low, high, 1.0) };
    // A bucket does not hold its lower end.
    let beyond = |limit: f64| least > limit * sign || (low < high && least >= limit * sign);
    let perhaps = |limit: f64| most > limit * sign;
    let limits = [kpi.critical.map(|(v, _)| v), kpi.warning.map(|(v, _)| v), kpi.target];
    let levels = [Level::Critical, Level::Warning, Level::Missed];
    let found = limits.iter().zip(levels).find(|(limit, _)| limit.is_some_and(beyond)).map(|(_, level)| level);
    match found {
        Some(level) => level,
        None if limits.iter().flatten().any(|limit| perhaps(*limit)) => Level::Between,
        None => Level::Good,
    }
}

/// How it stands.
#[must_use]
pub fn standing(measured: &Measured) -> Standing {
    let kpi = &measured.kpi;
    let unknown = Standing { level: Level::Unknown, reached: Level::Unknown, lasted_s: 0, must_s: 0 };
    let Some(now) = measured.now() else { return unknown };
    let reached = level(kpi, now);
    let known: Vec<Option<Level>> = measured.points.iter().map(|p| p.map(|p| level(kpi, p))).collect();
    // The newest reading may be on its way.
    let end = known.iter().rposition(Option::is_some).map_or(0, |at| at + 1);
    let lasted = |least: Level| {
        let run = known[..end].iter().rev().take_while(|l| l.is_some_and(|l| l >= least)).count() as u64;
        run.saturating_sub(1) * STEP_S
    };
    let must = |level: Level| match level {
        Level::Critical => kpi.critical.map_or(0, |(_, s)| s),
        Level::Warning => kpi.warning.map_or(0, |(_, s)| s),
        _ => 0,
    };
    let exists = |level: Level| match level {
        Level::Critical => kpi.critical.is_some(),
        _ => kpi.warning.is_some(),
    };
    let holds = |level: Level| exists(level) && reached >= level && lasted(level) >= must(level);
    // Against the target alone.
    let aside = || level(&Kpi { warning: None, critical: None, ..kpi.clone() }, now);
    let level = match reached {
        Level::Warning | Level::Critical => {
            let of = [Level::Critical, Level::Warning].into_iter().find(|l| holds(*l));
            of.unwrap_or_else(aside)
        }
        other => other,
    };
    Standing { level, reached, lasted_s: lasted(reached), must_s: must(reached) }
}

/// What is usual for it at this hour; `None`: too little is known.
#[must_use]
pub fn usual(measured: &Measured, habits: &Habits, at_ms: i64) -> Option<Usual> {
    /// Fewer say nothing.
    const LEAST: usize = 3;
    const HOUR: usize = 30;
    /// Nothing is steadier than that: a part of the median.
    const FLOOR: f64 = 0.05;
    /// The same of the threshold.
    const LITTLE: f64 = 0.01;
    let earlier = || {
        let all = &measured.points[..measured.points.len().saturating_sub(3)];
        all.iter()
            .flatten()
            .map(|(low, high)| if high.is_finite() { f64::midpoint(*low, *high) } else { *low })
            .collect::<Vec<f64>>()
    };
    let (from, values) = match (measured.weeks.len(), measured.days.len()) {
        (weeks, _) if weeks >= LEAST => (From::Weeks(weeks), measured.weeks.clone()),
        (_, days) if days >= LEAST => (From::Days(days), measured.days.clone()),
        _ => (From::ThisHour, Some(earlier()).filter(|all| all.len() >= HOUR)?),
    };
    let median_ = median(values.clone())?;
    let spread = median(values.iter().map(|v| (v - median_).abs()).collect())? * 1.4826;
    // Of a share that should be whole it is what is missing of it that may differ; and nothing matters that is far below the thresholds.
    let whole = measured.kpi.lower && measured.kpi.unit == Unit::Percent;
    let size = |v: f64| if whole { (100.0 - v).abs() } else { v.abs() };
    let limit = measured.kpi.warning.or(measured.kpi.critical).map(|(v, _)| v).or(measured.kpi.target);
    let spread = spread.max(size(median_) * FLOOR).max(limit.map_or(0.0, size) * LITTLE).max(f64::EPSILON);
    let (first, second) = strictness(habits, at_ms);
    let sign = if measured.kpi.lower { -1.0 } else { 1.0 };
    let bound = |n: f64, strict: f64| median_ + sign * n * spread * habits.sensitivity * strict;
    Some(Usual { median: median_, bounds: (bound(2.0, first), bound(3.0, second)), from })
}

/// How much wider the two bounds are at that time of the day.
fn strictness(habits: &Habits, at_ms: i64) -> (f64, f64) {
    let minute = (at_ms / 60_000 + i64::from(habits.zone)).rem_euclid(1_440) as u32;
    let within = |(from, to): (u32, u32)| if from <= to { (from..to).contains(&minute) } else { minute >= from || minute < to };
    match () {
        () if within(habits.business) => (0.9, 0.95),
        () if within(habits.quiet) => (1.2, 1.15),
        () => (1.0, 1.0),
    }
}

impl Usual {
    /// How many times the bounds are passed: 0, 1 or 2.
    #[must_use]
    pub fn passed(&self, measured: &Measured) -> u8 {
        let Some((low, high)) = measured.now() else { return 0 };
        let beyond = |bound: f64| if measured.kpi.lower { high < bound } else { low > bound };
        u8::from(beyond(self.bounds.0)) + u8::from(beyond(self.bounds.1))
    }
}

/// A figure with its unit. Shares near the whole keep their nines.
#[must_use]
pub fn exact(kpi: &Kpi, v: f64) -> String {
    match kpi.unit {
        Unit::Percent if (99.0..100.0).contains(&v.abs()) => format!("{} %", (v * 1e3).trunc() / 1e3),
        unit => unit.show(v),
    }
}

/// A figure, or between which two it lies.
#[must_use]
pub fn figure(kpi: &Kpi, (low, high): (f64, f64)) -> String {
    let show = |v: f64| exact(kpi, v);
    match () {
        () if low == high => show(low),
        () if high.is_infinite() => format!("> {}", show(low)),
        () => format!("{} to {}", short(low), show(high)),
    }
}

/// How it stands, in words.
fn says(measured: &Measured, s: &Standing) -> String {
    let lasted = if s.lasted_s > 0 { format!(" for {}", seconds(s.lasted_s as f64)) } else { String::new() };
    let waits = || format!(": {} of {}", seconds(s.lasted_s as f64), seconds(s.must_s as f64));
    match (s.level, s.reached) {
        (Level::Unknown, _) if measured.kpi.ask == KpiAsk::Nothing => format!("? no query: write [kpi.{}]", measured.kpi.name),
        (Level::Unknown, _) => "? no series".into(),
        (Level::Critical, _) => format!("critical{lasted}"),
        (Level::Warning, Level::Critical) => format!("warning; beyond critical{}", waits()),
        (Level::Warning, _) => format!("warning{lasted}"),
        (_, Level::Critical) => {
            format!("above critical{}", waits()).replace("above", if measured.kpi.lower { "below" } else { "above" })
        }
        (_, Level::Warning) => {
            format!("above warning{}", waits()).replace("above", if measured.kpi.lower { "below" } else { "above" })
        }
        (Level::Missed, _) => "misses its target".into(),
        (Level::Between, _) => "cannot be told: the threshold lies within a bucket".into(),
        (Level::Good, _)
            if measured.kpi.target.is_none() && measured.kpi.warning.is_none() && measured.kpi.critical.is_none() =>
        {
            "no target".into()
        }
        (Level::Good, _) => "ok".into(),
    }
}

/// How one of many stands, in words: what its question was answered with comes first.
#[must_use]
pub fn state(kpis: &Kpis, measured: &Measured) -> (String, Standing) {
    let s = standing(measured);
    match kpis.lacks.get(&measured.kpi.name) {
        Some(said) if s.level == Level::Unknown => (format!("? {}", said.shown()), s),
        _ => (says(measured, &s), s),
    }
}

/// A level in one word.
#[must_use]
pub const fn word(level: Level) -> &'static str {
    match level {
        Level::Unknown => "unknown",
        Level::Good => "good",
        Level::Between => "between",
        Level::Missed => "missed",
        Level::Warning => "warning",
        Level::Critical => "critical",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::kpi::profile;

    fn of(name: &str, points: &[Option<f64>]) -> Measured {
        let kpi = profile("runbook").into_iter().find(|k| k.name == name).unwrap();
        let points = points.iter().map(|p| p.map(|v| (v, v))).collect();
        Measured { kpi, points, weeks: Vec::new(), days: Vec::new() }
    }

    fn at(name: &str, points: &[Option<f64>]) -> (Level, Level, u64) {
        let s = standing(&of(name, points));
        (s.level, s.reached, s.lasted_s)
    }

    #[test]
    fn a_level_counts_once_it_has_lasted() {
        let over = |n: usize, v: f64| [vec![Some(100.0); 10], vec![Some(v); n]].concat();
        assert_eq!(at("api_p99", &over(3, 1_500.0)), (Level::Missed, Level::Warning, 120), "two of five minutes");
        assert_eq!(at("api_p99", &over(6, 1_500.0)), (Level::Warning, Level::Warning, 300));
        assert_eq!(at("api_p99", &over(3, 2_500.0)), (Level::Critical, Level::Critical, 120));
        assert_eq!(
            at("api_p99", &[over(4, 1_500.0), vec![Some(2_500.0); 2]].concat()),
            (Level::Warning, Level::Critical, 60),
            "a warning for five minutes meanwhile"
        );
        assert_eq!(
            at("api_p99", &[over(6, 1_500.0), vec![None], vec![Some(1_500.0)]].concat()),
            (Level::Missed, Level::Warning, 0),
            "nobody knows of the gap"
        );
        assert_eq!(
            at("api_p99", &[over(6, 1_500.0), vec![None, None]].concat()).0,
            Level::Warning,
            "the newest may be on its way"
        );
        assert_eq!(at("api_p99", &[over(6, 1_500.0), vec![None; 5]].concat()).0, Level::Unknown);
        assert_eq!(at("api_p99", &over(1, 400.0)).0, Level::Good);
        assert_eq!(at("api_p99", &over(1, 700.0)).0, Level::Missed);
    }

    #[test]
    fn a_threshold_that_is_not_there_is_not_reached() {
        let kpi = crate::model::kpi::profile("playground").into_iter().find(|k| k.name == "error_rate").unwrap();
        let at = |points: Vec<Option<(f64, f64)>>| {
            standing(&Measured { kpi: kpi.clone(), points, weeks: Vec::new(), days: Vec::new() })
        };
        let first = at(vec![Some((0.0, 0.0)), Some((1.5, 1.5))]);
        assert_eq!(
            (first.level, first.reached),
            (Level::Missed, Level::Critical),
            "critical for no minute yet, and there is no warning"
        );
        assert_eq!(at(vec![Some((1.5, 1.5)); 2]).level, Level::Critical);
        let kpi = crate::model::kpi::profile("playground").into_iter().find(|k| k.name == "db_sessions").unwrap();
        let kept = standing(&Measured { kpi, points: vec![Some((85.0, 85.0))], weeks: Vec::new(), days: Vec::new() });
        assert_eq!(kept.level, Level::Good, "it keeps its target, and the warning has not lasted");
    }

    #[test]
    fn less_is_worse_where_it_says_so() {
        assert_eq!(at("uptime", &[Some(99.995)]).0, Level::Good);
        assert_eq!(at("uptime", &[Some(99.95)]).0, Level::Missed);
        assert_eq!(at("uptime", &[Some(99.5)]).0, Level::Warning);
        assert_eq!(at("uptime", &[Some(98.0)]).0, Level::Critical);
        assert_eq!(at("cache_hits", &[Some(96.0)]).0, Level::Good);
    }

    #[test]
    fn within_a_bucket_nothing_is_claimed() {
        let mut m = of("api_p50", &[Some(0.0)]);
        let mut say = |low: f64, high: f64| {
            m.points = vec![Some((low, high))];
            standing(&m).level
        };
        assert_eq!(say(25.0, 50.0), Level::Good);
        assert_eq!(say(25.0, 75.0), Level::Between);
        assert_eq!(say(60.0, 90.0), Level::Missed);
        assert_eq!(say(90.0, 250.0), Level::Missed, "not above 100 for sure");
        assert_eq!(say(100.0, 250.0), Level::Warning);
        assert_eq!(say(250.0, f64::INFINITY), Level::Critical);
    }

    #[test]
    fn what_is_usual_is_known_from_weeks_days_or_the_hour() {
        let noon = 12 * 3_600_000;
        let habits = Habits::default();
        let mut m = of("api_p99", &[Some(100.0)]);
        assert_eq!(usual(&m, &habits, noon), None);
        m.weeks = vec![100.0, 110.0, 90.0, 5_000.0];
        let found = usual(&m, &habits, noon).unwrap();
        // One bad week moves neither the median nor the spread by much.
        assert_eq!((found.from, found.median), (From::Weeks(4), 105.0));
        assert!(found.bounds.0 < 140.0, "{found:?}");
        let night = usual(&m, &habits, 2 * 3_600_000).unwrap();
        let evening = usual(&m, &habits, 20 * 3_600_000).unwrap();
        assert!(
            night.bounds.0 > evening.bounds.0 && evening.bounds.0 > found.bounds.0,
            "quiet hours are lenient, business is strict"
        );
        assert_eq!(
            usual(&m, &Habits { zone: 8 * 60, ..habits }, noon).unwrap().bounds,
            evening.bounds,
            "12:00 UTC is 20:00 there"
        );
        m.points = vec![Some((500.0, 500.0))];
        assert_eq!((found.passed(&m), usual(&m, &Habits { sensitivity: 10.0, ..habits }, noon).unwrap().passed(&m)), (2, 1));
        m.weeks.truncate(2);
        m.days = vec![100.0, 100.0, 100.0];
        assert_eq!(usual(&m, &habits, noon).unwrap().from, From::Days(3));
        m.days.clear();
        m.points = vec![Some((100.0, 100.0)); 60];
        let hour = usual(&m, &habits, noon).unwrap();
        assert_eq!((hour.from, hour.median, hour.passed(&m)), (From::ThisHour, 100.0, 0));
        // Where nothing has failed for weeks one of a million that does is not far from usual.
        let mut none = of("error_rate", &[Some(0.000_1)]);
        none.weeks = vec![0.0; 4];
        assert_eq!(usual(&none, &habits, noon).unwrap().passed(&none), 0);
        let mut up = of("uptime", &[Some(99.9)]);
        up.weeks = vec![99.99; 4];
        assert_eq!(usual(&up, &habits, noon).unwrap().passed(&up), 2, "it is what is missing of the whole that counts");
        let mut low = of("cache_hits", &[Some(50.0)]);
        low.weeks = vec![97.0, 96.0, 98.0];
        assert_eq!(usual(&low, &habits, noon).unwrap().passed(&low), 2);
    }
}
