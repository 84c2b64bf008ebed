//! What happened in a span of time, told from its diagnoses: who was to blame, since when, for how long, what it cost. Pure.

use std::collections::BTreeMap;

use crate::detect::diagnosis::{Diagnosis, Host};
use crate::detect::finding::{Class, Finding, Severity};
use crate::detect::memory::Resolved;
use crate::model::facts::Facts;
use crate::model::history::Group;

/// Columns of a chart: neighbours are joined beyond that.
const MOST: usize = 360;
/// Longer between two diagnoses nobody looked: that, or some times the usual distance.
const GAP_MS: i64 = 60_000;
const GAP_STEPS: i64 = 3;

/// A cause that is gone sooner was a guess, seconds.
const PASSES_S: f64 = 3.0;

/// One moment of the time line.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Wall clock, ms.
    pub at_ms: i64,
    /// Foreground time, s/s.
    pub total: f64,
    /// What of it waits, by what it waits for.
    pub waits: BTreeMap<Group, f64>,
    /// What of it has no cause.
    pub unexplained: f64,
    /// Figures of the host, percent: CPU, memory, the busiest disk, the fullest file system.
    pub host: [Option<f64>; 4],
    /// Nobody looked between the one before and this one.
    pub gap: bool,
    /// Looks that are joined in it.
    pub looks: u32,
    /// Seconds that they stand for: a recording may be of looks that are not equally far apart.
    pub seconds: f64,
}

/// Highest figures of single looks: waiting and foreground, s/s, and those of the host.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Peaks {
    /// What waits.
    pub waiting: f64,
    /// All of the foreground.
    pub total: f64,
    /// Percent.
    pub host: [Option<f64>; 4],
}

/// A finding over the span.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// As it was when it cost most.
    pub finding: Finding,
    /// When that was.
    pub peak_ms: i64,
    /// First and last seen.
    pub seen_ms: (i64, i64),
    /// Seconds in which it was there; in which it was critical.
    pub seconds: (f64, f64),
    /// Foreground seconds that it cost.
    pub lost: f64,
    /// Seconds in which another explained it.
    pub explained: f64,
    /// The highest severity.
    pub worst: Severity,
}

impl Told {
    /// It was a symptom for most of its time.
    #[must_use]
    pub fn symptom(&self) -> bool {
        self.explained * 2.0 > self.seconds.0
    }
}

/// A span of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    /// Where.
    pub host: Host,
    /// First and last diagnosis.
    pub span_ms: (i64, i64),
    /// Diagnoses in it.
    pub looks: usize,
    /// The time line.
    pub points: Vec<Point>,
    /// Findings by their key.
    pub told: BTreeMap<String, Told>,
    /// What became of those that were fixed or went away.
    pub resolved: Vec<Resolved>,
    /// Foreground seconds: all, waited for a cause, without a cause.
    pub spent: (f64, f64, f64),
    /// Highest figures.
    pub peaks: Peaks,
    /// Seconds in which somebody looked.
    pub watched: f64,
    /// Seconds that the newest diagnosis stands for.
    pub stands_s: f64,
    /// Looks that a point of the time line holds.
    stride: u32,
    /// The shortest distance of two diagnoses, ms.
    step_ms: Option<i64>,
    /// The diagnosis of the worst moment.
    pub worst: Diagnosis,
}

impl Story {
    /// Begins with the first diagnosis of a span.
    #[must_use]
    pub fn begin(first: &Diagnosis, facts: &Facts) -> Self {
        let at_ms = facts.at.wall_ms;
        let mut story = Self {
            host: first.host.clone(),
            span_ms: (at_ms, at_ms),
            looks: 0,
            points: Vec::new(),
            told: BTreeMap::new(),
            resolved: Vec::new(),
            spent: (0.0, 0.0, 0.0),
            peaks: Peaks::default(),
            watched: 0.0,
            stands_s: 0.0,
            stride: 1,
            step_ms: None,
            worst: first.clone(),
        };
        story.add(first, facts);
        story
    }

