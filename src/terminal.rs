//! The terminal: taken, given back whatever happens, suspended and taken again.

use std::io::{self, BufWriter, Stdout, Write};

use crossterm::cursor::{Hide, Show};
use crossterm::style::Print;
use crossterm::terminal::{
    DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::{Backend, ClearType, CrosstermBackend};

/// The terminal: everything is written through one buffer, a frame is one write.
pub type Screen = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

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
    Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(FRAME, io::stdout())))
}

/// Draws everything anew with the next frame. `Terminal::clear` would ask for the cursor and wait for an answer.
///
/// # Errors
/// When the terminal cannot be written.
pub fn redraw(screen: &mut Screen) -> io::Result<()> {
    screen.backend_mut().clear_region(ClearType::All)?;
    // A fresh terminal has no memory of what was drawn.
    *screen = self::screen()?;
    Ok(())
}

/// Ctrl-Z: gives the terminal back, stops, and takes it again when the shell says so.
///
/// # Errors
/// When the terminal cannot be taken again.
pub fn suspend(screen: &mut Screen) -> io::Result<()> {
    restore();
    // To the group, as the terminal itself would do it.
    _ = rustix::process::kill_current_process_group(rustix::process::Signal::TSTP);
    enter()?;
    redraw(screen)
}
