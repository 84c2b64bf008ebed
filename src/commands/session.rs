//! Moments of a recording as people write them: whole, or a time of day; and spans of a recording.

use std::path::{Path, PathBuf};

use crate::detect::diagnosis::Diagnosis;
use crate::engine::{Playback, ReplayOptions};
use crate::model::facts::Facts;
use crate::record::format::Record;
use crate::record::reader::{Recording, segments};

use super::failure::Failure;

/// A moment that somebody wrote: whole, or a time of day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Moment {
    /// Wall clock, ms.
    At(i64),
    /// On the day of the recording.
    OfDay(jiff::civil::Time),
}

/// Reads `14:03:22` or `2026-11-20T03:12:07Z`.
///
/// # Errors
/// When it is neither.
pub fn moment(text: &str, option: &str) -> Result<Moment, Failure> {
    let wrong = || Failure::Usage(format!("{option} {text}: write 14:03:22 or 2026-11-20T03:12:07Z"));
    if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
        return Ok(Moment::At(stamp.as_millisecond()));
    }
    // A date whose zone is missing is no time of day.
    let only_time = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.'));
    text.parse().ok().filter(|_| only_time).map(Moment::OfDay).ok_or_else(wrong)
}

/// That time of day at or after a moment: in a recording over midnight an earlier time of day is the next day's. In UTC, as the screen shows it.
pub fn after(of_day: jiff::civil::Time, first_ms: i64) -> Option<i64> {
    let begin = jiff::Timestamp::from_millisecond(first_ms).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
    let at = begin.date().to_datetime(of_day).to_zoned(begin.time_zone().clone()).ok()?;
    // To the second: what began within it is meant.
    let at = if at.timestamp().as_second() < begin.timestamp().as_second() { at.tomorrow().ok()? } else { at };
    Some(at.timestamp().as_millisecond())
}

/// A moment within a recording, ms; a time of day is the first after `since_ms`, or after the recording's beginning.
///
/// # Errors
/// A recording that cannot be read.
pub fn within(moment: Moment, file: &Path, since_ms: Option<i64>) -> Result<i64, Failure> {
    let of_day = match moment {
        Moment::At(at_ms) => return Ok(at_ms),
        Moment::OfDay(of_day) => of_day,
    };
    let first = || {
        let found = Recording::open(file)?.find_map(|record| match record {
            Record::Sample(sample) => Some(sample.at.wall_ms),
            _ => None,
        });
        Ok::<_, Failure>(found.unwrap_or(0))
    };
    let since_ms = since_ms.map_or_else(first, Ok)?;
    after(of_day, since_ms).ok_or_else(|| Failure::Usage("no such time of day".into()))
}

/// An option and what was written behind it.
pub type Given<'a> = (&'a str, &'a str);

/// The span of a recording that two options name, ms.
///
/// # Errors
/// What is no moment, or a recording that cannot be read.
pub fn span(file: &Path, (from, to): (Option<Given<'_>>, Option<Given<'_>>)) -> Result<(Option<i64>, Option<i64>), Failure> {
    let read = |given: Option<Given<'_>>, since_ms: Option<i64>| {
        given.map(|(option, text)| within(moment(text, option)?, file, since_ms)).transpose()
    };
    let from_ms = read(from, None)?;
    let to_ms = read(to, from_ms)?;
    let wrong = |why: &str| Failure::Usage(format!("{} {} {why}", to.map_or("", |t| t.0), to.map_or("", |t| t.1)));
    if from_ms.zip(to_ms).is_some_and(|(from, to)| to <= from) {
        return Err(wrong("is not after the beginning"));
    }
    // A time of day that lies before the beginning became the next day's: right over midnight only.
    let last_ms = std::fs::File::open(file).ok().and_then(|mut f| Some(segments(&mut f).ok()?.last()?.1.last_ms));
    const HALF_A_DAY_MS: i64 = 43_200_000;
    if to_ms.zip(last_ms).is_some_and(|(to, last)| to - last > HALF_A_DAY_MS) {
        return Err(wrong("is not within the recording"));
    }
    Ok((from_ms, to_ms))
}

