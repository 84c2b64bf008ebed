//! A look at what runs out, what is needed and what calls for more: a constant number of questions, however many hosts. Which of them are
//! closest to their ends the server says first; only the history of those is read.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::capacity::need::{busiest, peak};
use crate::model::capacity::plan::{CapacityPlan, Need, Resource, Trigger};
use crate::model::capacity::{Capacity, Left, Needed, Triggered};
use crate::model::foreign::Foreign;
use crate::model::objective::promql_duration;
use crate::model::prometheus::alternatives;
use crate::model::trend::{Outlook, Trend, outlook};

use super::answers::Series;
use super::count::Answers;
use super::looking::Looking;
use super::share::slowest;
use super::trouble::Trouble;

/// How far back and how finely, widest first: the first that the storage fills with enough readings is used.
const WIDTHS: [Width; 4] = [Width(14 * 86_400, 3_600), Width(86_400, 600), LATELY, Width(1_200, 10)];
/// Beside a wide one: what runs out today may have begun an hour ago.
const LATELY: Width = Width(10_800, 60);
const ENOUGH: usize = 24;
/// Of a resource so many that shrink fastest, lately as well, and so many with the least left.
const FASTEST: usize = 20;
const LEAST: usize = 10;
/// What a resource of the configuration may have.
const MOST: usize = 80;

/// Seconds back, and between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Width(u64, u64);

/// Looks at all of it.
///
/// # Errors
/// The server cannot be asked at all.
pub async fn look(server: &mut impl Answers, plan: &CapacityPlan) -> Result<Capacity, Trouble> {
    let mut looking = Looking::new(server, "capacity");
    let at_ms = looking.end_s * 1000;
    let width = reach(&mut looking).await?;
    let mut found = Capacity {
        at_ms,
        ahead_s: plan.ahead_s,
        limits_s: plan.limits_s,
        span_s: width.0,
        step_s: width.1,
        ..Capacity::default()
    };
    for resource in &plan.resources {
        found.left.extend(resource_left(&mut looking, resource, width).await?);
    }
    for need in &plan.needs {
        found.needed.extend(needed(&mut looking, need, width).await?);
    }
    for trigger in &plan.triggers {
        found.triggered.push(triggered(&mut looking, trigger, width).await?);
    }
    found.left.sort_by(Left::order);
    found.cost = looking.took();
    found.lacks = looking.lacks;
    Ok(found)
}

/// How far back it remembers.
async fn reach<S: Answers>(looking: &mut Looking<'_, S>) -> Result<Width, Trouble> {
    for width in WIDTHS {
        // What is pushed rather than scraped has no `up`.
        let query = "count({__name__=~\"up|node_load1|pg_up|redis_up|process_start_time_seconds\"})".to_owned();
        let told = looking.ask("history", query, Some(range(looking.end_s, width))).await?;
        let known: Vec<i64> = told.first().map_or_else(Vec::new, |s| s.points.iter().map(|(at, _)| *at).collect());
        if let Some(first) = known.first().filter(|_| known.len() >= ENOUGH || width == WIDTHS[WIDTHS.len() - 1]) {
            // Only what is there.
            let known_s = u64::try_from(looking.end_s - first / 1000).unwrap_or(0);
            return Ok(Width((known_s / width.1 * width.1).clamp(width.1, width.0), width.1));
        }
    }
    // Nothing tells how far: as far as possible.
    Ok(WIDTHS[0])
}

fn range(end_s: i64, Width(span_s, step_s): Width) -> (i64, i64, u64) {
    (end_s - i64::try_from(span_s).unwrap_or(0), end_s, step_s)
}

/// What is left of the least of each step: what is written and removed again within it is needed as well.
fn least_of(query: &str, Width(_, step_s): Width) -> String {
    if step_s > 60 { format!("min_over_time(({query})[{step_s}s:{}s])", step_s / 12) } else { query.to_owned() }
}

