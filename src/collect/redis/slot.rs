//! Where a watcher puts what it finds, and the scheduler takes it at each tick.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::collect::clock;
use crate::collect::watched::{Slot, Taken};
use crate::model::demand::Answer;
use crate::model::redis::{Instance, RedisSample};
use crate::model::seen::{Lack, Why};
use crate::model::server::ServerSample;
use crate::model::source::SourceStatus;

use super::status;
use super::target::Target;
use super::trouble::Trouble;

/// A server that does not answer for so long stands still.
const STANDS: Duration = Duration::from_millis(250);

/// Shared between a watcher and the scheduler.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    sample: RedisSample,
    status: Option<SourceStatus>,
    instance: Option<Instance>,
    answers: Vec<Answer>,
    /// What was asked and is not answered yet.
    waiting: Option<Instant>,
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server said who it is.
    pub fn introduced(&self, target: &Target, instance: &Instance) {
        let mut kept = self.kept();
        kept.status = Some(status::introduced(target, instance));
        kept.instance = Some(instance.clone());
        kept.sample.instance = Some(instance.clone());
    }

    /// It refuses us, or does not answer.
    pub fn lost(&self, target: &Target, trouble: &Trouble) {
        let mut kept = self.kept();
        kept.status = Some(status::lost(target, kept.instance.as_ref(), trouble));
        let why = match trouble {
            Trouble::Refused { .. } => Why::Denied,
            Trouble::Nobody(_) => Why::Absent,
            Trouble::Silent(_) | Trouble::Lost(_) | Trouble::TooLarge => Why::TimedOut,
        };
        kept.sample.info = Some(Err(Lack::new(why, trouble.to_string())));
    }

    /// It answers again, as it did before.
    pub fn answers_again(&self, target: &Target) {
        let mut kept = self.kept();
        kept.status = kept.instance.as_ref().map(|instance| status::introduced(target, instance)).or(kept.status.take());
    }

    /// Something was asked (true), or answered.
    pub fn waits(&self, waits: bool) {
        let mut kept = self.kept();
        match waits {
            true => _ = kept.waiting.get_or_insert_with(clock::instant),
            false => kept.waiting = None,
        }
    }

    /// What was read.
    pub fn add(&self, change: impl FnOnce(&mut RedisSample)) {
        change(&mut self.kept().sample);
    }

    /// A demand was answered.
    pub fn answered(&self, answer: Answer) {
        self.kept().answers.push(answer);
    }
}

impl Slot for Shared {
    fn take(&self) -> Taken {
        let mut kept = self.kept();
        let mut sample = std::mem::take(&mut kept.sample);
        sample.silent_ms = kept.waiting.map(|since| since.elapsed()).filter(|d| *d >= STANDS).map(|d| d.as_millis() as u64);
        let sample = (sample != RedisSample::default()).then(|| ServerSample::Redis(Box::new(sample)));
        Taken { sample, status: kept.status.clone(), answers: std::mem::take(&mut kept.answers) }
    }
}
