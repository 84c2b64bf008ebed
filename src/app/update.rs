//! What each message does: the only place where the state changes.

use crate::diagnose::Mode;
use crate::model::demand::Demand;
use crate::model::foreign::is_hidden;
use crate::model::unit::short;

use super::input::Input;
use super::keymap::{Action, Context, Key};
use super::{App, Effect, Msg, Overlay, Screen, Visit};

const PAGE: isize = 10;
/// Far enough for any list.
const END: isize = 1 << 30;

/// What a key lays on top.
fn opens(action: Action) -> Option<Overlay> {
    Some(match action {
        Action::CopyView => Overlay::CopyView { scroll: 0 },
        Action::Provenance => Overlay::Provenance { scroll: 0 },
        Action::Help => Overlay::Help { scroll: 0 },
        Action::Palette => Overlay::Palette { input: Input::default(), index: 0 },
        Action::Sockets => Overlay::Sockets { scroll: 0 },
        Action::Messages => Overlay::Messages { scroll: 0 },
        Action::Cleared => Overlay::Cleared { scroll: 0 },
        _ => return None,
    })
}

impl App {
    /// Takes one message in; what must happen outside comes out.
    pub fn update(&mut self, msg: Msg) -> Vec<Effect> {
        let before = self.looking();
        let mut effects = self.take(msg);
        self.tour_on(&effects);
        if let Some(left) = before.filter(|before| self.looking().as_ref() != Some(before)) {
            effects.splice(0..0, self.left(left));
        }
        effects
    }

    fn take(&mut self, msg: Msg) -> Vec<Effect> {
        match msg {
            Msg::Picture(picture) => {
                let mut effects = self.of_now(&picture);
                if picture.mode == Mode::Live {
                    self.forget_notice(picture.at);
                }
                self.keep_moment(&picture);
                self.servers.iter_mut().for_each(|view| view.stay(&picture.facts));
                self.picture = Some(picture);
                self.hold_selection();
                effects.extend(self.refresh_details());
                effects
            }
            Msg::Behind(picture) => self.of_now(&picture),
            Msg::Notice(text) => {
                self.notice = Some(text);
                Vec::new()
            }
            Msg::Ended(text) => {
                self.notice = Some(text);
                Vec::new()
            }
            Msg::Visiting(visiting) => {
                self.visiting = visiting;
                self.frozen = None;
                if !visiting && !self.of_kept {
                    self.overlays.retain(|o| !matches!(o, Overlay::Time { .. }));
                }
                if let Some(Overlay::Time { back }) = self.overlays.last_mut() {
                    *back = 0;
                }
                Vec::new()
            }
            Msg::Key(key) => self.key(key),
            Msg::Paste(text) => self.paste(&text),
            Msg::Wheel(rows) => {
                self.step(rows);
                Vec::new()
            }
            Msg::Press { target, twice } => self.press(target, twice),
        }
    }

    /// An open process is asked for again with each picture.
    fn refresh_details(&mut self) -> Vec<Effect> {
        match self.overlays.last() {
            Some(Overlay::Process { id }) if self.frozen.is_none() => {
                vec![Effect::Ask(Demand::ProcessDetail { id: *id })]
            }
            Some(Overlay::Query { source, query, .. }) if self.frozen.is_none() => self.ask_plan(source, *query),
            _ if self.screen == Screen::Dashboard => self.ask_for_board(),
            _ => self.ask_again(),
        }
    }

    fn key(&mut self, key: Key) -> Vec<Effect> {
        let context = self.context();
        let Some(action) = self.resolve(key, context) else {
            if context == Context::Editing {
                self.notice = None;
                return self.edit(key);
            }
            return Vec::new();
        };
        self.notice = None;
        self.act(action)
    }

