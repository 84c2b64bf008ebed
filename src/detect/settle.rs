//! What became of a finding that is gone: resolved, or the load went away. Pure.

use crate::model::facts::Facts as World;
use crate::model::subject::split_finding_key;

use super::diagnosis::rfc3339;
use super::finding::{Finding, Severity};
use super::ledger::Ledger;
use super::memory::{Memory, Outcome, Resolved};

const RESOLVED_SHOWN_MS: i64 = 60_000;

/// Whether the victims still work when a finding is gone: of a server of PostgreSQL its transactions per second, else the on-CPU time of what
/// is certainly foreground.
pub(super) fn throughput(world: &World, ledger: &Ledger, source: &str) -> f64 {
    let server = world.postgres.iter().find(|pg| pg.id == source);
    match server.and_then(|pg| pg.rate(|c| Some(c.databases.iter().map(|d| d.commits + d.rollbacks).sum()))) {
        Some(transactions) => transactions,
        None => ledger.sum(|a| a.weight >= 1.0, |a| a.working),
    }
}

/// Forgets what is gone and says what became of it.
pub(super) fn settle(
    memory: &mut Memory,
    findings: &[Finding],
    blind: &[(&str, String)],
    working: &dyn Fn(&str) -> f64,
    now_ms: i64,
) {
    const GONE: f64 = 0.3;
    const STILL_WORKING: f64 = 0.8;
    let mut resolved = Vec::new();
    memory.findings.retain(|key, kept| {
        if blind.iter().any(|(id, source)| {
            key.strip_prefix(id).is_some_and(|k| k.strip_prefix('|').is_some_and(|k| k.starts_with(source.as_str())))
        }) {
            return true;
        }
        let now = findings.iter().find(|f| &f.key == key);
        let after = now.map_or(0.0, |f| f.impact.lost_s_per_s.unwrap_or(0.0));
        let timed = kept.lost > 0.0;
        let low = now.is_some_and(|f| f.severity == Severity::Info);
        // What stands under its cause now has not gone; nor has a query that another rule speaks of now.
        let explained = now.is_some_and(|f| f.explained_by.is_some());
        let gone = now.is_none() || (low && !explained && timed && kept.raised && after < GONE * kept.lost);
        if gone && now.is_none() && handed_over(key, findings) {
            return false;
        }
        if gone && kept.raised {
            let source = split_finding_key(key).map_or_else(String::new, |(_, source, ..)| source);
            let outcome = if !timed || working(&source) >= STILL_WORKING * kept.working {
                Outcome::Resolved
            } else {
                Outcome::LoadWentAway
            };
            resolved.push(Resolved {
                key: key.clone(),
                at: rfc3339(now_ms),
                before: kept.lost,
                after,
                predicted: kept.predicted,
                outcome,
            });
            kept.raised = false;
            kept.lost = after;
        }
        now.is_some()
    });
    memory.resolved.retain(|r| {
        let at = r.at.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond);
        now_ms - at < RESOLVED_SHOWN_MS
            && !resolved.iter().any(|n: &Resolved| n.key == r.key)
            && !findings.iter().any(|f| f.key == r.key && f.severity != Severity::Info)
    });
    memory.resolved.extend(resolved);
}

/// True when the query that a finding was about is another finding's now: a narrower rule knows more.
fn handed_over(key: &str, findings: &[Finding]) -> bool {
    let Some((_, source, kind, subject)) = split_finding_key(key) else { return false };
    let query = format!("query:{subject}");
    kind == "query" && findings.iter().any(|f| f.source == source && f.subject.also.contains(&query))
}
