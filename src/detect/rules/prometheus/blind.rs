//! slo.blind: an objective that counts nothing.

use crate::detect::finding::Class;
use crate::detect::params::Params;
use crate::detect::prometheus::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::prometheus::Counted;
use crate::model::seen::Why;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, seconds};

/// A pause shorter than this is none.
const HOUR_S: u64 = 3_600;

/// The rule.
pub const RULE: Rule = Rule {
    id: "slo.blind",
    class: Class::Outcome,
    culprit: Culprit::Many,
    says: "an objective's selector matches nothing, or its traffic is zero",
    params: &[],
    origins: &["prometheus.objective"],
    page: "\
An objective whose counters match no series, or cannot tell its limit, counts nothing, and would read as 100 % for ever: a
warning. One whose counters
stand still has no traffic: at night that is as it should be, so it is only said. A question that the server did not answer
is unknown, and neither.",
    judge: Judge::Prometheus(judge),
};

fn judge(view: &View<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    let mut judged = Judged::default();
    for counted in &view.server.counted {
        let name = counted.objective.name.as_str();
        let subject = Subject::new(SubjectType::Slo, name, name);
        let all = counted.windows.iter().all(|w| w.1.is_err());
        let first = counted.windows.iter().find_map(|w| w.1.as_ref().err().cloned());
        let elsewhere = view.facts.world.servers.prometheus.iter().any(|p| {
            let same = |c: &&std::sync::Arc<crate::model::prometheus::Counted>| c.objective.name == name;
            p.id != view.id && p.counted.iter().find(same).is_some_and(|c| c.windows.iter().any(|w| w.1.is_ok()))
        });
        let verdict = match (all, first) {
            (true, _) if elsewhere => Verdict::Clear("another server counts it".into()),
            (true, Some(lack)) if lack.why == Why::Absent => {
                let mut found = Found::new(Class::Outcome, format!("{name} cannot be counted: {}", lack.what));
                (found.standing, found.never_critical) = (Some(true), true);
                Verdict::Found(Box::new(found))
            }
            // It counted, and has stopped.
            (false, Some(lack)) if lack.why == Why::Absent && counted.windows.first().is_some_and(|w| w.1.is_err()) => {
                let window = counted.windows.first().map_or(0, |w| w.0);
                let mut found =
                    Found::new(Class::Outcome, format!("{name} has had no data for {}: {}", seconds(window as f64), lack.what));
                (found.standing, found.never_critical) = (Some(true), true);
                Verdict::Found(Box::new(found))
            }
            (true, Some(lack)) => Verdict::Unknown { because: lack.to_string(), lift: lack.lift },
            _ if idle_for(counted) >= HOUR_S => {
                let window = idle_for(counted);
                let mut found = Found::new(Class::Outcome, format!("{name} had no requests within {}", seconds(window as f64)));
                found.evidence = vec![evidence("requests", 0.0, Unit::Count, None, "prometheus.objective")];
                Verdict::Found(Box::new(found))
            }
            _ => Verdict::Clear("it has data".into()),
        };
        judged.verdicts.push((subject, verdict));
    }
    for why in view.server.left_out.iter() {
        let subject = Subject::new(SubjectType::Slo, why.shown(), "an objective of a file");
        judged.verdicts.push((subject, Verdict::Unknown { because: format!("left out: {}", why.shown()), lift: None }));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(Subject::new(SubjectType::Instance, view.id, view.id), "no objectives");
    }
    judged
}

/// The longest window without a request, seconds.
fn idle_for(counted: &Counted) -> u64 {
    let idle = counted.windows.iter().filter(|(_, s)| s.as_ref().is_ok_and(|s| s.requests == Some(0.0)));
    idle.map(|(window, _)| *window).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::prometheus::counted;
    use crate::detect::bench::{Bench, Table};
    use crate::model::seen::Lack;

    #[test]
    fn nothing_to_count_is_told_from_nothing_that_answers() {
        let lacks = |why: Why| {
            let mut counted = counted(1.0, |_| 0.0);
            counted.windows.iter_mut().for_each(|w| w.1 = Err(Lack::new(why, "no series")));
            Bench::counting(vec![counted])
        };
        Table {
            clear: Bench::counting(vec![counted(1.0, |_| 0.0)]),
            unknown: Some(lacks(Why::TimedOut)),
            found: lacks(Why::Absent),
            held: None,
        }
        .check(&RULE);
        Bench::counting(vec![counted(0.0, |_| 0.0)]).must_say(&RULE, "found shop had no requests within 30 d");
        let silent_for = |seconds: u64| {
            let mut stopped = counted(100.0, |_| 0.0);
            for (_, seen) in stopped.windows.iter_mut().filter(|w| w.0 <= seconds) {
                seen.as_mut().unwrap().requests = Some(0.0);
            }
            Bench::counting(vec![stopped])
        };
        silent_for(3_600).must_say(&RULE, "found shop had no requests within 60 min");
        silent_for(300).must_say(&RULE, "clear");
    }

    #[test]
    fn one_that_has_stopped_counting_is_told_from_one_that_another_server_counts() {
        let last = |why: Why| {
            let mut counted = counted(1.0, |_| 0.0);
            counted.windows[0].1 = Err(Lack::new(why, "no series"));
            Bench::counting(vec![counted])
        };
        last(Why::Absent).must_say(&RULE, "found shop has had no data for 5 min: no series");
        last(Why::TimedOut).must_say(&RULE, "clear");
        let mut lost = counted(1.0, |_| 0.0);
        lost.windows.iter_mut().for_each(|w| w.1 = Err(Lack::new(Why::Absent, "no series")));
        let both = Bench::counting(vec![lost]).with(|world| {
            let mut other = crate::detect::bench::prometheus::quiet();
            other.id = "prometheus:9091".into();
            other.counted = vec![std::sync::Arc::new(counted(1.0, |_| 0.0))];
            world.servers.prometheus.push(other);
        });
        both.must_say(&RULE, "clear");
    }
}
