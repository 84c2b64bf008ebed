//! `perftop replay`: the screen, lines of JSON, or a check that live and replay agree.

use crate::cli::Replay;
use crate::config::Settings;
use crate::detect::diagnosis::rfc3339;
use crate::engine::{Engine, Playback, ReplayOptions, begin, to_json};
use crate::record::format::Record;
use crate::record::reader::Recording;

use super::failure::{Failure, print};

/// Runs the command.
///
/// # Errors
/// Usage, or a recording that cannot be read.
pub fn run(options: &Replay, settings: &Settings) -> Result<u8, Failure> {
    let from_pipe = options.file.as_os_str() == "-";
    let file = (!from_pipe).then(|| options.file.clone());
    let speed_percent = speed(&options.speed)?;
    if options.verify {
        return verify(file);
    }
    let from_ms = options.at.as_deref().map(|at| time(at, "--at", file.as_deref())).transpose()?;
    let replay_options = ReplayOptions { file, from_ms, speed_percent };
    if options.json {
        let mut playback = Playback::open(&replay_options)?;
        while let Some(judged) = playback.step() {
            let line = to_json(&judged.evaluation.diagnosis);
            print(&(String::from_utf8_lossy(&line).into_owned() + "\n"))?;
        }
        return match playback.lost().filter(|_| options.at.is_none()) {
            Some(lost) => Err(damaged(lost)),
            None => Ok(0),
        };
    }
    // A file that is not there is said before a terminal that is not.
    if let Some(file) = replay_options.file.as_deref() {
        Recording::open(file)?;
    }
    super::screen::screen(settings, || Ok(crate::engine::replay(replay_options)?))
}

fn speed(text: &str) -> Result<u32, Failure> {
    let factor = text.trim_end_matches('x').parse::<f64>().ok().filter(|f| (0.1..=1000.0).contains(f));
    factor
        .map(|f| (f * 100.0) as u32)
        .ok_or_else(|| Failure::Usage(format!("--speed {text}: write a factor between 0.1x and 1000x, such as 4x")))
}

/// A time of day is meant on the day on which the recording begins, in UTC, as the screen shows it.
pub(super) fn time(text: &str, option: &str, file: Option<&std::path::Path>) -> Result<i64, Failure> {
    let wrong = || Failure::Usage(format!("{option} {text}: write 14:03:22 or 2026-11-20T03:12:07Z"));
    if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
        return Ok(stamp.as_millisecond());
    }
    let of_day: jiff::civil::Time = text.parse().map_err(|_| wrong())?;
    let Some(file) = file else {
        return Err(Failure::Usage("--at with a time of day needs a file; from a pipe write the full time".into()));
    };
    let first = Recording::open(file)?.find_map(|r| match r {
        Record::Sample(sample) => Some(sample.at.wall_ms),
        _ => None,
    });
    let first = jiff::Timestamp::from_millisecond(first.unwrap_or(0)).map_err(|_| wrong())?;
    let begin = first.to_zoned(jiff::tz::TimeZone::UTC);
    let at = begin.date().to_datetime(of_day).to_zoned(begin.time_zone().clone()).map_err(|_| wrong())?;
    // A recording over midnight: an earlier time of day is the next day's.
    let at = if at.timestamp() < begin.timestamp() { at.tomorrow().map_err(|_| wrong())? } else { at };
    Ok(at.timestamp().as_millisecond())
}

fn damaged(lost: u64) -> Failure {
    Failure::Usage(format!(
        "the recording is damaged after the last line above: {lost} samples listed in its index cannot be read"
    ))
}

/// Folds every sample and compares what is said with what was said then.
fn verify(file: Option<std::path::PathBuf>) -> Result<u8, Failure> {
    let mut records = match &file {
        Some(file) => Recording::open(file)?,
        None => Recording::from_pipe(std::io::BufReader::new(std::io::stdin()))?,
    };
    let mut engine = Engine::default();
    let mut said: Option<(i64, Vec<u8>)> = None;
    let (mut same, mut differ) = (0, 0);
    for record in records.by_ref() {
        match record {
            Record::Start(start) => begin(&mut engine, &start),
            Record::Sample(sample) => {
                let judged = engine.fold(&sample);
                said = Some((sample.at.wall_ms, to_json(&judged.evaluation.diagnosis)));
            }
            Record::Diagnosis(recorded) => match said.take() {
                Some((_, now)) if now == recorded => same += 1,
                Some((at, _)) => {
                    differ += 1;
                    print(&format!("differs at {}\n", rfc3339(at)))?;
                }
                None => {}
            },
            Record::Other(_) => {}
        }
    }
    print(&format!("{same} diagnoses agree, {differ} differ\n"))?;
    if let Some(lost) = records.lost() {
        return Err(damaged(lost));
    }
    Ok(u8::from(differ > 0))
}
