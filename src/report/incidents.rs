//! What was wrong when, by the diagnoses that were said: spans in which something was raised, each with its cause. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::detect::diagnosis::rfc3339;
use crate::detect::finding::Severity;
use crate::model::foreign::tamed;
use crate::model::unit::{seconds, short};

/// Calm for longer ends an incident; nobody looked for longer: what was before is over, as far as is known. That, or three looks.
const CALM_MS: i64 = 30_000;
/// Another cause, while nothing of those before stood for longer, is another incident. That, or three looks.
const OVER_MS: i64 = 10_000;
/// A warning for shorter is none; where looks are far apart one is enough.
const PASSES_MS: i64 = 3_000;

/// Of a diagnosis what is needed here.
#[derive(Debug, Deserialize)]
struct Said {
    findings: Vec<Raised>,
}

#[derive(Debug, Deserialize)]
struct Raised {
    key: String,
    id: String,
    title: String,
    severity: Severity,
    explained_by: Option<String>,
    muted: Option<serde::de::IgnoredAny>,
    impact: Cost,
}

impl Raised {
    /// A root at warning or above.
    fn counts(&self) -> bool {
        self.severity != Severity::Info && self.explained_by.is_none() && self.muted.is_none() && !self.id.starts_with("source.")
    }
}

#[derive(Debug, Deserialize)]
struct Cost {
    benefit_s_per_s: Option<f64>,
}

/// A span in which something was wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// First and last moment, wall clock ms.
    pub span_ms: (i64, i64),
    /// The worst severity.
    pub worst: Severity,
    /// Id and title of what cost most in all, at its worst; of what fails or fills up and stood first for half of the time.
    pub cause: (String, String),
    /// Its highest cost, s/s.
    pub peak: f64,
}

/// A cause of the incident under way: at how many looks it stood first, what it cost in all of them together, its id, its title at its
/// worst, its highest cost.
struct Cause {
    firsts: u32,
    costs: f64,
    id: String,
    title: String,
    worst: Severity,
    peak: f64,
    /// When it stood last, first or not.
    last_ms: i64,
}

/// Folds diagnoses in their order.
#[derive(Default)]
pub struct Incidents {
    all: Vec<Incident>,
    span_ms: Option<(i64, i64)>,
    last_ms: i64,
    calm_ms: i64,
    causes: BTreeMap<String, Cause>,
}

impl std::fmt::Debug for Incidents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Incidents")
    }
}

impl Incidents {
    /// Looks are so far apart.
    pub fn every(&mut self, every_ms: u64) {
        self.calm_ms = i64::try_from(every_ms).unwrap_or(0).saturating_mul(3);
    }

    /// The next one, as JSON; what is none is passed over.
    pub fn add(&mut self, at_ms: i64, json: &[u8]) {
        let Ok(said) = serde_json::from_slice::<Said>(json) else { return };
        let calm_ms = self.calm_ms.max(CALM_MS);
        let gap = self.last_ms != 0 && at_ms - self.last_ms > calm_ms;
        self.last_ms = at_ms;
        if gap || self.span_ms.is_some_and(|(_, last)| at_ms - last > calm_ms) {
            self.end();
        }
        for f in &said.findings {
            if let Some(cause) = self.causes.get_mut(&f.key) {
                cause.last_ms = at_ms;
            }
        }
        let mut roots = said.findings.iter().filter(|f| f.counts()).peekable();
        let Some(first) = roots.peek() else { return };
        let over_ms = OVER_MS.max(self.calm_ms);
        let over = |c: &Cause| c.id != first.id && at_ms.saturating_sub(c.last_ms) > over_ms;
        if !self.causes.is_empty() && self.causes.values().all(over) {
            self.end();
        }
        let begin = self.span_ms.map_or(at_ms, |(begin, _)| begin);
        self.span_ms = Some((begin, at_ms));
        roots.enumerate().for_each(|(place, root)| self.stood(root, place == 0, at_ms));
    }

    /// One of the causes of a look.
    fn stood(&mut self, root: &Raised, first: bool, at_ms: i64) {
        let cost = root.impact.benefit_s_per_s.unwrap_or(0.0);
        // A recording may come from anywhere: what it says is text.
        let title = tamed(&root.title);
        let cause = self.causes.entry(root.key.clone()).or_insert_with(|| Cause {
            firsts: 0,
            costs: 0.0,
            id: tamed(&root.id),
            title: title.clone(),
            worst: root.severity,
            peak: cost,
            last_ms: at_ms,
        });
        cause.firsts += u32::from(first);
        cause.costs += cost;
        if root.severity < cause.worst || root.severity == cause.worst && cost > cause.peak {
            cause.title = title;
        }
        (cause.worst, cause.peak) = (cause.worst.min(root.severity), cause.peak.max(cost));
    }

    fn end(&mut self) {
        let causes = std::mem::take(&mut self.causes);
        let worst = causes.values().map(|c| c.worst).min();
        let counts = worst == Some(Severity::Critical) || self.calm_ms > CALM_MS;
        let Some(span_ms) = self.span_ms.take().filter(|(from, to)| counts || to - from >= PASSES_MS) else { return };
        // What was merely without a cause is one only where nothing else is.
        let named = |c: &&Cause| c.id != "app.unexplained";
        // What failed or fills up costs no time: it counts by how long it stood first.
        let looks: u32 = causes.values().map(|c| c.firsts).sum();
        let failed = |c: &Cause| c.peak <= 0.0 && 2 * c.firsts >= looks;
        let most = |a: &&Cause, b: &&Cause| {
            let by_place = || failed(a).cmp(&failed(b)).then(a.costs.total_cmp(&b.costs)).then(a.firsts.cmp(&b.firsts));
            b.worst.cmp(&a.worst).then_with(by_place)
        };
        let cause = causes.values().filter(named).max_by(most).or_else(|| causes.values().max_by(most));
        if let (Some(cause), Some(worst)) = (cause, worst) {
            self.all.push(Incident { span_ms, worst, cause: (cause.id.clone(), cause.title.clone()), peak: cause.peak });
        }
    }

