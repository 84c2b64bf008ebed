//! slo.burn: an objective spends its budget of failures too fast.

use crate::detect::finding::Class;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::prometheus::{Burn, Burning, FAILURES, View, burn};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::prometheus::Counted;
use crate::model::seen::{Lack, Why};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, count, seconds, short};

const URGENT: Param = Param {
    name: "failures_urgent",
    unit: Unit::Count,
    default: FAILURES.0,
    min: 1.0,
    max: 1e6,
    what: "failures within the long window below which nobody is called",
};
const LATER: Param = Param {
    name: "failures_later",
    unit: Unit::Count,
    default: FAILURES.1,
    min: 1.0,
    max: 1e6,
    what: "the same for what can wait until the morning",
};

/// The whole of a budget, percent.
const WHOLE: f64 = 100.0;

/// The rule.
pub const RULE: Rule = Rule {
    id: "slo.burn",
    class: Class::Outcome,
    culprit: Culprit::Many,
    says: "an objective burns its budget too fast",
    params: &[URGENT, LATER],
    origins: &["prometheus.objective"],
    page: "\
The budget of an objective is the share of requests that may fail over its period. The burn rate says how many times faster
than even it is spent: the share that failed, over the share that may. Two windows must agree: 14.4 times over an hour and
five minutes, 6 over six hours and half an hour (critical); 3 over a day and two hours, 1 over three days and six hours
(warning). For another period the factors follow from the part of the budget: 2 %, 5 %, 10 % and 10 %. Failures fewer than
`failures_urgent` and `failures_later` raise nothing: with ten requests an hour one failure is no incident.

Counters are read as raw samples: a reset counts from zero, a counter that is born while its target is known counts from
zero, and nothing is extrapolated. Where the limit of a latency lies within a bucket, the lesser share counts.

It says that clients suffer, and not why: the findings that began just before it are its suspects, and stand in its
evidence. While an objective burns urgently, it stands in for the stretch of other findings.",
    judge: Judge::Prometheus(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let mut judged = Judged::default();
    for counted in &view.server.counted {
        let subject = subject(counted);
        let held = is_held(prev, &subject);
        let needed = (params.limit(URGENT, held), params.limit(LATER, held));
        let verdict = match burn(counted, needed, held) {
            Burn::Burns(burning) => Verdict::Found(Box::new(found(counted, &burning, needed))),
            Burn::Even { reach } => {
                Verdict::Clear(format!("{} of the burn rate at which it would alert", Unit::Percent.show(reach * 100.0)))
            }
            Burn::Few { failures } => Verdict::Clear(format!("only {} failures", count(failures))),
            Burn::Idle => Verdict::Clear("no requests".into()),
            Burn::Unknown => {
                let lack = counted.windows.iter().find_map(|(_, seen)| seen.as_ref().err().cloned());
                let lack = lack.unwrap_or_else(|| Lack::new(Why::NotYet, "its counters"));
                Verdict::Unknown { because: lack.to_string(), lift: lack.lift }
            }
        };
        judged.verdicts.push((subject, verdict));
    }
    if judged.verdicts.is_empty() {
        let whole = Subject::new(SubjectType::Instance, view.id, view.id);
        return Judged::clear(whole, "no objectives: [objectives.NAME] in the configuration, or a file of sloth or pyrra");
    }
    judged
}

fn subject(counted: &Counted) -> Subject {
    let name = counted.objective.name.as_str();
    Subject::new(SubjectType::Slo, name, name)
}

fn found(counted: &Counted, b: &Burning, needed: (f64, f64)) -> Found {
    let objective = &counted.objective;
    let percent = format!("{} %", objective.percent());
    let left = counted.left();
    let rest = match (left, counted.spent_in()) {
        (Some((left, _)), _) if left <= 0.0 => "; the budget is spent".to_owned(),
        (Some(_), Some(s)) => format!("; at this pace the budget is spent in {}", seconds(s)),
        _ => String::new(),
    };
    let title = format!("{} ({percent}) burns its budget {} times too fast{rest}", objective.name, short(b.over.1.min(b.over.0)));
    let mut found = Found::new(Class::Outcome, title);
    found.standing = Some(true);
    found.never_critical = !b.pair.urgent;
    found.age_s = Some(b.age_s).filter(|s| *s > 0.0);
    let row = |window: u64, over: f64| {
        let claim = format!("burn rate over {}", seconds(window as f64));
        evidence(claim, over, Unit::Ratio, Some(b.factor), "prometheus.objective")
    };
    found.evidence = vec![row(b.pair.long_s, b.over.0), row(b.pair.short_s, b.over.1)];
    if let Some(failures) = b.failures {
        let least = if b.pair.urgent { needed.0 } else { needed.1 };
        let claim = format!("failures within {}", seconds(b.pair.long_s as f64));
        found.evidence.push(evidence(claim, failures, Unit::Count, Some(least), "prometheus.objective"));
    }
    if let Some((left, covered_s)) = left {
        let claim = match covered_s + 7_200.0 < objective.period_s as f64 {
            true => format!("of the budget is spent, as far as the storage reaches back ({})", seconds(covered_s)),
            false => format!("of the budget of {} is spent", seconds(objective.period_s as f64)),
        };
        let spent = (1.0 - left) * 100.0;
        found.evidence.push(evidence(claim, spent, Unit::Percent, Some(WHOLE), "prometheus.objective").of_capacity());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::prometheus::counted;
    use crate::detect::bench::{Bench, Table};

    #[test]
    fn an_objective_that_burns_is_found_and_held() {
        let of = |failed: f64| Bench::counting(vec![counted(100.0, move |_| failed)]);
        let mut unknown = counted(1.0, |_| 0.0);
        unknown.windows.iter_mut().for_each(|w| w.1 = Err(Lack::new(Why::Absent, "no series")));
        Table { clear: of(0.0), unknown: Some(Bench::counting(vec![unknown])), found: of(0.02), held: Some(of(0.0008)) }
            .check(&RULE);
        of(0.02).must_say(&RULE, "found shop (99.9 %) burns its budget 20 times too fast; the budget is spent");
        Bench::counting(Vec::new()).must_say(&RULE, "clear");
        // One failure in ten requests an hour is a hundred times the budget, and no incident.
        Bench::counting(vec![counted(10.0 / 3_600.0, |w| if w <= 3_600 { 0.1 } else { 0.0 })]).must_say(&RULE, "clear");
    }
}