    /// Where text is typed what was pasted is; anywhere else it is not for us, and none of its letters is a key.
    fn paste(&mut self, text: &str) -> Vec<Effect> {
        const MOST: usize = 256;
        if self.context() != Context::Editing {
            self.notice = Some("what was pasted is ignored: perftop runs nothing".into());
            return Vec::new();
        }
        let line = text.trim().chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).filter(|c| !is_hidden(*c));
        line.flat_map(|c| self.edit(Key::Char(c))).collect()
    }

    /// `gg` is two keys.
    fn resolve(&mut self, key: Key, context: Context) -> Option<Action> {
        if key == Key::Char('g') && context != Context::Editing {
            self.pending_g = !self.pending_g;
            return (!self.pending_g).then_some(Action::Top);
        }
        self.pending_g = false;
        self.keymap.action(key, context)
    }

    fn edit(&mut self, key: Key) -> Vec<Effect> {
        if matches!(self.overlays.last(), Some(Overlay::Palette { .. })) {
            return self.palette_key(key);
        }
        if self.muting.is_some() {
            return self.edit_reason(key);
        }
        if let Some(view) = self.server_mut() {
            view.filter.key(key);
        } else if self.processes.filter.key(key)
            && let Some(wrong) = self.processes.wrong()
        {
            self.notice = Some(format!("filter: {wrong}"));
        }
        Vec::new()
    }

    pub(super) fn act(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Quit => return vec![Effect::Quit],
            Action::Redraw => return vec![Effect::Redraw],
            Action::Suspend => return vec![Effect::Suspend],
            Action::Close | Action::Back if self.visiting && self.frozen.is_none() && self.nothing_to_undo() => {
                return vec![Effect::Visit(Visit::Now)];
            }
            // From the past it goes back to now, and from there away.
            Action::Close if self.visiting => self.back(),
            Action::Close if self.nothing_to_undo() => return vec![Effect::Quit],
            Action::Back if self.undo_view() => {}
            Action::Back | Action::Close => self.back(),
            Action::Triage => self.go(Screen::Triage),
            Action::Host => self.go(Screen::Host),
            Action::Server(kind) => self.go_to_server(kind),
            Action::Fleet => return self.go_to_fleet(),
            Action::Dashboards => return self.go_to_boards(),
            Action::Slower | Action::Faster | Action::Open if self.on_board() => return self.act_on_board(action),
            Action::NextVariable | Action::NextValue | Action::Report | Action::CursorLeft | Action::CursorRight => {
                return self.act_on_board(action);
            }
            Action::Plan => return self.ask(),
            Action::TryIndex => return self.try_index(),
            Action::NextTab | Action::TabBefore | Action::NextServer | Action::Cumulative => self.act_on_server(action),
            Action::Filter | Action::SortLeft | Action::SortRight | Action::SortReverse if self.server().is_some() => {
                self.act_on_server(action);
            }
            Action::Diagnose => self.go_to_chart(),
            Action::BranchBefore | Action::BranchAfter => self.step_branch(if action == Action::BranchAfter { 1 } else { -1 }),
            Action::AnswerByHand => self.answer_by_hand(),
            Action::ChartOrList => self.chart.listed = !self.chart.listed,
            Action::Up => self.step(-1),
            Action::Down => self.step(1),
            Action::PageUp | Action::PageDown if self.context() == Context::Time => {
                return self.page_time(if action == Action::PageUp { -1 } else { 1 });
            }
            Action::PageUp => self.step(-PAGE),
            Action::PageDown => self.step(PAGE),
            Action::Top => self.step(-END),
            Action::Bottom => self.step(END),
            Action::Open => return self.open(),
            Action::CopyFix => return self.copy_chosen(),
            Action::ChatLine => return self.chat_line(),
            Action::TourNext | Action::TourEnd => return self.tour_key(action),
            Action::CopyView
            | Action::Provenance
            | Action::Help
            | Action::Palette
            | Action::Sockets
            | Action::Messages
            | Action::Cleared => opens(action).into_iter().for_each(|overlay| self.push(overlay)),
            Action::Time => self.time(),
            Action::Earlier => return self.earlier(),
            Action::Later => self.move_time(-1),
            Action::IncidentBefore | Action::IncidentAfter => return self.incident(action == Action::IncidentAfter),
            Action::Freeze => self.frozen = if self.frozen.is_some() { None } else { self.picture.clone() },
            Action::Mute => return self.mute(),
            Action::Record => return self.record(),
            Action::Filter => self.processes.filter.editing = true,
            Action::SortLeft => self.processes.shift_sort(-1),
            Action::SortRight => self.processes.shift_sort(1),
            Action::Shape | Action::KernelThreads | Action::SortReverse => self.lay_out(action),
            Action::NextTheme => self.next_theme(),
            Action::NextFix => self.next_fix(),
            Action::Weigh => return self.weigh(),
            Action::Pause => return vec![Effect::Pause],
            Action::Step => return vec![Effect::Step],
            Action::Slower => return self.speed(|s| (s / 2).max(10)),
            Action::Faster => return self.speed(|s| s.saturating_mul(2).min(100_000)),
        }
        Vec::new()
    }

    /// How the table of processes is laid out.
    fn lay_out(&mut self, action: Action) {
        match action {
            Action::Shape => self.processes.turn(),
            Action::KernelThreads => self.processes.kernel = !self.processes.kernel,
            Action::SortReverse => self.processes.ascending = !self.processes.ascending,
            _ => {}
        }
    }

    fn act_on_server(&mut self, action: Action) {
        let picture = self.shown().cloned();
        let Some(view) = self.server_mut() else { return };
        match (action, picture) {
            (Action::NextTab, _) => view.turn(1),
            (Action::TabBefore, _) => view.turn(-1),
            (Action::NextServer, Some(picture)) => view.next_server(&picture.facts),
            (Action::Cumulative, _) => view.cumulative = !view.cumulative,
            (Action::Filter, _) => view.filter.editing = true,
            (Action::SortLeft, _) => view.shift_sort(-1),
            (Action::SortRight, _) => view.shift_sort(1),
            (Action::SortReverse, _) => view.ascending = !view.ascending,
            _ => {}
        }
    }

    fn step(&mut self, by: isize) {
        if matches!(self.overlays.last(), Some(Overlay::Time { .. })) {
            return self.move_time(-by);
        }
        if let Some(overlay) = self.overlays.last_mut() {
            match overlay {
                Overlay::Help { scroll }
                | Overlay::Fix { scroll, .. }
                | Overlay::Provenance { scroll }
                | Overlay::Sockets { scroll }
                | Overlay::Cleared { scroll }
                | Overlay::Messages { scroll }
                | Overlay::Query { scroll, .. }
                | Overlay::Card { scroll, .. }
                | Overlay::CopyView { scroll } => *scroll = scroll.saturating_add_signed(by).min(10_000),
                Overlay::Process { .. } | Overlay::Palette { .. } | Overlay::Time { .. } => {}
            }
            return;
        }
        match self.screen {
            Screen::Triage => self.step_finding(by),
            Screen::Diagnose => self.step_question(by),
            Screen::Dashboard => {
                if let Some(board) = self.board_mut() {
                    board.step(by);
                }
            }
            Screen::Host => {
                let Some(picture) = self.shown().cloned() else { return };
                self.processes.step(&picture.facts, by);
            }
            Screen::Server(_) => {
                let Some(picture) = self.shown().cloned() else { return };
                if let Some(view) = self.server_mut() {
                    view.step(&picture.facts, by);
                }
            }
        }
    }

    fn step_finding(&mut self, by: isize) {
        let all = self.findings();
        let current = self.finding().map(|f| f.key.clone());
        let at = all.iter().position(|f| Some(&f.key) == current.as_ref()).unwrap_or(0);
        let next = at.saturating_add_signed(by).min(all.len().saturating_sub(1));
        self.selected = all.get(next).map(|f| f.key.clone());
        self.chosen = true;
    }

    pub(super) fn open(&mut self) -> Vec<Effect> {
        if matches!(self.overlays.last(), Some(Overlay::Time { .. })) {
            return self.go_to_time();
        }
        if !self.overlays.is_empty() {
            return Vec::new();
        }
        match self.screen {
            Screen::Diagnose => {
                self.open_question();
                Vec::new()
            }
            Screen::Triage => {
                if self.finding().is_some_and(|f| !f.fixes.is_empty()) {
                    // The card belongs to this finding, whatever ranks first later.
                    (self.selected, self.chosen) = (self.finding().map(|f| f.key.clone()), true);
                    self.overlays.push(Overlay::Fix { index: 0, scroll: 0 });
                }
                Vec::new()
            }
            Screen::Server(_) => self.open_row(),
            Screen::Dashboard => Vec::new(),
            Screen::Host => {
                let Some(picture) = self.shown() else { return Vec::new() };
                let first = || self.processes.rows(&picture.facts).iter().find_map(|r| r.process()).map(|p| p.id);
                let Some(id) = self.processes.selected.or_else(first) else { return Vec::new() };
                self.overlays.push(Overlay::Process { id });
                vec![Effect::Ask(Demand::ProcessDetail { id })]
            }
        }
    }

    fn next_fix(&mut self) {
        let count = self.finding().map_or(0, |f| f.fixes.len());
        if let Some(Overlay::Fix { index, scroll }) = self.overlays.last_mut() {
            *index = (*index + 1) % count.max(1);
            *scroll = 0;
        }
    }

    /// As judged, then background, then foreground, then automatic again.
    fn weigh(&mut self) -> Vec<Effect> {
        let process = self.processes.selected.and_then(|id| self.process(id));
        let Some(process) = process else { return Vec::new() };
        let name = process.name.shown().to_owned();
        let weight = match (process.weight.said, process.weight.value) {
            (false, _) => Some(0.0),
            (true, v) if v < 0.5 => Some(1.0),
            (true, _) => None,
        };
        let said = weight.map_or_else(|| "automatic".to_owned(), short);
        self.notice = Some(format!("{name}: weight now {said} (b to change)"));
        vec![Effect::Weigh { name, weight }]
    }

    fn speed(&self, change: impl Fn(u32) -> u32) -> Vec<Effect> {
        match self.picture.as_ref().map(|p| p.mode) {
            Some(Mode::Replay { speed_percent, .. }) => vec![Effect::Speed(change(speed_percent))],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(app: &mut App, keys: &[Key]) -> Vec<Effect> {
        keys.iter().flat_map(|key| app.update(Msg::Key(*key))).collect()
    }

    #[test]
    fn q_closes_what_is_open_and_quits_only_at_the_root() {
        let mut app = App::default();
        assert_eq!(press(&mut app, &[Key::Char('2'), Key::Char('?'), Key::Char('q'), Key::Char('q')]), []);
        assert_eq!(app.screen, Screen::Triage);
        assert_eq!(press(&mut app, &[Key::Char('q')]), [Effect::Quit]);
        assert_eq!(press(&mut app, &[Key::Char('?'), Key::Ctrl('c')]), [Effect::Quit]);
    }

    #[test]
    fn a_filter_is_typed_and_left() {
        let mut app = App::default();
        press(&mut app, &[Key::Char('2'), Key::Char('/'), Key::Char('q'), Key::Char('g'), Key::Enter]);
        assert_eq!((app.processes.filter.text(), app.processes.filter.editing), ("qg", false));
        press(&mut app, &[Key::Esc]);
        assert_eq!((app.processes.filter.text(), app.screen), ("", Screen::Host));
    }

    #[test]
    fn gg_is_two_keys_and_help_toggles() {
        let mut app = App::default();
        press(&mut app, &[Key::Char('?'), Key::Down, Key::Down]);
        assert_eq!(app.overlays, [Overlay::Help { scroll: 2 }]);
        press(&mut app, &[Key::Char('g'), Key::Char('g')]);
        assert_eq!(app.overlays, [Overlay::Help { scroll: 0 }]);
        press(&mut app, &[Key::Char('?')]);
        assert!(app.overlays.is_empty());
    }
}
