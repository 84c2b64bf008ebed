//! What became of a finding that is gone: resolved, or the load went away. Pure.

use crate::model::facts::Facts as World;
use crate::model::subject::split_finding_key;

use super::diagnosis::{Cleared, UnknownRow, rfc3339};
use super::finding::{Finding, Severity};
use super::kinds;
use super::ledger::{Ledger, State};
use super::memory::{FindingMemory, Memory, Outcome, Resolved};

/// What the rules said beside their findings.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// Fine, because.
    pub cleared: Vec<Cleared>,
    /// Could not be checked.
    pub unknown: Vec<UnknownRow>,
    /// Rules that could not judge at all at this evaluation, with their source.
    pub blind: Vec<(&'static str, String)>,
    /// Keys of findings whose subject could not be checked.
    pub unseen: Vec<String>,
}

const RESOLVED_SHOWN_MS: i64 = 60_000;
/// Within this the throughput of the victims is measured over time in which it was still there: a window, or two readings of a server.
const SETTLES_MS: i64 = 15_000;
/// Of what was lost before: below this it is gone.
const GONE: f64 = 0.3;

/// Whether the victims still work when a finding is gone: what its server does per second, else the on-CPU time of what is certainly
/// foreground.
pub(super) fn throughput(world: &World, ledger: &Ledger, source: &str) -> f64 {
    let working = || ledger.sum(|a| a.weight >= 1.0, |a| a.in_state(State::Working));
    kinds::throughput(world, source).unwrap_or_else(working)
}

/// Forgets what is gone and says what became of it.
pub(super) fn settle(memory: &mut Memory, findings: &[Finding], checked: &Checked, working: &dyn Fn(&str) -> f64, now_ms: i64) {
    const STILL_WORKING: f64 = 0.8;
    // What the operator weighs otherwise is gone from the sums and not from the world.
    let weighed = !memory.weights.0.is_empty();
    let mut resolved = Vec::new();
    memory.findings.retain(|key, kept| {
        let of_blind = checked.blind.iter().any(|(id, source)| {
            key.strip_prefix(id).is_some_and(|k| k.strip_prefix('|').is_some_and(|k| k.starts_with(source.as_str())))
        });
        if of_blind || checked.unseen.contains(key) {
            not_severe(kept);
            return true;
        }
        let now = findings.iter().find(|f| &f.key == key);
        let after = now.map_or(0.0, |f| f.impact.lost_s_per_s.unwrap_or(0.0));
        let timed = kept.lost > 0.0;
        let low = now.is_some_and(|f| f.severity == Severity::Info);
        // What stands under its cause now has not gone; nor has a query that another rule speaks of now.
        let explained = now.is_some_and(|f| f.explained_by.is_some());
        let gone = now.is_none() || (low && !explained && timed && kept.raised && after < GONE * kept.lost);
        // A fix was taken, has had its time, and it is still there.
        if !gone && kept.due_ms.is_some_and(|due| now_ms >= due) {
            kept.due_ms = None;
            resolved.push(said(key, kept, after, Outcome::NotResolved, now_ms));
        }
        if gone && now.is_none() && handed_over(key, findings) {
            return false;
        }
        kept.gone_ms = kept.gone_ms.filter(|_| gone).or(gone.then_some(now_ms));
        if now.is_none() {
            not_severe(kept);
        }
        let of_host = split_finding_key(key).is_none_or(|(_, source, ..)| source == "host");
        // A server's sessions weigh what they did.
        if gone && kept.raised && weighed && of_host {
            return now.is_some();
        }
        if gone && kept.raised {
            let source = split_finding_key(key).map_or_else(String::new, |(_, source, ..)| source);
            let outcome = if !timed || working(&source) >= STILL_WORKING * kept.working {
                if kept.taken { Outcome::Resolved } else { Outcome::WentAway }
            } else if kept.gone_ms.is_some_and(|since| now_ms - since < SETTLES_MS) {
                return true;
            } else {
                Outcome::LoadWentAway
            };
            resolved.push(said(key, kept, after, outcome, now_ms));
            kept.raised = false;
            kept.lost = after;
        }
        now.is_some()
    });
    memory.resolved.retain(|r| {
        let at = r.at.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond);
        now_ms - at < RESOLVED_SHOWN_MS
            && !resolved.iter().any(|n: &Resolved| n.key == r.key)
            && (r.outcome == Outcome::NotResolved || !findings.iter().any(|f| f.key == r.key && f.severity != Severity::Info))
    });
    with_their_cause(&memory.resolved, &mut resolved, now_ms);
    memory.resolved.extend(resolved);
}