async fn resource_left<S: Answers>(looking: &mut Looking<'_, S>, r: &Resource, width: Width) -> Result<Vec<Left>, Trouble> {
    let everywhere = |query: &str| query.replace("$h", "");
    let left = everywhere(&r.left);
    let shrinks = |span_s: u64, step_s: u64| format!("-deriv(({left})[{span_s}s:{step_s}s]) / ({left}) > 0");
    let all_along = shrinks(width.0.max(60), (width.0 / 48).max(10));
    let lately = shrinks(width.0.clamp(60, 3_600), 60.min(width.0 / 12).max(5));
    let least = match r.all.as_deref().filter(|_| r.left.contains("$h")) {
        Some(all) => format!("bottomk({LEAST}, ({left}) / ({}))", everywhere(all)),
        None => format!("bottomk({LEAST}, {left})"),
    };
    let near = format!("({left}) and (topk({FASTEST}, {all_along}) or topk({FASTEST}, {lately}) or {least})");
    let near = looking.ask(&r.name, near, None).await?;
    let candidates: BTreeMap<String, Series> = near.into_iter().take(MOST).map(|s| (key(&s), s)).collect();
    if candidates.is_empty() {
        // Of those that are built in an exporter may be missing; one of the configuration is mistyped.
        if !r.left.contains("$h") && !looking.lacks.contains_key(&r.name) {
            looking.lacks.insert(r.name.clone(), Foreign::from("its query gives no series"));
        }
        return Ok(Vec::new());
    }
    let chosen = chosen(&candidates);
    let of = |query: &str| query.replace("$h", &chosen);
    let all: BTreeMap<String, f64> = match &r.all {
        Some(all) => looking.ask(&r.name, of(all), None).await?.iter().filter_map(|s| Some((key(s), s.value()?))).collect(),
        None => BTreeMap::new(),
    };
    let history = |told: Vec<Series>| told.into_iter().map(|s| (key(&s), s)).collect::<BTreeMap<String, Series>>();
    let asked = least_of(&of(&r.left), width);
    let past = history(looking.ask(&r.name, asked, Some(range(looking.end_s, width))).await?);
    let fine = match width.1 > LATELY.1 {
        true => history(looking.ask(&r.name, of(&r.left), Some(range(looking.end_s, LATELY))).await?),
        false => BTreeMap::new(),
    };
    let end_s = looking.end_s;
    let row = |(key, now): (String, Series)| {
        let left = now.value().filter(|v| v.is_finite())?;
        let of =
            |all: &BTreeMap<String, Series>, width: Width| all.get(&key).map_or_else(Vec::new, |s| readings(s, end_s, width));
        let (readings, lately) = (of(&past, width), of(&fine, LATELY));
        let (trend, outlook) = sooner(&readings, &lately, left);
        let (host, about) = named(&now);
        // A number stands for all.
        let all = all.get(&key).or_else(|| all.get("")).copied().filter(|v| v.is_finite());
        let points = past.get(&key).map_or_else(Vec::new, |s| points(s, end_s, width));
        Some(Left { what: r.name.clone(), host, about, unit: r.unit, left, all, points, trend, outlook })
    };
    Ok(candidates.into_iter().filter_map(row).collect())
}

/// The outlook of the whole history; or of late, where less is left than ever in it, and that runs out sooner or is all there is.
fn sooner(whole: &[(f64, f64)], lately: &[(f64, f64)], left: f64) -> (Option<Trend>, Outlook) {
    let first = outlook(whole, left);
    let late = outlook(lately, left);
    let begin = lately.first().map_or(f64::INFINITY, |(at, _)| *at);
    let before = whole.iter().filter(|(at, _)| *at < begin).map(|(_, v)| *v).fold(f64::INFINITY, f64::min);
    let at = |o: &Outlook| if let Outlook::RunsOut(eta) = o { eta.at_s } else { f64::INFINITY };
    match (&first.1, &late.1) {
        (Outlook::Short, _) => late,
        (_, Outlook::RunsOut(_)) if left < before && at(&late.1) < at(&first.1) => late,
        _ => first,
    }
}

async fn needed<S: Answers>(looking: &mut Looking<'_, S>, need: &Need, width: Width) -> Result<Option<Needed>, Trouble> {
    let about = format!("need: {}", need.name);
    // The most of each step: what is there must do for that.
    let Width(_, step_s) = width;
    let used = match step_s > 60 {
        true => format!("max_over_time(({})[{step_s}s:{}s])", need.used, step_s / 12),
        false => need.used.clone(),
    };
    let told = looking.ask(&about, used, Some(range(looking.end_s, width))).await?;
    let have = match &need.have {
        Some(have) => looking.ask(&about, have.clone(), None).await?,
        None => Vec::new(),
    };
    if told.len() > 1 || have.len() > 1 {
        let which = if told.len() > 1 { "used" } else { "have" };
        let says = format!(
            "{which} of [needs.{}] gives {} series where one is asked for: write sum(…) around it",
            need.name,
            told.len().max(have.len())
        );
        looking.lacks.insert(about, Foreign::from(says.as_str()));
        return Ok(None);
    }
    let readings = told.first().map_or_else(Vec::new, |s| readings(s, looking.end_s, width));
    Ok(Some(Needed {
        need: need.clone(),
        have: have.first().and_then(Series::value).filter(|v| v.is_finite()),
        peak: told.first().and_then(|s| peak(&points(s, looking.end_s, width))),
        trend: Trend::of(&readings),
        busiest: busiest(&readings, step_s as f64),
    }))
}

