//! The bench of rules in tests: a world from a few parts, and what a rule says of it: one word a subject.

mod changes;
pub mod host;
pub mod postgres;
pub mod prometheus;
pub mod redis;
pub mod sockets;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::counter::Stamp;
use crate::model::facts::{Facts as World, HostFacts, PeerFacts, PgFacts, WeightOverrides};
use crate::model::postgres::{Activity, Cluster, Hit, PgState, Session};
use crate::model::sample::Snapshot;
use crate::model::source::{Place, SourceKind, SourceState, SourceStatus};
use crate::model::subject::Subject;

use super::kinds::{self, KINDS, Servers};
use super::learned::Learned;
use super::ledger::{Baseline, Ledger};
use super::memory::{Held, RuleMemory};
use super::params::{ParamOverrides, Params};
use super::rank;
use super::rule::{Judge, Rule};
use super::verdict::{Facts, Left, Verdict};

/// What is there, and what was learned of it.
#[derive(Debug, Clone)]
pub struct Bench {
    world: World,
    learned: Learned,
}

/// Source id of its server.
pub const SERVER: &str = "postgres:5432";

/// What a rule must say of four worlds.
pub struct Table {
    /// Nothing is found, and that is known.
    pub clear: Bench,
    /// What the rule needs is missing; `None`: it needs nothing that can be.
    pub unknown: Option<Bench>,
    /// The condition holds.
    pub found: Bench,
    /// Between the limit at which it is found and the one at which it goes: clear when it is new, found when it was so before.
    /// `None`: the rule has no such band.
    pub held: Option<Bench>,
}

impl Table {
    /// Asks the rule.
    #[track_caller]
    pub fn check(&self, rule: &Rule) {
        self.clear.must_say(rule, "clear");
        if let Some(unknown) = &self.unknown {
            unknown.must_say(rule, "unknown");
        }
        self.found.must_say(rule, "found");
        if let Some(held) = &self.held {
            held.must_say(rule, "clear");
            held.must_say_after(rule, Some(&self.found), "found");
        }
        self.clear.must_say_after(rule, Some(&self.found), "clear");
    }
}

impl Bench {
    /// A host that does little, and no server.
    pub fn quiet() -> Self {
        Self::of(Snapshot::default())
    }

    /// A server of PostgreSQL in that state, on that host.
    pub fn postgres(state: PgState) -> Self {
        let mut snapshot = Snapshot::default();
        snapshot.servers.postgres.insert(SERVER.to_owned(), Arc::new(state));
        Self::of(snapshot)
    }

    /// A server with these figures.
    pub fn cluster(cluster: Cluster) -> Self {
        Self::postgres(PgState { cluster: Ok(Arc::new(cluster)), ..PgState::default() })
    }

    /// A server with these sessions, all seen at every look.
    pub fn sessions(sessions: Vec<Session>) -> Self {
        let hits = sessions.iter().map(|s| Hit {
            pid: s.pid,
            started_us: s.started_us,
            query_id: s.query_id,
            wait: s.wait.clone(),
            count: 4,
            leader: s.leader,
        });
        let activity = Activity { rounds: 4, hits: hits.collect(), sessions, ..Activity::default() };
        Self::postgres(PgState { activity: Ok(Arc::new(activity)), ..PgState::default() })
    }

    /// A Redis of this host that is seen in that state.
    pub fn source(state: SourceState) -> Self {
        let source = SourceStatus {
            id: "redis:6379".into(),
            kind: SourceKind::Redis,
            state,
            place: Place::Local,
            role: None,
            version: None,
            reader: None,
            why: Some("redis-server runs here".into()),
            way_in: Some("redis-cli INFO".into()),
        };
        Self::of(Snapshot { sources: Arc::new(vec![source]), ..Snapshot::default() })
    }

