//! The recorder: the writer on a thread of its own, so that a disk that hangs holds up neither the engine nor the
//! screen. What it has to say is a [`Recording`]; a recording that fails ends, and nothing else does.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};

use crate::diagnose::{Recording, RecordingState};
use crate::model::foreign::Foreign;
use crate::model::sample::Sample;
use crate::record::format::Error;
use crate::record::lead::lead;
use crate::record::writer::{SAMPLES, Target, Writer};

/// What the recorder says of itself, for the screen and for the end of `perftop record`.
pub type Status = Arc<Mutex<Recording>>;

type Tick = (Option<Vec<u8>>, Sample, Vec<u8>);

/// A recording under way.
pub struct Recorder {
    queue: Option<SyncSender<Tick>>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Samples until the next segment begins, with the engine's state.
    left: u64,
    status: Status,
}

/// Opens a new file in the first of `places` that can be written; it begins with what led up to it, where a session is kept.
///
/// # Errors
/// What the last of them said.
pub fn open_first(
    places: &[PathBuf],
    (every_ms, params): (u64, &[(String, String, f64)]),
    kept: Option<(PathBuf, i64)>,
) -> Result<Writer, Error> {
    let mut last = Error::Io { path: "nowhere".into(), source: std::io::ErrorKind::NotFound.into() };
    for place in places {
        match Writer::open(&Target::New(place.clone()), every_ms, None) {
            Ok(mut writer) => {
                writer.params = params.to_vec();
                // Where it cannot be read the incident is still an incident.
                if let Some(Ok(before)) = kept.map(|(file, now_ms)| lead(&file, now_ms)) {
                    writer.begin_with(&before)?;
                }
                return Ok(writer);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Recorder {
    const QUEUE: usize = 16;

    /// A recording that could not even begin, so that the reason is shown.
    pub fn failed(error: &std::io::Error) -> Self {
        let state = RecordingState::Failed { why: error.to_string(), broken_pipe: false };
        let status = Status::default();
        set(&status, |s| s.state = state);
        Self { queue: None, thread: None, left: 0, status }
    }

    /// Starts the thread; it opens the writer.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(open: impl FnOnce() -> Result<Writer, Error> + Send + 'static) -> std::io::Result<Self> {
        let (queue, ticks) = sync_channel::<Tick>(Self::QUEUE);
        let status = Status::default();
        let theirs = status.clone();
        let thread = std::thread::Builder::new().name("recorder".into()).spawn(move || write(open, &ticks, &theirs))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), left: 0, status })
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// True while there is someone to write for.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.queue.is_some() && self.thread.as_ref().is_some_and(|t| !t.is_finished())
    }

    /// True when the next tick must bring the engine's state.
    #[must_use]
    pub const fn wants_state(&self) -> bool {
        self.left == 0 && self.queue.is_some()
    }

    /// Hands one tick over; never waits.
    pub fn send(&mut self, state: Option<Vec<u8>>, sample: Sample, diagnosis: Vec<u8>) {
        let Some(queue) = &self.queue else { return };
        match queue.try_send((state, sample, diagnosis)) {
            Ok(()) => self.left = if self.left == 0 { SAMPLES - 1 } else { self.left - 1 },
            Err(TrySendError::Full(_)) => {
                self.begin_anew();
                set(&self.status, |s| s.missing += 1);
            }
            Err(TrySendError::Disconnected(_)) => self.queue = None,
        }
    }

    /// What was folded is not what was recorded any more: the next tick brings the engine's state.
    pub const fn begin_anew(&mut self) {
        self.left = 0;
    }

    /// No more comes; the writer seals the file in its own time.
    pub fn stop(&mut self) {
        if self.queue.take().is_some() {
            set(&self.status, |s| {
                if matches!(s.state, RecordingState::Opening | RecordingState::Running) {
                    s.state = RecordingState::Sealing;
                }
            });
        }
    }

    /// Lets the writer finish; the caller is about to leave.
    pub fn finish(mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

fn write(open: impl FnOnce() -> Result<Writer, Error>, ticks: &Receiver<Tick>, shown: &Mutex<Recording>) {
    let mut writer = match open() {
        Ok(writer) => writer,
        Err(error) => return stopped(shown, &error),
    };
    let path = writer.file().map(|p| Foreign::new(p.as_os_str().as_bytes())).unwrap_or_default();
    set(shown, |s| {
        s.path = path;
        if s.state == RecordingState::Opening {
            s.state = RecordingState::Running;
        }
    });
    for (state, sample, diagnosis) in ticks {
        if let Err(error) = writer.write(state, sample, diagnosis) {
            return stopped(shown, &error);
        }
    }
    match writer.finish() {
        Ok(()) => set(shown, |s| s.state = RecordingState::Ended),
        Err(error) => stopped(shown, &error),
    }
}

fn stopped(shown: &Mutex<Recording>, error: &Error) {
    let broken_pipe = matches!(error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe);
    set(shown, |s| s.state = RecordingState::Failed { why: error.to_string(), broken_pipe });
}

fn set(shown: &Mutex<Recording>, change: impl FnOnce(&mut Recording)) {
    if let Ok(mut shown) = shown.lock() {
        change(&mut shown);
    }
}