    /// The next one.
    pub fn add(&mut self, d: &Diagnosis, facts: &Facts) {
        let at_ms = facts.at.wall_ms;
        let since_ms = if self.looks == 0 { 0 } else { at_ms - self.span_ms.1 };
        let long = self.step_ms.map_or(i64::MAX, |step| (step * GAP_STEPS).max(GAP_MS));
        let gap = !(0..=long).contains(&since_ms);
        if since_ms > 0 {
            self.step_ms = Some(self.step_ms.map_or(since_ms, |step| step.min(since_ms)));
        }
        let dt = if gap { 0.0 } else { since_ms as f64 / 1000.0 };
        self.watched += dt;
        // The first one, and one that nobody looked before, stand for as long as is usual.
        self.stands_s = if dt > 0.0 { dt } else { self.step_ms.map_or(1.0, |step| step as f64 / 1000.0) };
        self.looks += 1;
        self.span_ms.1 = at_ms;
        let time = &d.time;
        let lost: f64 = d.findings.iter().filter(|f| f.explained_by.is_none()).filter_map(|f| f.impact.lost_s_per_s).sum();
        self.spent.0 += time.foreground_s_per_s * dt;
        self.spent.1 += lost * dt;
        self.spent.2 += time.unexplained_s_per_s * dt;
        for f in &d.findings {
            self.tell(f, at_ms, dt);
        }
        for resolved in &d.resolved {
            // What cost no time gains none.
            if resolved.before > 0.0 && !self.resolved.iter().any(|r| r.key == resolved.key && r.at == resolved.at) {
                self.resolved.push(resolved.clone());
            }
        }
        // Of a calm span the last is known best.
        if weight(d) > weight(&self.worst) || weight(&self.worst) == (0, 0, 0, 0) {
            self.worst = d.clone();
        }
        self.draw(point(d, facts, (at_ms, self.stands_s), gap));
    }

    /// Onto the time line: neighbours are joined, ever more of them.
    fn draw(&mut self, point: Point) {
        let waiting: f64 = point.waits.values().sum();
        let peaks = &mut self.peaks;
        (peaks.waiting, peaks.total) = (peaks.waiting.max(waiting), peaks.total.max(point.total));
        for (peak, now) in peaks.host.iter_mut().zip(point.host) {
            *peak = now.into_iter().chain(*peak).max_by(f64::total_cmp);
        }
        match self.points.last_mut() {
            Some(last) if last.looks < self.stride && !point.gap => *last = joined(last, &point),
            _ => self.points.push(point),
        }
        if self.points.len() > 2 * MOST {
            self.stride *= 2;
            let pair = |pair: &[Point]| match pair {
                [a, b] if !b.gap => vec![joined(a, b)],
                all => all.to_vec(),
            };
            self.points = self.points.chunks(2).flat_map(pair).collect();
        }
    }

    fn tell(&mut self, f: &Finding, at_ms: i64, dt: f64) {
        let told = self.told.entry(f.key.clone()).or_insert_with(|| Told {
            finding: f.clone(),
            peak_ms: at_ms,
            seen_ms: (at_ms, at_ms),
            seconds: (0.0, 0.0),
            lost: 0.0,
            explained: 0.0,
            worst: f.severity,
        });
        let cost = |f: &Finding| {
            (u8::from(f.severity != Severity::Info), f.impact.lost_s_per_s.or(f.impact.failed_per_s).unwrap_or(0.0))
        };
        if cost(f) > cost(&told.finding) {
            (told.finding, told.peak_ms) = (f.clone(), at_ms);
        }
        told.seen_ms.1 = at_ms;
        told.seconds.0 += dt;
        told.seconds.1 += if f.severity == Severity::Critical { dt } else { 0.0 };
        told.lost += f.impact.lost_s_per_s.unwrap_or(0.0) * dt;
        told.explained += if f.explained_by.is_some() { dt } else { 0.0 };
        // Critical is the least of them.
        told.worst = told.worst.min(f.severity);
    }

    /// Causes at warning or above, hard errors first, then by what they cost. What is muted counts for nothing.
    #[must_use]
    pub fn causes(&self) -> Vec<&Told> {
        let mut all: Vec<&Told> = self.told.values().filter(|t| t.worst != Severity::Info && !t.symptom()).collect();
        all.retain(|t| t.finding.class != Class::Outcome && t.finding.id != "app.unexplained" && t.finding.muted.is_none());
        // What stood for a moment on the way to the verdict is in the time line, and no bottleneck.
        let passed = |t: &Told| t.finding.class == Class::Live && t.seconds.1 <= 0.0 && t.seconds.0 < PASSES_S;
        // Of a span that is as short nothing else is known.
        all.retain(|t| self.watched < PASSES_S || !passed(t));
        let order = |t: &Told| (t.finding.class != Class::Error, t.worst);
        all.sort_by(|a, b| order(a).cmp(&order(b)).then(b.lost.total_cmp(&a.lost)).then(a.finding.key.cmp(&b.finding.key)));
        all
    }

    /// What suffered: outcomes at warning or above.
    #[must_use]
    pub fn outcomes(&self) -> Vec<&Told> {
        self.told.values().filter(|t| t.worst != Severity::Info && t.finding.class == Class::Outcome).collect()
    }

