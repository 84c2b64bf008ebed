//! Spans of a recording that was named, or of the sessions that were kept.

use std::path::{Path, PathBuf};

use crate::collect::clock;
use crate::config::Settings;
use crate::detect::diagnosis::{Diagnosis, rfc3339};
use crate::model::facts::Facts;
use crate::record::kept::{self, Session};

use super::failure::Failure;
use super::session::{Given, Moment, Unread, after, judged, moment, span};
use super::setup::state_dir;

/// A part of a recording: from and to, ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The recording.
    pub file: PathBuf,
    /// First and last moment; `None`: its beginning, its end.
    pub span_ms: (Option<i64>, Option<i64>),
}

/// Where sessions are kept, below the state directory.
pub fn sessions_dir(settings: &Settings) -> Option<PathBuf> {
    state_dir(settings).map(|dir| sessions_of(&dir))
}

/// Those of a state directory.
pub fn sessions_of(state: &Path) -> PathBuf {
    state.join("sessions")
}

/// What two options name of a recording; without a recording, of the sessions that were kept, one after the other.
///
/// # Errors
/// What is no moment, a recording that cannot be read, or where nothing was kept, or not then.
pub fn parts(
    file: Option<&Path>,
    named: (Option<Given<'_>>, Option<Given<'_>>),
    settings: &Settings,
) -> Result<Vec<Part>, Failure> {
    if let Some(file) = file {
        return Ok(vec![Part { file: file.to_path_buf(), span_ms: span(file, named)? }]);
    }
    let all = sessions(settings)?;
    let now_ms = clock::now().wall_ms;
    let read = |given: Option<Given<'_>>, since_ms: Option<i64>| {
        given.map(|(option, text)| past(moment(text, option)?, since_ms, now_ms)).transpose()
    };
    let from_ms = read(named.0, None)?;
    let to_ms = read(named.1, from_ms)?;
    // A time of day before the beginning became the next day's, which is not over yet.
    const HALF_A_DAY_MS: i64 = 43_200_000;
    let turned = |from: i64, to: i64| to <= from || to > now_ms && to - from > HALF_A_DAY_MS;
    if let Some(((from, to), (option, text))) = from_ms.zip(to_ms).zip(named.1)
        && turned(from, to)
    {
        return Err(Failure::Usage(format!("{option} {text} is not after the beginning")));
    }
    let newest = all.last().map(|s| s.span_ms.0).filter(|_| from_ms.is_none() && to_ms.is_none());
    let found = one_after_the_other(&all, (from_ms.or(newest), to_ms));
    if found.is_empty() {
        let stamp = |ms: Option<i64>, open: &str| ms.map_or_else(|| open.to_owned(), rfc3339);
        let (from, to) = (stamp(from_ms, "the beginning"), stamp(to_ms, "now"));
        return Err(Failure::Usage(format!("nothing was kept from {from} to {to}; {}", spans(&all))));
    }
    Ok(found)
}

/// All that was kept.
///
/// # Errors
/// Where nothing was.
pub fn all(settings: &Settings) -> Result<Vec<Part>, Failure> {
    let since_ms = clock::now().wall_ms - kept::KEPT_MS;
    // A recording that `perftop record` wrote may reach back for longer; a session that is older is there because it is the newest.
    let all = sessions(settings)?;
    let recent = one_after_the_other(&all, (Some(since_ms), None));
    Ok(if recent.is_empty() { one_after_the_other(&all, (None, None)) } else { recent })
}

/// The session that saw a moment, and the moment; without one the newest session.
///
/// # Errors
/// Where nothing was kept, or not then.
pub fn at(at: Option<Moment>, settings: &Settings) -> Result<(PathBuf, Option<i64>), Failure> {
    let all = sessions(settings)?;
    let Some(at) = at else {
        return all.last().map(|s| (s.path.clone(), None)).ok_or_else(|| none(settings));
    };
    let at_ms = past(at, None, clock::now().wall_ms)?;
    match kept::saw(&all, at_ms) {
        Some(session) => Ok((session.path.clone(), Some(at_ms.min(session.span_ms.1)))),
        None => Err(Failure::Usage(format!("nothing was kept at {}; {}", rfc3339(at_ms), spans(&all)))),
    }
}

