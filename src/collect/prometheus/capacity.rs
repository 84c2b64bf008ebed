//! A look at what runs out, what is needed and what calls for more: a constant number of questions, however many hosts. Which of them are
//! closest to their ends the server says first; only the history of those is read.

use std::collections::{BTreeMap, BTreeSet};

use crate::collect::clock;
use crate::model::capacity::need::{busiest, peak};
use crate::model::capacity::plan::{CapacityPlan, Need, Resource, Trigger};
use crate::model::capacity::{Capacity, Left, Needed, Triggered};
use crate::model::foreign::Foreign;
use crate::model::objective::promql_duration;
use crate::model::prometheus::{host_of, instances};
use crate::model::trend::{Trend, outlook};

use super::answers::{Series, Told};
use super::count::Answers;
use super::question::{FAR, Question};
use super::trouble::Trouble;

/// How far back and how finely, widest first: the first that the storage fills with enough readings is used.
const WIDTHS: [(u64, u64); 4] = [(14 * 86_400, 3_600), (86_400, 600), (10_800, 60), (1_200, 10)];
const ENOUGH: usize = 24;
/// Of a resource so many that shrink fastest, and so many with the least left.
const FASTEST: usize = 20;
const LEAST: usize = 10;
/// What a resource of the configuration may have.
const MOST: usize = 60;

/// Looks at all of it.
///
/// # Errors
/// The server cannot be asked at all.
pub async fn look(server: &mut impl Answers, plan: &CapacityPlan) -> Result<Capacity, Trouble> {
    let begin_ns = clock::mono_ns();
    let at_ms = clock::now().wall_ms;
    let mut looking = Looking {
        server,
        end_s: at_ms / 1000,
        span_s: 0,
        step_s: 0,
        found: Capacity { at_ms, ahead_s: plan.ahead_s, ..Capacity::default() },
    };
    looking.reach().await?;
    for resource in &plan.resources {
        looking.resource(resource).await?;
    }
    for need in &plan.needs {
        looking.need(need).await?;
    }
    for trigger in &plan.triggers {
        looking.trigger(trigger).await?;
    }
    let (span_s, step_s, mut found) = (looking.span_s, looking.step_s, looking.found);
    found.left.sort_by(Left::order);
    (found.span_s, found.step_s) = (span_s, step_s);
    found.cost.took_ms = clock::mono_ns().saturating_sub(begin_ns) / 1_000_000;
    Ok(found)
}

struct Looking<'s, S> {
    server: &'s mut S,
    end_s: i64,
    span_s: u64,
    step_s: u64,
    found: Capacity,
}

