//! The diagnosis as metrics for a Prometheus to scrape: text format 0.0.4, gauges only. No names of programs or queries: each culprit would be
//! a new series.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::detect::diagnosis::Diagnosis;
use crate::detect::finding::Severity;
use crate::detect::rules::unexplained;

/// All of them; `age_s`: how old the diagnosis is.
#[must_use]
pub fn render(d: &Diagnosis, age_s: f64) -> String {
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, rows: &[(String, f64)]| {
        _ = writeln!(out, "# HELP perftop_{name} {help}\n# TYPE perftop_{name} gauge");
        rows.iter().for_each(|(labels, value)| _ = writeln!(out, "perftop_{name}{labels} {value}"));
    };
    let plain = |value: f64| vec![(String::new(), value)];
    gauge(
        "status",
        "0 healthy, 1 warning, 2 critical, 3 unknown, as the exit code of perftop check.",
        &plain(f64::from(d.health.status.exit_code())),
    );
    if let Some(score) = d.health.score {
        gauge("score", "Health from 0 to 100.", &plain(score));
    }
    gauge("diagnosis_age_seconds", "Seconds since the host was judged.", &plain(age_s));
    let time = &d.time;
    gauge(
        "foreground_ratio",
        "Foreground time: seconds per second worked or waited by whoever serves somebody.",
        &plain(time.foreground_s_per_s),
    );
    gauge("productive_ratio", "The part of it in which work was done.", &plain(time.productive_s_per_s));
    gauge("unexplained_ratio", "Waiting that no cause explains, seconds per second.", &plain(time.unexplained_s_per_s));
    let states: Vec<_> = time.states.iter().map(|s| (labels(&[("state", s.state.id())]), s.s_per_s)).collect();
    gauge("state_ratio", "Foreground time by what it is spent on, seconds per second.", &states);
    // Several of one kind at one server are one series.
    let mut findings: BTreeMap<(&str, &str, &str), (f64, Option<f64>)> = BTreeMap::new();
    for f in d.findings.iter().filter(|f| f.explained_by.is_none() && f.muted.is_none()) {
        let sum = findings.entry((&f.id, &f.source, f.severity.word())).or_default();
        sum.0 += 1.0;
        // What nobody explains has a figure of its own; what costs no seconds, or not yet, has none.
        let benefit = f.impact.benefit_s_per_s.filter(|_| f.id != unexplained::ID);
        sum.1 = benefit.map(|b| b + sum.1.unwrap_or(0.0)).or(sum.1);
    }
    let of = |pick: fn(&(f64, Option<f64>)) -> Option<f64>| -> Vec<(String, f64)> {
        let row = |((id, source, severity), value): (&(&str, &str, &str), &(f64, Option<f64>))| {
            Some((labels(&[("id", id), ("source", source), ("severity", severity)]), pick(value)?))
        };
        findings.iter().filter_map(row).collect()
    };
    gauge("findings", "Causes that are there, by finding, server and severity.", &of(|v| Some(v.0)));
    gauge("finding_ratio", "What they cost: seconds per second that would be gained without them.", &of(|v| v.1));
    let raised = |wanted: Severity| d.findings.iter().filter(|f| f.raised() && f.severity == wanted).count() as f64;
    let severities = [Severity::Critical, Severity::Warning].map(|s| (labels(&[("severity", s.word())]), raised(s)));
    gauge("raised", "Causes at warning or above.", &severities);
    let checks = [("cleared", d.checks().count()), ("unknown", d.unknown.len())];
    gauge(
        "checks",
        "Checks that found nothing, and those that could not be made.",
        &checks.map(|(result, n)| (labels(&[("result", result)]), n as f64)),
    );
    let sources: Vec<_> = d.sources.iter().map(|s| (labels(&[("source", &s.id), ("state", s.state.word())]), 1.0)).collect();
    gauge("source", "Servers that are watched, by how they are seen.", &sources);
    out
}

fn labels(pairs: &[(&str, &str)]) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped() {
        assert_eq!(labels(&[("a", "x\"y\\z\n"), ("b", "1")]), "{a=\"x\\\"y\\\\z\\n\",b=\"1\"}");
    }
}
