//! What is only read when the operator asks for it: the plan of a query, or what a kind of server has of its own.

use crate::model::facts::Facts;

use super::tables::{More, ServerView};
use super::{App, Effect, Overlay};

impl App {
    /// Asks for it.
    pub(super) fn ask(&mut self) -> Vec<Effect> {
        let more = self
            .server()
            .and_then(ServerView::more)
            .filter(|_| self.overlays.iter().all(|overlay| matches!(overlay, Overlay::Card { .. })));
        match (more, self.shown().cloned()) {
            (Some(more), Some(picture)) => self.ask_for_more(&picture.facts, more),
            _ => self.plan(),
        }
    }

    /// The selected row closely, or the query behind it.
    pub(super) fn open_row(&mut self) -> Vec<Effect> {
        let Some(picture) = self.shown().cloned() else { return Vec::new() };
        if let Some(view) = self.server_mut().filter(|view| view.selected.is_none()) {
            view.step(&picture.facts, 0);
        }
        let Some((tab, key)) = self.server().and_then(|view| Some((view.tab, view.openable(&picture.facts)?))) else {
            return self.plan();
        };
        self.overlays.push(Overlay::Card { tab, key, scroll: 0 });
        Vec::new()
    }

    /// What a server is only asked for by the operator.
    fn ask_for_more(&mut self, facts: &Facts, more: More) -> Vec<Effect> {
        let Some(view) = self.server_mut() else { return Vec::new() };
        let Some(source) = view.of(facts).map(ToOwned::to_owned) else { return Vec::new() };
        self.overlays.clear();
        let Some(view) = self.server_mut() else { return Vec::new() };
        if view.tab != more.tab {
            (view.tab, view.selected) = (more.tab, None);
        }
        self.notice = Some(more.says.into());
        vec![Effect::Ask((more.demand)(&source))]
    }
}
