//! Health over the findings: status and score, and the same for a choice of rules. CONTRACT.md, "Severity", to the letter. Pure.

use crate::model::source::{Place, SourceKind, SourceState, SourceStatus};

use super::diagnosis::{Diagnosis, Health, IDLE, Status};
use super::finding::{Class, Finding, Severity};
use super::headline;
use super::rule::matches;

/// Health over those findings; `blind` when the host itself could not be judged.
#[must_use]
pub fn health(sources: &[SourceStatus], blind: bool, findings: &[Finding], total: f64) -> Health {
    // A host with a stalled service is never healthy, even when the cause is only info.
    let root = |f: &&Finding| f.explained_by.is_none() || f.class == Class::Outcome;
    let counted = || findings.iter().filter(|f| root(f) && f.muted.is_none());
    let raised = || counted().filter(|f| f.severity != Severity::Info);
    let own = |f: &&Finding| f.id.starts_with("source.");
    let unreadable = sources.iter().any(|s| {
        // A remote peer that is merely seen is none of ours; a server that was asked for is.
        let ours = s.place == Place::Local || s.kind != SourceKind::Peer;
        s.kind != SourceKind::Host && ours && !matches!(s.state, SourceState::Ok | SourceState::Degraded)
    });
    let status = if counted().any(|f| f.severity == Severity::Critical) {
        Status::Critical
    } else if raised().any(|f| !own(&f)) {
        Status::Warning
    } else if unreadable || blind {
        Status::Unknown
    } else if raised().next().is_some() {
        Status::Warning
    } else {
        Status::Healthy
    };
    let lost: f64 = raised().filter_map(|f| f.impact.benefit_s_per_s).sum();
    let idle = total < IDLE;
    let score = if idle { 100.0 } else { (100.0 * (1.0 - lost / total)).clamp(0.0, 100.0) };
    // Failures that are counted are hard only where they are critical.
    let hard = counted().any(|f| f.class == Class::Error && !f.ended && f.severity == Severity::Critical);
    let score = if hard { score.min(20.0) } else { score };
    Health { status, score: (status != Status::Unknown).then_some(score) }
}

/// The same diagnosis as if only those rules existed; `wanted` are ids, or families that end in a star. The health is
/// that of what is left, unknown when one of them could not be judged and nothing worse was found.
#[must_use]
pub fn only(mut diagnosis: Diagnosis, wanted: &[String]) -> Diagnosis {
    let is_wanted = |id: &str| wanted.iter().any(|w| matches(w, id));
    diagnosis.findings.retain(|f| is_wanted(&f.id));
    diagnosis.cleared.retain(|c| is_wanted(&c.id));
    diagnosis.unknown.retain(|u| is_wanted(&u.id));
    // What stands for itself here stood under a cause that was not asked for.
    let kept: Vec<String> = diagnosis.findings.iter().map(|f| f.key.clone()).collect();
    let outcomes = diagnosis.findings.iter_mut().filter(|f| f.class == Class::Outcome);
    outcomes.for_each(|f| f.explained_by = f.explained_by.take().filter(|key| kept.contains(key)));
    diagnosis.resolved.retain(|r| r.key.split('|').next().is_some_and(is_wanted));
    for (finding, rank) in diagnosis.findings.iter_mut().zip(1..) {
        finding.rank = finding.rank.map(|_| rank);
    }
    let blind = !diagnosis.unknown.is_empty();
    let total = diagnosis.time.foreground_s_per_s;
    let lost: f64 = diagnosis.findings.iter().filter(|f| f.explained_by.is_none()).filter_map(|f| f.impact.lost_s_per_s).sum();
    diagnosis.time.unexplained_s_per_s = (total - diagnosis.time.productive_s_per_s - lost).max(0.0);
    diagnosis.health = health(&[], blind, &diagnosis.findings, total);
    let found = headline::headline(
        &diagnosis.health,
        &diagnosis.time,
        &diagnosis.findings,
        (&diagnosis.sources, &diagnosis.unknown),
        false,
    );
    diagnosis.verdict = headline::only(&diagnosis.health, wanted, found, diagnosis.findings.len());
    diagnosis
}
