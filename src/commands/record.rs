//! `perftop record`: samples and their diagnoses to a file or a pipe.

use std::time::Duration;

use crate::app::Journal;
use crate::cli::Record;
use crate::collect::clock;
use crate::config::Settings;
use crate::diagnose::{Recording, RecordingState};
use crate::engine::{Handle, LiveOptions, live};
use crate::model::foreign::Foreign;
use crate::model::unit::seconds;
use crate::record::writer::{Target, Writer};
use crate::record::{journal, kept};

use super::failure::{Failure, duration, runtime};
use super::kept::sessions_of;
use super::setup::{own_state, patiently, plan};

/// Runs the command until it is interrupted, `--for` is over, or writing fails.
///
/// # Errors
/// Usage, a target that cannot be written, a disk that is full.
pub fn run(options: &Record, settings: &Settings) -> Result<u8, Failure> {
    let or_setting = |option: &Option<String>, name: &str, key: &str| match option {
        Some(text) => duration(name, text),
        None => Ok(settings.duration(key)),
    };
    let every = or_setting(&options.every, "--every", "record.every")?;
    if every < Duration::from_millis(250) {
        return Err(Failure::Usage("--every must be at least 250ms".into()));
    }
    let keep = or_setting(&options.keep, "--keep", "record.keep")?;
    let before = std::fs::metadata(&options.file).is_ok_and(|m| m.len() > 0);
    let length = options.for_.as_deref().map(|t| duration("--for", t)).transpose()?;
    let target = match options.file.as_os_str().as_encoded_bytes() {
        b"-" => Target::Stdout,
        _ => Target::File(options.file.clone()),
    };
    if target == Target::Stdout && std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        return Err(Failure::Usage("a recording is binary; pipe it, as in `perftop record - | perftop replay -`".into()));
    }
    let every_ms = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
    let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    let mut writer = Writer::open(&target, every_ms, Some(keep_ms))?;
    let lasts = length.is_none_or(|l| l >= Duration::from_secs(60));
    // A home that hangs or cannot be written is no reason not to record.
    let state = (lasts && settings.flag("sessions.keep")).then(|| patiently(own_state)).flatten().flatten();
    if let Some((dir, file)) = state.as_deref().map(sessions_of).zip(writer.file()) {
        // So that it is found by its moments too.
        let file = file.to_path_buf();
        let point = move || _ = kept::point_at(&dir, &file, clock::now().wall_ms);
        _ = std::thread::Builder::new().name("home".into()).spawn(point);
    }
    let notes = state.and_then(|dir| {
        let past = Journal::new(patiently({
            let dir = dir.clone();
            move || journal::past(&dir)
        })?);
        Some((past, journal::Journal::start(dir).ok()?))
    });
    if let Some(file) = writer.file() {
        // On a pipe somebody else draws on this terminal.
        let how = if before { "appends to" } else { "records to" };
        let until = options.for_.as_ref().map_or_else(|| "until Ctrl-C".to_owned(), |time| format!("for {time}"));
        let every = seconds(every.as_secs_f64());
        let keep = seconds(keep.as_secs_f64());
        let said = format!("{how} {}: a sample each {every}, the last {keep}, {until}", file.display());
        crate::bug::say(Foreign::from(said.as_str()).shown());
    }
    writer.params = settings.params().0.into_iter().map(|((rule, name), value)| (rule, name, value)).collect();
    let ticks = length.map(|l| u64::try_from(l.as_millis() / every.as_millis()).unwrap_or(1) + 1);
    let params = settings.params();
    let live_options =
        LiveOptions { plan: plan(settings, every, false)?, params, only: Vec::new(), record: Some(writer), keep: None, ticks };
    let handle = live(live_options).map_err(|e| Failure::Io(format!("cannot start collecting: {e}")))?;
    runtime()?.block_on(wait(handle, notes))
}

/// What a recording that gave up means for the exit code.
fn failed(recording: &Recording) -> Option<Failure> {
    match &recording.state {
        RecordingState::Failed { broken_pipe: true, .. } => Some(Failure::ClosedPipe),
        RecordingState::Failed { why, .. } => Some(Failure::Io(format!("recording stopped: {why}"))),
        RecordingState::Ended if recording.missing > 0 => {
            Some(Failure::Io(format!("the disk did not keep up: {} samples are missing", recording.missing)))
        }
        _ => None,
    }
}

async fn wait(handle: Handle, mut notes: Option<(Journal, journal::Journal)>) -> Result<u8, Failure> {
    let Handle { mut pictures, asks, recorder, .. } = handle;
    let mut ending = super::failure::ending()?;
    let mut ended_by = None;
    let mut asks = Some(asks);
    loop {
        tokio::select! {
            changed = pictures.changed() => {
                if changed.is_err() {
                    if let Some((_, journal)) = notes {
                        journal.finish();
                    }
                    // The last write and the seal happen after the last picture.
                    let last = recorder.and_then(|r| r.lock().map(|s| s.clone()).ok());
                    if let Some(failure) = last.as_ref().and_then(failed) {
                        return Err(failure);
                    }
                    return ended_by.map_or(Ok(0), |number| Err(Failure::Signal(number)));
                }
                let picture = pictures.borrow_and_update().clone();
                if let Some(((seen, journal), picture)) = notes.as_mut().zip(picture.as_ref()) {
                    let entries = seen.see(picture);
                    if !entries.is_empty() {
                        journal.note(entries);
                    }
                }
                let status = picture.and_then(|p| p.recording.clone());
                if let Some(failure) = status.as_ref().and_then(failed) {
                    return Err(failure);
                }
            }
            // Without a sender the engine seals the recording and ends; a second signal does not wait for that.
            number = ending.next() => {
                if asks.take().is_none() {
                    return Err(Failure::Signal(number));
                }
                ended_by = Some(number);
            }
        }
    }
}
