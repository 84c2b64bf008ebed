//! Calls that may hang for ever (a dead mount, a process whose memory is locked) run on plain threads with a
//! deadline. A hung thread is left behind and counted; past [`LIMIT`] of them nothing more is tried.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::model::seen::{Lack, Why};

/// Threads that may be out at once: eight, less the two that the arguments of processes may leave behind.
pub const LIMIT: usize = 6;

/// Starts calls and counts those that are out.
#[derive(Debug, Clone, Default)]
pub struct Deadline {
    out: Arc<AtomicUsize>,
}

struct Out(Arc<AtomicUsize>);

impl Drop for Out {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Deadline {
    /// Runs `call` on a thread of its own and waits for at most `limit`.
    ///
    /// # Errors
    /// `TimedOut` when there is no answer in time or too many calls are still out.
    pub async fn run<T: Send + 'static>(
        &self,
        what: &str,
        limit: Duration,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Lack> {
        let late = |detail: &str| Lack::new(Why::TimedOut, format!("{what}: {detail}"));
        let receiver = self.start(what, call).ok_or_else(|| late("too many calls are already hung"))?;
        match tokio::time::timeout(limit, receiver).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) => Err(Lack::new(Why::Garbage, format!("{what}: the reader failed"))),
            Err(_) => Err(late(&format!("no answer in {} ms", limit.as_millis()))),
        }
    }

    /// Starts `call` on a thread of its own; the answer comes by the channel. `None` when the limit is reached.
    pub fn start<T: Send + 'static>(
        &self,
        what: &str,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Option<oneshot::Receiver<T>> {
        if self.out.fetch_add(1, Ordering::AcqRel) >= LIMIT {
            self.out.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        let guard = Out(self.out.clone());
        let (sender, receiver) = oneshot::channel();
        let builder = std::thread::Builder::new().name(format!("ask {what}").chars().take(15).collect());
        let spawned = builder.stack_size(256 << 10).spawn(move || {
            let value = call();
            drop(guard);
            _ = sender.send(value);
        });
        spawned.ok().map(|_| receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_call_that_hangs_is_evidence_and_never_blocks() {
        let deadline = Deadline::default();
        let (release, hold) = std::sync::mpsc::channel::<()>();
        let hung = deadline.run("mount", Duration::from_millis(20), move || hold.recv()).await;
        assert_eq!(hung.unwrap_err().why, Why::TimedOut);
        assert_eq!(deadline.run("mount", Duration::from_secs(5), || 7).await.unwrap(), 7);
        drop(release);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn no_more_than_the_limit_may_hang() {
        let deadline = Deadline::default();
        let (release, hold) = std::sync::mpsc::channel::<()>();
        let hold = Arc::new(std::sync::Mutex::new(hold));
        let out: Vec<_> = (0..LIMIT)
            .filter_map(|_| {
                let hold = hold.clone();
                deadline.start("hang", move || hold.lock().is_ok_and(|h| h.recv().is_ok()))
            })
            .collect();
        assert_eq!(out.len(), LIMIT);
        assert!(deadline.start("one more", || ()).is_none());
        drop(release);
    }
}
