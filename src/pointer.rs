//! The mouse of the terminal: taken or left, and what its presses point at.

use std::io;

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Rect;

use crate::app::target::Target;
use crate::app::{App, Msg};
use crate::collect::clock;
use crate::terminal::{self, Screen};
use crate::view::{self, theme::Theme};

/// Two presses on the same within this time open it.
const TWICE_NS: u64 = 400_000_000;
/// Rows that a notch of the wheel is.
const NOTCH: isize = 3;

/// Whether the mouse is taken, and the last press.
#[derive(Debug, Default)]
pub struct Pointer {
    taken: bool,
    last: Option<(Target, u64)>,
}

impl Pointer {
    /// Takes the mouse or gives it back, when that changes.
    ///
    /// # Errors
    /// As [`terminal::mouse`].
    pub fn follow(&mut self, wanted: bool, screen: &mut Screen) -> io::Result<()> {
        if self.taken != wanted {
            terminal::mouse(screen, wanted)?;
            self.taken = wanted;
        }
        Ok(())
    }

    /// What an event of the mouse means.
    pub fn translate(&mut self, app: &App, theme: &Theme, screen: &Screen, event: MouseEvent) -> Option<Msg> {
        match event.kind {
            MouseEventKind::ScrollUp => Some(Msg::Wheel(-NOTCH)),
            MouseEventKind::ScrollDown => Some(Msg::Wheel(NOTCH)),
            MouseEventKind::Down(MouseButton::Left) => {
                let size = screen.size().ok()?;
                let area = Rect::new(0, 0, size.width, size.height);
                let target = view::pointed(app, theme, area, (event.column, event.row))?;
                let now_ns = clock::mono_ns();
                let twice =
                    self.last.take().is_some_and(|(before, at)| before == target && now_ns.saturating_sub(at) <= TWICE_NS);
                self.last = (!twice).then(|| (target.clone(), now_ns));
                Some(Msg::Press { target, twice })
            }
            _ => None,
        }
    }
}