async fn triggered<S: Answers>(looking: &mut Looking<'_, S>, trigger: &Trigger, width: Width) -> Result<Triggered, Trouble> {
    let over_s = trigger.over_s.min(width.0.max(60));
    let over = promql_duration(over_s);
    let about = format!("trigger: {}", trigger.name);
    let quantile = trigger.statistic.quantile().filter(|_| trigger.buckets);
    let known: Vec<(f64, f64, Foreign)> = if let Some(of) = quantile {
        let told = looking.ask(&about, format!("sum by (le, job) (increase({}[{over}]))", trigger.query), None).await?;
        slowest(&told, of, &|place| told[place].value())
            .into_iter()
            .map(|(job, q)| (q.low_s * 1e3, q.high_s * 1e3, Foreign::from(job)))
            .collect()
    } else {
        // A peak of a minute is one as well.
        let steps = if trigger.statistic == crate::model::capacity::plan::Statistic::Max { 1_440 } else { 144 };
        let step = format!("{}s", (over_s / steps).max(10));
        let told = looking.ask(&about, trigger.statistic.over(&trigger.query, &over, &step), None).await?;
        let figure = |s: &Series| s.value().filter(|v| v.is_finite()).map(|v| (v, v, whose(s)));
        told.iter().filter_map(figure).collect()
    };
    let worst = known.iter().max_by(|a, b| a.0.total_cmp(&b.0));
    Ok(Triggered {
        trigger: trigger.clone(),
        over_s,
        value: worst.map(|(low, high, _)| (*low, *high)),
        whose: worst.map_or_else(|| Foreign::from(""), |(_, _, whose)| whose.clone()),
        // A bucket does not hold its lower end.
        above: (
            known.iter().filter(|(low, high, _)| if low < high { *low >= trigger.above } else { *low > trigger.above }).count(),
            known.len(),
        ),
    })
}

fn whose(series: &Series) -> Foreign {
    let (host, about) = named(series);
    if host.shown().is_empty() { about } else { host }
}

/// The points of a series at the steps.
fn points(series: &Series, end_s: i64, Width(span_s, step_s): Width) -> Vec<Option<f64>> {
    let step_ms = i64::try_from(step_s).unwrap_or(60).max(1) * 1000;
    let begin_ms = (end_s - i64::try_from(span_s).unwrap_or(0)) * 1000;
    let mut points = vec![None; (span_s / step_s.max(1)) as usize + 1];
    for (at, value) in &series.points {
        let place = usize::try_from((at - begin_ms) / step_ms).unwrap_or(usize::MAX);
        if let Some(point) = points.get_mut(place).filter(|_| value.is_finite()) {
            *point = Some(*value);
        }
    }
    points
}

/// Seconds and figures, of the time that was asked for.
fn readings(series: &Series, end_s: i64, width: Width) -> Vec<(f64, f64)> {
    let begin_s = (end_s - i64::try_from(width.0).unwrap_or(0)) as f64;
    let known = points(series, end_s, width);
    known.iter().enumerate().filter_map(|(n, v)| Some((begin_s + (n as u64 * width.1) as f64, (*v)?))).collect()
}

/// What a series is known by: its labels without the name of the metric.
fn key(series: &Series) -> String {
    let mut labels: Vec<String> =
        series.labels.iter().filter(|(n, _)| &**n != "__name__").map(|(n, v)| format!("{n}={v}")).collect();
    labels.sort();
    labels.join("\u{1}")
}

/// Matchers of the values that the candidates have of each of their labels.
fn chosen(candidates: &BTreeMap<String, Series>) -> String {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let names: BTreeSet<&str> = candidates.values().flat_map(|s| s.labels.iter().map(|(n, _)| &**n)).collect();
    for name in names.into_iter().filter(|n| *n != "__name__") {
        values.insert(name, candidates.values().map(|s| s.label(name)).collect());
    }
    values.iter().map(|(name, values)| format!("{name}=~{}", alternatives(values))).collect::<Vec<_>>().join(",")
}

