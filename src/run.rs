//! The loop of the screen: keys, the newest picture, signals; draws only when something changed.
//! Awaits nothing but its own queues.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::app::Tour;
use crate::app::keymap::{Key, Keymap};
use crate::app::{App, DashboardView, Effect, Journal, Msg};
use crate::diagnose::RecordingState;
use crate::effects::{Effects, Next};
use crate::engine::Handle;
use crate::line;
use crate::model::dashboard::Dashboard;
use crate::model::foreign::Foreign;
use crate::pointer::Pointer;
use crate::record::journal;
use crate::report::incident::Target;
use crate::signals::{Ending, Stopping, Turn};
use crate::stage::Stage;
use crate::terminal::{self, Screen};
use crate::view::{self, theme::Theme};

/// Time that a recording has to seal its file when the operator leaves; the file is whole without that too.
const SEAL: Duration = Duration::from_millis(60);

/// Runs until the operator leaves, the terminal is gone, or a signal comes; gives the recording that was made, too.
///
/// # Errors
/// When the terminal cannot be written.
pub async fn run(handle: Handle, look: Look, screen: &mut Screen) -> io::Result<(Left, Option<Foreign>)> {
    let mut app = App {
        keymap: Arc::new(look.keymap),
        dashboards: look.dashboards.into_iter().map(DashboardView::new).collect(),
        screen: if look.open_dashboards { crate::app::Screen::Dashboard } else { crate::app::Screen::Triage },
        notice: look.own.notice,
        journal: look.own.past,
        reaches_back: look.own.sessions.is_some(),
        of_kept: look.own.of_kept,
        tour: look.own.tour,
        themes: look.themes.iter().map(|(name, _)| name.clone()).collect(),
        ..App::default()
    };
    let mut stage = Stage::new(handle, look.own.sessions, look.own.of_kept);
    let (notices, mut noticed) = mpsc::channel(4);
    let mut effects = Effects::new(notices, look.own.journal, look.own.targets);
    let result = turn((&mut stage, &mut effects, &mut noticed), (&look.themes, look.mouse), &mut app, screen).await;
    if stage.writes() || app.recording.is_some() {
        _ = tokio::time::timeout(SEAL, stage.end()).await;
    }
    effects.finish();
    let recorded = app.recorded.filter(|r| !r.path.is_empty() && !matches!(r.state, RecordingState::Failed { .. }));
    Ok((result?, recorded.map(|r| r.path)))
}

/// Why the screen was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The operator left.
    Quit,
    /// The terminal is gone.
    Gone,
    /// A signal of that number came.
    BySignal(u8),
}

/// How the screen looks and is used.
#[derive(Debug)]
pub struct Look {
    /// Themes with their names, the one that is shown first in front.
    pub themes: Vec<(String, Theme)>,
    /// Keys.
    pub keymap: Keymap,
    /// The mouse is taken.
    pub mouse: bool,
    /// Dashboards that were named.
    pub dashboards: Vec<Dashboard>,
    /// The first of them is open from the start.
    pub open_dashboards: bool,
    /// What is the user's own.
    pub own: Own,
}

/// What is the user's own: of a replay nothing.
#[derive(Debug, Default)]
pub struct Own {
    /// What is said at first.
    pub notice: Option<String>,
    /// Where sessions are kept.
    pub sessions: Option<PathBuf>,
    /// What is shown is one of them, and nothing goes on behind it.
    pub of_kept: bool,
    /// The guided tour, where there is one.
    pub tour: Option<Tour>,
    /// What is known from before.
    pub past: Journal,
    /// Limits of gauges, for the report of what is recorded.
    pub targets: Option<[Target; 4]>,
    /// Where the next thing is noted.
    pub journal: Option<journal::Journal>,
}

async fn turn(
    (stage, effects, noticed): (&mut Stage, &mut Effects, &mut mpsc::Receiver<String>),
    (themes, mouse): (&[(String, Theme)], bool),
    app: &mut App,
    screen: &mut Screen,
) -> io::Result<Left> {
    let mut events = EventStream::new();
    let (mut ending, mut stopping) = (Ending::listen()?, Stopping::listen()?);
    let mut pointer = Pointer::default();
    loop {
        if mouse {
            pointer.follow(app.wants_mouse(), screen)?;
        }
        let Some((_, theme)) = themes.get(app.theme).or(themes.first()) else { return Ok(Left::Quit) };
        // A line that is slow drops frames, and never a key.
        let owed = line::busy();
        if !owed {
            screen.draw(|frame| view::draw(app, theme, frame))?;
            line::send();
        }
        if line::gone() {
            return Ok(Left::Gone);
        }
        let msgs = tokio::select! {
            biased;
            event = events.next() => match event {
                Some(Ok(Event::Mouse(event))) => pointer.translate(app, theme, screen, event).into_iter().collect(),
                Some(Ok(event)) => translate(&event).into_iter().collect(),
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(Left::Gone),
            },
            // From outside: the keyboard's Ctrl-C is a key here.
            number = ending.next() => return Ok(Left::BySignal(number)),
            turn = stopping.next() => {
                if turn == Turn::Stop && terminal::suspend(false) {
                    stopping.deal_with_next();
                }
                // Whoever had the terminal meanwhile may have left it in any state.
                if terminal::resume(screen).is_err() {
                    return Ok(Left::Gone);
                }
                pointer = Pointer::default();
                continue;
            }
            Some(text) = noticed.recv() => vec![Msg::Notice(text)],
            came = stage.next() => came,
            () = line::lost() => return Ok(Left::Gone),
            () = line::free(), if owed => Vec::new(),
        };
        let mut left: VecDeque<Effect> = msgs.into_iter().flat_map(|msg| app.update(msg)).collect();
        while let Some(effect) = left.pop_front() {
            match effects.carry_out(effect, stage.asks(), screen)? {
                Next::GoOn => {}
                Next::Visit(to) => left.extend(stage.visit(to).into_iter().flat_map(|msg| app.update(msg))),
                Next::TakenAnew { stopped } => {
                    pointer = Pointer::default();
                    if stopped {
                        stopping.deal_with_next();
                    }
                }
                Next::Vanished => return Ok(Left::Gone),
                Next::Leave => return Ok(Left::Quit),
            }
        }
    }
}

fn translate(event: &Event) -> Option<Msg> {
    match event {
        Event::Paste(text) => Some(Msg::Paste(text.clone())),
        Event::Key(key) if key.kind != KeyEventKind::Release => translate_key(key).map(Msg::Key),
        // A size that changed only needs a new frame.
        Event::Resize(..) => Some(Msg::Key(Key::F(0))),
        _ => None,
    }
}

fn translate_key(key: &KeyEvent) -> Option<Key> {
    Some(match key.code {
        KeyCode::Char(c) if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Tab => Key::Tab,
        KeyCode::F(n) => Key::F(n),
        _ => return None,
    })
}
