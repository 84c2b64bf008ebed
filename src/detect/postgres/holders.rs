//! What those do who hold the locks of a chain while others wait for them: whoever waits for a lock waits for that (diagnosis e4). Pure.

use std::collections::HashSet;

use crate::model::facts::{PgFacts, SessionFacts};
use crate::model::postgres::WaitClass;

/// Those who hold the locks of a server, and their active time that is no waiting for locks.
#[derive(Debug, Clone)]
pub struct Holders<'a> {
    pg: &'a PgFacts,
    sessions: Vec<&'a SessionFacts>,
    /// All of that time.
    all: f64,
}

/// It holds nobody up while it waits for a lock itself.
fn works(session: &SessionFacts) -> f64 {
    (session.active() - session.class(WaitClass::Lock)).max(0.0) * session.weight
}

/// The sessions that hold the locks: the root of that key; without one all in the chains, roots and waiters, who hold them in turn.
fn holding<'a>(pg: &'a PgFacts, root: Option<&str>) -> Option<Vec<&'a SessionFacts>> {
    let (Ok(activity), Ok(chains)) = (&pg.activity, &pg.chains) else { return None };
    let sessions = chains.roots.iter().filter_map(|r| r.session());
    let roots = sessions.filter(|s| root.is_none_or(|key| s.key() == key)).map(|s| s.pid);
    let waiters = chains.waiters.keys().copied().filter(|_| root.is_none());
    let pids: HashSet<i32> = roots.chain(waiters).collect();
    Some(activity.sessions.iter().filter(|s| pids.contains(&s.pid)).collect())
}

impl<'a> Holders<'a> {
    /// Of one server: the root of that key, or all in its chains who take turns; `None` where nobody was seen to do anything.
    #[must_use]
    pub fn of(pg: &'a PgFacts, root: Option<&str>) -> Option<Self> {
        let sessions = holding(pg, root)?;
        let all: f64 = sessions.iter().map(|s| works(s)).sum();
        (all > 0.0).then_some(Self { pg, sessions, all })
    }

    /// The part of it that is waiting for files and the WAL.
    #[must_use]
    pub fn on_disk(&self) -> f64 {
        let files =
            |s: &SessionFacts| s.classes.iter().filter(|(class, _)| class.of_files()).map(|(_, s)| s).sum::<f64>() * s.weight;
        let sum: f64 = self.sessions.iter().map(|s| files(s)).sum();
        (sum / self.all).min(1.0)
    }

    /// The part of it that is one of these queries: of each session that ran it as much as the query has of what that session ran.
    #[must_use]
    pub fn in_queries(&self, queries: &[i64]) -> f64 {
        let Ok(activity) = &self.pg.activity else { return 0.0 };
        let of = |id: &i64| {
            let classes = activity.by_query.get(id);
            classes.map_or(0.0, |c| c.iter().filter(|(class, _)| **class != WaitClass::Lock).map(|(_, s)| s).sum::<f64>())
        };
        let mine = |s: &SessionFacts| {
            let whole: f64 = s.queries.iter().map(of).sum();
            let these: f64 = s.queries.iter().filter(|id| queries.contains(id)).map(of).sum();
            if whole > 0.0 { works(s) * these / whole } else { 0.0 }
        };
        let sum: f64 = self.sessions.iter().map(|s| mine(s)).sum();
        (sum / self.all).min(1.0)
    }
}