/// Judges a span of a recording, look by look; samples of it that its index lists and that cannot be read.
///
/// # Errors
/// A recording that cannot be read.
pub fn judged(
    file: &Path,
    (from_ms, to_ms): (Option<i64>, Option<i64>),
    mut each: impl FnMut(&Diagnosis, &Facts),
) -> Result<Option<u64>, Failure> {
    let mut playback =
        Playback::open(&ReplayOptions { file: Some(file.to_path_buf()), from_ms, speed_percent: 100, paused: false })?;
    while let Some(judged) = playback.step() {
        if to_ms.is_some_and(|to| judged.at.wall_ms > to) {
            return Ok(None);
        }
        each(&judged.evaluation.diagnosis, &judged.evaluation.facts);
    }
    Ok(playback.lost().filter(|_| from_ms.is_none()))
}

/// What could not be read of the recordings that were asked for.
#[derive(Debug, Default)]
pub struct Unread {
    /// Samples that an index lists.
    lost: u64,
    /// Why one of several could not be read at all.
    failure: Option<Failure>,
    /// Something was read.
    some: bool,
}

impl Unread {
    /// One more recording, as [`judged`] gives it: one that cannot be read does not end the others.
    pub fn add(&mut self, read: Result<Option<u64>, Failure>) {
        match read {
            Ok(lost) => (self.lost, self.some) = (self.lost.saturating_add(lost.unwrap_or(0)), true),
            Err(failure) => self.failure = Some(failure),
        }
    }

    /// The same with another's.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            lost: self.lost.saturating_add(other.lost),
            failure: self.failure.or(other.failure),
            some: self.some || other.some,
        }
    }

    /// Gives it back where anything was read.
    ///
    /// # Errors
    /// Why nothing was.
    pub fn unless_nothing(self) -> Result<Self, Failure> {
        match self.failure {
            Some(failure) if !self.some => Err(failure),
            failure => Ok(Self { failure, ..self }),
        }
    }

    /// How a command ends that has said the rest.
    ///
    /// # Errors
    /// When something is missing in what was said.
    pub fn whole(self) -> Result<u8, Failure> {
        match self.failure {
            Some(failure) => Err(Failure::Usage(format!("{failure}: what it holds is not in what is above"))),
            None => whole(Some(self.lost).filter(|lost| *lost > 0)),
        }
    }
}

/// What is said, and how it ends, where a part of a recording cannot be read.
///
/// # Errors
/// When something is lost.
pub fn whole(lost: Option<u64>) -> Result<u8, Failure> {
    let damaged = |lost| {
        format!("the recording is damaged: {lost} samples listed in its index cannot be read, and are not in what is above")
    };
    lost.map_or(Ok(0), |lost| Err(Failure::Usage(damaged(lost))))
}

/// A recording, where one is named, and its span, where one is.
type Named = (Option<PathBuf>, Option<(String, String)>);

/// `FILE`, `FILE@03:00:00..03:10:00`, or `@03:00:00..03:10:00` of what was kept: the file, and what stands before and behind the dots.
///
/// # Errors
/// When the span has no dots.
pub fn file_and_span(text: &str) -> Result<Named, Failure> {
    // A file may have an @ in its name.
    let whole = PathBuf::from(text);
    let Some((file, span)) = text.rsplit_once('@').filter(|_| !whole.exists()) else { return Ok((Some(whole), None)) };
    let (from, to) = span.split_once("..").ok_or_else(|| {
        Failure::Usage(format!("{text}: write FILE or FILE@03:00:00..03:10:00 (one of the two may be left out)"))
    })?;
    let file = (!file.is_empty()).then(|| PathBuf::from(file));
    Ok((file, Some((from.to_owned(), to.to_owned()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_the_next_in_a_recording() {
        let time = |text: &str| text.parse().unwrap();
        let ms = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let night = ms("2026-11-20T23:50:00.700Z");
        assert_eq!(after(time("23:50:00"), night), Some(ms("2026-11-20T23:50:00Z")));
        assert_eq!(after(time("00:10:00"), night), Some(ms("2026-11-21T00:10:00Z")));
        assert!(moment("yesterday", "--at").is_err());
        assert!(moment("2026-11-20T03:12:07", "--at").is_err(), "without a zone it is no moment, and its day must not be lost");
        assert_eq!(moment("2026-11-20T03:12:07Z", "--at").unwrap(), Moment::At(ms("2026-11-20T03:12:07Z")));
    }
}
