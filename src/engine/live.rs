//! The live driver: scheduler, engine and recorder on a thread of their own.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, watch};

use crate::collect::own::Meter;
use crate::collect::schedule::{self, Plan};
use crate::detect::params::ParamOverrides;
use crate::diagnose::{Mode, Own};
use crate::model::sample::Sample;
use crate::record::writer::{SAMPLES, Writer};

use super::{Ask, Engine, Handle, to_json};

/// What a live engine needs.
#[derive(Debug)]
pub struct LiveOptions {
    /// What to collect.
    pub plan: Plan,
    /// Thresholds that the configuration overrides.
    pub params: ParamOverrides,
    /// Where to record, if at all.
    pub record: Option<Writer>,
    /// Ends after so many ticks; the pictures' channel closes then.
    pub ticks: Option<u64>,
}

/// Starts a live engine.
///
/// # Errors
/// When a thread cannot be started.
pub fn live(mut options: LiveOptions) -> std::io::Result<Handle> {
    let (sender, pictures) = watch::channel(None);
    let (asks, asked) = mpsc::channel(16);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let recorder = options.record.take().map(Recorder::start).transpose()?;
    let status = recorder.as_ref().map(|r| r.status.clone());
    std::thread::Builder::new().name("engine".into()).spawn(move || {
        // A failure to start shows as a closed channel, which every caller reports.
        _ = runtime.block_on(run(options, recorder, sender, asked));
    })?;
    Ok(Handle { pictures, asks, recorder: status })
}

type Pictures = watch::Sender<Option<Arc<crate::diagnose::Picture>>>;

async fn run(
    options: LiveOptions,
    mut recorder: Option<Recorder>,
    pictures: Pictures,
    mut asked: mpsc::Receiver<Ask>,
) -> std::io::Result<()> {
    let mut live = schedule::start(options.plan)?;
    let mut engine = Engine::new(options.params);
    let mut meter = Meter::default();
    let mut ticks = 0;
    loop {
        tokio::select! {
            sample = live.samples.recv() => {
                let Some(sample) = sample else { break };
                let state = recorder.as_ref().filter(|r| r.wants_state()).map(|_| engine.state());
                let judged = engine.fold(&sample);
                // A full queue drops the wish: the rule has it again at the next evaluation.
                judged.evaluation.demands.iter().for_each(|demand| _ = live.demands.try_send(demand.clone()));
                if let Some(recorder) = &mut recorder {
                    recorder.send(state, sample, to_json(&judged.evaluation.diagnosis));
                }
                let (cpu, rss_bytes) = meter.read();
                let own = Own { cpu, rss_bytes };
                let recording = recorder.as_ref().map(Recorder::status);
                let picture = engine.picture(judged, Mode::Live, own, recording);
                if pictures.send(Some(Arc::new(picture))).is_err() {
                    break;
                }
                ticks += 1;
                if options.ticks.is_some_and(|limit| ticks >= limit) {
                    break;
                }
            }
            ask = asked.recv() => match ask {
                Some(Ask::Demand(demand)) => _ = live.demands.try_send(demand),
                Some(Ask::Weigh { name, weight }) => {
                    engine.weigh(&name, weight);
                    // The recording must know: the next segment begins with the new weights.
                    recorder.iter_mut().for_each(Recorder::begin_anew);
                }
                Some(Ask::Pause | Ask::Step | Ask::Speed(_)) => {}
                None => break,
            },
            () = pictures.closed() => break,
        }
    }
    if let Some(recorder) = recorder {
        recorder.finish();
    }
    Ok(())
}

/// The writer on a thread of its own: a disk that hangs must not hold up the screen.
struct Recorder {
    queue: Option<SyncSender<Tick>>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Samples until the next segment begins, with the engine's state.
    left: u64,
    status: Arc<Mutex<String>>,
}

type Tick = (Option<Vec<u8>>, Sample, Vec<u8>);

impl Recorder {
    const QUEUE: usize = 16;

    fn start(writer: Writer) -> std::io::Result<Self> {
        let (queue, ticks) = sync_channel::<Tick>(Self::QUEUE);
        let status = Arc::new(Mutex::new("recording".to_owned()));
        let theirs = status.clone();
        let thread = std::thread::Builder::new().name("recorder".into()).spawn(move || Self::write(writer, &ticks, &theirs))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), left: 0, status })
    }

    fn write(mut writer: Writer, ticks: &Receiver<Tick>, shown: &Mutex<String>) {
        let set = |status: &str| {
            if let Ok(mut shown) = shown.lock() {
                status.clone_into(&mut shown);
            }
        };
        for (state, sample, diagnosis) in ticks {
            if let Err(error) = writer.write(state, sample, diagnosis) {
                set(&format!("recording stopped: {error}"));
                return;
            }
        }
        if let Err(error) = writer.finish() {
            set(&format!("recording stopped: {error}"));
        }
    }

    fn wants_state(&self) -> bool {
        self.left == 0
    }

    fn status(&self) -> String {
        self.status.lock().map(|s| s.clone()).unwrap_or_default()
    }

    fn send(&mut self, state: Option<Vec<u8>>, sample: Sample, diagnosis: Vec<u8>) {
        let Some(queue) = &self.queue else { return };
        match queue.try_send((state, sample, diagnosis)) {
            Ok(()) => self.left = if self.left == 0 { SAMPLES - 1 } else { self.left - 1 },
            Err(TrySendError::Full(_)) => {
                self.begin_anew();
                self.say("recording behind: the disk does not keep up, samples are missing");
            }
            Err(TrySendError::Disconnected(_)) => self.queue = None,
        }
    }

    /// What was folded is not what was recorded any more: the next tick brings the engine's state.
    fn begin_anew(&mut self) {
        self.left = 0;
    }

    fn say(&self, status: &str) {
        if let Ok(mut shown) = self.status.lock() {
            status.clone_into(&mut shown);
        }
    }

    /// Lets the writer finish; the caller is about to leave.
    fn finish(mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}
