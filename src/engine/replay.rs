//! The replay driver: the same engine, fed from a recording; pause, step, speed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::detect::diagnosis::rfc3339;
use crate::detect::finding::Severity;
use crate::detect::params::ParamOverrides;
use crate::diagnose::{Mode, Own};
use crate::model::sample::Sample;
use crate::record::format::{Error, Record, Start};
use crate::record::reader::{Recording, segments};

use super::{Ask, Engine, Handle, Judged};

/// What a replay needs.
#[derive(Debug)]
pub struct ReplayOptions {
    /// The file; `None` = standard input.
    pub file: Option<PathBuf>,
    /// Wall clock (ms) to begin at; what lies before is folded in silence.
    pub from_ms: Option<i64>,
    /// Times real time, in percent.
    pub speed_percent: u32,
    /// It stands still at first.
    pub paused: bool,
}

/// A recording with the engine that folds it.
pub struct Playback {
    records: Recording,
    engine: Engine,
    next: Option<Sample>,
}

impl std::fmt::Debug for Playback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Playback")
    }
}

impl Playback {
    /// Opens the recording at the segment that holds `from_ms`.
    ///
    /// # Errors
    /// When it cannot be read, is no recording, a newer one, or holds nothing whole.
    pub fn open(options: &ReplayOptions) -> Result<Self, Error> {
        let path = options.file.as_ref().map_or_else(|| "standard input".to_owned(), |p| p.display().to_string());
        let io = |source| Error::Io { path: path.clone(), source };
        let records = match (&options.file, options.from_ms) {
            (None, _) => Recording::from_pipe(std::io::BufReader::new(std::io::stdin()))?,
            (Some(file), None) => Recording::open(file)?,
            (Some(file), Some(from_ms)) => {
                let mut opened = std::fs::File::open(file).map_err(io)?;
                let found = segments(&mut opened).map_err(io)?;
                match found.iter().rev().find(|(_, entry)| entry.first_ms <= from_ms) {
                    Some((offset, _)) => Recording::open_at(file, *offset)?,
                    None => Recording::open(file)?,
                }
            }
        };
        let mut playback = Self { records, engine: Engine::default(), next: None };
        playback.advance();
        if playback.next.is_none() {
            return Err(Error::Empty { path });
        }
        let first_ms = playback.next_ms();
        let mut last_ms = first_ms;
        while options.from_ms.is_some_and(|from| playback.next.as_ref().is_some_and(|s| s.at.wall_ms < from)) {
            last_ms = playback.next_ms();
            playback.step();
        }
        if playback.next.is_none() {
            let stamp = |ms: Option<i64>| rfc3339(ms.unwrap_or(0));
            // The search began at a segment in the middle; the recording begins where the file does.
            let begin = options.file.as_ref().and_then(|file| {
                let segments = segments(&mut std::fs::File::open(file).ok()?).ok()?;
                segments.first().map(|(_, entry)| entry.first_ms)
            });
            return Err(Error::Outside { path, first: stamp(begin.or(first_ms)), last: stamp(last_ms) });
        }
        Ok(playback)
    }

    fn advance(&mut self) {
        self.next = None;
        for record in self.records.by_ref() {
            match record {
                Record::Start(start) => begin(&mut self.engine, &start),
                Record::Sample(sample) => {
                    self.next = Some(*sample);
                    return;
                }
                Record::Diagnosis(_) | Record::Other(_) => {}
            }
        }
    }

    /// Wall clock of the next tick, ms.
    #[must_use]
    pub fn next_ms(&self) -> Option<i64> {
        self.next.as_ref().map(|s| s.at.wall_ms)
    }

    /// Samples that the file's index knows of and that could not be read: it is damaged.
    #[must_use]
    pub fn lost(&self) -> Option<u64> {
        self.records.lost()
    }

    /// Folds the next tick.
    pub fn step(&mut self) -> Option<Judged> {
        let sample = self.next.take()?;
        let judged = self.engine.fold(&sample);
        self.advance();
        Some(judged)
    }
}

