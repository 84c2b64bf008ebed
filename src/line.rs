//! The way to the terminal: a thread of its own writes what is drawn, so that a line that is slow, or stands still, keeps no key and no
//! signal waiting. What is drawn meanwhile is not queued: the next frame is that of the moment in which the line is free again.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rustix::io::Errno;
use rustix::termios::{Action, QueueSelector, tcflow, tcflush};
use tokio::sync::Notify;

/// Written at once: between two of these it is seen that the rest is not wanted any more.
const PIECE: usize = 1024;
/// What is shown in one go, where the terminal knows how: nobody sees half a frame.
const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";
/// A line that is not free after so long stands still.
const STANDS: Duration = Duration::from_millis(150);

/// Frames on their way, and what there is to know of them.
struct Line {
    frames: Sender<Vec<u8>>,
    /// Frames that are not written yet.
    waiting: AtomicUsize,
    /// What waits is not wanted any more: the terminal is given back.
    discards: AtomicBool,
    /// The last one was written.
    free: Notify,
    /// Why the terminal could not be written, once that was so.
    gone: OnceLock<Errno>,
}

static LINE: OnceLock<Line> = OnceLock::new();

fn line() -> &'static Line {
    LINE.get_or_init(|| {
        let (frames, written) = channel();
        // Without a thread nobody writes: the first frame finds nobody who takes it, and the terminal counts as gone.
        _ = std::thread::Builder::new().name("terminal".into()).spawn(move || write_all(&written));
        Line {
            frames,
            waiting: AtomicUsize::new(0),
            discards: AtomicBool::new(false),
            free: Notify::new(),
            gone: OnceLock::new(),
        }
    })
}

fn write_all(frames: &Receiver<Vec<u8>>) {
    for frame in frames {
        let line = line();
        for piece in frame.chunks(PIECE) {
            if line.gone.get().is_some() || line.discards.load(Ordering::Acquire) {
                break;
            }
            if let Err(why) = write(piece) {
                _ = line.gone.set(why);
            }
        }
        if line.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
            line.free.notify_one();
        }
    }
}

/// Past the lock of standard output: whoever gives the terminal back while the line stands must get at it.
fn write(mut bytes: &[u8]) -> Result<(), Errno> {
    const AGAIN: Duration = Duration::from_millis(5);
    while !bytes.is_empty() {
        match rustix::io::write(io::stdout(), bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => std::thread::sleep(AGAIN),
            Err(why) => return Err(why),
        }
    }
    Ok(())
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

/// The terminal cannot be written any more.
#[must_use]
pub fn gone() -> bool {
    line().gone.get().is_some()
}

/// Makes way for whoever writes to standard output directly: what is on its way goes out, or is dropped where the line stands.
pub fn clear() {
    let line = line();
    if settled(STANDS) {
        return;
    }
    line.discards.store(true, Ordering::Release);
    // Held back by Ctrl-S, or by a reader that is gone.
    _ = tcflow(io::stdout(), Action::OOn);
    _ = tcflush(io::stdout(), QueueSelector::OFlush);
    settled(STANDS);
    line.discards.store(false, Ordering::Release);
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

/// Collects a frame, and sends it on its way when it is flushed.
#[derive(Debug, Default)]
pub struct Out(Vec<u8>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let line = line();
        let frame = [BEGIN, &self.0, END].concat();
        self.0.clear();
        line.waiting.fetch_add(1, Ordering::AcqRel);
        if line.frames.send(frame).is_err() {
            line.waiting.fetch_sub(1, Ordering::AcqRel);
            _ = line.gone.set(Errno::PIPE);
        }
        Ok(())
    }
}
