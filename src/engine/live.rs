//! The live driver: scheduler, engine and recorder on a thread of their own.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::collect::clock;
use crate::collect::own::Meter;
use crate::collect::schedule::{self, Plan};
use crate::detect::params::ParamOverrides;
use crate::diagnose::{Mode, Own, Recording};
use crate::record::writer::Writer;

use super::keeping::Keeping;
use super::recorder::{Recorder, Status, open_first};
use super::{Ask, Engine, Handle, to_json};

/// What a live engine needs.
#[derive(Debug)]
pub struct LiveOptions {
    /// What to collect.
    pub plan: Plan,
    /// Thresholds that the configuration overrides.
    pub params: ParamOverrides,
    /// The rules that are asked about; empty: all.
    pub only: Vec<String>,
    /// Where to record, if at all.
    pub record: Option<Writer>,
    /// The directory in which the session is kept, where it is.
    pub keep: Option<PathBuf>,
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
    let recorder = options.record.take().map(|writer| Recorder::start(move || Ok(writer))).transpose()?;
    let status = recorder.as_ref().map(|r| r.status().clone());
    let keeping = options.keep.take().map(|dir| Keeping::start(dir, overridden(&options.params))).transpose()?;
    let kept = keeping.as_ref().map(|k| k.status().clone());
    std::thread::Builder::new().name("engine".into()).spawn(move || {
        // A failure to start shows as a closed channel, which every caller reports.
        _ = runtime.block_on(run(options, (recorder, keeping), sender, asked));
    })?;
    Ok(Handle { pictures, asks, recorder: status, keeping: kept })
}

type Pictures = watch::Sender<Option<Arc<crate::diagnose::Picture>>>;

async fn run(
    options: LiveOptions,
    (mut recorder, mut keeping): (Option<Recorder>, Option<Keeping>),
    pictures: Pictures,
    mut asked: mpsc::Receiver<Ask>,
) -> std::io::Result<()> {
    let every_ms = u64::try_from(options.plan.every.as_millis()).unwrap_or(u64::MAX);
    let params = overridden(&options.params);
    let mut live = schedule::start(options.plan)?;
    let mut engine = Engine::new(options.params).asked_about(options.only);
    let mut meter = Meter::default();
    let mut ticks = 0;
    loop {
        tokio::select! {
            sample = live.samples.recv() => {
                let Some(sample) = sample else { break };
                let state = recorder.as_ref().filter(|r| r.wants_state()).map(|_| engine.state());
                keeping.iter_mut().for_each(|k| k.before(&engine));
                let judged = engine.fold(&sample);
                // A full queue drops the wish: the rule has it again at the next evaluation.
                judged.evaluation.demands.iter().for_each(|demand| _ = live.demands.try_send(demand.clone()));
                let said = recorder.as_ref().map(|_| to_json(&judged.evaluation.diagnosis));
                let (cpu, rss_bytes) = meter.read();
                let own = Own { cpu, rss_bytes };
                let recording = recorder.as_ref().map(|r| shown(r.status()));
                let picture = engine.picture(judged, Mode::Live, own, recording);
                keeping.iter_mut().for_each(|k| k.take(&sample, &picture.diagnosis));
                if let Some((recorder, said)) = recorder.as_mut().zip(said) {
                    recorder.send(state, sample, said);
                }
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
                    begin_anew(&mut recorder, &mut keeping);
                }
                Some(Ask::Mute { key, reason, seconds }) => {
                    engine.mute(key, reason, seconds);
                    begin_anew(&mut recorder, &mut keeping);
                }
                Some(Ask::Taken { key, seconds }) => {
                    engine.taken(&key, seconds);
                    begin_anew(&mut recorder, &mut keeping);
                }
                Some(Ask::Record(places)) => {
                    keeping.iter_mut().for_each(Keeping::flush);
                    let fresh = record(recorder.as_ref(), places, (every_ms, &params), keeping.as_ref().and_then(Keeping::file));
                    recorder = fresh.or(recorder);
                }
                Some(Ask::StopRecording) => recorder.iter_mut().for_each(Recorder::stop),
                Some(Ask::Pause | Ask::Step | Ask::Speed(_) | Ask::Seek(_) | Ask::Incident { .. }) => {}
                None => break,
            },
            () = pictures.closed() => break,
        }
    }
    if let Some(recorder) = recorder {
        recorder.finish();
    }
    if let Some(keeping) = keeping {
        keeping.finish();
    }
    Ok(())
}

fn overridden(params: &ParamOverrides) -> Vec<(String, String, f64)> {
    params.0.iter().map(|((rule, name), value)| (rule.clone(), name.clone(), *value)).collect()
}

fn begin_anew(recorder: &mut Option<Recorder>, keeping: &mut Option<Keeping>) {
    recorder.iter_mut().for_each(Recorder::begin_anew);
    keeping.iter_mut().for_each(Keeping::begin_anew);
}

/// Starts to record from the next tick on, unless a recording is under way.
fn record(
    running: Option<&Recorder>,
    places: Vec<PathBuf>,
    (every_ms, params): (u64, &[(String, String, f64)]),
    kept: Option<PathBuf>,
) -> Option<Recorder> {
    if running.is_some_and(Recorder::is_running) {
        return None;
    }
    let (params, kept) = (params.to_vec(), kept.map(|file| (file, clock::now().wall_ms)));
    Some(Recorder::start(move || open_first(&places, (every_ms, &params), kept)).unwrap_or_else(|e| Recorder::failed(&e)))
}

fn shown(status: &Status) -> Recording {
    status.lock().map(|s| s.clone()).unwrap_or_default()
}
