//! Counting an objective. Its counters are read as raw samples at four widths (the last hour finely, the period coarsely) and differenced
//! here; queries that give rates are asked for each window.

use std::time::{Duration, Instant};

use crate::collect::clock;
use crate::model::objective::{Objective, Sli, promql_duration, windows};
use crate::model::prometheus::{Counted, Point, Share};
use crate::model::seen::{Lack, Seen, Why};

use super::answers::{Series, Told};
use super::question::{FAR, QUICK, Question, Width, aligned, alternatives, over, part, with_window};
use super::share::{Known, points, quantiles, share};
use super::trouble::Trouble;

const HOUR_S: u64 = 3_600;
/// The first is read sample by sample, the others at steps.
const WIDTHS: [Width; 4] = [
    Width { span_s: 300, step_s: 0, every: Duration::from_secs(10) },
    Width { span_s: HOUR_S, step_s: 15, every: Duration::from_secs(20) },
    Width { span_s: 6 * HOUR_S, step_s: 150, every: Duration::from_secs(60) },
    Width { span_s: 72 * HOUR_S, step_s: 1_800, every: Duration::from_secs(300) },
];
/// The period is read this often, in so many steps.
const PERIOD_EVERY: Duration = Duration::from_secs(120);
/// A query over the whole period is heavy.
const RATES_EVERY: Duration = Duration::from_secs(600);
const PERIOD_STEPS: u64 = 120;
/// Points of the last hour that are kept.
const POINTS: u64 = 60;
/// The bounds of buckets change seldom.
const BOUNDS_EVERY: Duration = Duration::from_secs(300);
/// What is looked at for quantiles.
const LATELY_S: u64 = 300;

/// Who answers questions.
pub trait Answers {
    /// Asks one; `name` is what it is about.
    fn ask(&mut self, name: &str, question: Question) -> impl Future<Output = Result<Told<Vec<Series>>, Trouble>> + Send;
}

/// An objective that is being counted.
pub struct Counting {
    /// What is known so far.
    counted: Counted,
    /// When each width is read again, the period last.
    due: [Instant; WIDTHS.len() + 1],
    /// Upper ends of the histogram's buckets as the server writes them, and as numbers.
    bounds: Vec<(String, f64)>,
    bounds_due: Instant,
}

impl Counting {
    /// Begins.
    #[must_use]
    pub fn new(objective: &Objective) -> Self {
        let now = clock::instant();
        let not_yet = || Err(Lack::new(Why::NotYet, "the objective's counters"));
        Self {
            counted: Counted {
                objective: objective.clone(),
                at_ms: 0,
                windows: windows(objective.period_s).into_iter().map(|w| (w, not_yet())).collect(),
                recent: Vec::new(),
                step_s: HOUR_S / POINTS,
                quantiles: Vec::new(),
            },
            // The finest of all objectives first.
            due: std::array::from_fn(|at| now + Duration::from_millis(at as u64)),
            bounds: Vec::new(),
            bounds_due: now,
        }
    }

    /// When something is due.
    #[must_use]
    pub fn next(&self) -> Instant {
        self.due.into_iter().min().unwrap_or_else(clock::instant)
    }

    /// Reads the width that is due first.
    ///
    /// # Errors
    /// The server cannot be asked at all. What is wrong with a question stands among the windows.
    pub async fn step(&mut self, server: &mut impl Answers) -> Result<Counted, Trouble> {
        let now = clock::instant();
        let at = (0..self.due.len()).min_by_key(|at| self.due[*at]).unwrap_or(0);
        let width = self.width(at);
        self.due[at] = now + width.every;
        let end_s = clock::now().wall_ms / 1000;
        let name = format!("objective {}", self.counted.objective.name);
        let read = match self.counted.objective.sli.clone() {
            Sli::Ratio { errors, total } => self.raw(server, &name, (&errors, &total), width, end_s).await,
            Sli::Good { good, total } => self.raw(server, &name, (&good, &total), width, end_s).await,
            Sli::Latency { histogram, within_s } => self.latency(server, &name, &histogram, within_s, width, end_s).await,
            Sli::Rates { errors, total } => self.rates(server, &name, (&errors, Some(&total)), at, end_s).await,
            Sli::Share { errors } => self.rates(server, &name, (&errors, None), at, end_s).await,
        };
        match read {
            Err(trouble) if trouble.of_question() => {
                // It is not asked again at once: it may be the question that is too much for it.
                self.due[at] = now + width.every.max(Duration::from_secs(60));
                let why = if trouble == Trouble::TooLarge { Why::Unsupported } else { Why::Garbage };
                self.all(at, &Err(Lack::new(why, trouble.to_string())));
            }
            Err(trouble) => return Err(trouble),
            Ok(()) => {}
        }
        self.counted.at_ms = clock::now().wall_ms;
        Ok(self.counted.clone())
    }

