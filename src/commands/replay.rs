//! `perftop replay`: the screen, lines of JSON, or a check that live and replay agree.

use rustix::fs::FileType;

use crate::cli::Replay;
use crate::config::Settings;
use crate::detect::diagnosis::rfc3339;
use crate::engine::{Engine, Playback, ReplayOptions, begin, to_json};
use crate::record::format::Record;
use crate::record::reader::Recording;

use super::failure::{Failure, print};
use super::kept;
use super::session::{Moment, moment, whole, within};

/// Runs the command.
///
/// # Errors
/// Usage, or a recording that cannot be read.
pub fn run(options: &Replay, settings: &Settings) -> Result<u8, Failure> {
    let speed_percent = speed(&options.speed)?;
    let at = options.at.as_deref().map(|at| moment(at, "--at")).transpose()?;
    // Without a file: what is piped in, else what was kept.
    let piped = || {
        let kind = rustix::fs::fstat(std::io::stdin()).map(|s| FileType::from_raw_mode(s.st_mode));
        kind.is_ok_and(|kind| matches!(kind, FileType::Fifo | FileType::RegularFile | FileType::Socket))
    };
    let of_kept = options.file.is_none() && !piped();
    let (file, from_ms) = match &options.file {
        None if of_kept => {
            let (file, from_ms) = kept::at(at, settings)?;
            (Some(file), from_ms)
        }
        Some(file) if file.as_os_str() != "-" => (Some(file.clone()), at.map(|at| within(at, file, None)).transpose()?),
        _ => match at {
            Some(Moment::At(at_ms)) => (None, Some(at_ms)),
            Some(Moment::OfDay(_)) => {
                return Err(Failure::Usage("--at with a time of day needs a file; from a pipe write the full time".into()));
            }
            None => (None, None),
        },
    };
    if options.verify {
        return verify(file);
    }
    let replay_options = ReplayOptions { file, from_ms, speed_percent, paused: false };
    if options.json {
        let mut playback = Playback::open(&replay_options)?;
        while let Some(judged) = playback.step() {
            let line = to_json(&judged.evaluation.diagnosis);
            print(&(String::from_utf8_lossy(&line).into_owned() + "\n"))?;
        }
        return whole(playback.lost().filter(|_| options.at.is_none()));
    }
    // A file that is not there is said before a terminal that is not.
    if let Some(file) = replay_options.file.as_deref() {
        Recording::open(file)?;
    }
    let sessions = of_kept.then(|| kept::sessions_dir(settings)).flatten();
    let own = crate::run::Own { of_kept: sessions.is_some(), sessions, ..crate::run::Own::default() };
    super::screen::screen(settings, own, || Ok(crate::engine::replay(replay_options)?))
}

fn speed(text: &str) -> Result<u32, Failure> {
    let factor = text.trim_end_matches('x').parse::<f64>().ok().filter(|f| (0.1..=1000.0).contains(f));
    factor
        .map(|f| (f * 100.0) as u32)
        .ok_or_else(|| Failure::Usage(format!("--speed {text}: write a factor between 0.1x and 1000x, such as 4x")))
}

/// Folds every sample and compares what is said with what was said then.
fn verify(file: Option<std::path::PathBuf>) -> Result<u8, Failure> {
    let mut records = match &file {
        Some(file) => Recording::open(file)?,
        None => Recording::from_pipe(std::io::BufReader::new(std::io::stdin()))?,
    };
    let mut engine = Engine::default();
    let mut said: Option<(i64, Vec<u8>)> = None;
    let (mut same, mut differ, mut left_out) = (0, 0, 0);
    let mut thinned = false;
    for record in records.by_ref() {
        match record {
            Record::Start(start) => {
                thinned = start.thinned;
                begin(&mut engine, &start);
            }
            Record::Sample(sample) => {
                let judged = engine.fold(&sample);
                said = Some((sample.at.wall_ms, to_json(&judged.evaluation.diagnosis)));
            }
            // It was judged by more looks than are here.
            Record::Diagnosis(_) if thinned => left_out += 1,
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
    if left_out > 0 && same + differ == 0 {
        let why = "what was said in it was judged by more looks than it holds; `perftop record` makes one that can be verified";
        return Err(Failure::Usage(format!("this is a kept session: {why}")));
    }
    let out = if left_out > 0 {
        format!("; {left_out} of a kept session were judged by more looks than it holds")
    } else {
        String::new()
    };
    print(&format!("{same} diagnoses agree, {differ} differ{out}\n"))?;
    whole(records.lost())?;
    Ok(u8::from(differ > 0))
}
