//! The way back: from what lies on top, from what was changed of a view, from a screen to the first one.

use super::{App, Overlay, Screen};

impl App {
    pub(super) fn go(&mut self, screen: Screen) {
        self.overlays.clear();
        self.chart.left = false;
        self.screen = screen;
    }

    pub(super) fn push(&mut self, overlay: Overlay) {
        let same = |o: &Overlay| std::mem::discriminant(o) == std::mem::discriminant(&overlay);
        // The same key closes what it opened.
        if self.overlays.last().is_some_and(same) {
            self.overlays.pop();
        } else {
            self.overlays.push(overlay);
        }
    }

    /// Nothing lies on top, and the first screen is shown.
    pub(super) fn nothing_to_undo(&self) -> bool {
        self.overlays.is_empty() && self.screen == Screen::Triage && !self.chart.left
    }

    pub(super) fn back(&mut self) {
        if self.overlays.pop().is_some() {
            return;
        }
        if self.frozen.take().is_some() {
            return;
        }
        let filter = match self.screen {
            Screen::Host => Some(&mut self.processes.filter),
            _ => self.server_mut().map(|view| &mut view.filter),
        };
        if let Some(filter) = filter.filter(|filter| !filter.text().is_empty()) {
            filter.input.clear();
            return;
        }
        if self.board_back() {
            return;
        }
        let back = if self.chart.left { Screen::Diagnose } else { Screen::Triage };
        self.go(back);
    }

    /// Takes back what was changed of how the open table is laid out, once nothing lies on top of it and no filter is set; true when there
    /// was something.
    pub(super) fn undo_view(&mut self) -> bool {
        if !self.overlays.is_empty() || self.frozen.is_some() {
            return false;
        }
        match self.screen {
            Screen::Host => self.processes.filter.text().is_empty() && self.processes.undo(),
            Screen::Diagnose => std::mem::take(&mut self.chart.listed),
            _ => self.server_mut().is_some_and(|view| view.filter.text().is_empty() && view.undo()),
        }
    }

    /// The next of the themes, and round again.
    pub(super) fn next_theme(&mut self) {
        self.theme = (self.theme + 1) % self.themes.len().max(1);
        let Some(name) = self.themes.get(self.theme).filter(|_| self.themes.len() > 1) else {
            self.notice = Some(
                "there is one theme here: colours are off (NO_COLOR, --no-color), or this terminal has only sixteen".to_owned(),
            );
            return;
        };
        self.notice = Some(format!("theme {name}: kept by `theme = \"{name}\"` in the configuration, or --theme {name}"));
    }
}

#[cfg(test)]
mod tests {
    use crate::app::keymap::Key;
    use crate::app::processes::{ProcessView, Shape};
    use crate::app::{App, Msg, Screen};

    fn press(app: &mut App, keys: &[Key]) {
        keys.iter().for_each(|key| _ = app.update(Msg::Key(*key)));
    }

    #[test]
    fn esc_takes_back_one_thing_after_another_and_q_leaves() {
        let mut app = App::default();
        let changes = [Key::Char('2'), Key::Char('T'), Key::Char('K'), Key::Char('>'), Key::Char('r')];
        press(&mut app, &changes);
        assert_eq!((app.processes.shape, app.processes.kernel, app.processes.ascending), (Shape::Tree, false, true));
        press(&mut app, &[Key::Char('/'), Key::Char('x'), Key::Enter, Key::Esc]);
        assert_eq!((app.processes.filter.text(), app.processes.shape), ("", Shape::Tree), "first the filter");
        press(&mut app, &[Key::Esc]);
        assert_eq!((app.processes.clone(), app.screen), (ProcessView::default(), Screen::Host), "then the layout");
        press(&mut app, &[Key::Esc]);
        assert_eq!(app.screen, Screen::Triage, "then the screen");
        press(&mut app, &changes);
        press(&mut app, &[Key::Char('q'), Key::Char('2')]);
        assert_eq!((app.screen, app.processes.shape), (Screen::Host, Shape::Tree), "what was laid out is kept");
    }

    #[test]
    fn tables_of_servers_and_the_chart_are_taken_back_too() {
        let mut app = App::default();
        press(&mut app, &[Key::Char('3'), Key::Char('>'), Key::Char('a'), Key::Esc]);
        let view = app.server().unwrap();
        assert_eq!((view.sorted(), view.cumulative), (view.open().sort, false));
        press(&mut app, &[Key::Char('6'), Key::Tab, Key::Esc]);
        assert_eq!((app.screen, app.chart.listed), (Screen::Diagnose, false));
    }

    #[test]
    fn themes_go_round_and_where_there_is_one_that_is_said() {
        let mut app = App { themes: vec!["dark".into(), "light".into()], ..App::default() };
        press(&mut app, &[Key::Ctrl('t')]);
        assert_eq!((app.theme, app.notice.as_deref().unwrap().contains("theme light")), (1, true));
        press(&mut app, &[Key::Ctrl('t')]);
        assert_eq!(app.theme, 0);
        let mut app = App::default();
        press(&mut app, &[Key::Ctrl('t')]);
        assert_eq!((app.theme, app.notice.as_deref().unwrap().contains("one theme here")), (0, true));
    }
}