    fn width(&self, at: usize) -> Width {
        let period_s = self.counted.objective.period_s;
        let every = match self.counted.objective.sli {
            Sli::Ratio { .. } | Sli::Good { .. } | Sli::Latency { .. } => PERIOD_EVERY,
            Sli::Rates { .. } | Sli::Share { .. } => RATES_EVERY,
        };
        let last = Width { span_s: period_s, step_s: (period_s / PERIOD_STEPS).max(60), every };
        WIDTHS.get(at).copied().unwrap_or(last)
    }

    /// The windows that a width tells, and that no finer one does.
    fn told(&self, at: usize) -> Vec<u64> {
        let finer = at.checked_sub(1).and_then(|before| WIDTHS.get(before)).map_or(0, |w| w.span_s);
        let (span, period) = (self.width(at).span_s, self.counted.objective.period_s);
        let all = self.counted.windows.iter().map(|(w, _)| *w);
        all.filter(|w| if at == WIDTHS.len() { *w == period && *w > finer } else { *w > finer && *w <= span }).collect()
    }

    fn set(&mut self, window: u64, seen: Seen<Share>) {
        if let Some(row) = self.counted.windows.iter_mut().find(|(w, _)| *w == window) {
            row.1 = seen;
        }
    }

    fn all(&mut self, at: usize, seen: &Seen<Share>) {
        self.told(at).into_iter().for_each(|window| self.set(window, seen.clone()));
        if self.width(at).span_s == HOUR_S {
            self.counted.recent.clear();
        }
    }

    async fn raw(
        &mut self,
        server: &mut impl Answers,
        name: &str,
        (errors, total): (&str, &str),
        width: Width,
        end_s: i64,
    ) -> Result<(), Trouble> {
        let total = server.ask(&format!("{name}: all"), over(total, width, end_s)).await?;
        let errors = server.ask(&format!("{name}: failed"), over(errors, width, end_s)).await?;
        let Some((total, errors)) = self.whole(total, errors, width) else { return Ok(()) };
        let nothing = |series: &[Series]| series.iter().all(|s| s.points.is_empty());
        if matches!(self.counted.objective.sli, Sli::Good { .. }) && nothing(&errors) && !nothing(&total) {
            let at = WIDTHS.iter().position(|w| w.span_s == width.span_s).unwrap_or(WIDTHS.len());
            self.all(at, &Err(Lack::new(Why::Absent, "what is good matches nothing: no series")));
            return Ok(());
        }
        // What was good is counted from both sides alike.
        let good = if matches!(self.counted.objective.sli, Sli::Good { .. }) { errors.as_slice() } else { &[] };
        self.count(&total, &errors, good, width, end_s);
        Ok(())
    }

    /// Both answers, unless the server says that one of them is not whole: then nothing is known.
    fn whole(&mut self, total: Told<Vec<Series>>, bad: Told<Vec<Series>>, width: Width) -> Option<(Vec<Series>, Vec<Series>)> {
        let warned = total.warnings.first().or(bad.warnings.first()).cloned();
        let Some(warned) = warned else { return Some((total.data, bad.data)) };
        let at = WIDTHS.iter().position(|w| w.span_s == width.span_s).unwrap_or(WIDTHS.len());
        self.all(at, &Err(Lack::new(Why::Garbage, format!("an answer that is not whole: {}", warned.shown()))));
        None
    }

