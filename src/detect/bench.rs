//! The bench of rules in tests: a world from a few parts, and what a rule says of it: one word a subject.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::facts::{Facts as World, PeerFacts, WeightOverrides};
use crate::model::postgres::{Activity, Cluster, PgState, Session};
use crate::model::sample::Snapshot;
use crate::model::source::SourceStatus;

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

    /// What the rule says: `clear`, `unknown`, or `found` with the title, for each subject. `held`: it was found on all of them before.
    pub fn says(&self, rule: &Rule, held: bool) -> Vec<String> {
        let mut snapshot = Snapshot { sources: Arc::new(self.sources.clone()), ..Snapshot::default() };
        if let Some(state) = &self.postgres {
            snapshot.postgres.insert(SERVER.to_owned(), Arc::new(state.clone()));
        }
        let world = World::derive(&[Arc::new(snapshot)], &WeightOverrides::default());
        let reply_ms = |_: &PeerFacts| 1.0;
        let ledger = Ledger::of(&world, &Clean { io: 0.0, reply_ms: &reply_ms });
        let facts = Facts { world: &world, ledger: &ledger, learned: &self.learned };
        let overrides = ParamOverrides::default();
        let servers = Servers::of(&facts, &overrides, &BTreeMap::new());
        let params = Params::new(rule.id, &overrides);
        let mut subjects = Vec::new();
        servers.judge(rule, &facts, &params, |_| None, |_, judged| subjects.extend(judged.verdicts.into_iter().map(|(s, _)| s)));
        let held = subjects.into_iter().filter(|_| held).map(|subject| Held {
            subject,
            entered_share: 1.0,
            active_ms: 0,
            failed_per_s: None,
        });
        let before = RuleMemory { held: held.collect() };
        let prev = Some(&before).filter(|before| !before.held.is_empty());
        let mut said = Vec::new();
        servers.judge(
            rule,
            &facts,
            &params,
            |_| prev,
            |_, judged| {
                said.extend(judged.verdicts.iter().map(|(_, verdict)| match verdict {
                    Verdict::Clear(_) => "clear".to_owned(),
                    Verdict::Unknown { .. } => "unknown".to_owned(),
                    Verdict::Found(found) => format!("found {}", found.title),
                }));
            },
        );
        said
    }

    /// The first of them is of that kind.
    #[track_caller]
    pub fn expect(&self, rule: &Rule, held: bool, what: &str) {
        let said = self.says(rule, held);
        assert!(said.first().is_some_and(|s| s.starts_with(what)), "{}: {said:?} instead of {what}", rule.id);
    }
}
