//! Severity, order, identity over time and health. CONTRACT.md, "Severity", to the letter. Pure.

use std::cmp::Ordering;

use crate::model::facts::Facts as World;

use crate::model::subject::split_finding_key;

use super::before;
use super::candidate::Candidate;
use super::command::Language;
use super::diagnosis::{Diagnosis, Host, IDLE, SCHEMA, StateRow, Time, rfc3339};
use super::finding::{Class, Finding, Fix, Impact, ImpactKind, Known, Muted, Phase, Severity, Since};
use super::headline;
use super::health;
use super::kinds;
use super::ledger::{Ledger, State};
use super::memory::{FindingMemory, Memory};
use super::rule::Culprit;
use super::rules::{find, unexplained};

use super::settle::{Checked, settle, throughput};
use super::suspect;
use super::verdict::Found;
use super::victims::Victims;

/// An outcome is critical after this.
const OUTCOME_MS: i64 = 5_000;
/// Evaluations that are provisional.
pub const PROVISIONAL: u64 = 3;

/// Ranks the candidates and says the whole.
pub fn diagnose(world: &World, ledger: &Ledger, memory: &mut Memory, candidates: Vec<Candidate>, checked: Checked) -> Diagnosis {
    let now_ms = world.at.wall_ms;
    let mut candidates = candidates;
    let time = time(ledger, &candidates);
    inherit(memory, &mut candidates);
    let burning = candidates.iter().any(|c| !memory.muted.contains_key(&c.key) && burns_urgently(c.id, &c.found));
    let victims = Victims::of(world, ledger, &candidates, |key| memory.muted.contains_key(key));
    let mut findings: Vec<Finding> = candidates
        .into_iter()
        .map(|c| {
            let burns = burning || victims.has(&c.key);
            weigh(c, world, ledger, memory, now_ms, burns)
        })
        .collect();
    memory.muted.retain(|_, m| m.until_ms > now_ms);
    settle(memory, &findings, &checked, &|source| throughput(world, ledger, source), now_ms);
    findings.sort_by(order);
    victims.name(&mut findings);
    suspect::name(&mut findings);
    before::note(&mut memory.changes, world);
    before::name(&memory.changes, world, &mut findings);
    findings.sort_by(order);
    let costs_time = |f: &Finding| f.class == Class::Live && f.explained_by.is_none() && f.id != unexplained::ID;
    memory.places.hold(&mut findings, costs_time, now_ms);
    let mut rank = 0;
    for finding in &mut findings {
        finding.rank = (finding.class != Class::Outcome).then(|| {
            rank += 1;
            rank
        });
    }
    let blind = world.host.processes.is_err() || world.window_s == 0.0;
    // A server whose sessions nobody here sees may be in any trouble.
    let blind = blind || kinds::any_partly_seen(world);
    let health = health::health(&world.sources, blind, &findings, time.foreground_s_per_s);
    let identity = world.identity.as_deref();
    let provisional = memory.evaluations < PROVISIONAL;
    let verdict =
        headline::headline(&health, &time, &findings, (&world.sources, &checked.unknown), provisional && world.window_s == 0.0);
    Diagnosis {
        schema: SCHEMA,
        at: rfc3339(now_ms),
        window_s: world.window_s,
        provisional,
        host: Host {
            name: identity.map(|i| i.name.shown().to_owned()).unwrap_or_default(),
            cpus: world.cpus() as u32,
            // In a container its limit.
            memory_bytes: world.host.memory.as_ref().map_or(identity.map_or(0, |i| i.memory_bytes), |m| m.raw.total),
            inside: identity.and_then(|i| i.inside.clone()),
        },
        health,
        verdict,
        sources: world.sources.to_vec(),
        time,
        findings,
        cleared: checked.cleared,
        unknown: checked.unknown,
        resolved: memory.resolved.clone(),
    }
}