    fn of(snapshot: Snapshot) -> Self {
        // An hour after the boot, so that rates and ages have room.
        const NOW_NS: u64 = 3_600_000_000_000;
        let at = Stamp { mono_ns: NOW_NS, boot_ns: NOW_NS, ..Stamp::default() };
        let mut world = World::derive(&[Arc::new(Snapshot { at, ..snapshot })], &WeightOverrides::default());
        world.host = host::quiet();
        world.window_s = 5.0;
        Self { world, learned: Learned::default() }
    }

    /// Another world.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut World)) -> Self {
        change(&mut self.world);
        self
    }

    /// Another host.
    #[must_use]
    pub fn on(self, change: impl FnOnce(&mut HostFacts)) -> Self {
        self.with(|world| change(&mut world.host))
    }

    /// What is known.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Another server of PostgreSQL.
    #[must_use]
    pub fn served(self, change: impl FnOnce(&mut PgFacts)) -> Self {
        self.with(|world| change(&mut world.servers.postgres[0]))
    }

    /// Something was learned.
    #[must_use]
    pub fn knowing(mut self, change: impl FnOnce(&mut Learned)) -> Self {
        change(&mut self.learned);
        self
    }

    /// It was like that at so many evaluations before.
    #[must_use]
    pub fn after(mut self, times: usize, before: &Self) -> Self {
        for _ in 0..times {
            // A second each.
            self.learned.missed_ms = before.world.at.wall_ms - 1_000;
            self.learned.learn_missed(&before.world);
            self.learned.learn_requests(&before.world);
            self.learned.stands.learn(&before.world, &|_| false);
            self.learned.queues.learn(&before.world, &|_| false);
        }
        self
    }

    /// What the rule says: `clear`, `unknown`, or `found` with the title, for each subject; `before`: the world in which it was asked before.
    pub fn says(&self, rule: &Rule, before: Option<&Self>) -> Vec<String> {
        let held = before.map(|before| {
            let held = |(subject, verdict)| match verdict {
                Verdict::Found(found) => {
                    Some(Held { subject, entered_share: found.held_share, active_ms: 0, failed_per_s: found.failed_per_s })
                }
                Verdict::Clear(_) | Verdict::Unknown { .. } => None,
            };
            RuleMemory { held: before.verdicts(rule, None).into_iter().filter_map(held).collect() }
        });
        let said = self.verdicts(rule, held.as_ref()).into_iter().map(|(_, verdict)| match verdict {
            Verdict::Clear(_) => "clear".to_owned(),
            Verdict::Unknown { .. } => "unknown".to_owned(),
            Verdict::Found(found) => format!("found {}", found.title),
        });
        said.collect()
    }

    /// The world, and its foreground time.
    pub fn measured(&self) -> (&World, Ledger) {
        let reply_ms = |_: &PeerFacts| 1.0;
        (&self.world, Ledger::of(&self.world, &Baseline { io: 0.0, reply_ms: &reply_ms }, kinds::told(&self.world)))
    }

    fn verdicts(&self, rule: &Rule, prev: Option<&RuleMemory>) -> Vec<(Subject, Verdict)> {
        let (_, ledger) = self.measured();
        let facts = Facts { world: &self.world, ledger: &ledger, learned: &self.learned, kinds: KINDS };
        let overrides = ParamOverrides::default();
        let params = Params::new(rule.id, &overrides);
        if let Judge::Rest(judge) = rule.judge {
            let left = Left { by_state: rank::unclaimed(&ledger, &[]), cleared: &[], blamed: &[] };
            return judge(&facts, &left, &params, prev).verdicts;
        }
        let rules: BTreeMap<_, _> = prev.map(|held| (format!("{}|{SERVER}", rule.id), held.clone())).into_iter().collect();
        let servers = Servers::of(&facts, &overrides, &rules);
        let mut all = Vec::new();
        servers.judge(
            rule,
            &facts,
            &params,
            |_| prev,
            |asked, judged| all.extend(judged.verdicts.into_iter().map(|(s, v)| (s, asked.of(v)))),
        );
        all
    }

    /// The commands of what the rule finds, in their order.
    pub fn pastes(&self, rule: &Rule) -> Vec<String> {
        let found = self.verdicts(rule, None).into_iter().filter_map(|(_, verdict)| match verdict {
            Verdict::Found(found) => Some(found.fixes),
            Verdict::Clear(_) | Verdict::Unknown { .. } => None,
        });
        found.flatten().map(|fix| fix.command.to_string()).collect()
    }

    /// Seconds per second that its findings claim.
    pub fn loses(&self, rule: &Rule) -> f64 {
        let found = self.verdicts(rule, None).into_iter().map(|(_, verdict)| match verdict {
            Verdict::Found(found) => found.lost(),
            Verdict::Clear(_) | Verdict::Unknown { .. } => 0.0,
        });
        found.sum()
    }

    /// It finds something that counts on its own: an outcome that stands.
    pub fn stands(&self, rule: &Rule) -> bool {
        let found = |(_, verdict)| matches!(verdict, Verdict::Found(found) if found.standing == Some(true));
        self.verdicts(rule, None).into_iter().any(found)
    }

    /// It finds something that may become critical.
    pub fn may_wake(&self, rule: &Rule) -> bool {
        let wakes = |(_, verdict)| matches!(verdict, Verdict::Found(found) if !found.never_critical);
        self.verdicts(rule, None).into_iter().any(wakes)
    }

    /// What would come back if all that it found were mended, s/s.
    pub fn gains(&self, rule: &Rule) -> f64 {
        let gain = |(_, verdict)| match verdict {
            Verdict::Found(found) => found.lost() * found.recoverable,
            Verdict::Clear(_) | Verdict::Unknown { .. } => 0.0,
        };
        self.verdicts(rule, None).into_iter().map(gain).sum()
    }

    /// What it found begins with that; without anything found, what it says first.
    #[track_caller]
    pub fn must_say(&self, rule: &Rule, what: &str) {
        self.must_say_after(rule, None, what);
    }

    /// The same, where the rule was asked in the world `before`.
    #[track_caller]
    pub fn must_say_after(&self, rule: &Rule, before: Option<&Self>, what: &str) {
        let said = self.says(rule, before);
        let found = said.iter().find(|s| s.starts_with("found")).or(said.first());
        assert!(found.is_some_and(|s| s.starts_with(what)), "{}: {said:?} instead of {what}", rule.id);
    }

    /// The rule speaks of servers in that state, and of no other.
    #[track_caller]
    pub fn expect_only_in(rule: &Rule, own: SourceState) {
        use SourceState as S;
        for state in [S::Ok, S::Degraded, S::Denied, S::NotWatched, S::Unreachable] {
            Self::source(state).must_say(rule, if state == own { "found redis:6379" } else { "clear" });
        }
        Self::quiet().must_say(rule, "clear");
    }
}

#[cfg(test)]
mod tests {
    use super::Bench;
    use crate::detect::rule::Judge;
    use crate::detect::rules::RULES;
    use crate::model::seen::{Lack, Why};

    /// What a rule needs and is missing clears nothing.
    #[test]
    fn without_processes_nothing_that_is_about_them_is_clear() {
        let blind = Bench::quiet().on(|host| host.processes = Err(Lack::new(Why::TimedOut, "/proc")));
        let untimed = Bench::quiet().on(|host| {
            let all = host.processes.as_mut().into_iter().flatten();
            all.for_each(|p| p.runnable = None);
        });
        for rule in RULES.iter().filter(|rule| matches!(rule.judge, Judge::Host(_))) {
            let needs = |origin: &str| rule.origins.contains(&origin);
            if needs("host.processes") || needs("host.schedstat") || needs("host.iodelay") || needs("host.process_io") {
                blind.must_say(rule, "unknown");
            }
            if needs("host.schedstat") {
                untimed.must_say(rule, "unknown");
            }
        }
    }
}
