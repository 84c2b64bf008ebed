//! One evaluation: facts, ledger, rules, causes, ranks. Pure: the same window and memory give the same diagnosis.

use std::sync::Arc;

use crate::model::demand::Demand;
use crate::model::facts::{DiskFacts, Facts as World, PeerFacts};
use crate::model::host::ProcId;
use crate::model::sample::Snapshot;
use crate::model::source::{SourceKind, SourceState};
use crate::model::subject::{SubjectType, finding_key};

use super::asked::Asked;
use super::candidate::Candidate;
use super::causes;
use super::clock_set;
use super::diagnosis::{Cleared, Diagnosis, UnknownRow};
use super::fix;
use super::kinds::{self, KINDS, Servers, Shown};
use super::learned::Learned;
use super::ledger::{Baseline, Ledger, State};
use super::memory::{Held, Memory, RuleMemory};
use super::params::{ParamOverrides, Params};
use super::rank;
use super::rule::Rule;
use super::rule::{self, Judge};
use super::rules::{RULES, service_stalled};
use super::settle::Checked;
use super::stands::ListeningPort;
use super::verdict::{Facts, Judged, Left, Verdict};

/// What an evaluation gives.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// What it was made of.
    pub facts: Arc<World>,
    /// Foreground time.
    pub ledger: Arc<Ledger>,
    /// What is said.
    pub diagnosis: Diagnosis,
    /// What the rules want to know.
    pub demands: Vec<Demand>,
    /// What is shown of servers beside their facts.
    pub shown: Arc<Shown>,
}

/// While it is held, what is usual is not relearned.
const GROWTH: &str = "app.workload_growth";

/// Judges the newest snapshot of `window`, oldest first.
/// `only` names the rules that exist (ids, or families that end in a star); empty: all of them.
pub fn evaluate(window: &[Arc<Snapshot>], memory: &mut Memory, overrides: &ParamOverrides, only: &[String]) -> Evaluation {
    let asked = |id: &str| only.is_empty() || only.iter().any(|w| rule::matches(w, id));
    // What is left is what no other rule claims: to know it, all of them are judged.
    let rest = RULES.iter().any(|r| matches!(r.judge, Judge::Rest(_)) && asked(r.id));
    let wanted = |id: &str| asked(id) || rest;

    let mut world = World::derive(window, &memory.weights);
    clock_set::follow(memory, world.at);
    learn(&mut world, memory);
    let ledger = {
        let learned = &memory.learned;
        let reply_ms = |link: &PeerFacts| learned.baseline_reply_ms(link);
        Ledger::of(&world, &Baseline { io: baseline_share(&world, learned), reply_ms: &reply_ms }, kinds::told(&world))
    };
    let mut seen = Seen::default();
    let shown = {
        let learned = &memory.learned;
        let facts = Facts { world: &world, ledger: &ledger, learned, kinds: KINDS };
        let servers = Servers::of(&facts, overrides, &memory.rules);
        for rule in RULES.iter().filter(|r| wanted(r.id)) {
            let prev = |source: &str| memory.rules.get(&remembered(rule.id, source));
            let params = Params::new(rule.id, overrides);
            servers.judge(rule, &facts, &params, prev, |asked, judged| seen.take(rule, &asked, judged));
        }
        seen.unread_servers(&world);
        memory.onsets.watch(RULES.iter().filter(|r| wanted(r.id)).flat_map(|r| seen.able(r, &world)), world.at.wall_ms);
        causes::see(&seen.candidates, &mut memory.onsets, world.at.wall_ms);
        let whole = causes::resolve(&facts, &mut seen.candidates, &memory.onsets);
        causes::follow(&mut seen.candidates, &whole, &mut memory.trails, world.at.wall_ms);
        for rule in RULES.iter().filter(|r| wanted(r.id)) {
            let Judge::Rest(judge) = rule.judge else { continue };
            let cleared = std::mem::take(&mut seen.cleared);
            let to_blame = |c: &&Candidate| c.explained_by.is_none() && c.lost() > 0.0;
            let blames = |c: &Candidate| c.found.losses.iter().map(|(s, _)| (c.subject.typed_key(), *s)).collect::<Vec<_>>();
            let blamed: Vec<(String, State)> = seen.candidates.iter().filter(to_blame).flat_map(blames).collect();
            let left = Left { by_state: rank::unclaimed(&ledger, &seen.candidates), cleared: &cleared, blamed: &blamed };
            let judged = judge(&facts, &left, &Params::new(rule.id, overrides), memory.rules.get(rule.id));
            seen.take(rule, &Asked::host(rule.origins, &world), judged);
            seen.cleared.splice(0..0, cleared);
            causes::resolve_rest(&facts, &mut seen.candidates, &memory.onsets);
        }
        causes::note(&seen.candidates, &mut memory.onsets, world.at.wall_ms);
        Arc::new(servers.shown())
    };
    let blind = |rule: &str, source: &str| seen.blind.iter().any(|(id, s)| *id == rule && s == source);
    for rule in RULES {
        for source in kinds::places(rule, &world).into_iter().filter(|source| !blind(rule.id, source)) {
            remember(memory, rule.id, source, &seen, world.at.wall_ms);
        }
    }
    let demands = std::mem::take(&mut seen.demands);
    let diagnosis = rank::diagnose(
        &world,
        &ledger,
        memory,
        seen.candidates,
        Checked { cleared: seen.cleared, unknown: seen.unknown, blind: seen.blind, unseen: seen.unseen },
    );
    memory.evaluations += 1;
    Evaluation { facts: Arc::new(world), ledger: Arc::new(ledger), diagnosis, demands, shown }
}

