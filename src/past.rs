//! What was kept, seen from the live screen: the session that saw a moment as a replay, and when something was wrong in any of them.
//! Files are opened by a thread: a disk that hangs must not stop the keys.

use std::path::{Path, PathBuf};

use tokio::sync::oneshot;

use crate::app::Visit;
use crate::detect::diagnosis::rfc3339;
use crate::engine::{Handle, ReplayOptions, replay};
use crate::record::kept::{Session, sessions};
use crate::record::reader::{Recording, Told};
use crate::report::incidents::Incidents;

/// Where a visit led to.
#[derive(Debug)]
pub enum Arrived {
    /// A session that was kept, and what to tell of it.
    There(Handle, String),
    /// There is nothing: why.
    Nowhere(String),
    /// What was asked for is now.
    Now,
}

/// Goes there; the answer comes when the session is open.
#[must_use]
pub fn visit(dir: PathBuf, to: Visit) -> oneshot::Receiver<Arrived> {
    let (sender, arrived) = oneshot::channel();
    let work = move || _ = sender.send(go(&dir, to));
    _ = std::thread::Builder::new().name("past".into()).spawn(work);
    arrived
}

fn go(dir: &Path, to: Visit) -> Arrived {
    let all = sessions(dir);
    match to {
        Visit::Now => Arrived::Now,
        Visit::Moment { at_ms, later } => match place(&all, at_ms, later) {
            Some((session, at_ms)) => open(session, at_ms),
            None if later => Arrived::Now,
            None => Arrived::Nowhere(format!("nothing was kept before {}", rfc3339(at_ms))),
        },
        Visit::Incident { at_ms, later } => match incident(&all, at_ms, later, &begins) {
            Some((session, since_ms)) => open(session, since_ms),
            None => Arrived::Nowhere(format!("no {} incident in what was kept", if later { "later" } else { "earlier" })),
        },
    }
}

/// The session that saw the moment; where none did, the next one on the way, at its nearer end.
fn place(all: &[Session], at_ms: i64, later: bool) -> Option<(&Session, i64)> {
    let saw = |s: &&Session| (s.span_ms.0..=s.span_ms.1).contains(&at_ms);
    if let Some(session) = all.iter().rev().find(saw) {
        return Some((session, at_ms));
    }
    if later {
        return all.iter().filter(|s| s.span_ms.0 > at_ms).map(|s| (s, s.span_ms.0)).min_by_key(|(_, at)| *at);
    }
    all.iter().filter(|s| s.span_ms.1 < at_ms).map(|s| (s, s.span_ms.1)).max_by_key(|(_, at)| *at)
}

/// The nearest incident before a moment, or after it: the session that saw it, and when it began. It goes by what was said at the time.
fn incident<'s>(all: &'s [Session], at_ms: i64, later: bool, begins: &dyn Fn(&Path) -> Vec<i64>) -> Option<(&'s Session, i64)> {
    let begins = |s: &Session| -> Vec<i64> {
        let within = |at: &i64| (s.span_ms.0..=s.span_ms.1).contains(at);
        begins(&s.path).into_iter().filter(within).collect()
    };
    if later {
        let on_the_way = all.iter().filter(|s| s.span_ms.1 > at_ms);
        return on_the_way.filter_map(|s| Some((s, begins(s).into_iter().find(|at| *at > at_ms)?))).min_by_key(|(_, at)| *at);
    }
    let mut found: Option<(&Session, i64)> = None;
    let mut on_the_way: Vec<&Session> = all.iter().filter(|s| s.span_ms.0 < at_ms).collect();
    on_the_way.sort_by_key(|s| std::cmp::Reverse(s.span_ms.1));
    for session in on_the_way {
        // Those that are left ended before it began.
        if found.is_some_and(|(_, at)| session.span_ms.1 < at) {
            break;
        }
        let newest = begins(session).into_iter().rfind(|at| *at < at_ms);
        if let Some(at) = newest.filter(|at| found.is_none_or(|(_, known)| *at > known)) {
            found = Some((session, at));
        }
    }
    found
}

/// When something began to be wrong in a recording, by what was said then.
fn begins(path: &Path) -> Vec<i64> {
    let mut incidents = Incidents::default();
    if let Ok(mut recording) = Recording::open(path) {
        told(&mut incidents, &mut recording, (i64::MIN, i64::MAX));
    }
    incidents.all().into_iter().map(|incident| incident.span_ms.0).collect()
}

/// Folds what a recording says between two moments.
pub fn told(incidents: &mut Incidents, recording: &mut Recording, (from_ms, to_ms): (i64, i64)) {
    let mut now_ms = 0;
    while let Some(told) = recording.told() {
        match told {
            Told::Every(every_ms) => incidents.every(every_ms),
            Told::At(at_ms) => now_ms = at_ms,
            Told::Diagnosis(json) if (from_ms..=to_ms).contains(&now_ms) => incidents.add(now_ms, &json),
            Told::Diagnosis(_) => {}
        }
    }
}

fn open(session: &Session, at_ms: i64) -> Arrived {
    let file = Some(session.path.clone());
    match replay(ReplayOptions { file, from_ms: Some(at_ms), speed_percent: 100, paused: true }) {
        Ok(handle) => Arrived::There(handle, format!("as it was kept at {}", rfc3339(at_ms))),
        Err(error) => Arrived::Nowhere(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_was_kept_the_next_session_on_the_way_is_meant() {
        let session = |first, last| Session { path: format!("{first}").into(), span_ms: (first, last), part: false };
        let all = [session(0, 100), session(300, 400), session(350, 500)];
        let at = |moment, later| place(&all, moment, later).map(|(s, at)| (s.span_ms.0, at));
        assert_eq!(at(50, false), Some((0, 50)));
        assert_eq!(at(380, true), Some((350, 380)), "the newer of two");
        assert_eq!((at(200, false), at(200, true)), (Some((0, 100)), Some((300, 300))));
        assert_eq!((at(-5, false), at(600, true)), (None, None));
    }

    #[test]
    fn the_nearest_incident_is_meant_whichever_session_saw_it() {
        let session = |name: &str, first, last| Session { path: name.into(), span_ms: (first, last), part: false };
        // Two at once, one within the other, and one of today.
        let all = [session("a", 0, 100), session("b", 50, 80), session("c", 300, 400)];
        let begins = |path: &Path| match path.to_str() {
            Some("a") => vec![20, 90],
            Some("b") => vec![60],
            _ => vec![305],
        };
        let at = |moment, later| incident(&all, moment, later, &begins).map(|(s, at)| (s.path.display().to_string(), at));
        let there = |name: &str, at| Some((name.to_owned(), at));
        assert_eq!((at(95, false), at(90, false), at(60, false)), (there("a", 90), there("b", 60), there("a", 20)));
        assert_eq!((at(20, true), at(60, true), at(90, true)), (there("b", 60), there("a", 90), there("c", 305)));
        assert_eq!((at(20, false), at(305, true)), (None, None));
    }
}