    /// What a cause explains, by what that cost before it was explained.
    #[must_use]
    pub fn symptoms(&self, cause: &Told) -> Vec<&Told> {
        let moved = |t: &Told| cause.finding.explains.iter().find(|e| e.key == t.finding.key).map(|e| e.s_per_s);
        let of = |t: &Told| t.finding.explained_by.as_deref() == Some(cause.finding.key.as_str());
        let mut all: Vec<&Told> = self.told.values().filter(|t| of(t) || moved(t).is_some()).collect();
        all.sort_by(|a, b| moved(b).unwrap_or(0.0).total_cmp(&moved(a).unwrap_or(0.0)).then(a.finding.key.cmp(&b.finding.key)));
        all
    }

    /// All that was at warning or above, in the order in which it came.
    #[must_use]
    pub fn raised(&self) -> Vec<&Told> {
        let mut all: Vec<&Told> = self.told.values().filter(|t| t.worst != Severity::Info).collect();
        all.sort_by(|a, b| a.seen_ms.cmp(&b.seen_ms).then(a.finding.key.cmp(&b.finding.key)));
        all
    }

    /// The mean of a figure over the time in which it was known.
    #[must_use]
    pub fn mean(&self, of: &dyn Fn(&Point) -> Option<f64>) -> Option<f64> {
        let known = self.points.iter().filter_map(|p| Some((of(p)?, p.seconds)));
        let (sum, seconds) = known.fold((0.0, 0.0), |(sum, all), (value, seconds)| (sum + value * seconds, all + seconds));
        (seconds > 0.0).then(|| sum / seconds)
    }

    /// The shortest distance of two looks, ms.
    #[must_use]
    pub fn step_ms(&self) -> i64 {
        self.step_ms.unwrap_or(1000)
    }

    /// Seconds of the span.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        (self.span_ms.1 - self.span_ms.0) as f64 / 1000.0
    }
}

/// How bad a moment is: does anything fail, what do its causes cost, how many are there, and how much waits, in tenths of a second per second.
fn weight(d: &Diagnosis) -> (usize, i64, usize, i64) {
    let raised = || d.findings.iter().filter(|f| f.raised());
    let fails = raised().filter(|f| f.class == Class::Error && f.severity == Severity::Critical).count();
    let benefit: f64 = raised().filter_map(|f| f.impact.benefit_s_per_s).sum();
    let waits = d.time.foreground_s_per_s - d.time.productive_s_per_s;
    (fails.min(1), (benefit * 1000.0) as i64, raised().count(), (waits * 10.0) as i64)
}

fn point(d: &Diagnosis, facts: &Facts, (at_ms, seconds): (i64, f64), gap: bool) -> Point {
    let mut waits = BTreeMap::new();
    for row in &d.time.states {
        if let Some(group) = row.state.group() {
            *waits.entry(group).or_default() += row.s_per_s;
        }
    }
    let host = &facts.host;
    let cpu = host.cpu.as_ref().ok().map(|cpu| cpu.busy * 100.0);
    let memory = host.memory.as_ref().ok().map(|m| 100.0 * (1.0 - m.available_bytes as f64 / (m.raw.total as f64).max(1.0)));
    let disk =
        host.disks.as_ref().ok().and_then(|all| all.iter().filter(|d| d.leaf).map(|d| d.util * 100.0).max_by(f64::total_cmp));
    let full = host
        .filesystems
        .as_ref()
        .ok()
        .and_then(|all| all.iter().filter_map(|f| Some(f.space.as_ref().ok()?.used() * 100.0)).max_by(f64::total_cmp));
    Point {
        at_ms,
        total: d.time.foreground_s_per_s,
        waits,
        unexplained: d.time.unexplained_s_per_s,
        host: [cpu, memory, disk, full],
        gap,
        looks: 1,
        seconds,
    }
}

/// Two neighbours as one: means, weighted by the time that they stand for.
fn joined(a: &Point, b: &Point) -> Point {
    let (m, n) = (a.seconds, b.seconds);
    let mean = |a: f64, b: f64| (a * m + b * n) / (m + n);
    let groups: std::collections::BTreeSet<Group> = a.waits.keys().chain(b.waits.keys()).copied().collect();
    let of = |p: &Point, group: &Group| p.waits.get(group).copied().unwrap_or(0.0);
    let waits = groups.into_iter().map(|group| (group, mean(of(a, &group), of(b, &group)))).collect();
    let host = std::array::from_fn(|n| match (a.host[n], b.host[n]) {
        (Some(a), Some(b)) => Some(mean(a, b)),
        (a, b) => a.or(b),
    });
    let (total, unexplained) = (mean(a.total, b.total), mean(a.unexplained, b.unexplained));
    Point { at_ms: a.at_ms, total, waits, unexplained, host, gap: a.gap, looks: a.looks + b.looks, seconds: m + n }
}
