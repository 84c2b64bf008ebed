//! Two findings beside each other: which came up first, and whether one certainly costs more. Pure.

use crate::model::unit::seconds;

use super::{Class, Finding, Known, Severity};

/// Below this nobody can tell the order.
const TOGETHER_S: i64 = 15;
/// Where no interval is known: windows of seconds repeat to so much.
const REPEATS: f64 = 0.1;

impl Finding {
    /// When a symptom began, beside what explains it: `at the same time`, `40 s later`, `at least 3 min earlier`; nothing where nobody saw it.
    #[must_use]
    pub fn came(&self, symptom: &Self) -> Option<String> {
        let at = |f: &Self| f.since.at.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
        let later = at(symptom)? - at(self)?;
        let seen = |f: &Self| f.since.known == Known::Observed;
        // Of one whose beginning nobody saw only that is known: not after that.
        match later {
            s if seen(self) && seen(symptom) && s.abs() < TOGETHER_S => Some("at the same time".to_owned()),
            s if s >= TOGETHER_S && seen(symptom) => {
                let least = if seen(self) { "" } else { "at least " };
                Some(format!("{least}{} later", seconds(s as f64)))
            }
            s if s <= -TOGETHER_S && seen(self) => {
                let least = if seen(symptom) { "" } else { "at least " };
                Some(format!("{least}{} earlier", seconds(-s as f64)))
            }
            _ => None,
        }
    }

    /// Neither certainly costs more: both are roots of one severity, and their intervals overlap.
    #[must_use]
    pub fn tied(&self, other: &Self) -> bool {
        let root = |f: &Self| f.class == Class::Live && f.severity != Severity::Info && f.explained_by.is_none();
        let Some((a, b)) = self.impact.benefit_s_per_s.zip(other.impact.benefit_s_per_s) else { return false };
        let between = self.impact.ci_s_per_s.unwrap_or(a * REPEATS) + other.impact.ci_s_per_s.unwrap_or(b * REPEATS);
        self.key != other.key
            && self.severity == other.severity
            && root(self)
            && root(other)
            && a > 0.0
            && b > 0.0
            && (a - b).abs() <= between
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::diagnosis::Diagnosis;

    fn finding(at: &str, known: Known, benefit: f64, ci: Option<f64>) -> Finding {
        let text = include_str!("../../../tests/fixtures/diagnosis.json").replace("\"rows\"", "\"count\"");
        let all = serde_json::from_str::<Diagnosis>(&text).unwrap().findings;
        let mut f = all.into_iter().find(|f| f.class == Class::Live).unwrap();
        (f.since.at, f.since.known, f.severity, f.explained_by) = (at.into(), known, Severity::Warning, None);
        (f.key, f.impact.benefit_s_per_s, f.impact.ci_s_per_s) = (format!("{at}{benefit}"), Some(benefit), ci);
        f
    }

    #[test]
    fn a_symptom_is_dated_by_its_cause_as_far_as_someone_watched() {
        use Known::{AtLeast, Observed};
        let came = |cause: (&str, Known), symptom: (&str, Known)| {
            let of = |(clock, known): (&str, Known)| finding(&format!("2026-01-01T03:{clock}Z"), known, 1.0, None);
            of(cause).came(&of(symptom))
        };
        assert_eq!(came(("00:00", Observed), ("00:09", Observed)).as_deref(), Some("at the same time"));
        assert_eq!(came(("00:09", Observed), ("00:00", Observed)).as_deref(), Some("at the same time"));
        assert_eq!(came(("00:00", Observed), ("00:40", Observed)).as_deref(), Some("40 s later"));
        assert_eq!(came(("03:00", Observed), ("00:00", AtLeast)).as_deref(), Some("at least 3 min earlier"));
        assert_eq!(came(("00:00", AtLeast), ("00:40", Observed)).as_deref(), Some("at least 40 s later"));
        assert_eq!(came(("00:00", AtLeast), ("00:00", AtLeast)), None);
        assert_eq!(came(("00:00", Observed), ("00:09", AtLeast)), None, "it may be older than both");
        assert_eq!(came(("00:00", Observed), ("05:00", AtLeast)), None);
        assert_eq!(came(("05:00", AtLeast), ("00:00", Observed)), None);
    }

    #[test]
    fn what_overlaps_is_tied() {
        let tied = |a: (f64, Option<f64>), b: (f64, Option<f64>)| {
            let of = |(benefit, ci): (f64, Option<f64>), at: &str| finding(at, Known::Observed, benefit, ci);
            let (a, b) = (of(a, "2026-01-01T03:00:00Z"), of(b, "2026-01-01T03:00:01Z"));
            assert_eq!(a.tied(&b), b.tied(&a));
            a.tied(&b)
        };
        assert!(tied((2.0, Some(0.5)), (1.5, Some(0.2))));
        assert!(!tied((2.0, Some(0.2)), (1.5, Some(0.2))));
        assert!(tied((2.0, None), (1.9, None)));
        assert!(tied((2.0, None), (1.7, None)) && !tied((2.0, None), (1.5, None)));
        assert!(tied((2.0, Some(0.4)), (1.5, None)));
        let mut info = finding("2026-01-01T03:00:00Z", Known::Observed, 2.0, None);
        info.severity = Severity::Info;
        let same = Finding { key: "another".into(), ..info.clone() };
        assert!(!info.tied(&same) && !info.tied(&info));
    }
}