/// Judges parts one after the other, as [`judged`] does one.
///
/// # Errors
/// Where nothing can be read.
pub fn judged_all(parts: &[Part], mut each: impl FnMut(&Diagnosis, &Facts)) -> Result<Unread, Failure> {
    let mut unread = Unread::default();
    parts.iter().for_each(|part| unread.add(judged(&part.file, part.span_ms, &mut each)));
    unread.unless_nothing()
}

fn sessions(settings: &Settings) -> Result<Vec<Session>, Failure> {
    let all = sessions_dir(settings).map(|dir| kept::sessions(&dir)).unwrap_or_default();
    if all.is_empty() { Err(none(settings)) } else { Ok(all) }
}

fn none(settings: &Settings) -> Failure {
    Failure::Usage(match sessions_dir(settings) {
        Some(dir) => format!(
            "no session is kept in {} yet: `perftop` keeps what its screen sees; or name a recording, - for standard input",
            dir.display()
        ),
        None => "no sessions are kept (sessions.keep = false, or no home directory): name a recording".to_owned(),
    })
}

/// A time of day is the last one past, or the first after `since_ms`.
fn past(moment: Moment, since_ms: Option<i64>, now_ms: i64) -> Result<i64, Failure> {
    const DAY_MS: i64 = 86_400_000;
    let of_day = match moment {
        Moment::At(at_ms) => return Ok(at_ms),
        Moment::OfDay(of_day) => of_day,
    };
    let next = after(of_day, since_ms.unwrap_or(now_ms)).ok_or_else(|| Failure::Usage("no such time of day".into()))?;
    Ok(if since_ms.is_none() && next > now_ms { next - DAY_MS } else { next })
}

/// Sessions within a span; what two saw at once is told once.
fn one_after_the_other(all: &[Session], (from_ms, to_ms): (Option<i64>, Option<i64>)) -> Vec<Part> {
    let mut told_ms = from_ms.unwrap_or(i64::MIN);
    let mut parts = Vec::new();
    for session in all {
        let (first, last) = session.span_ms;
        if last < told_ms || to_ms.is_some_and(|to| first > to) {
            continue;
        }
        let begin = (told_ms > first).then_some(told_ms).or_else(|| session.part.then_some(first));
        let end = if session.part { Some(to_ms.map_or(last, |to| to.min(last))) } else { to_ms };
        parts.push(Part { file: session.path.clone(), span_ms: (begin, end) });
        told_ms = last.saturating_add(1);
    }
    parts
}

fn spans(all: &[Session]) -> String {
    const SHOWN: usize = 6;
    let span = |s: &Session| format!("{} to {}", rfc3339(s.span_ms.0), rfc3339(s.span_ms.1));
    let newest: Vec<String> = all.iter().rev().take(SHOWN).map(span).collect();
    let older = all.len().saturating_sub(SHOWN);
    let more = if older > 0 { format!(", and {older} older") } else { String::new() };
    format!("there is {}{more}", newest.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(name: &str, first: i64, last: i64) -> Session {
        Session { path: name.into(), span_ms: (first, last), part: false }
    }

    #[test]
    fn a_time_of_day_is_the_last_one_past() {
        let of_day = |text: &str| Moment::OfDay(text.parse().unwrap());
        let ms = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let now = ms("2026-11-20T09:00:00Z");
        assert_eq!(past(of_day("02:10:00"), None, now).unwrap(), ms("2026-11-20T02:10:00Z"));
        assert_eq!(past(of_day("22:10:00"), None, now).unwrap(), ms("2026-11-19T22:10:00Z"));
        let from = ms("2026-11-19T23:50:00Z");
        assert_eq!(past(of_day("00:10:00"), Some(from), now).unwrap(), ms("2026-11-20T00:10:00Z"), "over midnight");
    }

    #[test]
    fn what_two_saw_at_once_is_told_once() {
        let all = [session("a", 0, 100), session("b", 50, 80), session("c", 90, 150), session("d", 500, 600)];
        let told = |span| {
            let parts = one_after_the_other(&all, span);
            parts.into_iter().map(|p| (p.file.display().to_string(), p.span_ms)).collect::<Vec<_>>()
        };
        let (a, c, d) = ("a".to_owned(), "c".to_owned(), "d".to_owned());
        assert_eq!(told((None, None)), [(a.clone(), (None, None)), (c.clone(), (Some(101), None)), (d, (None, None))]);
        assert_eq!(told((Some(60), Some(140))), [(a, (Some(60), Some(140))), (c, (Some(101), Some(140)))]);
        assert_eq!(told((Some(200), Some(300))), []);
    }
}
