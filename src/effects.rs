//! The only place where the screen's effects happen: clipboard, file, asking the engine, suspending, leaving.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::mpsc;

use crate::app::{Effect, Visit};
use crate::commands::report;
use crate::engine::Ask;
use crate::model::foreign::Foreign;
use crate::record::journal::Journal;
use crate::report::incident::Target;
use crate::terminal::{self, Screen};

/// What the loop does next.
#[derive(Debug)]
pub enum Next {
    /// Nothing special.
    GoOn,
    /// The terminal was given back and taken again.
    TakenAnew {
        /// This process had stopped meanwhile: a SIGCONT is to be read.
        stopped: bool,
    },
    /// To another moment.
    Visit(Visit),
    /// The terminal is gone.
    Vanished,
    /// Leave.
    Leave,
}

/// Carries effects out.
#[derive(Debug)]
pub struct Effects {
    notices: mpsc::Sender<String>,
    /// Where there is one.
    journal: Option<Journal>,
    /// Limits of gauges, for reports.
    targets: Option<[Target; 4]>,
}

/// Terminals take no longer OSC 52 text than about this.
const OSC52_CAP: usize = 74_000;

impl Effects {
    /// Effects that tell by `notices` what became of those that take time.
    #[must_use]
    pub const fn new(notices: mpsc::Sender<String>, journal: Option<Journal>, targets: Option<[Target; 4]>) -> Self {
        Self { notices, journal, targets }
    }

    /// Carries one out; `asks` is the engine whose pictures are shown.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn carry_out(&mut self, effect: Effect, asks: &mpsc::Sender<Ask>, screen: &mut Screen) -> io::Result<Next> {
        match effect {
            Effect::Quit => return Ok(Next::Leave),
            Effect::Copy { text, what } => self.copy(text, what, screen),
            Effect::Ask(demand) => ask(asks, Ask::Demand(demand)),
            Effect::Weigh { name, weight } => ask(asks, Ask::Weigh { name, weight }),
            Effect::Mute { key, reason, seconds } => ask(asks, Ask::Mute { key, reason, seconds }),
            Effect::Taken { key, seconds } => ask(asks, Ask::Taken { key, seconds }),
            Effect::Record(name) => ask(asks, Ask::Record(places(&name))),
            Effect::StopRecording => ask(asks, Ask::StopRecording),
            Effect::Pause => ask(asks, Ask::Pause),
            Effect::Step => ask(asks, Ask::Step),
            Effect::Speed(percent) => ask(asks, Ask::Speed(percent)),
            Effect::Seek { to_ms } => ask(asks, Ask::Seek(to_ms)),
            Effect::Incident { later } => ask(asks, Ask::Incident { later, nothing: self.notices.clone() }),
            Effect::Tell(recording) => self.tell(&recording),
            Effect::Visit(to) => return Ok(Next::Visit(to)),
            Effect::Note(entries) => {
                if let Some(journal) = &self.journal {
                    journal.note(entries);
                }
            }
            Effect::Redraw => terminal::redraw(screen)?,
            Effect::Suspend => {
                let stopped = terminal::suspend(true);
                // It may have vanished meanwhile.
                return Ok(if terminal::resume(screen).is_ok() { Next::TakenAnew { stopped } } else { Next::Vanished });
            }
        }
        Ok(Next::GoOn)
    }

    /// Sends text to the clipboard by every way that there is, and always to a file. No terminal confirms a copy, so
    /// that is not claimed. tmux and the file are a thread's: a stopped server or a hung home must not stop the keys.
    fn copy(&self, text: String, what: String, screen: &mut Screen) {
        let in_tmux = std::env::var_os("TMUX").is_some();
        let sent = !in_tmux && osc52(&text, screen);
        let notices = self.notices.clone();
        let work = move || {
            let way = if in_tmux && tmux(&text) { Some("tmux") } else { sent.then_some("terminal") };
            let saved = save(&text);
            let file = saved.as_ref().map_or_else(|e| format!("file not written: {e}"), |p| format!("also in {}", p.display()));
            let said = match way {
                Some("tmux") => format!("copied (tmux buffer): {what}; {file}"),
                Some(_) => format!("sent to the terminal's clipboard: {what}; {file}"),
                None => format!("no clipboard: {what}; {file}"),
            };
            _ = notices.try_send(said);
        };
        _ = std::thread::Builder::new().name("copy".into()).spawn(work);
    }

    /// The report of a recording, beside it: it is judged once more, which takes a moment.
    fn tell(&self, recording: &Foreign) {
        let (notices, targets) = (self.notices.clone(), self.targets);
        let path = PathBuf::from(OsStr::from_bytes(recording.raw()));
        let Some(targets) = targets else { return };
        let work = move || {
            let said = match report::beside(&path, &targets) {
                Ok(report) => format!("recorded: {}, and its report: {}", path.display(), report.display()),
                Err(failure) => format!("recorded: {}; no report: {failure}", path.display()),
            };
            _ = notices.try_send(Foreign::from(said.as_str()).shown().to_owned());
        };
        _ = std::thread::Builder::new().name("report".into()).spawn(work);
    }

    /// What is left to be written is.
    pub fn finish(self) {
        if let Some(journal) = self.journal {
            journal.finish();
        }
    }
}

/// A full queue drops the request: the next picture asks again.
fn ask(asks: &mpsc::Sender<Ask>, ask: Ask) {
    _ = asks.try_send(ask);
}

/// Where a recording may go: here, else home. Which of them can be written is found out by the recorder.
fn places(name: &str) -> Vec<PathBuf> {
    let here = std::env::current_dir().ok();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    [here, home].into_iter().flatten().map(|dir| dir.join(name)).collect()
}

/// `load-buffer -w` reaches tmux' buffer and the outer terminal; tmux drops OSC 52 by default.
fn tmux(text: &str) -> bool {
    let child = Command::new("tmux")
        .args(["load-buffer", "-w", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return false };
    let written = child.stdin.take().is_some_and(|mut pipe| pipe.write_all(text.as_bytes()).is_ok());
    written && child.wait().is_ok_and(|status| status.success())
}

/// GNU screen passes device control strings on in pieces.
fn osc52(text: &str, screen: &mut Screen) -> bool {
    let encoded = STANDARD.encode(text);
    if encoded.len() > OSC52_CAP {
        return false;
    }
    let plain = format!("\x1b]52;c;{encoded}\x07");
    let inside_screen = std::env::var("TERM").is_ok_and(|t| t.starts_with("screen")) && std::env::var_os("TMUX").is_none();
    let out = screen.backend_mut();
    let written = if inside_screen {
        let pieces = plain.as_bytes().chunks(76).map(|piece| [b"\x1bP", piece, b"\x1b\\"].concat());
        out.write_all(&pieces.collect::<Vec<_>>().concat())
    } else {
        out.write_all(plain.as_bytes())
    };
    written.and_then(|()| io::Write::flush(out)).is_ok()
}

/// Into the runtime directory of the user, else the home directory; readable by nobody else.
fn save(text: &str) -> io::Result<PathBuf> {
    let named = |name: &&str| std::env::var_os(name).map(PathBuf::from).filter(|d| d.is_dir());
    let dir = ["XDG_RUNTIME_DIR", "HOME"].iter().find_map(named);
    let path = dir.ok_or_else(|| io::Error::other("no home directory"))?.join(".perftop-copy");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    // A link that someone else put there is not followed.
    options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    let mut file = options.open(&path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    Ok(path)
}
