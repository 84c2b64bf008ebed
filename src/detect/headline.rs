//! The verdict in one line: one value, built once, that the screen, the text, Markdown and the JSON show. Pure.

use crate::model::source::SourceStatus;
use crate::model::unit::{seconds, short};

use super::diagnosis::{Diagnosis, Headline, Health, IDLE, Status, Time, UnknownRow};
use super::finding::{Class, Finding, Severity};
use super::rules::service_stalled;

/// Seconds per second without a cause, and their share of the foreground time, from which the verdict is open: what
/// `app.unexplained` asks for by default, so that the second before it is raised does not read healthy.
const WAITS: f64 = 0.3;
const MUCH: f64 = 0.3;

/// So much of `total` that no verdict is without it.
#[must_use]
pub fn much(seconds: f64, total: f64) -> bool {
    seconds >= WAITS && seconds >= MUCH * total
}

/// Much of the time goes into what the operator muted: that is known, and opens nothing.
#[must_use]
pub fn hidden(findings: &[Finding], total: f64) -> bool {
    let muted = findings.iter().filter(|f| f.explained_by.is_none() && f.muted.is_some());
    much(muted.filter_map(|f| f.impact.lost_s_per_s).sum(), total)
}

/// The verdict on a host, with what could not be checked; `provisional`: nothing was measured yet.
#[must_use]
pub fn headline(
    health: &Health,
    time: &Time,
    findings: &[Finding],
    (sources, unknown): (&[SourceStatus], &[UnknownRow]),
    provisional: bool,
) -> Headline {
    if let Some(f) = findings.iter().find(|f| f.raised()) {
        let victims = findings.iter().filter(|v| v.explained_by.as_deref() == Some(f.key.as_str()));
        let outcomes = victims.filter(|v| v.class == Class::Outcome && v.muted.is_none()).map(|v| v.severity);
        return raised(f, outcomes.fold(f.severity, Severity::min), sources);
    }
    let total = time.foreground_s_per_s;
    let waits = total - time.productive_s_per_s;
    let open = |says: String| Headline { status: Status::Unknown, says, ..Headline::default() };
    if provisional {
        return open("Collecting: provisional figures (kernel averages); the verdict follows in a second".into());
    }
    if health.status == Status::Unknown {
        // The way to see more comes first.
        let server = unknown.iter().find(|u| u.source != "host" && u.lift.is_some());
        let why = server
            .map_or_else(String::new, |u| format!(": {}: {}; {}", u.source, u.because, u.lift.as_deref().unwrap_or_default()));
        return open(format!("No bottleneck found on this host, but not everything could be checked{why}"));
    }
    // Requests stand, and nobody knows yet whether they always do.
    let stands =
        unknown.iter().find(|u| u.id == service_stalled::ID).map_or_else(String::new, |u| format!("; but {}", u.because));
    let fine = |says: String| Headline { status: Status::Healthy, says: format!("{says}{stands}"), ..Headline::default() };
    if total < IDLE {
        return fine("Nothing waits: the foreground is idle".into());
    }
    let lost = |f: &Finding| f.impact.lost_s_per_s.unwrap_or(0.0);
    let unexplained = time.unexplained_s_per_s;
    if hidden(findings, total) {
        let muted = findings.iter().filter(|f| f.muted.is_some()).count();
        return open(format!("{muted} muted: {} of {} s/s waiting", short(waits), short(total)));
    }
    // A cause that has just ended, or one that nobody knows.
    if much(unexplained, total) {
        let of = format!("{} of {} s/s", short(unexplained), short(total));
        return open(format!("{of} waiting, no single cause identified; the host may just be recovering"));
    }
    let rest = if unexplained >= 0.05 {
        format!("; {} s/s wait, no single cause identified", short(unexplained))
    } else {
        String::new()
    };
    // Known, and of nobody's concern but its own.
    let own = findings.iter().filter(|f| f.costs(total)).max_by(|a, b| lost(a).total_cmp(&lost(b)));
    if let Some(own) = own {
        return fine(format!("Nothing above info: {}{}{rest}", whose(sources, &own.source), own.title));
    }
    let share = 100.0 * time.productive_s_per_s / total;
    fine(format!("No bottleneck on this host: {share:.0} % of {} s/s of foreground time is productive{rest}", short(total)))
}

