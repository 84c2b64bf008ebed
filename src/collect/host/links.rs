//! Speeds and queues of interfaces. The kernel tells both under a lock that a driver can hold for ever (RTNL), so they are asked on a thread of
//! their own: the sweep waits for its answer for a moment, and goes on without one.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use crate::collect::root::Reader;
use crate::model::foreign::Foreign;
use crate::model::host::QueueRaw;

use super::qdisc;

/// What the sweep waits for it.
const PATIENCE: Duration = Duration::from_millis(20);

/// What is asked: files of speeds, and whether queues are wanted.
type Question = (Vec<(Foreign, PathBuf)>, bool);

/// What is answered.
#[derive(Debug, Default)]
pub struct Answer {
    /// Megabits a second by name; `None` where the driver knows of none.
    pub speeds: HashMap<Foreign, Option<u64>>,
    /// Outermost queues by the interface's number.
    pub queues: HashMap<u32, QueueRaw>,
}

/// The thread, once there is one.
#[derive(Debug, Default)]
pub struct Links {
    worker: Option<(SyncSender<Question>, Receiver<Answer>)>,
    /// It was asked and has not answered.
    out: bool,
}

impl Links {
    /// Asks; `None` while the thread hangs.
    pub fn ask(&mut self, speeds: Vec<(Foreign, PathBuf)>, queues: bool) -> Option<Answer> {
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => start()?,
        };
        let (questions, answers) = self.worker.insert(worker);
        if self.out {
            // The counters of a late answer are of another time; speeds stand.
            match answers.try_recv() {
                Ok(late) => {
                    self.out = false;
                    return Some(Answer { queues: HashMap::new(), ..late });
                }
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) => {
                    *self = Self::default();
                    return None;
                }
            }
        }
        if questions.try_send((speeds, queues)).is_err() {
            return None;
        }
        let answer = answers.recv_timeout(PATIENCE).ok();
        self.out = answer.is_none();
        answer
    }
}

fn start() -> Option<(SyncSender<Question>, Receiver<Answer>)> {
    let (questions, asked) = sync_channel::<Question>(1);
    let (sender, answers) = sync_channel(1);
    let work = move || {
        let mut reader = Reader::default();
        for (speeds, queues) in asked {
            let speeds = speeds.into_iter().map(|(name, path)| (name, reader.number(&path))).collect();
            let queues = if queues { qdisc::dump().unwrap_or_default() } else { HashMap::new() };
            if sender.send(Answer { speeds, queues }).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("links".into()).stack_size(256 << 10).spawn(work).ok()?;
    Some((questions, answers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::clock;
    use crate::collect::host::tempdir::Dir;

    /// A file that never answers stands for a driver that holds the lock.
    #[test]
    fn a_driver_that_hangs_delays_one_answer_and_no_sweep() {
        let dir = Dir::new();
        let (good, hung) = (dir.path().join("speed"), dir.path().join("hung"));
        std::fs::write(&good, "1000\n").unwrap();
        let mut links = Links::default();
        let mut ask = |path: &PathBuf| links.ask(vec![("eth0".into(), path.clone())], false);
        let answered = ask(&good).unwrap();
        assert_eq!(answered.speeds.get(&Foreign::from("eth0")), Some(&Some(1000)));
        assert!(std::process::Command::new("mkfifo").arg(&hung).status().unwrap().success());
        let began_ns = clock::mono_ns();
        for _ in 0..50 {
            assert!(ask(&hung).is_none());
        }
        assert!(clock::mono_ns() - began_ns < 10_000_000_000, "fifty sweeps wait for one answer, not for fifty");
    }
}
