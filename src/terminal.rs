//! The terminal: taken, given back whatever happens, suspended and taken again.

use std::io::{self, Write};

use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::style::Print;
use crossterm::terminal::{
    DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::{Backend, ClearType, CrosstermBackend};

use crate::line::{self, Out};

/// The terminal: a frame is one piece on the line.
pub type Screen = Terminal<CrosstermBackend<Out>>;

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
    let mut all = Vec::new();
    crossterm::queue!(all, EnterAlternateScreen, DisableLineWrap, EnableBracketedPaste, Hide)?;
    line::at_once(&all)?;
    line::taken();
    Ok(())
}

/// Presses and the wheel, in the form that has no limit of 223 columns. Moves are not asked for: each would wake the screen.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";

/// Ends what a frame that was cut may have left open: a string for the terminal, colours.
const CUT: &str = "\x1b\\\x1b[0m";

/// Takes the mouse, or gives it back to the terminal's own selection.
///
/// # Errors
/// None: it goes on its way with the frames.
pub fn mouse(screen: &mut Screen, on: bool) -> io::Result<()> {
    crossterm::execute!(screen.backend_mut(), Print(if on { MOUSE_ON } else { MOUSE_OFF }))
}

/// Gives the terminal back; every step is tried.
pub fn restore() {
    line::clear();
    _ = disable_raw_mode();
    let mut all = Vec::new();
    _ = crossterm::queue!(
        all,
        Print(CUT),
        EndSynchronizedUpdate,
        Print(MOUSE_OFF),
        DisableBracketedPaste,
        EnableLineWrap,
        LeaveAlternateScreen,
        Show
    );
    _ = line::at_once(&all);
    _ = io::stdout().flush();
}

/// A screen on standard output.
///
/// # Errors
/// When its size cannot be asked.
pub fn screen() -> io::Result<Screen> {
    Terminal::new(CrosstermBackend::new(Out::default()))
}

/// Redraws everything with the next frame. `Terminal::clear` would ask for the cursor and wait for an answer.
///
/// # Errors
/// When the terminal cannot be written.
pub fn redraw(screen: &mut Screen) -> io::Result<()> {
    screen.backend_mut().clear_region(ClearType::All)?;
    io::Write::flush(screen.backend_mut())?;
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
    // After SIGSTOP nobody gave it back, and the library believes that it is raw as it left it.
    line::clear();
    _ = disable_raw_mode();
    enter()?;
    redraw(screen)
}
