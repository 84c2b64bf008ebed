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