    /// `good_most`: of a latency the good ones as far as the wider bucket counts them; `bad` are then the good ones by the narrower.
    fn count(&mut self, total: &[Series], bad: &[Series], good_most: &[Series], width: Width, end_s: i64) {
        let at = WIDTHS.iter().position(|w| w.span_s == width.span_s).unwrap_or(WIDTHS.len());
        if total.iter().all(|s| s.points.is_empty()) {
            let native = total.iter().any(|s| s.native);
            let why = if native { "native histograms: use error_query and total_query" } else { "no series" };
            return self.all(at, &Err(Lack::new(Why::Absent, format!("its total matches {why}"))));
        }
        let latency = matches!(self.counted.objective.sli, Sli::Latency { .. } | Sli::Good { .. });
        let known = Known::of(total, width);
        let (end, begin) = (end_s * 1000, total.iter().filter_map(|s| Some(s.points.first()?.0)).min().unwrap_or(0));
        let between = |from: i64, to: i64| -> Option<(f64, f64, f64)> {
            let all = known.growth(total, from, to)?;
            let bad = known.growth(bad, from, to).unwrap_or(0.0);
            if !latency {
                return Some((all, bad.min(all), bad.min(all)));
            }
            let most = known.growth(good_most, from, to).unwrap_or(0.0);
            Some((all, (all - most).max(0.0), (all - bad).max(0.0)))
        };
        for window in self.told(at) {
            let from = end - i64::try_from(window).unwrap_or(i64::MAX / 2000) * 1000;
            let covered_s = ((end - begin.max(from)) as f64 / 1e3).max(0.0);
            let seen = match (self.finer(window), between(from, end)) {
                (Some(share), _) => Ok(share),
                (None, None) => Err(Lack::new(Why::NotYet, "a counter that is read a second time")),
                (None, Some((all, least, most))) => {
                    let share = |n: f64| if all > 0.0 { n / all } else { 0.0 };
                    Ok(Share { requests: Some(all), failed: share(least), failed_most: share(most), covered_s })
                }
            };
            self.set(window, seen);
        }
        if width.span_s == HOUR_S {
            let step = i64::try_from(HOUR_S / POINTS).unwrap_or(60) * 1000;
            let point = |n: i64| {
                let to = end - end.rem_euclid(step) - n * step;
                let counted = between(to - step, to);
                Point {
                    per_s: counted.map(|(all, ..)| (all * 1e3 / step as f64) as f32),
                    failed: counted.filter(|(all, ..)| *all > 0.0).map(|(all, bad, _)| (bad / all) as f32),
                }
            };
            self.counted.recent = (0..i64::try_from(POINTS).unwrap_or(60)).rev().map(point).collect();
        }
    }

    /// What a finer width tells, where it has seen all that the storage holds: a coarse one leaves out what lies before its first reading.
    fn finer(&self, window: u64) -> Option<Share> {
        const FINEST: [u64; 3] = [300, HOUR_S, 6 * HOUR_S];
        /// Of a window that is covered whole so much is: a reading may be a scrape away from its begin.
        const WHOLE: f64 = 0.75;
        let shorter = self.counted.windows.iter().filter(|(w, _)| *w < window && FINEST.contains(w));
        let (longest, share) = shorter.filter_map(|(w, seen)| Some((*w, seen.as_ref().ok()?))).max_by_key(|(w, _)| *w)?;
        (share.covered_s < longest as f64 * WHOLE).then_some(*share)
    }

    async fn latency(
        &mut self,
        server: &mut impl Answers,
        name: &str,
        histogram: &str,
        within_s: f64,
        width: Width,
        end_s: i64,
    ) -> Result<(), Trouble> {
        if clock::instant() >= self.bounds_due {
            let query = format!("group by (le) ({})", part(histogram, "_bucket", ""));
            let told = server.ask(name, Question { query, range: None, patience: QUICK }).await?;
            let bound = |s: &Series| Some((s.label("le").to_owned(), s.label("le").parse::<f64>().ok()?));
            self.bounds = told.data.iter().filter_map(bound).collect();
            self.bounds.sort_by(|a, b| a.1.total_cmp(&b.1));
            self.bounds_due = clock::instant() + if self.bounds.is_empty() { WIDTHS[0].every } else { BOUNDS_EVERY };
        }
        let end = |seconds: f64| {
            let same = |le: &str| self.bounds.iter().filter(|(_, v)| *v == seconds).any(|(t, _)| t == le);
            self.bounds.iter().map(|(text, _)| text.clone()).filter(|t| same(t)).collect::<Vec<_>>()
        };
        // The limit itself, else the nearest buckets on both sides of it.
        let near = |s: f64| (s - within_s).abs() <= within_s * 1e-9;
        let low = self.bounds.iter().rev().map(|(_, s)| *s).find(|s| near(*s) || *s < within_s);
        let high = self.bounds.iter().map(|(_, s)| *s).find(|s| near(*s) || *s > within_s);
        if !self.bounds.is_empty() && high.is_none_or(f64::is_infinite) && low.is_none_or(|l| !near(l)) {
            let at = WIDTHS.iter().position(|w| w.span_s == width.span_s).unwrap_or(WIDTHS.len());
            let last = self.bounds.iter().map(|(_, s)| *s).filter(|s| s.is_finite()).fold(0.0, f64::max);
            self.all(
                at,
                &Err(Lack::new(Why::Absent, format!("its limit lies beyond the last bucket, {last} s: {histogram} cannot tell"))),
            );
            return Ok(());
        }
        let of = |bound: Option<f64>| {
            part(histogram, "_bucket", &format!("le=~{:?}", alternatives(&bound.map(end).unwrap_or_default())))
        };
        let (low, high) = (of(low), of(high));
        let total = server.ask(&format!("{name}: all"), over(&part(histogram, "_count", ""), width, end_s)).await?;
        let least = server.ask(&format!("{name}: good"), over(&low, width, end_s)).await?;
        let most = match low == high {
            true => least.clone(),
            false => server.ask(&format!("{name}: good at most"), over(&high, width, end_s)).await?,
        };
        let warned = most.warnings.clone();
        let Some((total, least)) = self.whole(total, Told { warnings: [least.warnings, warned].concat(), ..least }, width) else {
            return Ok(());
        };
        let missing = |what: &[Series]| what.iter().all(|s| s.points.is_empty());
        if !missing(&total) && (missing(&least) && missing(&most.data)) {
            let at = WIDTHS.iter().position(|w| w.span_s == width.span_s).unwrap_or(WIDTHS.len());
            self.all(at, &Err(Lack::new(Why::Absent, format!("{histogram} has requests and no buckets"))));
            return Ok(());
        }
        self.count(&total, &least, &most.data, width, end_s);
        if width.span_s == HOUR_S {
            let query = format!("sum by (le) (rate({}[{}]))", part(histogram, "_bucket", ""), promql_duration(LATELY_S));
            let told = server.ask(name, Question { query, range: None, patience: QUICK }).await?;
            self.counted.quantiles = quantiles(&told);
        }
        Ok(())
    }

