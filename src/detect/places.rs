//! A root holds its place in the list until another leads by a third for five seconds: the eye needs a list that stands still. Pure.

use serde::{Deserialize, Serialize};

use super::finding::Finding;

/// To pass one that stands before it, a root must gain so much more.
const LEADS: f64 = 4.0 / 3.0;
/// And for so long.
const LONG_MS: i64 = 5_000;

/// Who stood where.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Places {
    /// Keys of the live roots, the first first.
    before: Vec<String>,
    /// Who has led whom since when.
    leads: Vec<Lead>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lead {
    behind: String,
    ahead: String,
    since_ms: i64,
}

impl Places {
    /// Puts live roots of one severity back where they stood: those that `holds` picks. `findings` are in order.
    pub(super) fn hold(&mut self, findings: &mut [Finding], holds: impl Fn(&Finding) -> bool, now_ms: i64) {
        let mut leads = Vec::new();
        let mut at = 0;
        while at < findings.len() {
            let severity = findings[at].severity;
            let same = findings[at..].iter().take_while(|f| holds(f) && f.severity == severity).count();
            if same > 1 {
                self.settle(&mut findings[at..at + same], &mut leads, now_ms);
            }
            at += same.max(1);
        }
        self.leads = leads;
        self.before = findings.iter().filter(|f| holds(f)).map(|f| f.key.clone()).collect();
    }

    /// The clock was set: what was dated by the old one moves along.
    pub(super) fn clock_set(&mut self, by_ms: i64) {
        self.leads.iter_mut().for_each(|lead| lead.since_ms += by_ms);
    }

    /// Roots of one severity.
    fn settle(&self, roots: &mut [Finding], leads: &mut Vec<Lead>, now_ms: i64) {
        let place = |f: &Finding| self.before.iter().position(|key| *key == f.key).unwrap_or(usize::MAX);
        // Newcomers stand behind, by what they cost.
        roots.sort_by_key(|f| place(f));
        for (at, behind) in roots.iter().enumerate() {
            for ahead in roots[..at].iter().filter(|ahead| leads_by_a_third(behind, ahead)) {
                leads.push(Lead {
                    behind: behind.key.clone(),
                    ahead: ahead.key.clone(),
                    since_ms: self.since(behind, ahead, now_ms),
                });
            }
        }
        let passes = |behind: &Finding, ahead: &Finding| {
            let stood = place(ahead) != usize::MAX;
            let long = |l: &Lead| l.behind == behind.key && l.ahead == ahead.key && now_ms - l.since_ms >= LONG_MS;
            stood && leads.iter().any(long)
        };
        for from in 1..roots.len() {
            let mut at = from;
            while at > 0 && passes(&roots[at], &roots[at - 1]) {
                roots.swap(at - 1, at);
                at -= 1;
            }
        }
    }

    fn since(&self, behind: &Finding, ahead: &Finding, now_ms: i64) -> i64 {
        let known = self.leads.iter().find(|l| l.behind == behind.key && l.ahead == ahead.key);
        known.map_or(now_ms, |l| l.since_ms)
    }
}

fn leads_by_a_third(behind: &Finding, ahead: &Finding) -> bool {
    let benefit = |f: &Finding| f.impact.benefit_s_per_s.unwrap_or(0.0);
    benefit(behind) > 0.0 && benefit(behind) >= LEADS * benefit(ahead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::diagnosis::Diagnosis;
    use crate::detect::finding::{Class, Severity};

    /// Roots in the order of their benefit, as they come from the ranks.
    fn roots(all: &[(&str, Severity, f64)]) -> Vec<Finding> {
        let text = include_str!("../../tests/fixtures/diagnosis.json").replace("\"rows\"", "\"count\"");
        let one =
            serde_json::from_str::<Diagnosis>(&text).unwrap().findings.into_iter().find(|f| f.class == Class::Live).unwrap();
        let root = |(key, severity, benefit): &(&str, Severity, f64)| {
            let mut f = one.clone();
            (f.key, f.severity, f.impact.benefit_s_per_s, f.explained_by) = ((*key).into(), *severity, Some(*benefit), None);
            f
        };
        let mut roots: Vec<Finding> = all.iter().map(root).collect();
        roots.sort_by(|a, b| {
            a.severity.cmp(&b.severity).then(b.impact.benefit_s_per_s.unwrap().total_cmp(&a.impact.benefit_s_per_s.unwrap()))
        });
        roots
    }

    fn order(places: &mut Places, all: &[(&str, Severity, f64)], second: i64) -> String {
        let mut findings = roots(all);
        places.hold(&mut findings, |_| true, second * 1000);
        findings.iter().map(|f| f.key.as_str()).collect()
    }

    use Severity::{Critical, Warning};

    #[test]
    fn a_root_holds_its_place_until_another_leads_by_a_third_for_five_seconds() {
        let mut places = Places::default();
        assert_eq!(order(&mut places, &[("a", Warning, 1.0), ("b", Warning, 0.9)], 0), "ab");
        // A little more, for however long.
        for second in 1..20 {
            assert_eq!(order(&mut places, &[("a", Warning, 1.0), ("b", Warning, 1.3)], second), "ab", "{second}");
        }
        let leads = [("a", Warning, 1.0), ("b", Warning, 1.4)];
        for second in 20..25 {
            assert_eq!(order(&mut places, &leads, second), "ab", "{second}");
        }
        assert_eq!(order(&mut places, &leads, 25), "ba");
        assert_eq!(order(&mut places, &[("a", Warning, 1.4), ("b", Warning, 1.2)], 26), "ba", "and holds it then");
    }

    #[test]
    fn a_lead_that_was_lost_begins_anew() {
        let mut places = Places::default();
        let (even, leads) = ([("a", Warning, 1.0), ("b", Warning, 0.9)], [("a", Warning, 1.0), ("b", Warning, 2.0)]);
        order(&mut places, &even, 0);
        for second in 1..40 {
            let now = if second % 4 == 0 { &even } else { &leads };
            assert_eq!(order(&mut places, now, second), "ab");
        }
    }

    #[test]
    fn what_is_more_severe_stands_first_at_once_and_newcomers_stand_by_their_benefit() {
        let mut places = Places::default();
        order(&mut places, &[("a", Warning, 1.0)], 0);
        assert_eq!(order(&mut places, &[("a", Warning, 1.0), ("b", Critical, 0.5)], 1), "ba");
        let mut places = Places::default();
        order(&mut places, &[("a", Warning, 1.0)], 0);
        assert_eq!(order(&mut places, &[("a", Warning, 1.0), ("c", Warning, 3.0), ("b", Warning, 2.0)], 1), "acb");
        for second in 2..6 {
            order(&mut places, &[("a", Warning, 1.0), ("c", Warning, 3.0), ("b", Warning, 2.0)], second);
        }
        assert_eq!(order(&mut places, &[("a", Warning, 1.0), ("c", Warning, 3.0), ("b", Warning, 2.0)], 6), "cba");
    }
}