impl Diagnosis {
    /// The health as people read it: `open`, and no "healthy, score 100", over a verdict that is open because much of the waiting has no
    /// known cause yet. What is muted is the operator's own choice, and opens nothing. The exit code is that of the findings.
    #[must_use]
    pub fn standing(&self) -> (&'static str, Option<f64>) {
        let muted = hidden(&self.findings, self.time.foreground_s_per_s);
        if self.health.status == Status::Healthy && self.verdict.status == Status::Unknown && !muted {
            return ("open", None);
        }
        (self.health.status.word(), self.health.score)
    }
}

/// The verdict where only some rules were asked for and none of them found anything but `notes` rows of info.
#[must_use]
pub fn only(health: &Health, wanted: &[String], found: Headline, notes: usize) -> Headline {
    if found.key.is_some() {
        return found;
    }
    let word = match (health.status, notes) {
        (Status::Unknown, _) => "unknown",
        (_, 0) => "clear",
        _ => "nothing above info",
    };
    let says = format!("{}: {word} (only this was judged)", wanted.join(", "));
    Headline { status: health.status, says, ..Headline::default() }
}

/// `severity` is that of the worse of the finding and of what it does to whom it keeps waiting.
fn raised(f: &Finding, severity: Severity, sources: &[SourceStatus]) -> Headline {
    let cost = match (f.impact.benefit_s_per_s, f.impact.share, f.impact.eta_s) {
        // It costs nobody anything that a fix would give back.
        (Some(benefit), Some(share), _) if benefit > 0.0 => {
            Some(format!("{} waiting ({:.0} % of all request time)", short(benefit), (share * 100.0).max(0.0).abs()))
        }
        (_, _, Some(eta)) => Some(format!("in {}", seconds(eta))),
        _ => None,
    };
    let ended = if f.ended { " (ended)" } else { "" };
    Headline {
        status: if severity == Severity::Critical { Status::Critical } else { Status::Warning },
        cost,
        says: format!("{}{}{ended}", whose(sources, &f.source), f.title),
        key: Some(f.key.clone()),
    }
}

/// Whose it is, where several servers of that kind are read.
#[must_use]
pub fn whose(sources: &[SourceStatus], source: &str) -> String {
    let kind = |s: &str| s.split(':').next().map(ToOwned::to_owned);
    let alike = sources.iter().filter(|s| kind(&s.id) == kind(source)).count();
    if alike > 1 && source != "host" { format!("{source}: ") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(total: f64, productive: f64) -> Time {
        Time {
            foreground_s_per_s: total,
            productive_s_per_s: productive,
            unexplained_s_per_s: total - productive,
            states: Vec::new(),
        }
    }

    #[test]
    fn what_is_found_is_not_called_clear() {
        let health = Health { status: Status::Healthy, score: Some(100.0) };
        let says = |notes| only(&health, &["source.*".to_owned()], Headline::default(), notes).says;
        assert!(says(0).contains(": clear") && says(2).contains(": nothing above info"));
    }

    #[test]
    fn what_waits_without_a_cause_is_never_all_clear() {
        let health = Health { status: Status::Healthy, score: Some(100.0) };
        let of = |total, productive| headline(&health, &time(total, productive), &[], (&[], &[]), false);
        assert_eq!(of(3.3, 0.3).status, Status::Unknown);
        assert_eq!(of(3.3, 3.0).status, Status::Healthy);
        assert!(!hidden(&[], 3.0), "nothing is muted");
        assert_eq!(of(1.0, 0.6).status, Status::Unknown, "two fifths of it");
        assert_eq!(of(0.5, 0.3).status, Status::Healthy, "a fifth of a request");
        assert_eq!(of(0.01, 0.0).says, "Nothing waits: the foreground is idle");
        let row = |id: &str| UnknownRow {
            id: id.into(),
            source: "host".into(),
            because: "9 requests at :80 in flight for over a second".into(),
            lift: None,
        };
        let beside = |id: &str| headline(&health, &time(0.01, 0.0), &[], (&[], &[row(id)]), false).says;
        assert!(beside(service_stalled::ID).ends_with("; but 9 requests at :80 in flight for over a second"));
        assert_eq!(beside("host.disk.full"), "Nothing waits: the foreground is idle", "others have their own list");
        let unseen = Health { status: Status::Unknown, score: None };
        assert_eq!(headline(&unseen, &time(0.01, 0.0), &[], (&[], &[]), false).status, Status::Unknown);
        assert_eq!(headline(&health, &time(0.0, 0.0), &[], (&[], &[]), true).status, Status::Unknown);
    }
}