/// A rule whose subject changed keeps its `since` and its history of severity; the old key goes to `also`.
fn inherit(memory: &mut Memory, candidates: &mut [Candidate]) {
    let one = |c: &&mut Candidate| find(c.id).is_some_and(|rule| rule.culprit == Culprit::One);
    for c in candidates.iter_mut().filter(one) {
        if memory.findings.contains_key(&c.key) {
            continue;
        }
        let prefix = format!("{}|{}|", c.id, c.source);
        // One that is gone already is another story, whose end is not told yet.
        let there = memory.findings.iter().filter(|(_, kept)| kept.gone_ms.is_none());
        let old = there.map(|(k, _)| k).find(|k| k.starts_with(&prefix)).cloned();
        if let Some(old) = old
            && let Some(kept) = memory.findings.remove(&old)
        {
            c.subject.also.extend(split_finding_key(&old).map(|(_, _, kind, key)| format!("{kind}:{key}")));
            memory.findings.insert(c.key.clone(), kept);
        }
    }
}

/// CONTRACT.md, "Severity"; `lasting`: the conditions of critical held in three of the last four evaluations; `old`: for five seconds.
fn severity(found: &Found, total: f64, (lasting, old): (bool, bool), score: f64, benefit: f64) -> Severity {
    match found.class {
        Class::Live if total < IDLE => Severity::Info,
        Class::Live if found.standing.is_some() => {
            if lasting {
                Severity::Warning
            } else {
                Severity::Info
            }
        }
        Class::Live if lasting && !found.never_critical => Severity::Critical,
        Class::Live if score >= 10.0 && benefit >= 0.1 => Severity::Warning,
        Class::Error if found.ended => Severity::Warning,
        Class::Error if found.attempts_per_s.is_some() => counted(found),
        Class::Error => Severity::Critical,
        // By the late end of the interval: a median alone is not credible.
        Class::Risk => match found.eta_late_s {
            Some(eta) if eta < 3_600.0 && !found.never_critical => Severity::Critical,
            Some(eta) if eta < 86_400.0 => Severity::Warning,
            _ if found.grows => Severity::Warning,
            _ => Severity::Info,
        },
        // As long as that stands three evaluations have passed; critical waits for five seconds.
        Class::Outcome if found.standing.is_some() && lasting => {
            if found.never_critical || !old {
                Severity::Warning
            } else {
                Severity::Critical
            }
        }
        Class::Hygiene if found.grows => Severity::Warning,
        Class::Live | Class::Hygiene | Class::Outcome => Severity::Info,
    }
}

/// Failures that are counted: critical at 5 % of the attempts and one a second, warning at half a percent.
fn counted(found: &Found) -> Severity {
    let failed = found.failed_per_s.unwrap_or(0.0);
    let share = failed / found.attempts_per_s.unwrap_or(0.0).max(failed).max(1e-9);
    match share {
        s if s >= 0.05 && failed >= 1.0 => Severity::Critical,
        s if s >= 0.005 => Severity::Warning,
        _ => Severity::Info,
    }
}

