//! Key figures: the last hour of each, and the same hour of weeks and days before.

use crate::collect::clock;
use crate::model::foreign::Foreign;
use crate::model::kpi::{Kpi, KpiAsk, KpiPlan, Kpis, Measured, STEP_S};
use crate::model::prometheus::Quantile;

use super::answers::{Series, Told};
use super::count::Answers;
use super::question::{FAR, Question, aligned};
use super::share::buckets;
use super::trouble::Trouble;

const HOUR_S: u64 = 3_600;
/// The same hour before, weeks and days.
const WEEKS: [&str; 4] = ["1w", "2w", "3w", "4w"];
const DAYS: [&str; 3] = ["1d", "2d", "3d"];

/// Measures all of them.
///
/// # Errors
/// The server cannot be asked at all.
pub async fn measure(server: &mut impl Answers, plan: &KpiPlan) -> Result<Kpis, Trouble> {
    let begin_ns = clock::mono_ns();
    let mut found = Kpis { at_ms: clock::now().wall_ms, habits: plan.habits, ..Kpis::default() };
    for kpi in &plan.kpis {
        let measured = one(server, kpi, &mut found).await?;
        found.all.push(measured);
    }
    found.cost.took_ms = clock::mono_ns().saturating_sub(begin_ns) / 1_000_000;
    Ok(found)
}

async fn one(server: &mut impl Answers, kpi: &Kpi, found: &mut Kpis) -> Result<Measured, Trouble> {
    let mut measured = Measured { kpi: kpi.clone(), points: Vec::new(), weeks: Vec::new(), days: Vec::new() };
    let range = aligned(found.at_ms / 1000, HOUR_S, STEP_S);
    let worst = if kpi.lower { "min" } else { "max" };
    let (asked, single) = match &kpi.ask {
        KpiAsk::Query(query) => (format!("{worst}({query})"), format!("{worst}({query})")),
        KpiAsk::Quantile { of, buckets } => {
            let rates = format!("sum by (le, job) (rate({buckets}[5m]))");
            let single = format!("1000 * max(histogram_quantile({of}, {rates}))");
            (rates, single)
        }
        KpiAsk::Nothing => return Ok(measured),
    };
    let told = ask(server, kpi, found, Question { query: asked, range: Some(range), patience: FAR }).await?;
    let steps = (range.0..=range.1).step_by(usize::try_from(STEP_S).unwrap_or(60));
    measured.points = match &kpi.ask {
        KpiAsk::Quantile { of, .. } => steps.map(|s| quantile(&told, *of, s * 1000)).collect(),
        _ => steps.map(|s| at(told.first()?, s * 1000).map(|v| (v, v))).collect(),
    };
    if measured.now().is_none() {
        return Ok(measured);
    }
    let before =
        |was: &&str| format!("label_replace(avg_over_time(({single})[1h:5m] offset {was}), \"was\", \"{was}\", \"\", \"\")");
    let query = WEEKS.iter().chain(&DAYS).map(before).collect::<Vec<_>>().join(" or ");
    for series in ask(server, kpi, found, Question { query, range: None, patience: FAR }).await? {
        let Some(value) = series.value().filter(|v| v.is_finite()) else { continue };
        if WEEKS.contains(&series.label("was")) { measured.weeks.push(value) } else { measured.days.push(value) }
    }
    Ok(measured)
}

async fn ask(server: &mut impl Answers, kpi: &Kpi, found: &mut Kpis, question: Question) -> Result<Vec<Series>, Trouble> {
    found.cost.requests += 1;
    match server.ask("kpis", question).await {
        Ok(Told { data, warnings, bytes }) => {
            found.cost.bytes += bytes as u64;
            match warnings.first() {
                None => Ok(data),
                Some(said) => {
                    found.lacks.insert(kpi.name.clone(), said.clone());
                    Ok(Vec::new())
                }
            }
        }
        Err(trouble) if trouble.of_question() => {
            found.lacks.insert(kpi.name.clone(), Foreign::from(trouble.to_string().as_str()));
            Ok(Vec::new())
        }
        Err(trouble) => Err(trouble),
    }
}

/// The value of a series at a moment.
fn at(series: &Series, ms: i64) -> Option<f64> {
    series.points.iter().find(|(t, _)| *t == ms).map(|(_, v)| *v).filter(|v| v.is_finite())
}

/// The bucket of the quantile at a moment, in milliseconds; of several jobs that of the slowest.
fn quantile(told: &[Series], of: f64, ms: i64) -> Option<(f64, f64)> {
    let mut jobs: Vec<&str> = told.iter().map(|s| s.label("job")).collect();
    jobs.sort_unstable();
    jobs.dedup();
    let one = |job: &&str| {
        let all = told.iter().filter(|s| s.label("job") == *job);
        let known: Vec<(f64, f64)> = all.filter_map(|s| Some((s.label("le").parse().ok()?, at(s, ms)?))).collect();
        Quantile::find(of, &buckets(known))
    };
    let found: Vec<Quantile> = jobs.iter().filter_map(one).collect();
    let worst = found.iter().max_by(|a, b| a.high_s.total_cmp(&b.high_s).then(a.low_s.total_cmp(&b.low_s)))?;
    Some((worst.low_s * 1e3, worst.high_s * 1e3))
}