/// What ends on a server with a finding of it that was resolved by its fix ends by that fix too: a queue goes with what it hung on.
fn with_their_cause(before: &[Resolved], now: &mut [Resolved], now_ms: i64) {
    let lately = |r: &&Resolved| r.at.parse::<jiff::Timestamp>().is_ok_and(|at| now_ms - at.as_millisecond() <= SETTLES_MS);
    let source = |r: &Resolved| split_finding_key(&r.key).map(|(_, source, ..)| source).filter(|source| source != "host");
    let cured = before.iter().filter(lately).chain(now.iter()).filter(|r| r.outcome == Outcome::Resolved);
    let cured: Vec<String> = cured.filter_map(source).collect();
    for r in now.iter_mut().filter(|r| r.outcome == Outcome::WentAway) {
        if source(r).is_some_and(|source| cured.contains(&source)) {
            r.outcome = Outcome::Resolved;
        }
    }
}

/// One that comes back was not severe meanwhile.
fn not_severe(kept: &mut FindingMemory) {
    kept.critical.push_back(false);
    kept.critical.drain(..kept.critical.len().saturating_sub(4));
}

fn said(key: &str, kept: &FindingMemory, after: f64, outcome: Outcome, now_ms: i64) -> Resolved {
    Resolved { key: key.to_owned(), at: rfc3339(now_ms), before: kept.lost, after, predicted: kept.predicted, outcome }
}

