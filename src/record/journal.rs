//! The journal on disk: a line a time, for its owner only, cut when it grows too long. A thread of its own writes it: a home that hangs must
//! not stop the keys.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use crate::model::journal::{Entry, Past};

use super::kept;

/// It is cut to half when it is longer, bytes.
const MOST: u64 = 1 << 20;
/// Entries that wait to be written; more are dropped.
const QUEUE: usize = 64;
/// What is left to write when the screen is left has this long.
const LEAVING: Duration = Duration::from_millis(60);

/// One that is written to. What cannot be written is not: whoever looks at the screen has more urgent things to read.
#[derive(Debug)]
pub struct Journal {
    queue: SyncSender<Vec<Entry>>,
    done: Receiver<()>,
}

impl Journal {
    /// Starts its thread.
    ///
    /// # Errors
    /// When there is none to be had.
    pub fn start(dir: PathBuf) -> io::Result<Self> {
        let (queue, entries) = sync_channel::<Vec<Entry>>(QUEUE);
        let (finished, done) = sync_channel(1);
        let work = move || {
            entries.iter().for_each(|entries| _ = add(&dir, &entries));
            _ = finished.send(());
        };
        std::thread::Builder::new().name("journal".into()).spawn(work)?;
        Ok(Self { queue, done })
    }

    /// Adds lines; never waits.
    pub fn note(&self, entries: Vec<Entry>) {
        _ = self.queue.try_send(entries);
    }

    /// Lets it write what it has.
    pub fn finish(self) {
        drop(self.queue);
        _ = self.done.recv_timeout(LEAVING);
    }
}

/// Its file in a state directory.
fn path(dir: &Path) -> PathBuf {
    dir.join("journal.jsonl")
}

/// What is known from before; nothing where there is no journal, or it cannot be read.
#[must_use]
pub fn past(dir: &Path) -> Past {
    let mut text = Vec::new();
    let read = File::open(path(dir)).and_then(|file| file.take(2 * MOST).read_to_end(&mut text));
    if read.is_ok() { Past::read(&String::from_utf8_lossy(&text)) } else { Past::default() }
}

/// Adds lines to it.
///
/// # Errors
/// What the system said.
pub fn add(dir: &Path, entries: &[Entry]) -> io::Result<()> {
    kept::make(dir)?;
    let path = path(dir);
    let mut file = locked(&path)?;
    let mut text = String::new();
    // A line that was torn by whatever ended its writer ends here.
    let len = file.metadata()?.len();
    let mut last = [b'\n'];
    if len > 0 {
        file.seek(SeekFrom::Start(len - 1))?;
        file.read_exact(&mut last)?;
    }
    if last != [b'\n'] {
        text.push('\n');
    }
    for entry in entries {
        text += &serde_json::to_string(entry)?;
        text.push('\n');
    }
    file.write_all(text.as_bytes())?;
    if len + text.len() as u64 > MOST { cut(&mut file, &path) } else { Ok(()) }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// Two that write at once wait for each other; who waited while it was cut takes the file that stands there now.
fn locked(path: &Path) -> io::Result<File> {
    const TRIES: u32 = 16;
    for _ in 0..TRIES {
        let file = private().create(true).open(path)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
        if std::fs::metadata(path).is_ok_and(|there| file.metadata().is_ok_and(|mine| mine.ino() == there.ino())) {
            return Ok(file);
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

/// Leaves the newer half, from a whole line on: a new file takes the old one's place, so that none is ever half.
fn cut(file: &mut File, path: &Path) -> io::Result<()> {
    let mut all = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut all)?;
    let half = all.len() / 2;
    let from = all[half..].iter().position(|b| *b == b'\n').map_or(all.len(), |at| half + at + 1);
    let fresh = path.with_extension("jsonl-tmp");
    // Left behind by a perftop that was killed here; a link that someone else put there is not followed.
    _ = std::fs::remove_file(&fresh);
    let mut new = private().create_new(true).open(&fresh)?;
    new.write_all(&all[from..])?;
    new.sync_all()?;
    std::fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::journal::Happened;

    fn entry(at_ms: i64, size: usize) -> Entry {
        Entry {
            at_ms,
            what: Happened::Found,
            id: "host.cpu.contention".into(),
            source: "host".into(),
            subject: "dd".into(),
            title: "x".repeat(size),
            gained: 0.0,
        }
    }

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("perftop-journal-{}-{name}", std::process::id()));
            _ = std::fs::remove_dir_all(&dir);
            Self(dir)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn it_is_added_to_read_and_cut_at_whole_lines() {
        let dir = Dir::new("cut");
        for n in 0..300 {
            add(&dir.0, &[entry(n * 100_000, 4000)]).unwrap();
        }
        let text = std::fs::read_to_string(path(&dir.0)).unwrap();
        assert!(text.len() as u64 <= MOST && text.lines().all(|l| serde_json::from_str::<Entry>(l).is_ok()));
        assert_eq!(past(&dir.0).of_finding("host.cpu.contention", "host", "dd").map(|b| b.last_ms), Some(29_900_000));
        assert_eq!(std::fs::metadata(path(&dir.0)).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_torn_line_costs_only_itself_and_two_that_write_lose_nothing() {
        let dir = Dir::new("torn");
        add(&dir.0, &[entry(1, 10)]).unwrap();
        private().open(path(&dir.0)).unwrap().write_all(b"{\"at_ms\":2,\"wh\xff").unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let dir = &dir.0;
                scope.spawn(move || (0..200).for_each(|n| add(dir, &[entry((10 + writer * 200 + n) * 100_000, 2000)]).unwrap()));
            }
        });
        let text = String::from_utf8_lossy(&std::fs::read(path(&dir.0)).unwrap()).into_owned();
        let broken = text.lines().filter(|l| serde_json::from_str::<Entry>(l).is_err()).count();
        assert!(broken <= 1 && text.len() as u64 <= MOST, "{broken} lines are broken");
        assert!(past(&dir.0).of_finding("host.cpu.contention", "host", "dd").unwrap().times > 100);
    }
}
