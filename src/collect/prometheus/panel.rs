//! What panels ask: a query over time or now, and the values of a label.

use std::collections::BTreeSet;

use crate::collect::clock;
use crate::model::foreign::tamed;
use crate::model::prometheus::{Line, Lines};
use crate::model::seen::{Lack, Seen, Why};

use super::answers::Series;
use super::count::Answers;
use super::question::{FAR, Question, aligned};
use super::trouble::Trouble;

/// Series of a panel; more cannot be told apart.
const LINES: usize = 60;
/// Points of a series: the server has a limit of its own, too.
const POINTS: u64 = 2_000;
/// Values of a label.
const VALUES: usize = 2_000;

/// The series of a query.
///
/// # Errors
/// The server cannot be asked at all.
pub async fn query(server: &mut impl Answers, expr: &str, span_s: u64, step_s: u64) -> Result<Seen<Lines>, Trouble> {
    let end_s = clock::now().wall_ms / 1000;
    // It ends with the minute, however coarse its steps are: what happens now is what is looked for.
    let range = (step_s > 0).then(|| {
        let step_s = step_s.max(span_s / POINTS);
        let (_, end, _) = aligned(end_s, 0, step_s.min(60));
        (end - i64::try_from(span_s / step_s * step_s).unwrap_or(3_600), end, step_s)
    });
    let told = match server.ask("dashboard", Question { query: expr.to_owned(), range, patience: FAR }).await {
        Ok(told) => told,
        Err(trouble) if trouble.of_question() => return Ok(Err(Lack::new(Why::Garbage, trouble.to_string()))),
        Err(trouble) => return Err(trouble),
    };
    if let Some(said) = told.warnings.first() {
        return Ok(Err(Lack::new(Why::Garbage, format!("not whole: {}", said.shown()))));
    }
    let (begin, end, step) = range.unwrap_or((end_s, end_s, 1));
    let mut all: Vec<Line> = told.data.iter().map(|series| line(series, (begin, end, step), range.is_none())).collect();
    let found = all.len();
    let last = |l: &Line| l.figure("last").filter(|v| v.is_finite()).unwrap_or(f64::NEG_INFINITY);
    all.sort_by(|a, b| last(b).total_cmp(&last(a)).then_with(|| a.labels.cmp(&b.labels)));
    all.truncate(LINES);
    // In the order of their labels, as they were answered: one that sorts by what they have changes places each time.
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(Ok(Lines { begin_ms: begin * 1000, step_s: if range.is_some() { step } else { 0 }, all, found }))
}

fn line(series: &Series, (begin, end, step): (i64, i64, u64), now: bool) -> Line {
    let labels = series.labels.iter().map(|(n, v)| (tamed(n), tamed(v))).collect();
    if now {
        return Line { labels, points: vec![series.value()], native: series.native };
    }
    let step_ms = i64::try_from(step).unwrap_or(60).max(1) * 1000;
    let steps = ((end - begin) * 1000 / step_ms).clamp(0, 20_000) as usize;
    let mut points = vec![None; steps + 1];
    for (at, value) in &series.points {
        let place = usize::try_from((at - begin * 1000) / step_ms).unwrap_or(usize::MAX);
        if let Some(point) = points.get_mut(place).filter(|_| value.is_finite()) {
            *point = Some(*value);
        }
    }
    Line { labels, points, native: series.native }
}

/// The values of a label, of the series of a selector.
///
/// # Errors
/// The server cannot be asked at all.
pub async fn values(server: &mut impl Answers, selector: &str, label: &str) -> Result<Seen<Vec<String>>, Trouble> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if label.is_empty() || !label.chars().all(plain) {
        return Ok(Err(Lack::new(Why::Garbage, "a label that is none")));
    }
    let of = if selector.is_empty() { format!("{{{label}!=\"\"}}") } else { selector.to_owned() };
    let query = format!("group by ({label}) ({of})");
    match server.ask("dashboard", Question { query, range: None, patience: FAR }).await {
        Ok(told) => {
            let all: BTreeSet<String> = told.data.iter().map(|s| s.label(label).to_owned()).filter(|v| !v.is_empty()).collect();
            Ok(Ok(all.into_iter().take(VALUES).collect()))
        }
        Err(trouble) if trouble.of_question() => Ok(Err(Lack::new(Why::Garbage, trouble.to_string()))),
        Err(trouble) => Err(trouble),
    }
}
