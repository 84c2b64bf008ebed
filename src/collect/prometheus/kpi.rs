//! Key figures: the last hour of each, and the same hour of weeks and days before.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::collect::clock;
use crate::model::kpi::{Kpi, KpiAsk, KpiPlan, Kpis, Measured, STEP_S};
use crate::model::prometheus::alternatives;
use crate::model::trend::median;

use super::answers::Series;
use super::count::Answers;
use super::looking::Looking;
use super::question::aligned;
use super::share::slowest;
use super::trouble::Trouble;

const HOUR_S: u64 = 3_600;
/// The same hour before, weeks and days.
const WEEKS: [&str; 4] = ["1w", "2w", "3w", "4w"];
const DAYS: [&str; 3] = ["1d", "2d", "3d"];
/// What was usual changes slowly.
const PAST_EVERY: Duration = Duration::from_secs(600);

/// What was usual, by key figure: when that was asked, weeks and days.
pub type Past = BTreeMap<String, (Instant, Vec<f64>, Vec<f64>)>;

/// Measures all of them.
///
/// # Errors
/// The server cannot be asked at all.
pub async fn measure(server: &mut impl Answers, plan: &KpiPlan, past: &mut Past) -> Result<Kpis, Trouble> {
    let mut looking = Looking::new(server, "kpis");
    let mut found = Kpis { at_ms: looking.end_s * 1000, habits: plan.habits, ..Kpis::default() };
    let window = window(&mut looking).await?;
    for kpi in &plan.kpis {
        found.all.push(one(&mut looking, kpi, &window, past).await?);
    }
    found.cost = looking.took();
    found.lacks = looking.lacks;
    Ok(found)
}

/// The window of rates: five minutes, or five scrapes of the job that is scraped most seldom, so that two always lie within.
async fn window<S: Answers>(looking: &mut Looking<'_, S>) -> Result<String, Trouble> {
    const LEAST_S: f64 = 300.0;
    const MOST_S: f64 = 3_600.0;
    const SCRAPES: f64 = 5.0;
    let slowest = "bottomk(1, max by (job) (count_over_time(up[1h])) > 2)".to_owned();
    let job = looking.ask("window", slowest, None).await?.first().map(|s| s.label("job").to_owned());
    let one = match job {
        Some(job) => {
            looking.ask("window", format!("topk(1, up{{job=~{}}} == 1)", alternatives(&[job.as_str()].into())), None).await?
        }
        None => Vec::new(),
    };
    let mut gaps: Vec<f64> = Vec::new();
    if let Some(one) = one.first() {
        let label = |name: &str| format!("{name}=~{}", alternatives(&[one.label(name)].into()));
        let told = looking.ask("window", format!("up{{{},{}}}[1h]", label("job"), label("instance")), None).await?;
        gaps.extend(told.iter().flat_map(|s| s.points.windows(2).map(|p| (p[1].0 - p[0].0) as f64 / 1e3)));
    }
    looking.lacks.remove("window");
    let seconds = median(gaps).map_or(LEAST_S, |gap| (gap * SCRAPES).clamp(LEAST_S, MOST_S));
    Ok(format!("{seconds:.0}s"))
}

/// The window of rates, unless too little falls into it.
const WINDOW: &str = "5m";

async fn one<S: Answers>(looking: &mut Looking<'_, S>, kpi: &Kpi, wide: &str, past: &mut Past) -> Result<Measured, Trouble> {
    let mut measured = Measured { kpi: kpi.clone(), points: Vec::new(), weeks: Vec::new(), days: Vec::new() };
    let Some(mut single) = single(kpi, WINDOW) else { return Ok(measured) };
    measured.points = points(looking, kpi, (&single, WINDOW)).await?;
    // What is scraped seldom has one reading in five minutes now and then.
    if sparse(&measured.points) && wide != WINDOW {
        single = self::single(kpi, wide).unwrap_or(single);
        measured.points = points(looking, kpi, (&single, wide)).await?;
    }
    if measured.now().is_some() {
        (measured.weeks, measured.days) = before(looking, kpi, &single, past).await?;
    }
    Ok(measured)
}

/// One figure of it, with that window of rates.
fn single(kpi: &Kpi, window: &str) -> Option<String> {
    let worst = if kpi.lower { "min" } else { "max" };
    match &kpi.ask {
        KpiAsk::Query(query) | KpiAsk::Once(query) => Some(format!("{worst}({})", query.replace("$w", window))),
        KpiAsk::Quantile { of, buckets } => {
            Some(format!("1000 * max(histogram_quantile({of}, sum by (le, job) (rate({buckets}[{window}]))))"))
        }
        KpiAsk::Nothing => None,
    }
}