/// `burns`: a service is stalled because of it, which outweighs any stretch.
fn weigh(c: Candidate, world: &World, ledger: &Ledger, memory: &mut Memory, now_ms: i64, burns: bool) -> Finding {
    let total = ledger.total();
    let lost = c.lost();
    let benefit = lost * c.found.recoverable;
    let rest = total - c.found.own_time;
    let score = if rest > 1e-9 { (100.0 * benefit / rest).clamp(0.0, 100.0) } else { 0.0 };
    let stretch = match c.found.victims_time - lost {
        left if left > 1e-9 => c.found.victims_time / left,
        _ if lost > 0.0 => f64::INFINITY,
        _ => 1.0,
    };
    let young = memory.evaluations < PROVISIONAL;
    let kept = memory.findings.entry(c.key.clone()).or_insert_with(|| FindingMemory {
        since_ms: now_ms,
        at_least: young,
        critical: std::collections::VecDeque::new(),
        raised: false,
        lost: 0.0,
        predicted: 0.0,
        working: throughput(world, ledger, &c.source),
        due_ms: None,
        taken: false,
        gone_ms: None,
    });
    date(kept, &c.found, now_ms);
    let severe = c.found.standing.unwrap_or((score >= 30.0 || benefit >= 3.0) && benefit >= 0.3 && (stretch >= 2.0 || burns));
    // The same reading judged once more is no other evaluation.
    if !world.late || kept.critical.is_empty() {
        if kept.critical.len() == 4 {
            kept.critical.pop_front();
        }
        kept.critical.push_back(severe);
    }
    let lasting = kept.critical.iter().filter(|s| **s).count() >= 3;
    let old = now_ms - kept.since_ms >= OUTCOME_MS;
    let severity = severity(&c.found, total, (lasting, old), score, benefit);
    if lost > kept.lost {
        (kept.lost, kept.predicted) = (lost, benefit);
    }
    kept.raised |= severity != Severity::Info;
    let since = Since { at: rfc3339(kept.since_ms), known: if kept.at_least { Known::AtLeast } else { Known::Observed } };
    let timed = c.found.class == Class::Live;
    let muted = memory.muted.get(&c.key).filter(|m| m.until_ms > now_ms);
    let muted = muted.map(|m| Muted { reason: m.reason.clone(), until: rfc3339(m.until_ms) });
    let when_timed = |value: f64| timed.then_some(value);
    let impact = impact(&c.found, lost, benefit, score);
    Finding {
        key: c.key,
        rank: None,
        id: c.id.to_owned(),
        source: c.source,
        class: c.found.class,
        severity,
        score: when_timed(score),
        confidence: c.found.confidence,
        title: c.found.title,
        subject: c.subject,
        impact,
        since,
        ended: c.found.ended,
        muted,
        evidence: c.found.evidence,
        against: c.found.against,
        explains: c.explains,
        explained_by: c.explained_by,
        fixes: sorted(c.found.fixes),
    }
}

fn impact(found: &Found, lost: f64, benefit: f64, score: f64) -> Impact {
    let timed = found.class == Class::Live;
    let when_timed = |value: f64| timed.then_some(value);
    Impact {
        kind: match found.class {
            Class::Live => ImpactKind::Time,
            Class::Error => ImpactKind::Failures,
            Class::Risk => ImpactKind::Risk,
            Class::Hygiene | Class::Outcome => ImpactKind::None,
        },
        lost_s_per_s: when_timed(lost),
        share: when_timed(score / 100.0),
        benefit_s_per_s: when_timed(benefit),
        ci_s_per_s: found.ci.filter(|_| timed),
        failed_per_s: found.failed_per_s,
        eta_s: found.eta_s,
    }
}

/// By the server's own stamps it may be older than we are.
fn date(kept: &mut FindingMemory, found: &Found, now_ms: i64) {
    let Some(age_s) = found.age_s.filter(|s| s.is_finite() && *s >= 1.0) else { return };
    let began_ms = now_ms - (age_s * 1000.0) as i64;
    if began_ms < kept.since_ms - 1500 {
        (kept.since_ms, kept.at_least) = (began_ms, false);
    }
}

/// Clients suffer by so much that someone is called: it stands in for the stretch of all that costs time.
fn burns_urgently(id: &str, found: &Found) -> bool {
    found.standing == Some(true) && !found.never_critical && kinds::suffers(id)
}

/// Relief before cure, and what passes its checks before what does not. Where a statement cures at once, what somebody has to do elsewhere
/// relieves nobody sooner.
fn sorted(mut fixes: Vec<Fix>) -> Vec<Fix> {
    let fails = |f: &Fix| f.preflight.iter().any(|p| !p.ok);
    let at_once = |f: &Fix| f.phase == Phase::Cure && f.command.language() == Language::Sql && !fails(f);
    let cured = fixes.iter().any(at_once);
    let elsewhere = |f: &Fix| f.command.language() == Language::Config;
    fixes.sort_by_key(|f| (f.phase == Phase::Cure || cured && elsewhere(f), fails(f)));
    fixes
}