/// Notes what is usual here, before anything is judged by it.
fn learn(world: &mut World, memory: &mut Memory) {
    if !world.late {
        memory.learned.learn(world);
        memory.learned.learn_missed(world);
    }
    if !memory.rules.contains_key(GROWTH) {
        memory.learned.learn_requests(world);
    }
    let stalled = memory.rules.get(service_stalled::ID).cloned().unwrap_or_default();
    let held = |key: &str| stalled.held.iter().any(|h| h.subject.key == key);
    // Of two programs at one port the one that is held.
    let same = |h: &Held, listener: &ListeningPort| {
        let named = |family: ProcId| h.subject.also.is_empty() || h.subject.also.contains(&format!("process:{family}"));
        h.subject.key == listener.key() && listener.family.is_none_or(named)
    };
    memory.learned.stands.learn(world, &|listener| stalled.held.iter().any(|h| same(h, listener)));
    memory.learned.queues.learn(world, &held);
    KINDS.iter().for_each(|kind| (kind.recall)(world, &memory.learned));
}

#[derive(Default)]
struct Seen {
    candidates: Vec<Candidate>,
    cleared: Vec<Cleared>,
    unknown: Vec<UnknownRow>,
    demands: Vec<Demand>,
    /// Rules that could not judge: what they remember is kept until they can.
    blind: Vec<(&'static str, String)>,
    /// Findings whose subject could not be checked: they are kept in mind too.
    unseen: Vec<String>,
}

impl Seen {
    /// Where the rule judges, as `id|source`, and whether it could now.
    fn able<'a>(&'a self, rule: &'static Rule, world: &'a World) -> impl Iterator<Item = (String, bool)> + 'a {
        let blind = |source: &str| self.blind.iter().any(|(id, s)| *id == rule.id && s == source);
        kinds::places(rule, world).into_iter().map(move |source| (format!("{}|{source}", rule.id), !blind(source)))
    }

    fn take(&mut self, rule: &'static Rule, asked: &Asked<'_>, judged: Judged) {
        let Asked { source: own, lacking, standby } = asked;
        self.demands.extend(judged.demands);
        // A rule with a finding reports none of its other subjects as cleared.
        let found_any = judged.verdicts.iter().any(|(_, v)| matches!(v, Verdict::Found(_)));
        // What it remembers is kept then: a finding that nobody can check is not gone.
        let was_checked = |v: &Verdict| matches!(v, Verdict::Found(_)) || lacking.is_none() && matches!(v, Verdict::Clear(_));
        if !judged.verdicts.is_empty() && !judged.verdicts.iter().any(|(_, v)| was_checked(v)) {
            self.blind.push((rule.id, (*own).to_owned()));
        }
        for (subject, verdict) in judged.verdicts {
            let id = rule.id.to_owned();
            match asked.of(verdict) {
                Verdict::Clear(because) if !found_any => {
                    let whole = matches!(subject.kind, SubjectType::Host | SubjectType::Instance);
                    let because = if !whole { format!("{}: {because}", subject.label) } else { because };
                    self.cleared.push(Cleared { id, source: (*own).into(), because });
                }
                Verdict::Clear(_) => {}
                Verdict::Unknown { because, lift } => {
                    self.unseen.push(finding_key(rule.id, own, &subject));
                    self.unknown.push(UnknownRow { id, source: (*own).into(), because, lift });
                }
                Verdict::Found(mut found) => {
                    if *standby {
                        found.fixes.iter_mut().for_each(fix::on_standby);
                    }
                    found.confidence *= found.met();
                    let source = match rule.id {
                        id if id.starts_with("source.") => subject.key.clone(),
                        _ => (*own).to_owned(),
                    };
                    let key = finding_key(rule.id, &source, &subject);
                    // One object, one finding: what a rule says of it a second time is left out.
                    if self.candidates.iter().any(|c| c.key == key) {
                        continue;
                    }
                    self.candidates.push(Candidate {
                        key,
                        id: rule.id,
                        source,
                        subject,
                        found: *found,
                        explains: Vec::new(),
                        explained_by: None,
                    });
                }
            }
        }
    }

    /// A server that is not read has no healthy findings either.
    fn unread_servers(&mut self, world: &World) {
        let unread = |s: SourceState| matches!(s, SourceState::NotWatched | SourceState::Denied | SourceState::Unreachable);
        for source in world.sources.iter().filter(|s| !matches!(s.kind, SourceKind::Host | SourceKind::Peer) && unread(s.state)) {
            self.unknown.push(UnknownRow {
                id: format!("{}.*", source.kind.word()),
                source: source.id.clone(),
                because: source.why.clone().unwrap_or_else(|| source.state.word().to_owned()),
                lift: source.way_in.clone(),
            });
        }
    }
}

