//! The session that is kept by itself: fewer ticks than the screen looks at, each with all that was read since the one before.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::collect::clock;
use crate::detect::diagnosis::Diagnosis;
use crate::diagnose::RecordingState;
use crate::model::sample::Sample;
use crate::record::kept;

use super::recorder::{Recorder, Status};
use super::{Engine, to_json};

/// Ticks come a little early at times.
const SLACK_NS: u64 = 100_000_000;
const EVERY_NS: u64 = kept::EVERY_MS.unsigned_abs() * 1_000_000;

/// One under way.
pub struct Keeping {
    recorder: Recorder,
    /// What was read since the tick that was kept last, and what was said of it.
    pending: Option<(Sample, Arc<Diagnosis>)>,
    /// The engine's state before it, where a segment begins.
    state: Option<Vec<u8>>,
    last_ns: Option<u64>,
}

impl Keeping {
    /// Begins one in that directory; a thread of its own opens the file.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(dir: PathBuf, params: Vec<(String, String, f64)>) -> std::io::Result<Self> {
        let now_ms = clock::now().wall_ms;
        let open = move || {
            let mut writer = kept::begin(&dir, now_ms)?;
            writer.params = params;
            Ok(writer)
        };
        Ok(Self { recorder: Recorder::start(open)?, pending: None, state: None, last_ns: None })
    }

    /// Where it stands.
    pub fn status(&self) -> &Status {
        self.recorder.status()
    }

    /// Its file, while it is written.
    pub fn file(&self) -> Option<PathBuf> {
        let status = self.status().lock().ok()?;
        let running = status.state == RecordingState::Running && !status.path.is_empty();
        running.then(|| PathBuf::from(OsStr::from_bytes(status.path.raw())))
    }

    /// Before the engine folds a sample: a segment begins with the state before all that its first tick stands for.
    pub fn before(&mut self, engine: &Engine) {
        if self.pending.is_none() && self.state.is_none() && self.recorder.wants_state() {
            self.state = Some(engine.state());
        }
    }

    /// A sample, and what was said of it.
    pub fn take(&mut self, sample: &Sample, said: &Arc<Diagnosis>) {
        if !self.recorder.is_running() {
            return;
        }
        // A sweep that hangs is a tick of its own: what the kernel said until then must not be lost with it.
        if self.pending.as_ref().is_some_and(|(p, _)| p.host.sweep.is_some() && sample.host.sweep.is_none()) {
            self.flush();
        }
        let at_ns = sample.at.mono_ns;
        let joined = match self.pending.take() {
            Some((earlier, _)) => earlier.join(sample.clone()),
            None => sample.clone(),
        };
        self.pending = Some((joined, said.clone()));
        if self.last_ns.is_none_or(|last| at_ns.saturating_sub(last) + SLACK_NS >= EVERY_NS) {
            self.flush();
        }
    }

    /// Keeps what was read so far.
    pub fn flush(&mut self) {
        let Some((sample, said)) = self.pending.take() else { return };
        self.last_ns = Some(sample.at.mono_ns);
        self.recorder.send(self.state.take(), sample, to_json(&said));
    }

    /// The engine was changed by the operator: the next segment begins with it.
    pub fn begin_anew(&mut self) {
        self.flush();
        self.recorder.begin_anew();
    }

    /// The screen is left: what was read last is kept too.
    pub fn finish(mut self) {
        self.flush();
        self.recorder.finish();
    }
}