fn order(a: &Finding, b: &Finding) -> Ordering {
    let group = |f: &Finding| match f.class {
        Class::Error => 0,
        Class::Risk => 1,
        Class::Live => 2,
        Class::Hygiene => 3,
        Class::Outcome => 5,
    };
    // What nobody explains stands after all that is explained.
    let group = |f: &Finding| if f.id == unexplained::ID { 4 } else { group(f) };
    let eta = |f: &Finding| f.impact.eta_s.filter(|_| f.class == Class::Risk).unwrap_or(f64::INFINITY);
    let benefit = |f: &Finding| f.impact.benefit_s_per_s.unwrap_or(0.0);
    a.explained_by
        .is_some()
        .cmp(&b.explained_by.is_some())
        .then(a.severity.cmp(&b.severity))
        .then(group(a).cmp(&group(b)))
        .then(eta(a).total_cmp(&eta(b)))
        .then(benefit(b).total_cmp(&benefit(a)))
        .then(a.key.cmp(&b.key))
}

/// What roots claim of a state.
fn claimed(candidates: &[Candidate], state: State) -> f64 {
    let roots = candidates.iter().filter(|c| c.explained_by.is_none() && c.found.class == Class::Live);
    roots.flat_map(|c| &c.found.losses).filter(|(s, _)| *s == state).map(|(_, lost)| lost).sum()
}

/// What nobody claims of each state beyond its baseline share, most first.
#[must_use]
pub fn unclaimed(ledger: &Ledger, candidates: &[Candidate]) -> Vec<(State, f64)> {
    let left = |(state, seconds): (&State, &f64)| (*state, seconds - ledger.baseline(*state) - claimed(candidates, *state));
    let mut all: Vec<(State, f64)> = ledger.states.iter().map(left).filter(|(_, s)| *s > 0.0).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all
}

/// T = productive + lost + unexplained: of each state what nobody claims is productive up to its baseline, else unexplained.
fn time(ledger: &Ledger, candidates: &[Candidate]) -> Time {
    let total = ledger.total();
    let unexplained: f64 = unclaimed(ledger, candidates).iter().map(|(_, s)| s).sum();
    let lost: f64 = ledger.states.keys().map(|state| claimed(candidates, *state)).sum();
    let row = |(state, seconds): (&State, &f64)| StateRow { state: *state, s_per_s: *seconds, modelled: state.modelled() };
    Time {
        foreground_s_per_s: total,
        productive_s_per_s: (total - lost - unexplained).max(0.0),
        unexplained_s_per_s: unexplained,
        states: ledger.states.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_failures_go_by_their_share() {
        let severity_of = |failed: f64, attempts: f64| {
            let mut found = Found::new(Class::Error, "drops");
            (found.failed_per_s, found.attempts_per_s) = (Some(failed), Some(attempts));
            severity(&found, 1.0, (false, false), 0.0, 0.0)
        };
        assert_eq!(severity_of(10.0, 100.0), Severity::Critical);
        assert_eq!(severity_of(0.5, 5.0), Severity::Warning, "a tenth, but less than one a second");
        assert_eq!(severity_of(1.0, 100.0), Severity::Warning);
        assert_eq!(severity_of(1.0, 1000.0), Severity::Info);
        // Attempts that were not counted cannot make the share larger than all.
        assert_eq!(severity_of(5.0, 0.0), Severity::Critical);
    }

    #[test]
    fn an_objective_that_calls_someone_stands_in_for_stretch_and_a_ticket_does_not() {
        let mut found = Found::new(Class::Outcome, "burns");
        assert!(!burns_urgently("slo.burn", &found), "it is over, or it never stood");
        found.standing = Some(true);
        assert!(burns_urgently("slo.burn", &found));
        assert!(!burns_urgently("slo.blind", &found), "nobody is known to suffer");
        found.never_critical = true;
        assert!(!burns_urgently("slo.burn", &found), "a ticket");
    }

    #[test]
    fn a_leak_is_a_warning_however_soon() {
        let mut found = Found::new(Class::Risk, "grows");
        (found.eta_late_s, found.never_critical) = (Some(60.0), true);
        assert_eq!(severity(&found, 1.0, (false, false), 0.0, 0.0), Severity::Warning);
        found.never_critical = false;
        assert_eq!(severity(&found, 1.0, (false, false), 0.0, 0.0), Severity::Critical);
    }
}