    /// How far back there is anything of a query, seconds.
    async fn reach(&self, server: &mut impl Answers, name: &str, query: &str, end_s: i64) -> Result<f64, Trouble> {
        let period_s = self.counted.objective.period_s;
        let mut reach = LATELY_S as f64;
        // Finely first: a storage of an hour has no point of a step of six.
        for span_s in [HOUR_S, 24 * HOUR_S, period_s] {
            let step_s = (span_s / PERIOD_STEPS).max(60);
            let question =
                Question { query: with_window(query, LATELY_S), range: Some(aligned(end_s, span_s, step_s)), patience: FAR };
            let told = match server.ask(name, question).await {
                Ok(told) => told,
                Err(trouble) if trouble.of_question() => return Ok(reach),
                Err(trouble) => return Err(trouble),
            };
            let first = told.data.iter().filter_map(|s| Some(s.points.first()?.0)).min();
            reach = first.map_or(reach, |at| ((end_s * 1000 - at) as f64 / 1e3).max(reach));
            if reach + (2 * step_s) as f64 >= span_s as f64 {
                continue;
            }
            break;
        }
        Ok(reach)
    }

    /// Queries that give rates, or a share: asked for each window of the width.
    async fn rates(
        &mut self,
        server: &mut impl Answers,
        name: &str,
        (errors, total): (&str, Option<&str>),
        at: usize,
        end_s: i64,
    ) -> Result<(), Trouble> {
        for window in self.told(at) {
            let patience = if window > HOUR_S { FAR } else { QUICK };
            let now = |query: &str| Question { query: with_window(query, window), range: None, patience };
            let bad = server.ask(name, now(errors)).await?;
            let all = match total {
                Some(total) => Some(server.ask(name, now(total)).await?),
                None => None,
            };
            let is_rate = total.is_some_and(|q| q.contains("rate(") && !q.contains("increase(") && !q.contains("_over_time("));
            let mut seen = share(&bad, all.as_ref(), window, is_rate);
            if window == self.counted.objective.period_s && window > HOUR_S {
                let reach = self.reach(server, name, total.unwrap_or(errors), end_s).await?;
                if let Ok(share) = &mut seen {
                    share.covered_s = reach.min(share.covered_s);
                }
            }
            self.set(window, seen);
        }
        if self.width(at).span_s == HOUR_S {
            let step_s = HOUR_S / POINTS;
            let over = |query: &str| Question {
                query: with_window(query, LATELY_S),
                range: Some(aligned(end_s, HOUR_S, step_s)),
                patience: FAR,
            };
            let bad = server.ask(name, over(errors)).await?;
            let all = match total {
                Some(total) => Some(server.ask(name, over(total)).await?),
                None => None,
            };
            self.counted.recent = points(&bad.data, all.as_ref().map(|a| a.data.as_slice()), end_s, (HOUR_S, step_s));
        }
        Ok(())
    }
}

#[cfg(test)]
mod cases;
