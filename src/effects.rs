//! The only place where the screen's effects happen: clipboard, file, asking the engine, suspending, leaving.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::mpsc;

use crate::app::Effect;
use crate::engine::Ask;
use crate::run::Screen;
use crate::terminal;

/// What the loop does next.
#[derive(Debug)]
pub enum Next {
    /// Nothing special.
    GoOn,
    /// Leave.
    Leave,
    /// Tell the operator.
    Say(String),
}

/// Carries effects out.
#[derive(Debug)]
pub struct Effects {
    asks: mpsc::Sender<Ask>,
}

/// Terminals take no longer OSC 52 text than about this.
const OSC52_CAP: usize = 74_000;

impl Effects {
    /// Effects that ask this engine.
    #[must_use]
    pub const fn new(asks: mpsc::Sender<Ask>) -> Self {
        Self { asks }
    }

    /// Carries one out.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn carry_out(&mut self, effect: Effect, screen: &mut Screen) -> io::Result<Next> {
        match effect {
            Effect::Quit => return Ok(Next::Leave),
            Effect::Copy { text, what } => return Ok(Next::Say(copy(&text, what, screen))),
            Effect::Ask(demand) => self.ask(Ask::Demand(demand)),
            Effect::Weigh { name, weight } => self.ask(Ask::Weigh { name, weight }),
            Effect::Pause => self.ask(Ask::Pause),
            Effect::Step => self.ask(Ask::Step),
            Effect::Speed(percent) => self.ask(Ask::Speed(percent)),
            Effect::Redraw => terminal::redraw(screen)?,
            Effect::Suspend => terminal::suspend(screen)?,
        }
        Ok(Next::GoOn)
    }

    /// A full queue drops the question: the next picture asks again.
    fn ask(&self, ask: Ask) {
        _ = self.asks.try_send(ask);
    }
}

/// Sends text to the clipboard by every way that there is, and always to a file. No terminal confirms a copy, so
/// that is not claimed.
fn copy(text: &str, what: &str, screen: &mut Screen) -> String {
    let saved = save(text);
    let ways =
        if std::env::var_os("TMUX").is_some() && tmux(text) { Some("tmux") } else { osc52(text, screen).then_some("terminal") };
    let file = saved.as_ref().map_or_else(|e| format!("no file: {e}"), |p| format!("also in {}", p.display()));
    match ways {
        Some(way) => format!("{what} sent to the {way}'s clipboard, {file}"),
        None => format!("{what} {file}"),
    }
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
