//! The mouse: what was pointed at comes in as a value, never as a place on the screen.

use super::target::Target;
use super::{App, Effect, Overlay};

impl App {
    /// A press: the first chooses, the second on the same opens.
    pub(super) fn press(&mut self, target: Target, twice: bool) -> Vec<Effect> {
        match target {
            Target::Action(action) => return self.act(action),
            _ if !self.overlays.is_empty() => return Vec::new(),
            Target::Finding(key) => (self.selected, self.chosen) = (Some(key), true),
            Target::ServerRow(key) => {
                if let Some(view) = self.server_mut() {
                    view.selected = Some(key);
                }
            }
            Target::ServerTab(at) => {
                if let Some(view) = self.server_mut() {
                    view.turn(at as isize - view.tab as isize);
                }
                return Vec::new();
            }
            Target::ServerHeading(at) => {
                if let Some(view) = self.server_mut() {
                    view.sort_by(at);
                }
                return Vec::new();
            }
            Target::Process(id) => self.processes.selected = Some(id),
            Target::Heading(column) => {
                let turned = self.processes.sort == column && !self.processes.ascending;
                (self.processes.sort, self.processes.ascending) = (column, turned);
                return Vec::new();
            }
        }
        if twice { self.open() } else { Vec::new() }
    }

    /// False where the terminal's own selection is wanted.
    #[must_use]
    pub fn wants_mouse(&self) -> bool {
        !matches!(self.overlays.last(), Some(Overlay::CopyView { .. }))
    }
}
