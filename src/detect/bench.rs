//! The bench of rules in tests: a world from a few parts, and what a rule says of it: one word a subject.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::facts::{Facts as World, PeerFacts, WeightOverrides};
use crate::model::postgres::{Activity, Cluster, PgState, Session};
use crate::model::sample::Snapshot;
use crate::model::source::{Place, SourceKind, SourceState, SourceStatus};
use crate::model::subject::Subject;

use super::kinds::Servers;
use super::ledger::{Clean, Ledger};
use super::memory::{Held, Learned, RuleMemory};
use super::params::{ParamOverrides, Params};
use super::verdict::{Facts, Rule, Verdict};

/// What is there.
#[derive(Debug, Clone, Default)]
pub struct Bench {
    /// A server of PostgreSQL.
    pub postgres: Option<PgState>,
    /// Sources and their states.
    pub sources: Vec<SourceStatus>,
    /// What was learned.
    pub learned: Learned,
}

/// Its source id.
pub const SERVER: &str = "postgres:5432";

impl Bench {
    /// A server with these figures.
    pub fn cluster(cluster: Cluster) -> Self {
        Self { postgres: Some(PgState { cluster: Ok(Arc::new(cluster)), ..PgState::default() }), ..Self::default() }
    }

    /// A server with these sessions, all seen at every look.
    pub fn sessions(sessions: Vec<Session>) -> Self {
        let hits = sessions.iter().map(|s| crate::model::postgres::Hit {
            pid: s.pid,
            started_us: s.started_us,
            query_id: s.query_id,
            wait: s.wait.clone(),
            count: 4,
        });
        let activity = Activity { rounds: 4, hits: hits.collect(), sessions, ..Activity::default() };
        Self { postgres: Some(PgState { activity: Ok(Arc::new(activity)), ..PgState::default() }), ..Self::default() }
    }

    /// What the rule says: `clear`, `unknown`, or `found` with the title, for each subject; `before`: the world in which it was asked before.
    pub fn says(&self, rule: &Rule, before: Option<&Self>) -> Vec<String> {
        let held = before.map(|before| {
            let found = before.verdicts(rule, None).into_iter().filter(|(_, verdict)| matches!(verdict, Verdict::Found(_)));
            let held = |(subject, _)| Held { subject, entered_share: 1.0, active_ms: 0, failed_per_s: None };
            RuleMemory { held: found.map(held).collect() }
        });
        let said = self.verdicts(rule, held.as_ref()).into_iter().map(|(_, verdict)| match verdict {
            Verdict::Clear(_) => "clear".to_owned(),
            Verdict::Unknown { .. } => "unknown".to_owned(),
            Verdict::Found(found) => format!("found {}", found.title),
        });
        said.collect()
    }

    fn verdicts(&self, rule: &Rule, prev: Option<&RuleMemory>) -> Vec<(Subject, Verdict)> {
        let mut snapshot = Snapshot { sources: Arc::new(self.sources.clone()), ..Snapshot::default() };
        if let Some(state) = &self.postgres {
            snapshot.servers.postgres.insert(SERVER.to_owned(), Arc::new(state.clone()));
        }
        let world = World::derive(&[Arc::new(snapshot)], &WeightOverrides::default());
        let reply_ms = |_: &PeerFacts| 1.0;
        let ledger = Ledger::of(&world, &Clean { io: 0.0, reply_ms: &reply_ms });
        let facts = Facts { world: &world, ledger: &ledger, learned: &self.learned };
        let overrides = ParamOverrides::default();
        let servers = Servers::of(&facts, &overrides, &BTreeMap::new());
        let mut all = Vec::new();
        servers.judge(rule, &facts, &Params::new(rule.id, &overrides), |_| prev, |_, judged| all.extend(judged.verdicts));
        all
    }

    /// The first of them begins with that.
    #[track_caller]
    pub fn must_say(&self, rule: &Rule, what: &str) {
        self.must_say_after(rule, None, what);
    }

    /// The same, where the rule was asked in the world `before`.
    #[track_caller]
    pub fn must_say_after(&self, rule: &Rule, before: Option<&Self>, what: &str) {
        let said = self.says(rule, before);
        assert!(said.first().is_some_and(|s| s.starts_with(what)), "{}: {said:?} instead of {what}", rule.id);
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
        Self { sources: vec![source], ..Self::default() }
    }

    /// The rule speaks of servers in that state, and of no other.
    #[track_caller]
    pub fn expect_only_in(rule: &Rule, own: SourceState) {
        use SourceState as S;
        for state in [S::Ok, S::Degraded, S::Denied, S::NotWatched, S::Unreachable] {
            Self::source(state).must_say(rule, if state == own { "found redis:6379" } else { "clear" });
        }
        Self::default().must_say(rule, "clear");
    }
}
