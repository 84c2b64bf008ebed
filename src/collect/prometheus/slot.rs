//! Where a watcher puts what it finds, and the scheduler takes it at each tick.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::collect::watched::{Slot, Taken};
use crate::model::demand::Answer;
use crate::model::foreign::Foreign;
use crate::model::prometheus::{Counted, Instance, PrometheusSample};
use crate::model::server::ServerSample;
use crate::model::source::SourceStatus;

use super::status;
use super::target::Target;
use super::trouble::Trouble;

/// Shared between a watcher and the scheduler.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    sample: PrometheusSample,
    status: Option<SourceStatus>,
    instance: Option<Instance>,
    /// What is not whole, by what was asked.
    warnings: BTreeMap<String, Foreign>,
    answers: Vec<Answer>,
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server said who it is.
    pub fn introduced(&self, target: &Target, instance: &Instance) {
        let mut kept = self.kept();
        kept.status = Some(status::introduced(target, instance, &kept.warnings));
        kept.instance = Some(instance.clone());
        kept.sample.instance = Some(instance.clone());
    }

    /// It refuses us, or does not answer.
    pub fn lost(&self, target: &Target, trouble: &Trouble) {
        let mut kept = self.kept();
        kept.status = Some(status::lost(target, kept.instance.as_ref(), trouble));
    }

    /// What the server said against one of its answers; nothing: it is whole.
    pub fn warned(&self, target: &Target, asked: &str, warnings: &[Foreign]) {
        let mut kept = self.kept();
        let changed = match warnings.first() {
            Some(first) => kept.warnings.insert(asked.to_owned(), first.clone()).as_ref() != Some(first),
            None => kept.warnings.remove(asked).is_some(),
        };
        if changed {
            kept.sample.warnings = Some(kept.warnings.clone());
            if let Some(instance) = kept.instance.clone() {
                kept.status = Some(status::introduced(target, &instance, &kept.warnings));
            }
        }
    }

    /// What was read.
    pub fn add(&self, change: impl FnOnce(&mut PrometheusSample)) {
        change(&mut self.kept().sample);
    }

    /// An objective was counted: the newest stands.
    pub fn counted(&self, counted: Counted) {
        let rows = &mut self.kept().sample.counted;
        rows.retain(|c| c.objective.name != counted.objective.name);
        rows.push(counted);
    }

    /// A demand was answered.
    pub fn answered(&self, answer: Answer) {
        self.kept().answers.push(answer);
    }
}

impl Slot for Shared {
    fn take(&self) -> Taken {
        let mut kept = self.kept();
        let sample = std::mem::take(&mut kept.sample);
        let sample = (sample != PrometheusSample::default()).then(|| ServerSample::Prometheus(Box::new(sample)));
        Taken { sample, status: kept.status.clone(), answers: std::mem::take(&mut kept.answers) }
    }
}