/// The part of an IO wait that the devices take at baseline: of the device with the most waiting.
fn baseline_share(world: &World, learned: &Learned) -> f64 {
    let disks = world.host.disks.iter().flatten().filter(|d| d.leaf && d.await_ms.is_some());
    let busiest = disks.max_by(|a, b| a.queue.total_cmp(&b.queue));
    let share = |d: &DiskFacts| {
        let baseline = learned.baseline_ms(d.name.shown(), d.rotational.unwrap_or(false));
        d.await_ms.filter(|ms| *ms > 0.0).map(|ms| (baseline / ms).min(1.0))
    };
    // Tasks that wait while no device works are held back before it: nothing of that is baseline latency.
    busiest.filter(|d| d.queue >= 0.1).and_then(share).unwrap_or(0.0)
}

/// Under which name a rule of a server remembers.
fn remembered(rule: &str, source: &str) -> String {
    if source == "host" { rule.to_owned() } else { format!("{rule}|{source}") }
}

fn remember(memory: &mut Memory, rule: &str, source: &str, seen: &Seen, now_ms: i64) {
    let name = remembered(rule, source);
    let before = memory.rules.remove(&name).unwrap_or_default();
    let whose = |c: &&Candidate| c.id == rule && (source == "host" || c.source == source);
    let mine = seen.candidates.iter().filter(whose);
    let unseen = |h: &&Held| seen.unseen.contains(&finding_key(rule, source, &h.subject));
    let kept: Vec<Held> = before.held.iter().filter(unseen).cloned().collect();
    let held: Vec<Held> = mine
        .map(|c| {
            let old = before.held(&c.subject.typed_key());
            // A culprit that changed inherits nothing here: its share is its own.
            Held {
                subject: c.subject.clone(),
                entered_share: old.map_or(c.found.held_share, |o| o.entered_share),
                active_ms: if c.found.ended { old.map_or(now_ms, |o| o.active_ms) } else { now_ms },
                failed_per_s: c.found.failed_per_s,
            }
        })
        .chain(kept)
        .collect();
    if !held.is_empty() {
        memory.rules.insert(name, RuleMemory { held });
    }
}