/// Its points of the last hour.
async fn points<S: Answers>(
    looking: &mut Looking<'_, S>,
    kpi: &Kpi,
    (single, window): (&str, &str),
) -> Result<Vec<Option<(f64, f64)>>, Trouble> {
    let range = aligned(looking.end_s, HOUR_S, STEP_S);
    let steps = || (range.0..=range.1).step_by(usize::try_from(STEP_S).unwrap_or(60)).map(|s| s * 1000);
    Ok(match &kpi.ask {
        KpiAsk::Quantile { of, buckets } => {
            let told = looking.ask(&kpi.name, format!("sum by (le, job) (rate({buckets}[{window}]))"), Some(range)).await?;
            quantiles(&told, *of, &steps().collect::<Vec<_>>())
        }
        KpiAsk::Once(_) => {
            let told = looking.ask(&kpi.name, single.to_owned(), None).await?;
            told.first().and_then(Series::value).filter(|v| v.is_finite()).map(|v| Some((v, v))).into_iter().collect()
        }
        _ => {
            let told = looking.ask(&kpi.name, single.to_owned(), Some(range)).await?;
            let known: BTreeMap<i64, f64> = told.first().map_or_else(BTreeMap::new, |s| s.points.iter().copied().collect());
            steps().map(|ms| known.get(&ms).filter(|v| v.is_finite()).map(|v| (*v, *v))).collect()
        }
    })
}

/// Something is known, and between the first and the last of it a fifth or more is not.
fn sparse(points: &[Option<(f64, f64)>]) -> bool {
    let first = points.iter().position(Option::is_some);
    let Some((first, last)) = first.zip(points.iter().rposition(Option::is_some)) else { return false };
    let known = points.iter().flatten().count();
    known * 5 < (last - first + 1) * 4 || points.len() - 1 - last > 2
}

/// The means of the same hour of weeks and of days before.
async fn before<S: Answers>(
    looking: &mut Looking<'_, S>,
    kpi: &Kpi,
    single: &str,
    past: &mut Past,
) -> Result<(Vec<f64>, Vec<f64>), Trouble> {
    if let Some((_, weeks, days)) = past.get(&kpi.name).filter(|(at, ..)| at.elapsed() < PAST_EVERY) {
        return Ok((weeks.clone(), days.clone()));
    }
    // Of what looks back far by itself one moment says as much.
    let of = |was: &str| match kpi.ask {
        KpiAsk::Once(_) => format!("last_over_time(({single})[1h:1h] offset {was})"),
        _ => format!("avg_over_time(({single})[1h:5m] offset {was})"),
    };
    let one = |was: &&str| format!("label_replace({}, \"was\", \"{was}\", \"\", \"\")", of(was));
    let query = WEEKS.iter().chain(&DAYS).map(one).collect::<Vec<_>>().join(" or ");
    let (mut weeks, mut days) = (Vec::new(), Vec::new());
    for series in looking.ask(&kpi.name, query, None).await? {
        let Some(value) = series.value().filter(|v| v.is_finite()) else { continue };
        if WEEKS.contains(&series.label("was")) { weeks.push(value) } else { days.push(value) }
    }
    past.insert(kpi.name.clone(), (clock::instant(), weeks.clone(), days.clone()));
    Ok((weeks, days))
}

/// The bucket of the quantile at each moment, in milliseconds; of several jobs that of the slowest.
fn quantiles(told: &[Series], of: f64, moments: &[i64]) -> Vec<Option<(f64, f64)>> {
    // Points are in the order of time: each series is walked once.
    let mut at = vec![0; told.len()];
    let mut one = |ms: i64| {
        let values: Vec<Option<f64>> = told
            .iter()
            .zip(&mut at)
            .map(|(s, at)| {
                *at += s.points[*at..].iter().take_while(|(t, _)| *t < ms).count();
                s.points.get(*at).filter(|(t, _)| *t == ms).map(|(_, v)| *v)
            })
            .collect();
        let found = slowest(told, of, &|place| values[place]);
        found.last().map(|(_, q)| (q.low_s * 1e3, q.high_s * 1e3))
    };
    moments.iter().map(|ms| one(*ms)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_scraped_seldom_is_seen_to_be() {
        let of = |text: &str| sparse(&text.chars().map(|c| (c == 'x').then_some((1.0, 1.0))).collect::<Vec<_>>());
        assert!(of("x-x-x-xx") && of("xxxxxx---") && of("xxx-x-xx-x"));
        assert!(!of("xxxxxxxx") && !of("----") && !of("-----xxx") && !of("xxxxxxxx-xx"));
    }

    #[test]
    fn the_slowest_job_counts_at_each_moment() {
        let bucket = |job: &str, le: &str, counts: &[f64]| Series {
            labels: Box::new([("job".into(), job.into()), ("le".into(), le.into())]),
            points: counts.iter().enumerate().map(|(n, v)| (n as i64 * 60_000, *v)).collect(),
            native: false,
        };
        let told = [
            bucket("a", "0.1", &[100.0, 100.0, 10.0]),
            bucket("a", "+Inf", &[100.0, 100.0, 100.0]),
            bucket("b", "0.1", &[0.0, 0.0]),
            bucket("b", "0.5", &[50.0, 0.0]),
            bucket("b", "+Inf", &[50.0, 0.0]),
        ];
        let found = quantiles(&told, 0.95, &[0, 60_000, 120_000, 180_000]);
        assert_eq!(found, [Some((100.0, 500.0)), Some((0.0, 100.0)), Some((100.0, f64::INFINITY)), None]);
    }
}