impl<S: Answers> Looking<'_, S> {
    /// One question; what it cannot be asked for is said.
    async fn ask(&mut self, about: &str, query: String, over_time: bool) -> Result<Vec<Series>, Trouble> {
        let (span, step) = (i64::try_from(self.span_s).unwrap_or(0), self.step_s);
        let range = over_time.then_some((self.end_s - span, self.end_s, step));
        self.found.cost.requests += 1;
        match self.server.ask("capacity", Question { query, range, patience: FAR }).await {
            Ok(told) => Ok(self.told(about, told)),
            Err(trouble) if trouble.of_question() => {
                self.found.lacks.insert(about.to_owned(), Foreign::from(trouble.to_string().as_str()));
                Ok(Vec::new())
            }
            Err(trouble) => Err(trouble),
        }
    }

    fn told(&mut self, about: &str, told: Told<Vec<Series>>) -> Vec<Series> {
        self.found.cost.bytes += told.bytes as u64;
        if let Some(said) = told.warnings.first() {
            self.found.lacks.insert(about.to_owned(), said.clone());
        }
        told.data
    }

    /// How far back it remembers.
    async fn reach(&mut self) -> Result<(), Trouble> {
        for (span, step) in WIDTHS {
            (self.span_s, self.step_s) = (span, step);
            let query = "count({__name__=~\"up|node_load1|pg_up|redis_up\"})".to_owned();
            let told = self.ask("history", query, true).await?;
            let known: Vec<i64> = told.first().map_or_else(Vec::new, |s| s.points.iter().map(|(at, _)| *at).collect());
            if known.len() >= ENOUGH || (span, step) == WIDTHS[WIDTHS.len() - 1] {
                // Only what is there, and a step for what stands in none.
                let first = known.first().map_or(self.end_s, |ms| ms / 1000);
                let known_s = u64::try_from(self.end_s - first).unwrap_or(0);
                self.span_s = (known_s / step * step).clamp(step, span);
                return Ok(());
            }
        }
        Ok(())
    }

    async fn resource(&mut self, resource: &Resource) -> Result<(), Trouble> {
        let everywhere = |query: &str| query.replace("$h", "");
        let all = resource.all.as_deref();
        let left = everywhere(&resource.left);
        let span = format!("{}s", self.span_s.max(60));
        let sparse = format!("{}s", (self.span_s / 48).max(10));
        let fastest = format!("topk({FASTEST}, -deriv(({left})[{span}:{sparse}]) / ({left}) > 0)");
        let least = match all.filter(|_| resource.left.contains("$h")) {
            Some(all) => format!("bottomk({LEAST}, ({left}) / ({}))", everywhere(all)),
            None => format!("bottomk({LEAST}, {left})"),
        };
        let near = self.ask(&resource.name, format!("({left}) and ({fastest} or {least})"), false).await?;
        let candidates: BTreeMap<String, Series> = near.into_iter().take(MOST).map(|s| (key(&s), s)).collect();
        if candidates.is_empty() {
            return Ok(());
        }
        let hosts: BTreeSet<&str> = candidates.values().map(|s| s.label("instance")).filter(|i| !i.is_empty()).collect();
        let chosen = if hosts.is_empty() { String::new() } else { instances(&hosts) };
        let of = |query: &str| query.replace("$h", &chosen);
        let all: BTreeMap<String, f64> = match all {
            Some(all) => {
                self.ask(&resource.name, of(all), false).await?.iter().filter_map(|s| Some((key(s), s.value()?))).collect()
            }
            None => BTreeMap::new(),
        };
        // The least of each step: what is written and removed again within it is needed as well.
        let left = of(&resource.left);
        let history =
            if self.step_s > 60 { format!("min_over_time(({left})[{0}s:{1}s])", self.step_s, self.step_s / 6) } else { left };
        let past = self.ask(&resource.name, history, true).await?;
        let past: BTreeMap<String, Series> = past.into_iter().map(|s| (key(&s), s)).collect();
        for (key, now) in candidates {
            let Some(left) = now.value().filter(|v| v.is_finite()) else { continue };
            let readings = past.get(&key).map_or_else(Vec::new, readings);
            let (trend, outlook) = outlook(&readings, left);
            let (host, about) = named(&now);
            self.found.left.push(Left {
                what: resource.name.clone(),
                host,
                about,
                unit: resource.unit,
                left,
                all: all.get(&key).copied().filter(|v| v.is_finite()),
                points: past.get(&key).map_or_else(Vec::new, |s| self.points(s)),
                trend,
                outlook,
            });
        }
        Ok(())
    }

    async fn need(&mut self, need: &Need) -> Result<(), Trouble> {
        let about = format!("need: {}", need.name);
        // The most of each step: what is there must do for that.
        let used = match self.step_s > 60 {
            true => format!("max_over_time(({})[{}s:{}s])", need.used, self.step_s, self.step_s / 6),
            false => need.used.clone(),
        };
        let told = self.ask(&about, used, true).await?;
        let have = match &need.have {
            Some(have) => self.ask(&about, have.clone(), false).await?.first().and_then(Series::value),
            None => None,
        };
        if told.len() > 1 {
            let says = format!("{} series where one is asked for: write sum(…) around it", told.len());
            self.found.lacks.insert(about, Foreign::from(says.as_str()));
            return Ok(());
        }
        let series = told.first();
        let readings = series.map_or_else(Vec::new, readings);
        self.found.needed.push(Needed {
            need: need.clone(),
            have: have.filter(|v| v.is_finite()),
            peak: series.and_then(|s| peak(&self.points(s))),
            trend: Trend::of(&readings),
            busiest: busiest(&readings),
        });
        Ok(())
    }

    async fn trigger(&mut self, trigger: &Trigger) -> Result<(), Trouble> {
        let over_s = trigger.over_s.min(self.span_s.max(60));
        let step = format!("{}s", (over_s / 144).max(10));
        let query = trigger.statistic.over(&trigger.query, &promql_duration(over_s), &step);
        let told = self.ask(&format!("trigger: {}", trigger.name), query, false).await?;
        let known: Vec<(f64, &Series)> =
            told.iter().filter_map(|s| s.value().filter(|v| v.is_finite()).map(|v| (v, s))).collect();
        let worst = known.iter().max_by(|a, b| a.0.total_cmp(&b.0));
        let whose = worst.map(|(_, s)| named(s)).map(|(host, about)| if host.shown().is_empty() { about } else { host });
        self.found.triggered.push(Triggered {
            trigger: trigger.clone(),
            over_s,
            value: worst.map(|(value, _)| *value),
            whose: whose.unwrap_or_else(|| Foreign::from("")),
            above: (known.iter().filter(|(value, _)| *value > trigger.above).count(), known.len()),
        });
        Ok(())
    }

    /// The points of a series at the steps.
    fn points(&self, series: &Series) -> Vec<Option<f64>> {
        let step_ms = i64::try_from(self.step_s).unwrap_or(60).max(1) * 1000;
        let begin_ms = self.end_s * 1000 - i64::try_from(self.span_s).unwrap_or(0) * 1000;
        let mut points = vec![None; (self.span_s / self.step_s.max(1)) as usize + 1];
        for (at, value) in &series.points {
            let place = usize::try_from((at - begin_ms) / step_ms).unwrap_or(usize::MAX);
            if let Some(point) = points.get_mut(place).filter(|_| value.is_finite()) {
                *point = Some(*value);
            }
        }
        points
    }
}

/// What a series is known by: its labels without the name of the metric.
fn key(series: &Series) -> String {
    let mut labels: Vec<String> =
        series.labels.iter().filter(|(n, _)| &**n != "__name__").map(|(n, v)| format!("{n}={v}")).collect();
    labels.sort();
    labels.join("\u{1}")
}

/// Seconds and figures.
fn readings(series: &Series) -> Vec<(f64, f64)> {
    series.points.iter().filter(|(_, v)| v.is_finite()).map(|(at, v)| (*at as f64 / 1e3, *v)).collect()
}

/// Whose a series is, and which of its kind there.
fn named(series: &Series) -> (Foreign, Foreign) {
    let host = match series.label("instance") {
        "" => series.label("namespace"),
        instance => host_of(instance),
    };
    let own = ["mountpoint", "persistentvolumeclaim", "datname"].iter().map(|l| series.label(l)).find(|v| !v.is_empty());
    let rest = || {
        let other = |n: &str| !["instance", "namespace", "__name__"].contains(&n);
        series.labels.iter().filter(|(n, _)| other(n)).map(|(_, v)| &**v).collect::<Vec<_>>().join(" ")
    };
    (Foreign::from(host), own.map_or_else(|| Foreign::from(rest().as_str()), Foreign::from))
}
