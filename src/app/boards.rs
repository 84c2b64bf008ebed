//! The screen of dashboards: what its keys do.

use crate::model::source::SourceKind;

use super::keymap::Action;
use super::{App, Effect, Screen};

pub use super::prometheus::dashboard::DashboardView;

impl App {
    /// The dashboard that is open.
    #[must_use]
    pub fn board(&self) -> Option<&DashboardView> {
        self.dashboards.get(self.dashboard)
    }

    pub(super) fn board_mut(&mut self) -> Option<&mut DashboardView> {
        self.dashboards.get_mut(self.dashboard)
    }

    /// The server that it asks: the one whose screen was chosen, else the first of its kind.
    #[must_use]
    pub fn board_source(&self) -> Option<String> {
        let picture = self.shown()?;
        let view = self.servers.iter().find(|view| view.kind() == SourceKind::Prometheus)?;
        view.of(&picture.facts).map(ToOwned::to_owned)
    }

    /// To the dashboards; from one to the next.
    pub(super) fn go_to_boards(&mut self) -> Vec<Effect> {
        if self.dashboards.is_empty() {
            self.notice = Some("no dashboards: perftop --dashboard FILE, with the JSON of a dashboard of Grafana".into());
            return Vec::new();
        }
        if self.screen == Screen::Dashboard {
            self.dashboard = (self.dashboard + 1) % self.dashboards.len();
        }
        self.go(Screen::Dashboard);
        self.ask_for_board()
    }

    /// What its panels want to know now.
    pub(super) fn ask_for_board(&mut self) -> Vec<Effect> {
        if self.screen != Screen::Dashboard || self.frozen.is_some() {
            return Vec::new();
        }
        let (Some(picture), Some(source)) = (self.picture.clone(), self.board_source()) else { return Vec::new() };
        let asks = self.board_mut().map(|board| board.asks(&picture, &source)).unwrap_or_default();
        asks.into_iter().map(Effect::Ask).collect()
    }

    /// Its keys count.
    pub(super) fn on_board(&self) -> bool {
        self.screen == Screen::Dashboard && self.overlays.is_empty() && !self.dashboards.is_empty()
    }

    pub(super) fn act_on_board(&mut self, action: Action) -> Vec<Effect> {
        let Some(board) = self.board_mut() else { return Vec::new() };
        match action {
            Action::NextVariable => board.next_variable(),
            Action::NextValue => board.next_value(),
            Action::Report => board.report = !board.report,
            Action::Slower => board.zoom(true),
            Action::Faster => board.zoom(false),
            Action::CursorLeft => board.move_cursor(1),
            Action::CursorRight => board.move_cursor(-1),
            Action::Open => board.alone = if board.alone.is_some() { None } else { Some(0) },
            _ => {}
        }
        self.ask_for_board()
    }

    /// One step back within the dashboard; false: there is none.
    pub(super) fn board_back(&mut self) -> bool {
        let on = self.screen == Screen::Dashboard;
        let Some(board) = self.board_mut().filter(|_| on) else { return false };
        let before = board.alone.is_some() || board.report;
        (board.alone, board.report) = (None, false);
        before
    }
}
