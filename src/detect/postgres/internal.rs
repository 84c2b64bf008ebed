//! Waits of sessions for the server's own locks: which structure each is about. Pure.

use crate::model::facts::{Activities, PgFacts};
use crate::model::postgres::{Wait, WaitClass, WaitKind};

/// A structure of the server that sessions wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named by `Structure::words`")]
pub enum Structure {
    LockManager,
    BufferMapping,
    BufferContent,
    Subtransactions,
    Multixacts,
    Transactions,
    Snapshots,
    Serializable,
    Statements,
    Extension,
    Invalidations,
    Notifications,
    NotifyingCommits,
    Counters,
    Other,
}

/// Parts of event names, without case and underscores, of PostgreSQL 12 to 18: the first that fits.
const NAMES: &[(&str, Structure)] = &[
    ("predicate", Structure::Serializable),
    ("serial", Structure::Serializable),
    ("oldserxid", Structure::Serializable),
    ("lockmanager", Structure::LockManager),
    ("fastpath", Structure::LockManager),
    ("buffermapping", Structure::BufferMapping),
    ("buffercontent", Structure::BufferContent),
    ("subtrans", Structure::Subtransactions),
    ("multixact", Structure::Multixacts),
    ("procarray", Structure::Snapshots),
    ("pgstatstatements", Structure::Statements),
    ("pgstat", Structure::Counters),
    ("sinval", Structure::Invalidations),
    ("relcache", Structure::Invalidations),
    ("notify", Structure::Notifications),
    ("async", Structure::Notifications),
    ("xact", Structure::Transactions),
    ("clog", Structure::Transactions),
    ("xidgen", Structure::Transactions),
    ("committs", Structure::Transactions),
    ("committimestamp", Structure::Transactions),
];

/// What a wait is about; `None` for a wait that is no lock of the server's own.
#[must_use]
pub fn structure(wait: &Wait) -> Option<Structure> {
    let event: String = wait.event.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect();
    match wait.kind {
        // Heavyweight, and yet nobody's row or table.
        WaitKind::Lock if event == "extend" => Some(Structure::Extension),
        WaitKind::Lock if event == "page" => Some(Structure::BufferContent),
        _ if wait.class() == WaitClass::LwLock => {
            // The fast path of 12 has no longer name.
            let fast = (event == "proc").then_some(Structure::LockManager);
            let named = || NAMES.iter().find(|(part, _)| event.contains(part)).map(|(_, what)| *what);
            fast.or_else(named).or(Some(Structure::Other))
        }
        _ => None,
    }
}

/// Of those who wait for an object the part that is about to commit, 0..1: a transaction that notifies holds a lock of the whole server from
/// there until it is flushed, so that all that do commit one after the other. By the lock that they wait for; where no look was at the locks, by
/// their statements.
#[must_use]
pub fn notifies(pg: &PgFacts, activity: &Activities) -> f64 {
    let of = |kind: &str| pg.chains.iter().flat_map(|c| c.waiters.values()).filter(|w| w.kind == kind).count() as f64;
    let (turns, others) = (of("notify"), of("object"));
    if turns > 0.0 {
        return turns / (turns + others);
    }
    let said = activity.looks.iter().flat_map(|look| &look.sessions).any(|s| in_turn(&s.wait, s.query.raw()));
    f64::from(u8::from(said))
}

/// A session that stands in that queue.
#[must_use]
pub fn in_turn(wait: &Wait, statement: &[u8]) -> bool {
    const ENDS: [&[u8]; 2] = [b"commit", b"end"];
    let object = wait.kind == WaitKind::Lock && wait.event == "object";
    let starts = |word: &[u8]| statement.get(..word.len()).is_some_and(|s| s.eq_ignore_ascii_case(word));
    let calls = |word: &[u8]| statement.windows(word.len()).any(|s| s.eq_ignore_ascii_case(word));
    object && (ENDS.iter().any(|word| starts(word)) || calls(b"notify"))
}

/// Sessions that wait for each structure, those with most first; and the event that most of them wait for.
#[must_use]
pub fn waits(pg: &PgFacts, activity: &Activities) -> Vec<(Structure, f64, String)> {
    let mut all: Vec<(Structure, f64, String, f64)> = Vec::new();
    let notifies = notifies(pg, activity);
    for (wait, sessions) in &activity.by_event {
        let turn = notifies > 0.0 && wait.kind == WaitKind::Lock && wait.event == "object";
        let Some(what) = turn.then_some(Structure::NotifyingCommits).or_else(|| structure(wait)) else { continue };
        let sessions = &(sessions * if turn { notifies } else { 1.0 });
        match all.iter_mut().find(|(known, ..)| *known == what) {
            Some((_, sum, event, most)) => {
                *sum += sessions;
                if sessions > most {
                    (*event, *most) = (wait.word(), *sessions);
                }
            }
            None => all.push((what, *sessions, wait.word(), *sessions)),
        }
    }
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.into_iter().map(|(what, sum, event, _)| (what, sum, event)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(kind: &str, event: &str) -> Option<Structure> {
        structure(&Wait { kind: WaitKind::parse(kind.as_bytes()), event: event.into() })
    }

    #[test]
    fn names_of_all_versions_mean_the_same_structure() {
        for event in ["lock_manager", "LockManager", "LockFastPath"] {
            assert_eq!(about("LWLock", event), Some(Structure::LockManager), "{event}");
        }
        for event in ["SubtransControlLock", "SubtransSLRU", "SubtransBuffer", "subtrans"] {
            assert_eq!(about("LWLock", event), Some(Structure::Subtransactions), "{event}");
        }
        for event in ["CLogControlLock", "XactSLRU", "XactBuffer", "clog", "XidGen"] {
            assert_eq!(about("LWLock", event), Some(Structure::Transactions), "{event}");
        }
        assert_eq!(about("LWLock", "MultiXactOffsetSLRU"), Some(Structure::Multixacts));
        assert_eq!(about("LWLock", "ProcArrayLock"), Some(Structure::Snapshots));
        assert_eq!(about("IPC", "ProcArrayGroupUpdate"), Some(Structure::Snapshots));
        assert_eq!(about("LWLock", "pg_stat_statements"), Some(Structure::Statements));
        for event in ["PredicateLockManager", "predicate_lock_manager", "SerializableXactHash", "OldSerXidLock"] {
            assert_eq!(about("LWLock", event), Some(Structure::Serializable), "{event}");
        }
        assert_eq!(about("LWLock", "proc"), Some(Structure::LockManager));
        assert_eq!(about("LWLock", "PgStatsDSA"), Some(Structure::Counters));
        assert_eq!(about("LWLock", "SInvalRead"), Some(Structure::Invalidations));
        assert_eq!(about("LWLock", "buffer_mapping"), Some(Structure::BufferMapping));
        assert_eq!(about("Lock", "extend"), Some(Structure::Extension));
        assert_eq!(about("LWLock", "SomethingNew"), Some(Structure::Other));
        // A DDL that waits for a schema is no commit.
        let turn = |statement: &str| in_turn(&Wait { kind: WaitKind::Lock, event: "object".into() }, statement.as_bytes());
        assert!(turn("COMMIT") && turn("end;") && turn("SELECT pg_notify($1, $2)") && !turn("DROP SCHEMA s"));
        assert_eq!(about("Lock", "transactionid"), None);
        assert_eq!(about("LWLock", "WALWrite"), None, "that is the flush");
        assert_eq!(about("LWLock", "BufferIO"), None, "another session reads the page");
    }
}