/// Starts a replay.
///
/// # Errors
/// When the recording cannot be read.
pub fn replay(options: ReplayOptions) -> Result<Handle, Error> {
    let playback = Playback::open(&options)?;
    let (sender, pictures) = watch::channel(None);
    let (asks, asked) = mpsc::channel(16);
    let io = |source| Error::Io { path: "replay".into(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(io)?;
    std::thread::Builder::new()
        .name("engine".into())
        .spawn(move || runtime.block_on(run(playback, options, sender, asked)))
        .map_err(io)?;
    Ok(Handle { pictures, asks, recorder: None, keeping: None })
}

/// A segment begins: its state, and the thresholds that were in force.
pub fn begin(engine: &mut Engine, start: &Start) {
    engine.restore(&start.engine);
    let rows = start.params.iter().map(|(rule, name, value)| ((rule.clone(), name.clone()), *value));
    engine.judge_by(ParamOverrides(rows.collect()));
}

type Pictures = watch::Sender<Option<Arc<crate::diagnose::Picture>>>;

/// A playback from the tick at or after that moment; `None` behind the end, and in a pipe.
fn from(file: Option<&Path>, to_ms: i64) -> Option<Playback> {
    let file = Some(file?.to_path_buf());
    Playback::open(&ReplayOptions { file, from_ms: Some(to_ms), speed_percent: 100, paused: false }).ok()
}

/// What is at warning or above, symptoms and muted ones left out.
fn raised(judged: &Judged) -> BTreeSet<String> {
    let all = judged.evaluation.diagnosis.findings.iter();
    let roots = all.filter(|f| f.explained_by.is_none() && f.muted.is_none() && f.severity != Severity::Info);
    roots.map(|f| f.key.clone()).collect()
}

/// Ticks that one request for the next incident searches; without one among them it stops there, and goes on with the next
/// request.
const LOOKED_AT: usize = 5_000;

/// Goes on to the next tick at which something is raised that was not before (true); without one as far as it looked.
fn next_incident(playback: &mut Playback, last: Option<&Judged>) -> (Option<Judged>, bool) {
    let mut before = last.map(raised).unwrap_or_default();
    let mut newest = None;
    for _ in 0..LOOKED_AT {
        let Some(judged) = playback.step() else { break };
        let now = raised(&judged);
        let new = !now.is_subset(&before);
        before = now;
        newest = Some(judged);
        if new {
            return (newest, true);
        }
    }
    (newest, false)
}

/// When the last incident before that moment began (true), looked for segment by segment, backwards; else how far back it was looked, where
/// there is more. What stands at the first tick of a
/// segment began in the one before, which is folded with it.
fn incident_before(file: Option<&Path>, at_ms: i64) -> (Option<i64>, bool) {
    let index = || Some(segments(&mut std::fs::File::open(file?).ok()?).ok()?.iter().map(|(_, entry)| entry.first_ms).collect());
    let mut begins: Vec<i64> = index().unwrap_or_default();
    if begins.is_empty() {
        // Nothing is sealed yet: one run from the start.
        begins.push(i64::MIN);
    }
    let mut end_ms = at_ms;
    let earlier = begins.iter().enumerate().rev().filter(|(_, ms)| **ms < at_ms);
    for (looked, (index, begin_ms)) in earlier.enumerate() {
        if looked == LOOKED_AT / 60 {
            return (Some(end_ms), false);
        }
        let start_ms = index.checked_sub(1).and_then(|at| begins.get(at)).unwrap_or(begin_ms);
        let Some(mut playback) = from(file, *start_ms) else { break };
        let (mut before, mut found) = (None, None);
        while playback.next_ms().is_some_and(|ms| ms < end_ms) {
            let Some(judged) = playback.step() else { break };
            let now = raised(&judged);
            let new = match &before {
                Some(before) => !now.is_subset(before),
                None => index == 0 && !now.is_empty(),
            };
            if new {
                found = Some(judged.at.wall_ms);
            }
            before = Some(now);
        }
        if found.is_some() {
            return (found, true);
        }
        end_ms = *begin_ms;
    }
    (None, false)
}

async fn run(mut playback: Playback, options: ReplayOptions, pictures: Pictures, mut asked: mpsc::Receiver<Ask>) {
    let (file, mut speed) = (options.file.as_deref(), options.speed_percent);
    let mut paused = options.paused;
    let mut last: Option<(Judged, i64)> = None;
    let mut step = true;
    loop {
        if step && let Some(judged) = playback.step() {
            last = Some((judged.clone(), judged.at.wall_ms));
        }
        let ended = playback.next_ms().is_none();
        if let Some((judged, _)) = &last {
            let mode = Mode::Replay { paused, ended, speed_percent: speed };
            let picture = playback.engine.picture(judged.clone(), mode, Own::default(), None);
            if pictures.send(Some(Arc::new(picture))).is_err() {
                return;
            }
        }
        let gap_ms = match (&last, playback.next_ms()) {
            (Some((_, at)), Some(next)) => (next - at).clamp(0, 10_000) * 100 / i64::from(speed.max(1)),
            _ => 0,
        };
        let wait = Duration::from_millis(gap_ms.unsigned_abs());
        step = false;
        tokio::select! {
            () = tokio::time::sleep(wait), if !paused && !ended => step = true,
            ask = asked.recv() => match ask {
                Some(Ask::Pause) => paused = !paused,
                Some(Ask::Step) => { paused = true; step = true; }
                Some(Ask::Speed(percent)) => speed = percent.clamp(10, 100_000),
                Some(Ask::Seek(to_ms)) => if let Some(there) = from(file, to_ms) {
                    playback = there;
                    step = true;
                },
                // A pipe cannot be read ahead: what comes is not there yet.
                Some(Ask::Incident { nothing, .. }) if file.is_none() => {
                    _ = nothing.try_send("a pipe is replayed as it comes: save it to a file to go from incident to incident".into());
                }
                Some(Ask::Incident { later: true, nothing }) => {
                    let (newest, found) = next_incident(&mut playback, last.as_ref().map(|(judged, _)| judged));
                    if let Some(judged) = newest {
                        paused = true;
                        last = Some((judged.clone(), judged.at.wall_ms));
                    }
                    if !found {
                        let end = playback.next_ms().is_none();
                        let said = if end { "no later incident: this is the end of the recording" } else { "none up to here; press again to look further" };
                        _ = nothing.try_send(said.into());
                    }
                }
                Some(Ask::Incident { later: false, nothing }) => {
                    let here_ms = last.as_ref().map_or(0, |(_, at)| *at);
                    let (to_ms, found) = incident_before(file, here_ms);
                    if let Some(there) = to_ms.and_then(|ms| from(file, ms)) {
                        (playback, paused, step) = (there, true, true);
                    }
                    if !found {
                        let further = "none back to here; press again to look further";
                        let said = if to_ms.is_some() { further } else { "no earlier incident in this recording" };
                        _ = nothing.try_send(said.into());
                    }
                }
                Some(Ask::Weigh { name, weight }) => playback.engine.weigh(&name, weight),
                Some(Ask::Mute { key, reason, seconds }) => playback.engine.mute(key, reason, seconds),
                // What is copied from the past changes nothing in it.
                Some(Ask::Demand(_) | Ask::Taken { .. } | Ask::Record(_) | Ask::StopRecording) => {}
                None => return,
            },
            () = pictures.closed() => return,
        }
    }
}
