//! What those do who hold the locks of a chain while others wait for them: whoever waits for a lock waits for that (diagnosis e4). Pure.

use std::collections::HashSet;

use crate::model::facts::{PgFacts, SessionFacts};
use crate::model::postgres::WaitClass;

/// Of the active time that is no waiting for locks, of all sessions in the chains of a server: who waits now held the lock a moment ago.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Holders {
    /// All of it.
    all: f64,
}

/// It holds nobody up while it waits for a lock itself.
fn works(session: &SessionFacts) -> f64 {
    (session.active() - session.class(WaitClass::Lock)).max(0.0) * session.weight
}

/// The sessions in the chains, roots and waiters.
fn in_chains(pg: &PgFacts) -> Option<Vec<&SessionFacts>> {
    let (Ok(activity), Ok(chains)) = (&pg.activity, &pg.chains) else { return None };
    let roots = chains.roots.iter().filter_map(|r| r.session()).map(|s| s.pid);
    let pids: HashSet<i32> = roots.chain(chains.waiters.keys().copied()).collect();
    Some(activity.sessions.iter().filter(|s| pids.contains(&s.pid)).collect())
}

impl Holders {
    /// Of one server; `None` where nobody in a chain was seen to do anything.
    #[must_use]
    pub fn of(pg: &PgFacts) -> Option<Self> {
        let all: f64 = in_chains(pg)?.into_iter().map(works).sum();
        (all > 0.0).then_some(Self { all })
    }

    /// The part of it that is waiting for files and the WAL.
    #[must_use]
    pub fn on_disk(&self, pg: &PgFacts) -> f64 {
        let files =
            |s: &SessionFacts| s.classes.iter().filter(|(class, _)| class.of_files()).map(|(_, s)| s).sum::<f64>() * s.weight;
        let sum: f64 = in_chains(pg).into_iter().flatten().map(files).sum();
        (sum / self.all).min(1.0)
    }

    /// The part of it that is one of these queries: of each session that ran it as much as the query has of what that session ran.
    #[must_use]
    pub fn in_queries(&self, pg: &PgFacts, queries: &[i64]) -> f64 {
        let Ok(activity) = &pg.activity else { return 0.0 };
        let of = |id: &i64| {
            let classes = activity.by_query.get(id);
            classes.map_or(0.0, |c| c.iter().filter(|(class, _)| **class != WaitClass::Lock).map(|(_, s)| s).sum::<f64>())
        };
        let mine = |s: &SessionFacts| {
            let whole: f64 = s.queries.iter().map(of).sum();
            let these: f64 = s.queries.iter().filter(|id| queries.contains(id)).map(of).sum();
            if whole > 0.0 { works(s) * these / whole } else { 0.0 }
        };
        let sum: f64 = in_chains(pg).into_iter().flatten().map(mine).sum();
        (sum / self.all).min(1.0)
    }
}
