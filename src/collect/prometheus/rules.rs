//! Evaluating rules of files, one after the other: does it hold now, since when, and is there anything that it can hold of.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use promql_parser::parser::parse;

use crate::collect::clock;
use crate::model::alerting::{Evaluated, RuleText};
use crate::model::foreign::{Foreign, tamed};
use crate::model::promql;
use crate::model::seen::{Lack, Why};

use super::answers::Series;
use super::count::Answers;
use super::question::{FAR, QUICK, Question, aligned};
use super::trouble::Trouble;

/// All rules are gone through in this time, or as fast as one a quarter of a second.
const ROUND: Duration = Duration::from_secs(30);
const LEAST: Duration = Duration::from_millis(250);
/// Between two rules of the first round.
const QUICKLY: Duration = Duration::from_millis(20);
/// An hour back, in half minutes, is looked at for when it began.
const HOUR_S: u64 = 3_600;
const STEP_S: u64 = 30;

/// The rules, and whose turn it is.
pub struct Rules {
    all: VecDeque<RuleText>,
    pause: Duration,
    /// When the next one is due.
    pub next: Option<Instant>,
    /// Metrics that there are, and that there are not.
    there: BTreeSet<String>,
    missing: BTreeSet<String>,
    /// Rules until what is missing is looked for again.
    left: usize,
    /// Rules that were not evaluated yet.
    fresh: usize,
}

impl Rules {
    /// Begins.
    #[must_use]
    pub fn new(rules: &[RuleText]) -> Self {
        let pause = ROUND.checked_div(u32::try_from(rules.len()).unwrap_or(u32::MAX).max(1)).unwrap_or(LEAST).max(LEAST);
        let next = (!rules.is_empty()).then(clock::instant);
        Self {
            all: rules.iter().cloned().collect(),
            pause,
            next,
            there: BTreeSet::new(),
            missing: BTreeSet::new(),
            left: 0,
            fresh: rules.len(),
        }
    }

    /// Evaluates the next one.
    ///
    /// # Errors
    /// The server cannot be asked at all.
    pub async fn step(&mut self, server: &mut impl Answers) -> Result<Option<Evaluated>, Trouble> {
        let Some(rule) = self.all.pop_front() else { return Ok(None) };
        self.all.push_back(rule.clone());
        // The first round is quick.
        self.fresh = self.fresh.saturating_sub(1);
        let pause = if self.fresh > 0 { QUICKLY } else { self.pause };
        self.next = Some(clock::instant() + pause);
        if self.left == 0 {
            (self.left, self.missing, self.there) = (self.all.len() * 10, BTreeSet::new(), BTreeSet::new());
        }
        self.left -= 1;
        let mut found = Evaluated {
            group: Foreign::from(rule.group.as_str()),
            name: Foreign::from(rule.name.as_str()),
            alert: rule.alert,
            severity: Foreign::from(rule.labels.get("severity").map_or("", String::as_str)),
            expr: Foreign::from(rule.expr.as_str()),
            for_s: rule.for_s,
            holds: Err(Lack::new(Why::NotYet, "the rule")),
            since_ms: None,
            first: None,
            at_ms: clock::now().wall_ms,
            defects: promql::defects(&rule.expr).iter().map(|d| Foreign::from(d.as_str())).collect(),
        };
        let now = Question { query: rule.expr.clone(), range: None, patience: QUICK };
        match server.ask("rules", now).await {
            Ok(told) => {
                let lack = told.warnings.first().map(|w| Lack::new(Why::Garbage, format!("not whole: {}", w.shown())));
                found.first = told.data.first().and_then(|s| Some((Foreign::from(about(s).as_str()), s.value()?)));
                found.holds = lack.map_or(Ok(u32::try_from(told.data.len()).unwrap_or(u32::MAX)), Err);
            }
            Err(trouble) if trouble.of_question() => {
                found.holds = Err(Lack::new(Why::Garbage, trouble.to_string()));
                // One that did not answer in time, or is overloaded, says nothing of the rule.
                if found.defects.is_empty() && trouble.of_expression() {
                    found.defects.push(Foreign::from(format!("the server refuses it: {trouble}").as_str()));
                }
            }
            Err(trouble) => return Err(trouble),
        }
        if found.alert && found.holds.as_ref().is_ok_and(|n| *n > 0) {
            found.since_ms = self.since(server, &rule.expr, rule.for_s).await?;
        }
        if found.holds.as_ref().is_ok_and(|n| *n == 0) || !found.alert {
            let missing = self.matches_nothing(server, &rule.expr).await?;
            found.defects.extend(missing.into_iter().map(|m| Foreign::from(format!("{m} matches nothing").as_str())));
        }
        Ok(Some(found))
    }

    /// Since when one of its series has been there without a break.
    async fn since(&self, server: &mut impl Answers, expr: &str, for_s: u64) -> Result<Option<i64>, Trouble> {
        let span_s = HOUR_S + for_s;
        let step_s = STEP_S.max(span_s / HOUR_S * STEP_S);
        let range = aligned(clock::now().wall_ms / 1000, span_s, step_s);
        let question = Question { query: expr.to_owned(), range: Some(range), patience: FAR };
        match server.ask("rules", question).await {
            Ok(told) => Ok(told.data.iter().filter_map(|s| begin(s, range.1 * 1000, range.2)).min()),
            Err(trouble) if trouble.of_question() => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// The selectors of an expression that no series fits.
    async fn matches_nothing(&mut self, server: &mut impl Answers, expr: &str) -> Result<Vec<String>, Trouble> {
        const MOST: usize = 8;
        let mut nothing = Vec::new();
        // What is asked whether it is there may well not be.
        let Ok(parsed) = parse(expr) else { return Ok(nothing) };
        // Of a metric that is there a label may be still to come: the first failure makes its series.
        for selector in promql::metrics(&parsed).into_iter().take(MOST) {
            if self.there.contains(&selector) {
                continue;
            }
            if !self.missing.contains(&selector) {
                let question = Question { query: format!("count({selector})"), range: None, patience: QUICK };
                match server.ask("rules", question).await {
                    Ok(told) if told.data.is_empty() => _ = self.missing.insert(selector.clone()),
                    Ok(_) => _ = self.there.insert(selector.clone()),
                    Err(trouble) if trouble.of_question() => continue,
                    Err(trouble) => return Err(trouble),
                }
            }
            if self.missing.contains(&selector) {
                nothing.push(selector);
            }
        }
        Ok(nothing)
    }
}

/// The begin of the run of points that ends at the newest step.
fn begin(series: &Series, end_ms: i64, step_s: u64) -> Option<i64> {
    let step = i64::try_from(step_s).unwrap_or(30) * 1000;
    let mut begin = None;
    for (at, _) in series.points.iter().rev() {
        let expected = begin.map_or(end_ms, |b: i64| b - step);
        if *at != expected {
            break;
        }
        begin = Some(*at);
    }
    begin
}

fn about(series: &Series) -> String {
    let plain = |name: &str| !["__name__", "job", "alertname", "severity"].contains(&name);
    let rows = series.labels.iter().filter(|(name, _)| plain(name));
    tamed(&rows.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_at_the_newest_step() {
        let of = |points: &[i64]| {
            begin(&Series { points: points.iter().map(|p| (p * 30_000, 1.0)).collect(), ..Series::default() }, 300_000, 30)
        };
        assert_eq!(of(&[6, 8, 9, 10]), Some(240_000));
        assert_eq!(of(&[6, 7, 8]), None, "it holds no more");
        assert_eq!(of(&[10]), Some(300_000));
    }
}