    /// All of them; the last may go on.
    #[must_use]
    pub fn all(mut self) -> Vec<Incident> {
        self.end();
        self.all
    }
}

/// As a table for people, the oldest first.
#[must_use]
pub fn render(all: &[Incident]) -> String {
    if all.is_empty() {
        return "nothing was wrong\n".to_owned();
    }
    let mut out = String::new();
    for incident in all {
        let (from, to) = incident.span_ms;
        let lasted = seconds((to - from) as f64 / 1000.0);
        let cost = if incident.peak > 0.0 { format!("  {} s/s at its peak", short(incident.peak)) } else { String::new() };
        _ = writeln!(
            out,
            "{}  {lasted:>7}  {:<8}  {}{cost}\n{:>41}{}",
            rfc3339(from),
            incident.worst.word(),
            incident.cause.1,
            "",
            incident.cause.0
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(id: &str, severity: &str, benefit: f64) -> Vec<u8> {
        let rows = if id.is_empty() {
            String::new()
        } else {
            format!(
                r#"{{"key":"{id}|host|x","id":"{id}","title":"{id} {benefit}","severity":"{severity}","explained_by":null,"muted":null,
                "impact":{{"benefit_s_per_s":{benefit}}},"more":1}}"#
            )
        };
        format!(r#"{{"findings":[{rows}],"schema":1}}"#).into_bytes()
    }

    fn told(rows: &[(i64, &str, &str, f64)]) -> Vec<Incident> {
        let mut all = Incidents::default();
        rows.iter().for_each(|(at_s, id, severity, benefit)| all.add(at_s * 1000, &said(id, severity, *benefit)));
        all.all()
    }

    #[test]
    fn what_is_raised_on_and_off_is_one_incident_with_the_cause_that_stood_longest() {
        let all = told(&[
            (100, "app.unexplained", "warning", 0.0),
            (105, "host.cpu.contention", "warning", 1.0),
            (110, "host.cpu.contention", "critical", 4.0),
            (115, "", "", 0.0),
            (135, "host.cpu.contention", "critical", 2.0),
            // Calm for more than half a minute, and another.
            (155, "", "", 0.0),
            (185, "", "", 0.0),
            (220, "host.disk.full", "critical", 0.0),
            (230, "host.disk.full", "critical", 0.0),
        ]);
        let first = Incident {
            span_ms: (100_000, 135_000),
            worst: Severity::Critical,
            cause: ("host.cpu.contention".into(), "host.cpu.contention 4".into()),
            peak: 4.0,
        };
        assert_eq!(all[0], first);
        assert_eq!((all.len(), all[1].cause.0.as_str()), (2, "host.disk.full"));
    }

    /// Seven s/s behind a missing index for half a minute, while what hung on it stood first for some looks more: as the report has it.
    #[test]
    fn the_cause_of_an_incident_is_what_cost_most_in_it() {
        let rows =
            [(0, ["queue", "index"], [2.0, 1.5]), (1, ["queue", "index"], [2.0, 7.0]), (2, ["index", "queue"], [7.0, 2.0])];
        let mut all = Incidents::default();
        for (second, ids, costs) in rows {
            let row = |(id, cost)| {
                let text = String::from_utf8(said(id, "critical", cost)).unwrap();
                text.split_once("[").unwrap().1.rsplit_once("],").unwrap().0.to_owned()
            };
            let rows: Vec<String> = ids.into_iter().zip(costs).map(row).collect();
            all.add(100_000 + second * 1000, format!(r#"{{"findings":[{}],"schema":1}}"#, rows.join(",")).as_bytes());
        }
        assert_eq!(all.all()[0].cause.0, "index");
    }

    #[test]
    fn another_cause_a_while_after_the_first_is_another_incident() {
        let all = told(&[
            (100, "postgres.locks.hot_row", "critical", 7.0),
            (110, "postgres.locks.hot_row", "critical", 7.0),
            (115, "", "", 0.0),
            (125, "redis.command.slow", "critical", 2.0),
            (135, "redis.command.slow", "critical", 2.0),
        ]);
        assert_eq!(all.iter().map(|i| i.cause.0.as_str()).collect::<Vec<_>>(), ["postgres.locks.hot_row", "redis.command.slow"]);
    }

    #[test]
    fn what_passes_at_once_is_none_and_a_gap_ends_one() {
        assert_eq!(told(&[(100, "host.cpu.contention", "warning", 1.0), (103, "", "", 0.0)]), []);
        assert_eq!(told(&[(100, "host.disk.full", "critical", 0.0), (103, "", "", 0.0)]).len(), 1, "what fails counts at once");
        let mut slow = Incidents::default();
        slow.every(300_000);
        slow.add(600_000, &said("host.cpu.contention", "warning", 1.0));
        assert_eq!(slow.all().len(), 1, "a look each five minutes");
        let hog = |at| (at, "host.cpu.contention", "warning", 1.0);
        assert_eq!(told(&[hog(100), hog(110), hog(500), hog(510)]).len(), 2);
        assert_eq!(told(&[(100, "host.cpu.contention", "info", 1.0), (200, "host.cpu.contention", "info", 1.0)]), []);
        let mut all = Incidents::default();
        all.add(1000, b"no diagnosis");
        assert!(all.all().is_empty());
    }
}