/// True when the query that a finding was about is another finding's now, or the chain of locks another root's: a narrower rule knows more.
fn handed_over(key: &str, findings: &[Finding]) -> bool {
    const LOCKS: &str = "postgres.locks.";
    let Some((id, source, kind, subject)) = split_finding_key(key) else { return false };
    if id.starts_with(LOCKS) && findings.iter().any(|f| f.id.starts_with(LOCKS) && f.source == source && f.raised()) {
        return true;
    }
    let query = format!("query:{subject}");
    kind == "query" && findings.iter().any(|f| f.source == source && f.subject.also.contains(&query))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was copied and did not help is said once, when it has had its time.
    #[test]
    fn a_fix_that_was_taken_and_did_not_help_is_said() {
        let text = include_str!("../../tests/fixtures/diagnosis.json").replace("\"rows\"", "\"count\"");
        let d: super::super::diagnosis::Diagnosis = serde_json::from_str(&text).unwrap();
        let (key, lost) = (d.findings[0].key.clone(), d.findings[0].impact.lost_s_per_s.unwrap());
        let kept = FindingMemory { raised: true, lost, predicted: lost, due_ms: Some(5000), ..FindingMemory::default() };
        let mut memory = Memory::default();
        memory.findings.insert(key.clone(), kept);
        let outcomes = |memory: &mut Memory, now_ms| {
            settle(memory, &d.findings, &Checked::default(), &|_| 1.0, now_ms);
            memory.resolved.iter().map(|r| (r.key == key, r.outcome)).collect::<Vec<_>>()
        };
        assert_eq!(outcomes(&mut memory, 4000), []);
        assert_eq!(outcomes(&mut memory, 6000), [(true, Outcome::NotResolved)]);
        assert_eq!(outcomes(&mut memory, 7000), [(true, Outcome::NotResolved)], "once");
        assert_eq!(memory.findings[&key].due_ms, None);
    }

    /// At the moment in which a blocker ends the newest reading of the server's transactions is still of the time with it.
    #[test]
    fn what_became_of_it_is_said_by_the_time_after_it() {
        let key = "postgres.locks.idle_in_transaction|postgres:1|backend:7@1";
        let kept = FindingMemory { raised: true, taken: true, lost: 6.0, working: 50.0, ..FindingMemory::default() };
        let outcomes = |speeds: &[(i64, f64)]| {
            let mut memory = Memory::default();
            memory.findings.insert(key.to_owned(), kept.clone());
            let each = |(second, speed): &(i64, f64)| {
                settle(&mut memory, &[], &Checked::default(), &|_| *speed, second * 1000);
                memory.resolved.iter().map(|r| r.outcome).next()
            };
            speeds.iter().map(each).collect::<Vec<_>>()
        };
        let resolved = Some(Outcome::Resolved);
        assert_eq!(outcomes(&[(1, 0.5), (3, 12.0), (7, 49.0), (8, 49.0)]), [None, None, resolved, resolved]);
        assert_eq!(outcomes(&[(1, 0.5), (10, 0.5), (17, 0.5)]), [None, None, Some(Outcome::LoadWentAway)]);
    }

    /// A fix of the missing index was taken; the queue for a row that hung on it ends with it, and another server's by itself.
    #[test]
    fn what_ends_with_what_was_cured_is_cured() {
        let mut memory = Memory::default();
        let kept = FindingMemory { raised: true, lost: 6.0, ..FindingMemory::default() };
        let keys = [
            "postgres.locks.hot_row|postgres:1|table:orders",
            "postgres.query.missing_index|postgres:1|query:7",
            "redis.command.slow|redis:1|command:keys",
        ];
        for key in keys {
            memory.findings.insert(key.to_owned(), FindingMemory { taken: key.contains("index"), ..kept.clone() });
        }
        settle(&mut memory, &[], &Checked::default(), &|_| 1.0, 1000);
        let outcome = |key: &str| memory.resolved.iter().find(|r| r.key == key).map(|r| r.outcome);
        let expected = [Outcome::Resolved, Outcome::Resolved, Outcome::WentAway].map(Some);
        assert_eq!(keys.map(outcome), expected);
    }

    #[test]
    fn one_that_comes_back_was_not_severe_meanwhile() {
        let kept =
            FindingMemory { raised: true, lost: 6.0, working: 50.0, critical: [true; 4].into(), ..FindingMemory::default() };
        let mut memory = Memory::default();
        memory.findings.insert("host.cpu.contention|host|process:7@1".to_owned(), kept);
        for second in 1..3 {
            settle(&mut memory, &[], &Checked::default(), &|_| 0.0, second * 1000);
        }
        let critical = &memory.findings["host.cpu.contention|host|process:7@1"].critical;
        assert_eq!(critical.iter().filter(|severe| **severe).count(), 2);
    }

    /// Nobody took a fix: it may have ended by itself. And what the operator weighs away did not end at all.
    #[test]
    fn what_went_by_itself_is_not_called_resolved_and_what_was_weighed_away_is_not_gone() {
        let key = "host.cpu.contention|host|process:7@1";
        let outcome = |weights: &[(&str, f64)]| {
            let mut memory = Memory::default();
            memory.weights.0 = weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect();
            let kept = FindingMemory { raised: true, lost: 6.0, working: 1.0, ..FindingMemory::default() };
            memory.findings.insert(key.to_owned(), kept);
            settle(&mut memory, &[], &Checked::default(), &|_| 1.0, 1000);
            memory.resolved.iter().map(|r| r.outcome).next()
        };
        assert_eq!(outcome(&[]), Some(Outcome::WentAway));
        assert_eq!(outcome(&[("nginx", 0.0)]), None);
    }
}
