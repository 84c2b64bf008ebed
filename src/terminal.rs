//! The terminal: taken, given back whatever happens, suspended and taken again.

use std::io::{self, BufWriter, Stdout, Write};
use std::sync::OnceLock;

use crossterm::cursor::{Hide, Show};
use crossterm::style::Print;
use crossterm::terminal::{
    DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::{Backend, ClearType, CrosstermBackend};

/// The terminal: everything is written through one buffer, a frame is one write.
pub type Screen = Terminal<CrosstermBackend<BufWriter<Out>>>;

/// Why the terminal could not be written, once that was so.
static GONE: OnceLock<io::ErrorKind> = OnceLock::new();

/// Standard output, which may vanish with an SSH session. What is written then is dropped: the libraries above print their errors to a
/// standard error that is dead as well, and would end the process by that.
#[derive(Debug)]
pub struct Out(Stdout);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if GONE.get().is_some() {
            return Ok(bytes.len());
        }
        let written = self.0.write(bytes);
        written.or_else(|e| survive(e, bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        if GONE.get().is_some() {
            return Ok(());
        }
        self.0.flush().or_else(|e| survive(e, ()))
    }
}

fn survive<T>(error: io::Error, value: T) -> io::Result<T> {
    if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) {
        return Err(error);
    }
    _ = GONE.set(error.kind());
    Ok(value)
}

/// The terminal cannot be written any more.
#[must_use]
pub fn gone() -> bool {
    GONE.get().is_some()
}

/// Gives the terminal back when it goes out of scope.
#[derive(Debug)]
pub struct Guard(());

impl Guard {
    /// Takes the terminal. A panic anywhere gives it back before its message is printed.
    ///
    /// # Errors
    /// When there is no terminal to take.
    pub fn take() -> io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            // Prints, and ends the process.
            before(info);
        }));
        enter()?;
        Ok(Self(()))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    crossterm::execute!(io::stdout(), EnterAlternateScreen, DisableLineWrap, Hide)
}

/// Presses and the wheel, in the form that has no limit of 223 columns. Moves are not asked for: each would wake the screen.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";

/// Takes the mouse, or gives it back to the terminal's own selection.
///
/// # Errors
/// When the terminal cannot be written.
pub fn mouse(on: bool) -> io::Result<()> {
    crossterm::execute!(io::stdout(), Print(if on { MOUSE_ON } else { MOUSE_OFF }))
}

/// Gives the terminal back; every step is tried.
pub fn restore() {
    _ = crossterm::execute!(io::stdout(), Print(MOUSE_OFF), EnableLineWrap, LeaveAlternateScreen, Show);
    _ = disable_raw_mode();
    _ = io::stdout().flush();
}

/// A screen on standard output; one write per frame.
///
/// # Errors
/// When its size cannot be asked.
pub fn screen() -> io::Result<Screen> {
    const FRAME: usize = 64 << 10;
    Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(FRAME, Out(io::stdout()))))
}

/// Redraws everything with the next frame. `Terminal::clear` would ask for the cursor and wait for an answer.
///
/// # Errors
/// When the terminal cannot be written.
pub fn redraw(screen: &mut Screen) -> io::Result<()> {
    screen.backend_mut().clear_region(ClearType::All)?;
    // A fresh terminal has no memory of what was drawn.
    *screen = self::screen()?;
    Ok(())
}

/// Gives the terminal back and stops; `job`: with those that wait for it, as Ctrl-Z does. True when it had stopped: a SIGCONT is to be read.
#[must_use]
pub fn suspend(job: bool) -> bool {
    restore();
    crate::signals::stop(job)
}

/// Takes the terminal back after a stop; the next frame is drawn in full.
///
/// # Errors
/// When the terminal cannot be taken.
pub fn resume(screen: &mut Screen) -> io::Result<()> {
    // After SIGSTOP the library believes that the terminal is raw as it left it.
    _ = disable_raw_mode();
    enter()?;
    redraw(screen)
}
