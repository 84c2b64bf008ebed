//! Signals from outside: those that end perftop, those that stop it and let it go on.
//! What never lives here: what becomes of the terminal (`terminal`).

use std::io;

use rustix::process::{Pid, Signal as Raw, getpid, kill_process};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that end it.
#[derive(Debug)]
pub struct Ending {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
    /// Under `nohup` it is ignored, and stays so.
    hangup: Option<Signal>,
}

impl Ending {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system lets no handler be installed.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            hangup: if ignored(1) { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// The number of the next one.
    pub async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
            () = hung_up(self.hangup.as_mut()) => 1,
            _ = self.quit.recv() => 3,
        }
    }
}

async fn hung_up(hangup: Option<&mut Signal>) {
    match hangup {
        Some(hangup) => _ = hangup.recv().await,
        None => std::future::pending().await,
    }
}

/// Whoever started this process had that signal ignored.
fn ignored(number: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (number - 1)) != 0)
}

/// SIGTSTP, from a shell or a person, and SIGCONT.
#[derive(Debug)]
pub struct Stopping {
    stop: Signal,
    go_on: Signal,
    /// The next SIGCONT ends a stop whose end is dealt with already.
    dealt_with: bool,
}

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is to stop.
    Stop,
    /// It was stopped, by whatever signal, and goes on.
    GoOn,
}

impl Stopping {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system lets no handler be installed.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            stop: signal(SignalKind::from_raw(Raw::TSTP.as_raw()))?,
            go_on: signal(SignalKind::from_raw(Raw::CONT.as_raw()))?,
            dealt_with: false,
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Turn {
        loop {
            tokio::select! {
                _ = self.stop.recv() => return Turn::Stop,
                _ = self.go_on.recv() => {
                    if !std::mem::take(&mut self.dealt_with) {
                        return Turn::GoOn;
                    }
                }
            }
        }
    }

    /// This process stopped itself, and whoever did that has taken the terminal back: the SIGCONT that is still to be read is no news.
    pub const fn deal_with_next(&mut self) {
        self.dealt_with = true;
    }
}

/// Stops this process until it is told to go on; `job`: and, as the terminal would do it, those of its job that wait for it (a `time`, a
/// script). Nothing stops where no shell could let it go on: the kernel discards SIGTSTP there, and SIGSTOP would be for ever. True when it
/// had stopped.
#[must_use]
pub fn stop(job: bool) -> bool {
    let Some(waiting) = above() else { return false };
    if job {
        waiting.iter().for_each(|pid| _ = kill_process(*pid, Raw::TSTP));
    }
    // SIGTSTP is handled here, so that it would stop nobody.
    kill_process(getpid(), Raw::STOP).is_ok()
}

/// The parents within this process group. `None` when the first one outside is of another session: the group is orphaned.
fn above() -> Option<Vec<Pid>> {
    const DEPTH: usize = 64;
    let own = Standing::of(getpid())?;
    let mut found = Vec::new();
    let mut at = own.parent;
    while found.len() < DEPTH {
        let pid = at?;
        let parent = Standing::of(pid)?;
        if parent.group != own.group {
            return (parent.session == own.session).then_some(found);
        }
        found.push(pid);
        at = parent.parent;
    }
    None
}

/// Where a process stands among others. Group and session are 0 where their leader is outside of this PID namespace (in a container that
/// was entered from its host), for which `getpgid` and `getsid` of the library have no value.
#[derive(Debug, PartialEq, Eq)]
struct Standing {
    parent: Option<Pid>,
    group: i32,
    session: i32,
}

impl Standing {
    fn of(pid: Pid) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// `PID (name) state parent group session …`; the name may hold anything.
    fn parse(stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut numbers = rest.split(' ').skip(1).map(|number| number.parse::<i32>().ok());
        let mut next = || numbers.next().flatten();
        Some(Self { parent: Pid::from_raw(next()?), group: next()?, session: next()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaders_outside_of_the_namespace_are_no_error() {
        let standing = |stat| {
            Standing::parse(stat).map(|found| (found.parent.map(|pid| pid.as_raw_nonzero().get()), found.group, found.session))
        };
        assert_eq!(standing("42 (a) b (c) S 41 42 40 34816 42"), Some((Some(41), 42, 40)));
        assert_eq!(standing("1 (sh) S 0 0 0 34816 1"), Some((None, 0, 0)));
        assert_eq!(standing("42 (sh) S 41"), None);
        assert_eq!(standing(""), None);
    }
}
