//! The leading suspect of what clients suffer: of the causes that are raised, the first by rank that began around then. Order in time is
//! evidence, and no proof: it takes no seconds from anyone.

use crate::model::unit::Unit;

use super::finding::{Class, Finding, Known};
use super::kinds;
use super::verdict::evidence;

/// A cause may be seen so much later than what it causes, milliseconds: objectives are counted by the minute.
const LATER_MS: i64 = 120_000;
/// And may have begun so much earlier.
const EARLIER_MS: i64 = 3_600_000;

/// Names it in the evidence. `findings` are in order.
pub(super) fn name(findings: &mut [Finding]) {
    // What stood already when perftop came began at a time that nobody saw.
    let began = |f: &Finding| {
        let seen = f.since.known == Known::Observed;
        seen.then(|| f.since.at.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond())).flatten()
    };
    for at in 0..findings.len() {
        if !kinds::suffers(&findings[at].id) {
            continue;
        }
        let Some(burns_ms) = began(&findings[at]) else { continue };
        let cause = |f: &&Finding| f.raised() && matches!(f.class, Class::Live | Class::Error);
        let lead = |f: &Finding| began(f).map(|ms| burns_ms - ms).filter(|lead| (-LATER_MS..=EARLIER_MS).contains(lead));
        let suspect = findings.iter().filter(cause).find_map(|f| Some((f.title.clone(), lead(f)?)));
        if let Some((title, lead_ms)) = suspect {
            let (claim, seconds) = match lead_ms {
                ms if ms >= 0 => (format!("leading suspect, which began this long before: {title}"), ms),
                ms => (format!("leading suspect, first seen this long after: {title}"), -ms),
            };
            findings[at].evidence.push(evidence(claim, seconds as f64 / 1e3, Unit::Seconds, None, "prometheus.objective"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::finding::Severity;

    const FINDING: &str = r#"{"key":"k","rank":1,"id":"host.cpu.contention","source":"host","class":"live","severity":"warning","score":20,
        "confidence":0.9,"title":"dd takes all CPUs","subject":{"type":"process","key":"1@2","label":"dd","also":[]},
        "impact":{"kind":"time","lost_s_per_s":1.0,"share":0.5,"benefit_s_per_s":1.0,"ci_s_per_s":0.1,"failed_per_s":null,"eta_s":null},
        "since":{"at":"2026-11-20T03:10:00Z","known":"observed"},"evidence":[],"against":[],"explains":[],"explained_by":null,"fixes":[],
        "ended":false,"muted":null}"#;

    fn at(time: &str, change: impl FnOnce(&mut Finding)) -> Finding {
        let mut f: Finding = serde_json::from_str(FINDING).unwrap();
        f.since.at = format!("2026-11-20T{time}Z");
        change(&mut f);
        f
    }

    fn burns() -> Finding {
        at("03:10:00", |f| {
            (f.id, f.class, f.title) = ("slo.burn".into(), Class::Outcome, "shop burns".into());
        })
    }

    /// What stands in the evidence of the objective beside that cause.
    fn told(cause: Finding) -> Option<(String, f64)> {
        let mut all = [cause, burns()];
        name(&mut all);
        assert!(all[0].evidence.is_empty(), "a cause has no suspects");
        all[1].evidence.first().map(|e| (e.claim.clone(), e.value))
    }

    #[test]
    fn what_began_around_then_is_a_suspect() {
        let (claim, lead) = told(at("03:09:00", |_| {})).unwrap();
        assert_eq!((claim.as_str(), lead), ("leading suspect, which began this long before: dd takes all CPUs", 60.0));
        let (claim, lag) = told(at("03:11:00", |_| {})).unwrap();
        assert_eq!((claim.as_str(), lag), ("leading suspect, first seen this long after: dd takes all CPUs", 60.0));
        assert!(told(at("02:10:00", |_| {})).is_some(), "an hour before");
    }

    #[test]
    fn what_began_long_before_or_later_or_costs_nothing_is_none() {
        assert_eq!(told(at("02:09:59", |_| {})), None);
        assert_eq!(told(at("03:12:01", |_| {})), None);
        assert_eq!(told(at("03:09:00", |f| f.since.known = Known::AtLeast)), None, "nobody saw when it began");
        assert_eq!(told(at("03:09:00", |f| f.severity = Severity::Info)), None);
        assert_eq!(told(at("03:09:00", |f| f.class = Class::Hygiene)), None);
        assert_eq!(told(at("03:09:00", |f| f.class = Class::Risk)), None, "it has not happened");
    }
}
