//! The way to the terminal: a thread of its own writes what is drawn, so that a line that is slow, or stands still, keeps no key and no
//! signal waiting. What is drawn meanwhile is not queued: the next frame is that of the moment in which the line is free again.
//!
//! It writes through a descriptor of its own that never blocks. One that is shared with the shell must not be made so; and who waits within a
//! write to a terminal keeps everyone else from writing to it, for as long as nobody reads.

use std::cell::Cell;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::termios::{Action, QueueSelector, tcflow, tcflush, ttyname};
use tokio::sync::Notify;

/// Written at once: between two of these it is seen that the rest is not wanted any more.
const PIECE: usize = 1024;
/// What is shown in one go, where the terminal knows how: nobody sees half a frame.
const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";
/// A line that is not free after so long stands still.
const STANDS: Duration = Duration::from_millis(150);
/// Between two tries to write where nobody reads, and how many there are when the terminal is taken or given back: half a second.
const AGAIN: Duration = Duration::from_millis(5);
const TRIES: u32 = 100;

/// Frames on their way, and what there is to know of them.
struct Line {
    frames: Sender<Vec<u8>>,
    /// The terminal, reopened; `None` where that fails: standard output is used then.
    terminal: Option<OwnedFd>,
    /// Parts of the next frame.
    next: Mutex<Vec<u8>>,
    /// Frames that are not written yet.
    waiting: AtomicUsize,
    /// What waits is not wanted any more: the terminal is given back, and not yet taken again.
    discards: AtomicBool,
    /// The last one was written.
    free: Notify,
    /// Why the terminal could not be written, once that was so.
    gone: OnceLock<Errno>,
    /// It became so.
    lost: Notify,
}

static LINE: OnceLock<Line> = OnceLock::new();

fn line() -> &'static Line {
    LINE.get_or_init(|| {
        let (frames, written) = channel();
        // Without a thread nobody writes: the first frame finds nobody who takes it, and the terminal counts as gone.
        _ = std::thread::Builder::new().name("terminal".into()).spawn(move || write_all(&written));
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let name = ttyname(io::stdout(), Vec::new());
        Line {
            frames,
            terminal: name.and_then(|name| open(name.as_c_str(), flags, Mode::empty())).ok(),
            next: Mutex::default(),
            waiting: AtomicUsize::new(0),
            discards: AtomicBool::new(false),
            free: Notify::new(),
            gone: OnceLock::new(),
            lost: Notify::new(),
        }
    })
}

impl Line {
    fn lose(&self, why: Errno) {
        _ = self.gone.set(why);
        self.lost.notify_one();
    }

    /// Writes until all is written, or `enough` says so.
    fn write(&self, mut bytes: &[u8], enough: impl Fn() -> bool) -> Result<(), Errno> {
        let out = io::stdout();
        let terminal: BorrowedFd<'_> = self.terminal.as_ref().map_or_else(|| out.as_fd(), |fd| fd.as_fd());
        while !bytes.is_empty() && !enough() {
            // Past the lock of standard output, whichever of both it is.
            match rustix::io::write(terminal, bytes) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => std::thread::sleep(AGAIN),
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }
}

fn write_all(frames: &Receiver<Vec<u8>>) {
    for frame in frames {
        let line = line();
        let unwanted = || line.gone.get().is_some() || line.discards.load(Ordering::Acquire);
        for piece in frame.chunks(PIECE) {
            if let Err(why) = line.write(piece, unwanted) {
                line.lose(why);
            }
        }
        if line.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
            line.free.notify_one();
        }
    }
}

/// True while a frame is on its way.
#[must_use]
pub fn busy() -> bool {
    line().waiting.load(Ordering::Acquire) > 0
}

/// Waits until no frame is on its way.
pub async fn free() {
    while busy() {
        line().free.notified().await;
    }
}

/// Waits until the terminal cannot be written any more.
pub async fn lost() {
    while !gone() {
        line().lost.notified().await;
    }
}

/// The terminal cannot be written any more.
#[must_use]
pub fn gone() -> bool {
    line().gone.get().is_some()
}

/// Makes way for what is written at once: what is on its way goes out, or is dropped where the line stands. Nothing more goes out until
/// the terminal is taken.
pub fn clear() {
    let line = line();
    let stands = !settled(STANDS);
    line.discards.store(true, Ordering::Release);
    line.next.lock().unwrap_or_else(PoisonError::into_inner).clear();
    if stands {
        // Held back by Ctrl-S, or by a reader that is gone.
        _ = tcflow(io::stdout(), Action::OOn);
        _ = tcflush(io::stdout(), QueueSelector::OFlush);
        settled(STANDS);
    }
}

/// Frames go out from here on.
pub fn taken() {
    line().discards.store(false, Ordering::Release);
}

/// Writes past all frames; gives up after a moment where nobody reads.
///
/// # Errors
/// When the terminal cannot be written.
pub fn at_once(bytes: &[u8]) -> io::Result<()> {
    let left = Cell::new(TRIES);
    let enough = || left.replace(left.get().saturating_sub(1)) == 0;
    line().write(bytes, enough).map_err(io::Error::from)
}

fn settled(within: Duration) -> bool {
    const STEP: Duration = Duration::from_millis(1);
    let mut left = within;
    while busy() && !left.is_zero() {
        std::thread::sleep(STEP);
        left = left.saturating_sub(STEP);
    }
    !busy()
}

/// Sends what was collected on its way, as one frame.
pub fn send() {
    let line = line();
    let next = std::mem::take(&mut *line.next.lock().unwrap_or_else(PoisonError::into_inner));
    if next.is_empty() {
        return;
    }
    line.waiting.fetch_add(1, Ordering::AcqRel);
    if line.frames.send([BEGIN, &next, END].concat()).is_err() {
        line.waiting.fetch_sub(1, Ordering::AcqRel);
        line.lose(Errno::PIPE);
    }
}

/// Collects the parts of a frame: what clears, what draws, what shows the cursor are flushed one by one.
#[derive(Debug, Default)]
pub struct Out(Vec<u8>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        line().next.lock().unwrap_or_else(PoisonError::into_inner).append(&mut self.0);
        Ok(())
    }
}
