//! What is only read when the operator asks for it: the plan of a query, or what a kind of server has of its own.

use crate::model::facts::Facts;
use crate::model::source::SourceKind;

use super::tables::{More, ServerView};
use super::{App, DashboardView, Effect, Overlay, Screen};

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
        let asks = self.server().and_then(|view| (view.open().asks)(view.of(&picture.facts)?, &key));
        self.overlays.push(Overlay::Card { tab, key, scroll: 0 });
        asks.map(Effect::Ask).into_iter().collect()
    }

    /// A server's screen; from a table that is a screen of its own back to the first.
    pub(super) fn go_to_server(&mut self, kind: SourceKind) {
        self.go(Screen::Server(kind));
        if let Some(view) = self.server_mut()
            && view.shows().is_some_and(|more| more.own)
        {
            (view.tab, view.selected) = (0, None);
        }
    }

    /// The table that is a screen of its own.
    pub(super) fn go_to_fleet(&mut self) -> Vec<Effect> {
        let Some((kind, more)) = self.servers.iter().find_map(|view| Some((view.kind(), view.own()?))) else {
            return Vec::new();
        };
        self.go(Screen::Server(kind));
        if let Some(view) = self.server_mut() {
            open(view, more);
        }
        self.ask_again()
    }

    /// Asks for what is open once more, when it is time.
    pub(super) fn ask_again(&mut self) -> Vec<Effect> {
        let Some(picture) = self.picture.clone().filter(|_| self.frozen.is_none()) else { return Vec::new() };
        let Some(view) = self.server_mut() else { return Vec::new() };
        let Some(more) = view.shows() else { return Vec::new() };
        let Some(source) = view.of(&picture.facts).map(ToOwned::to_owned) else { return Vec::new() };
        let last = view.asked_ns.get(&(source.clone(), more.what)).copied();
        let due = |seconds: u64| last.is_none_or(|last| picture.at.mono_ns.saturating_sub(last) >= seconds * 1_000_000_000);
        if !more.again_s.is_some_and(due) {
            return Vec::new();
        }
        view.asked_ns.insert((source.clone(), more.what), picture.at.mono_ns);
        vec![Effect::Ask((more.demand)(&source))]
    }

    /// What is looked at that a server is asked for only then: whose, and what.
    pub(super) fn looking(&self) -> Option<(String, &'static str)> {
        if self.screen == Screen::Dashboard {
            return Some((self.board_source()?, "dashboard"));
        }
        let (view, picture) = (self.server()?, self.shown()?);
        let more = view.shows().filter(|more| more.leave.is_some())?;
        Some((view.of(&picture.facts)?.to_owned(), more.what))
    }

    /// Tells the server that nobody looks at that any more; what was not answered is asked for again when it is looked at again.
    pub(super) fn left(&mut self, (source, what): (String, &'static str)) -> Option<Effect> {
        let picture = self.picture.clone()?;
        for view in &mut self.servers {
            let Some(more) = view.offers(what) else { continue };
            if !(more.there)(&picture.facts, &source) {
                view.asked_ns.remove(&(source.clone(), what));
            }
            return Some(Effect::Ask((more.leave?)(&source)));
        }
        Some(Effect::Ask(DashboardView::leave(&source)))
    }

    /// What a server is only asked for by the operator.
    fn ask_for_more(&mut self, facts: &Facts, more: More) -> Vec<Effect> {
        let Some(view) = self.server_mut() else { return Vec::new() };
        let Some(source) = view.of(facts).map(ToOwned::to_owned) else { return Vec::new() };
        self.overlays.clear();
        let Some(view) = self.server_mut() else { return Vec::new() };
        open(view, more);
        view.asked_ns.insert((source.clone(), more.what), facts.at.mono_ns);
        self.notice = Some(more.says.into());
        vec![Effect::Ask((more.demand)(&source))]
    }
}

/// Opens a table that shows it, unless one is open.
fn open(view: &mut ServerView, more: More) {
    if let Some(first) = more.tabs.first().filter(|_| !more.tabs.contains(&view.tab)) {
        (view.tab, view.selected) = (*first, None);
    }
}