/// Whose a series is, and which of its kind there.
fn named(series: &Series) -> (Foreign, Foreign) {
    let host = match series.label("instance") {
        "" => series.label("namespace"),
        // Of a host's own exporter the port says nothing; of others it tells them apart.
        instance => instance.strip_suffix(":9100").unwrap_or(instance),
    };
    let own = ["mountpoint", "persistentvolumeclaim"].iter().map(|l| series.label(l)).find(|v| !v.is_empty());
    let rest = || {
        const KNOWN: [&str; 8] =
            ["instance", "namespace", "__name__", "mountpoint", "persistentvolumeclaim", "device", "fstype", "cluster"];
        // Where a place says which it is, the job does not.
        let other = |n: &str| !(KNOWN.contains(&n) || n == "job" && own.is_some());
        series.labels.iter().filter(|(n, _)| other(n)).map(|(_, v)| &**v).collect::<Vec<_>>()
    };
    let about: Vec<&str> = own.into_iter().chain(rest()).collect();
    (Foreign::from(host), Foreign::from(about.join(" ").as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(n: usize, step: f64, y: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        (0..n).map(|i| (i as f64 * step, y(i as f64 * step))).collect()
    }

    #[test]
    fn what_began_an_hour_ago_counts_where_it_never_was_so_low() {
        const DAY: f64 = 86_400.0;
        let end = 14.0 * DAY;
        // Flat for a fortnight, and thirty an hour for the last three.
        let filling = |t: f64| 100.0 - (t - (end - 10_800.0)).max(0.0) / 120.0;
        let late = |y: &dyn Fn(f64) -> f64| {
            (0..181).map(|i| end - 10_800.0 + f64::from(i) * 60.0).map(|t| (t, y(t))).collect::<Vec<_>>()
        };
        let (whole, lately) = (over(336, 3_600.0, filling), late(&filling));
        let (_, found) = sooner(&whole, &lately, 10.0);
        let Outlook::RunsOut(eta) = found else { panic!("{found:?}") };
        assert!((eta.at_s - 1_200.0).abs() < 60.0, "twenty minutes: {eta:?}");
        // A daily wave is as low each day.
        let wave = |t: f64| 100.0 + 80.0 * (t / DAY * std::f64::consts::TAU).cos() - 1e-6 * t;
        let at = end + DAY / 3.0;
        let whole: Vec<(f64, f64)> = (0..336).map(|i| at - f64::from(335 - i) * 3_600.0).map(|t| (t, wave(t))).collect();
        let lately: Vec<(f64, f64)> = (0..181).map(|i| at - 10_800.0 + f64::from(i) * 60.0).map(|t| (t, wave(t))).collect();
        let (_, found) = sooner(&whole, &lately, wave(at));
        assert!(!matches!(found, Outlook::RunsOut(_)), "{found:?}");
        // A host that is new has only that.
        assert!(matches!(sooner(&[], &late(&filling), 10.0).1, Outlook::RunsOut(_)));
    }

    #[test]
    fn only_what_was_asked_for_is_read() {
        let hostile = Series {
            points: (0..100_000).map(|i| (i * 7, 1.0)).chain([(9_000_000_000_000_000, 2.0)]).collect(),
            ..Series::default()
        };
        assert!(points(&hostile, 3_600, Width(3_600, 60)).len() == 61 && readings(&hostile, 3_600, Width(3_600, 60)).len() <= 61);
    }

    #[test]
    fn candidates_are_chosen_by_all_their_labels() {
        let series = |labels: &[(&str, &str)]| Series {
            labels: labels.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
            ..Series::default()
        };
        let all = [
            series(&[("instance", "a\u{2013}b:9100"), ("mountpoint", "/v\"ar\\")]),
            series(&[("instance", "c.d"), ("mountpoint", "/")]),
        ];
        let text = chosen(&all.into_iter().map(|s| (key(&s), s)).collect());
        assert_eq!(text, "instance=~\"a\u{2013}b:9100|c\\\\.d\",mountpoint=~\"/|/v\\\"ar\\\\\\\\\"");
        assert!(promql_parser::parser::parse(&format!("x{{{text}}}")).is_ok());
    }
}
